//! Registers: one value that is read, written, and compared and set.
//!
//! Functions: `read` answers the value; `write` takes one; `cas` takes `[old, new]`, and its answer is
//! `"mismatch"` where it observed that the value was not `old`, anything else where it succeeded.

use squall_history::{Op, Outcome, Value};

use super::{BadOp, Effect, Model, bad_op};

/// A register, with or without cas. Absence is the value nil.
#[derive(Clone, Debug, Default)]
pub struct Register {
    /// The value before the first operation.
    pub initial: Value,
    /// Knossos' convention: an ok read of nil carries no information.
    pub nil_reads_unknown: bool,
}

/// An operation on a register.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RegisterOp {
    /// Observed this value.
    Read(Value),
    /// Set this value.
    Write(Value),
    /// Observed the first and set the second.
    Cas(Value, Value),
    /// Observed that the value was not this.
    Mismatch(Value),
}

/// The answer of a cas that observed another value.
pub(crate) const MISMATCH: &str = "mismatch";

impl Model for Register {
    type State = Value;
    type Op = RegisterOp;

    fn init(&self) -> Value {
        self.initial.clone()
    }

    fn project(&self, op: &Op<'_>) -> Result<Option<RegisterOp>, BadOp> {
        match op.f {
            "read" if op.outcome == Outcome::Info => Ok(None),
            "read" if self.nil_reads_unknown && op.output.is_nil() => Ok(None),
            "read" => Ok(Some(RegisterOp::Read(op.output.clone()))),
            "write" => Ok(Some(RegisterOp::Write(op.input.clone()))),
            "cas" => {
                let (old, new) = op.input.as_pair().ok_or_else(|| bad_op(op, "cas of [old, new]"))?;
                if op.outcome == Outcome::Ok && op.output.as_str() == Some(MISMATCH) {
                    return Ok(Some(RegisterOp::Mismatch(old.clone())));
                }
                Ok(Some(RegisterOp::Cas(old.clone(), new.clone())))
            }
            _ => Err(bad_op(op, "read, write or cas")),
        }
    }

    fn step(&self, state: &Value, op: &RegisterOp) -> Option<Value> {
        match op {
            RegisterOp::Read(seen) => (seen == state).then(|| state.clone()),
            RegisterOp::Write(new) => Some(new.clone()),
            RegisterOp::Cas(old, new) => (old == state).then(|| new.clone()),
            RegisterOp::Mismatch(old) => (old != state).then(|| state.clone()),
        }
    }

    fn effect(&self, op: &RegisterOp) -> Effect {
        match op {
            RegisterOp::Read(_) | RegisterOp::Mismatch(_) => Effect::Observes,
            RegisterOp::Write(_) => Effect::Overwrites,
            RegisterOp::Cas(..) => Effect::Any,
        }
    }

    fn anywhere(&self, ops: &[&RegisterOp]) -> Option<Vec<Value>> {
        // One value beside all that occur stands for every other.
        let mut values = vec![other_value()];
        for op in ops {
            match op {
                RegisterOp::Read(v) | RegisterOp::Write(v) | RegisterOp::Mismatch(v) => {
                    values.push(v.clone())
                }
                RegisterOp::Cas(old, new) => values.extend([old.clone(), new.clone()]),
            }
        }
        values.sort();
        values.dedup();
        Some(values)
    }

    fn pointless(&self, op: &RegisterOp, others: &[&RegisterOp]) -> bool {
        let (RegisterOp::Write(new) | RegisterOp::Cas(_, new)) = op else { return true };
        !others.iter().any(|other| match other {
            RegisterOp::Read(seen) | RegisterOp::Cas(seen, _) => seen == new,
            RegisterOp::Mismatch(_) => true,
            RegisterOp::Write(_) => false,
        })
    }

    fn describe_state(&self, state: &Value) -> String {
        if *state == other_value() { "any other value".to_owned() } else { format!("value {state}") }
    }
}

/// What stands for all values that do not occur.
fn other_value() -> Value {
    Value::list([Value::str("any other value")])
}
