//! Strings by key: `put` replaces, `append` extends, `get` answers the whole string. Every key starts as "".
//!
//! Keys are independent, so the model is of one key; a history is always split.

use squall_history::{Op, Outcome, Value};

use super::{BadOp, Effect, Model, bad_op};

/// The string at one key.
#[derive(Clone, Copy, Debug, Default)]
pub struct KvAppend;

/// An operation on a string.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KvOp {
    /// The string is this afterwards.
    Put(String),
    /// The string ends with this afterwards.
    Append(String),
    /// The string was this.
    Get(String),
}

impl Model for KvAppend {
    type State = String;
    type Op = KvOp;

    fn init(&self) -> String {
        String::new()
    }

    fn project(&self, op: &Op<'_>) -> Result<Option<KvOp>, BadOp> {
        let argument = || text(op.input).ok_or_else(|| bad_op(op, "put or append of a string"));
        match op.f {
            "put" => Ok(Some(KvOp::Put(argument()?))),
            "append" => Ok(Some(KvOp::Append(argument()?))),
            "get" if op.outcome == Outcome::Info => Ok(None),
            "get" => match text(op.output) {
                Some(seen) => Ok(Some(KvOp::Get(seen))),
                None => Err(bad_op(op, "get that answers a string")),
            },
            _ => Err(bad_op(op, "put, append or get")),
        }
    }

    fn step(&self, held: &String, op: &KvOp) -> Option<String> {
        match op {
            KvOp::Put(new) => Some(new.clone()),
            KvOp::Append(more) => Some(format!("{held}{more}")),
            KvOp::Get(seen) => (seen == held).then(|| held.clone()),
        }
    }

    fn effect(&self, op: &KvOp) -> Effect {
        match op {
            KvOp::Put(_) => Effect::Overwrites,
            KvOp::Append(_) => Effect::Total,
            KvOp::Get(_) => Effect::Observes,
        }
    }

    fn pointless(&self, op: &KvOp, others: &[&KvOp]) -> bool {
        let (KvOp::Put(text) | KvOp::Append(text)) = op else { return true };
        !others.iter().any(|other| matches!(other, KvOp::Get(seen) if seen.contains(text.as_str())))
    }

    fn heap_bytes(&self, held: &String) -> usize {
        held.capacity()
    }

    fn describe_state(&self, held: &String) -> String {
        let length = held.chars().count();
        if length <= 60 {
            return format!("{held:?}");
        }
        let end: String = held.chars().skip(length - 40).collect();
        format!("{length} characters ending in {end:?}")
    }
}

fn text(value: &Value) -> Option<String> {
    if value.is_nil() { Some(String::new()) } else { value.as_str().map(str::to_owned) }
}
