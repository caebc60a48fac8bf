//! What the workload checks share: anomalies in few words, and values of operations.

use serde_json::Map;
use squall_history::{Op, Outcome, Value};

use crate::Anomaly;

/// An anomaly without details; operations in any order.
pub fn anomaly(check: &str, kind: &str, text: String, mut operations: Vec<u32>) -> Anomaly {
    operations.sort_unstable();
    operations.dedup();
    Anomaly {
        kind: kind.to_owned(),
        signature: format!("{check}/{kind}"),
        explanation: text,
        operations,
        details: Map::new(),
    }
}

/// Nanoseconds as people read them.
pub fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

/// Anomalies that one check tells of: a thousand of a kind help nobody, and their number stands beside them.
const TOLD_MAX: usize = 32;

/// The first few.
pub fn few(mut found: Vec<Anomaly>) -> Vec<Anomaly> {
    found.truncate(TOLD_MAX);
    found
}

/// The answer of an ok operation, else what was asked; without the key of a `[key value]` tuple that was
/// already taken apart.
pub fn value<'a>(op: &Op<'a>) -> &'a Value {
    if op.outcome == Outcome::Ok && !op.output.is_nil() { op.output } else { op.input }
}

/// The items of a list, or the keys of a map (sets come as either).
pub fn items(value: &Value) -> Vec<&Value> {
    match value {
        Value::List(items) => items.iter().collect(),
        Value::Map(pairs) => pairs.iter().map(|(key, _)| key).collect(),
        Value::Nil => Vec::new(),
        Value::Bool(_) | Value::Int(_) | Value::Str(_) => vec![value],
    }
}
