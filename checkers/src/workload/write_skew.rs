//! Write skew (Adya's G2 with predicates): of two inserts that each look whether the other one is there, at
//! most one may succeed.

use std::collections::BTreeMap;

use squall_history::{History, Outcome, Value};

use super::report::{anomaly, few, value};
use crate::{Budget, Check, Verdict};

/// Judges `insert` of `[key, ids]`, or of ids by operation key.
#[derive(Clone, Copy, Debug, Default)]
pub struct WriteSkew;

impl Check for WriteSkew {
    fn name(&self) -> &str {
        "write-skew"
    }

    fn check(&self, history: &History, _: &Budget) -> Verdict {
        let mut inserted: BTreeMap<&Value, Vec<u32>> = BTreeMap::new();
        for op in history.ops().filter(|op| op.f == "insert") {
            let key = match (op.key, value(&op).as_pair()) {
                (Value::Nil, Some((key, _))) => key,
                (key, _) => key,
            };
            let ops = inserted.entry(key).or_default();
            if op.outcome == Outcome::Ok {
                ops.push(op.index);
            }
        }
        if inserted.values().all(Vec::is_empty) {
            return Verdict::unknown("write-skew", "no insert succeeded");
        }
        let legal = inserted.values().filter(|ops| ops.len() == 1).count();
        let found: Vec<_> = inserted
            .iter()
            .filter(|(_, ops)| ops.len() > 1)
            .map(|(key, ops)| {
                let text = format!(
                    "#{} and #{} both inserted a row for key {key}, though each would only do so if there was none.",
                    ops[0], ops[1]
                );
                anomaly("write-skew", "G2", text, ops.clone())
            })
            .collect();
        let illegal = found.len();
        Verdict::from_anomalies("write-skew", few(found))
            .with("key_count", inserted.len())
            .with("legal_count", legal)
            .with("illegal_count", illegal)
    }
}
