//! Several registers, read and written together.
//!
//! One function, `txn`: a list of `["r", key, value]` and `["w", key, value]` (or `read`, `write`), which
//! take effect in order and all at once.

use std::collections::BTreeMap;

use squall_history::{Op, Outcome, Value};

use super::{BadOp, Effect, Model, bad_op};

/// Registers by key.
#[derive(Clone, Debug, Default)]
pub struct MultiRegister {
    /// The value of every key before the first operation.
    pub initial: Value,
    /// Knossos' convention: an ok read of nil carries no information.
    pub nil_reads_unknown: bool,
}

/// A read or a write within a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// The key was seen to have the value.
    Read(Value, Value),
    /// The key has the value afterwards.
    Write(Value, Value),
}

const EXPECTED: &str = "txn of [\"r\", key, value] and [\"w\", key, value]";

impl Model for MultiRegister {
    /// Keys that were written, with their values.
    type State = BTreeMap<Value, Value>;
    type Op = Vec<Access>;

    fn init(&self) -> Self::State {
        BTreeMap::new()
    }

    fn project(&self, op: &Op<'_>) -> Result<Option<Vec<Access>>, BadOp> {
        let answered = op.outcome == Outcome::Ok && !op.output.is_nil();
        let list = if answered { op.output } else { op.input };
        let items = list.as_list().filter(|_| op.f == "txn").ok_or_else(|| bad_op(op, EXPECTED))?;
        let mut accesses = Vec::with_capacity(items.len());
        for item in items {
            let Some([f, key, value]) = item.as_list() else { return Err(bad_op(op, EXPECTED)) };
            match f.as_str() {
                Some("r" | "read") if !answered || self.nil_reads_unknown && value.is_nil() => {}
                Some("r" | "read") => accesses.push(Access::Read(key.clone(), value.clone())),
                Some("w" | "write") => accesses.push(Access::Write(key.clone(), value.clone())),
                _ => return Err(bad_op(op, EXPECTED)),
            }
        }
        Ok((!accesses.is_empty()).then_some(accesses))
    }

    fn step(&self, state: &Self::State, op: &Vec<Access>) -> Option<Self::State> {
        let mut state = state.clone();
        for access in op {
            match access {
                Access::Read(key, seen) if state.get(key).unwrap_or(&self.initial) != seen => return None,
                Access::Read(..) => {}
                Access::Write(key, new) if *new == self.initial => {
                    state.remove(key);
                }
                Access::Write(key, new) => {
                    state.insert(key.clone(), new.clone());
                }
            }
        }
        Some(state)
    }

    fn effect(&self, op: &Vec<Access>) -> Effect {
        let reads = op.iter().filter(|a| matches!(a, Access::Read(..))).count();
        match reads {
            0 => Effect::Total,
            n if n == op.len() => Effect::Observes,
            _ => Effect::Any,
        }
    }

    fn heap_bytes(&self, state: &Self::State) -> usize {
        // Nodes of a tree are at least half full.
        state.len() * 4 * size_of::<Value>()
    }

    fn describe_state(&self, state: &Self::State) -> String {
        let pairs: Vec<String> = state.iter().map(|(k, v)| format!("{k}: {v}")).collect();
        format!("{{{}}}, others {}", pairs.join(", "), self.initial)
    }
}
