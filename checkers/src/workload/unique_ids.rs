//! Unique identifiers: nobody gets one twice.

use std::collections::BTreeMap;

use serde_json::json;
use squall_history::{History, Outcome, Value};

use super::report::{anomaly, few};
use crate::{Budget, Check, Verdict};

/// Judges `generate`.
#[derive(Clone, Copy, Debug, Default)]
pub struct UniqueIds;

impl Check for UniqueIds {
    fn name(&self) -> &str {
        "unique-ids"
    }

    fn check(&self, history: &History, _: &Budget) -> Verdict {
        let attempted = history.ops().filter(|op| op.f == "generate").count();
        let mut got: BTreeMap<&Value, Vec<u32>> = BTreeMap::new();
        for op in history.ops().filter(|op| op.f == "generate" && op.outcome == Outcome::Ok) {
            got.entry(op.output).or_default().push(op.index);
        }
        let acknowledged: usize = got.values().map(Vec::len).sum();
        if acknowledged == 0 {
            return Verdict::unknown("unique-ids", "no identifier was handed out");
        }
        let found: Vec<_> = got
            .iter()
            .filter(|(_, ops)| ops.len() > 1)
            .map(|(id, ops)| {
                let text = format!("{id} was handed out {} times: to {}.", ops.len(), names(ops));
                anomaly("unique-ids", "duplicated", text, ops.clone())
            })
            .collect();
        let duplicated = found.len();
        let range = (got.keys().next(), got.keys().next_back());
        Verdict::from_anomalies("unique-ids", few(found))
            .with("attempted_count", attempted)
            .with("acknowledged_count", acknowledged)
            .with("duplicated_count", duplicated)
            .with("range", json!([range.0, range.1]))
    }
}

fn names(ops: &[u32]) -> String {
    ops.iter().map(|i| format!("#{i}")).collect::<Vec<_>>().join(", ")
}
