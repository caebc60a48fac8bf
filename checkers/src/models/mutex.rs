//! A lock that does not know who holds it: `acquire` and `release`, initially free.

use squall_history::Op;

use super::{BadOp, Model, bad_op};

/// A mutex: whoever acquires, anyone may release.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mutex;

/// An operation on a mutex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LockOp {
    /// Free before, held after.
    Acquire,
    /// Held before, free after.
    Release,
}

impl Model for Mutex {
    type State = bool;
    type Op = LockOp;

    fn init(&self) -> bool {
        false
    }

    fn project(&self, op: &Op<'_>) -> Result<Option<LockOp>, BadOp> {
        match op.f {
            "acquire" => Ok(Some(LockOp::Acquire)),
            "release" => Ok(Some(LockOp::Release)),
            _ => Err(bad_op(op, "acquire or release")),
        }
    }

    fn step(&self, held: &bool, op: &LockOp) -> Option<bool> {
        match op {
            LockOp::Acquire => (!held).then_some(true),
            LockOp::Release => held.then_some(false),
        }
    }

    fn anywhere(&self, _ops: &[&LockOp]) -> Option<Vec<bool>> {
        Some(vec![false, true])
    }

    fn describe_state(&self, held: &bool) -> String {
        if *held { "held" } else { "free" }.to_owned()
    }
}
