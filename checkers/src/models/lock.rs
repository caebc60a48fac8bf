//! Locks that know their holder: owner-aware, fenced, and counted (semaphore).
//!
//! The owner is the process: one that crashed holds what it held for ever, as its successor is another.

use squall_history::{Op, ProcessId};

use super::{BadOp, Effect, Model, bad_op};

/// A lock that only its holder may release. Not reentrant.
#[derive(Clone, Copy, Debug, Default)]
pub struct OwnerMutex;

/// An operation of an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OwnerOp {
    /// Free before, held by this process after.
    Acquire(ProcessId),
    /// Held by this process before, free after.
    Release(ProcessId),
}

impl Model for OwnerMutex {
    type State = Option<ProcessId>;
    type Op = OwnerOp;

    fn init(&self) -> Option<ProcessId> {
        None
    }

    fn project(&self, op: &Op<'_>) -> Result<Option<OwnerOp>, BadOp> {
        match op.f {
            "acquire" => Ok(Some(OwnerOp::Acquire(op.process))),
            "release" => Ok(Some(OwnerOp::Release(op.process))),
            _ => Err(bad_op(op, "acquire or release")),
        }
    }

    fn step(&self, holder: &Option<ProcessId>, op: &OwnerOp) -> Option<Option<ProcessId>> {
        match op {
            OwnerOp::Acquire(by) => holder.is_none().then_some(Some(*by)),
            OwnerOp::Release(by) => (*holder == Some(*by)).then_some(None),
        }
    }

    fn anywhere(&self, ops: &[&OwnerOp]) -> Option<Vec<Option<ProcessId>>> {
        let mut holders: Vec<Option<ProcessId>> = ops
            .iter()
            .map(|op| match op {
                OwnerOp::Acquire(by) | OwnerOp::Release(by) => Some(*by),
            })
            .collect();
        // Nobody, and somebody else.
        holders.extend([None, Some(ProcessId::MAX)]);
        holders.sort_unstable();
        holders.dedup();
        Some(holders)
    }

    fn describe_state(&self, holder: &Option<ProcessId>) -> String {
        holder.map_or("free".to_owned(), |p| format!("held by process {p}"))
    }
}

/// A lock whose every acquisition answers a greater number than all before: its fencing token.
#[derive(Clone, Copy, Debug, Default)]
pub struct FencedMutex;

/// An operation on a fenced lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FencedOp {
    /// Free before, held by this process after; the token, if one was seen.
    Acquire(ProcessId, Option<i64>),
    /// Held by this process before, free after.
    Release(ProcessId),
}

/// Who holds a fenced lock, and the least that the last token can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fenced {
    /// The holder.
    pub holder: Option<ProcessId>,
    /// The last token; the least possible where it was not seen.
    pub token: i64,
}

impl Model for FencedMutex {
    type State = Fenced;
    type Op = FencedOp;

    fn init(&self) -> Fenced {
        Fenced { holder: None, token: i64::MIN }
    }

    fn project(&self, op: &Op<'_>) -> Result<Option<FencedOp>, BadOp> {
        match (op.f, op.output.as_int()) {
            ("acquire", token) if token.is_some() || op.output.is_nil() => {
                Ok(Some(FencedOp::Acquire(op.process, token)))
            }
            ("release", _) => Ok(Some(FencedOp::Release(op.process))),
            _ => Err(bad_op(op, "acquire that answers a number, or release")),
        }
    }

    fn step(&self, state: &Fenced, op: &FencedOp) -> Option<Fenced> {
        match *op {
            FencedOp::Acquire(by, token) => {
                let token = token.unwrap_or(state.token.saturating_add(1));
                let free = state.holder.is_none() && token > state.token;
                free.then_some(Fenced { holder: Some(by), token })
            }
            FencedOp::Release(by) => {
                (state.holder == Some(by)).then_some(Fenced { holder: None, token: state.token })
            }
        }
    }

    fn anywhere(&self, ops: &[&FencedOp]) -> Option<Vec<Fenced>> {
        let owners: Vec<OwnerOp> = ops
            .iter()
            .map(|op| match op {
                FencedOp::Acquire(by, _) | FencedOp::Release(by) => OwnerOp::Acquire(*by),
            })
            .collect();
        let holders = OwnerMutex.anywhere(&owners.iter().collect::<Vec<_>>())?;
        // The least token allows whatever a greater one does.
        Some(holders.into_iter().map(|holder| Fenced { holder, token: i64::MIN }).collect())
    }

    fn describe_state(&self, state: &Fenced) -> String {
        let held = state.holder.map_or("free".to_owned(), |p| format!("held by process {p}"));
        if state.token == i64::MIN { held } else { format!("{held}, last token {}", state.token) }
    }
}

/// A number of permits. `acquire` and `release` take how many, one if nothing is said.
#[derive(Clone, Copy, Debug)]
pub struct Semaphore {
    /// Permits there are.
    pub permits: i64,
}

/// An operation on a semaphore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SemaphoreOp {
    /// So many permits were there to take.
    Acquire(i64),
    /// So many had been taken.
    Release(i64),
}

impl Model for Semaphore {
    type State = i64;
    type Op = SemaphoreOp;

    fn init(&self) -> i64 {
        self.permits
    }

    fn project(&self, op: &Op<'_>) -> Result<Option<SemaphoreOp>, BadOp> {
        let count = if op.input.is_nil() { Some(1) } else { op.input.as_int() };
        match (op.f, count.filter(|&n| n >= 0)) {
            ("acquire", Some(n)) => Ok(Some(SemaphoreOp::Acquire(n))),
            ("release", Some(n)) => Ok(Some(SemaphoreOp::Release(n))),
            _ => Err(bad_op(op, "acquire or release of nothing or a number from 0")),
        }
    }

    fn step(&self, left: &i64, op: &SemaphoreOp) -> Option<i64> {
        match *op {
            SemaphoreOp::Acquire(n) => (*left >= n).then(|| left - n),
            SemaphoreOp::Release(n) => left.checked_add(n).filter(|&left| left <= self.permits),
        }
    }

    fn effect(&self, op: &SemaphoreOp) -> Effect {
        match op {
            SemaphoreOp::Acquire(0) | SemaphoreOp::Release(0) => Effect::Observes,
            _ => Effect::Any,
        }
    }

    fn anywhere(&self, _ops: &[&SemaphoreOp]) -> Option<Vec<i64>> {
        (self.permits <= 1000).then(|| (0..=self.permits).collect())
    }

    fn describe_state(&self, left: &i64) -> String {
        format!("{left} of {} permits left", self.permits)
    }
}
