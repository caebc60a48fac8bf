//! A set that is read whole.
//!
//! Functions: `add` and `remove` of an element, `read` answering the list of elements in any order.

use std::collections::BTreeSet;

use squall_history::{Op, Outcome, Value};

use super::{BadOp, Effect, Model, bad_op};

/// A set, initially empty.
#[derive(Clone, Debug, Default)]
pub struct Set {
    /// If given, reads are looked at as if there were no other elements. A set is linearizable only if it is
    /// with some elements left out.
    pub only: Option<BTreeSet<Value>>,
}

/// An operation on a set.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SetOp {
    /// The element is in it afterwards.
    Add(Value),
    /// The element is not in it afterwards.
    Remove(Value),
    /// Exactly these were in it.
    Read(BTreeSet<Value>),
}

impl Model for Set {
    type State = BTreeSet<Value>;
    type Op = SetOp;

    fn init(&self) -> BTreeSet<Value> {
        BTreeSet::new()
    }

    fn project(&self, op: &Op<'_>) -> Result<Option<SetOp>, BadOp> {
        match (op.f, op.output.as_list()) {
            ("add", _) => Ok(Some(SetOp::Add(op.input.clone()))),
            ("remove", _) => Ok(Some(SetOp::Remove(op.input.clone()))),
            ("read", _) if op.outcome == Outcome::Info => Ok(None),
            ("read", Some(seen)) => {
                let looked_at = |v: &&Value| self.only.as_ref().is_none_or(|only| only.contains(v));
                Ok(Some(SetOp::Read(seen.iter().filter(looked_at).cloned().collect())))
            }
            _ => Err(bad_op(op, "add, remove, or read that answers a list")),
        }
    }

    fn step(&self, held: &BTreeSet<Value>, op: &SetOp) -> Option<BTreeSet<Value>> {
        let mut held = held.clone();
        match op {
            SetOp::Add(element) => {
                held.insert(element.clone());
            }
            SetOp::Remove(element) => {
                held.remove(element);
            }
            SetOp::Read(seen) if *seen != held => return None,
            SetOp::Read(_) => {}
        }
        Some(held)
    }

    fn effect(&self, op: &SetOp) -> Effect {
        match op {
            SetOp::Add(_) | SetOp::Remove(_) => Effect::Total,
            SetOp::Read(_) => Effect::Observes,
        }
    }

    fn heap_bytes(&self, held: &BTreeSet<Value>) -> usize {
        // Nodes of a tree are at least half full.
        held.len() * 2 * size_of::<Value>()
    }

    fn describe_state(&self, held: &BTreeSet<Value>) -> String {
        if held.len() > 12 {
            return format!("{} elements", held.len());
        }
        format!("{{{}}}", held.iter().map(Value::to_string).collect::<Vec<_>>().join(", "))
    }
}
