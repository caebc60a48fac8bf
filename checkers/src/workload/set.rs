//! Set: what was added and acknowledged is in the last read, and nothing else.

use std::collections::BTreeSet;

use serde_json::json;
use squall_history::{History, Outcome, Value};

use super::report::{anomaly, items};
use crate::{Budget, Check, Verdict};

/// Judges `add` and the last ok `read` of everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Set;

impl Check for Set {
    fn name(&self) -> &str {
        "set"
    }

    fn check(&self, history: &History, _: &Budget) -> Verdict {
        let adds = || history.ops().filter(|op| op.f == "add");
        let attempts: BTreeSet<&Value> = adds().map(|op| op.input).collect();
        let acknowledged: BTreeSet<&Value> =
            adds().filter(|op| op.outcome == Outcome::Ok).map(|op| op.input).collect();
        let last = history
            .ops()
            .filter(|op| op.f == "read" && op.outcome == Outcome::Ok)
            .max_by_key(|op| op.completed);
        let Some(last) = last else {
            return Verdict::unknown("set", "the set was never read");
        };
        let seen: BTreeSet<&Value> = items(last.output).into_iter().collect();
        let lost: Vec<&Value> = acknowledged.iter().copied().filter(|v| !seen.contains(v)).collect();
        let unexpected: Vec<&Value> = seen.iter().copied().filter(|v| !attempts.contains(v)).collect();
        let recovered: Vec<&Value> =
            seen.iter().copied().filter(|v| attempts.contains(v) && !acknowledged.contains(v)).collect();
        let ok = seen.iter().filter(|v| attempts.contains(*v)).count();
        let mut found = Vec::new();
        if let Some(first) = lost.first() {
            let added = adds().find(|op| op.input == *first).map(|op| op.index);
            let text = format!(
                "{} elements were acknowledged, but the last read (#{}) does not show them: {first} is one.",
                lost.len(),
                last.index
            );
            found.push(anomaly("set", "lost", text, added.into_iter().chain([last.index]).collect()));
        }
        if let Some(first) = unexpected.first() {
            let text = format!(
                "{} elements of the last read (#{}) were never added: {first} is one.",
                unexpected.len(),
                last.index
            );
            found.push(anomaly("set", "unexpected", text, vec![last.index]));
        }
        Verdict::from_anomalies("set", found)
            .with("attempt_count", attempts.len())
            .with("acknowledged_count", acknowledged.len())
            .with("ok_count", ok)
            .with("lost_count", lost.len())
            .with("recovered_count", recovered.len())
            .with("unexpected_count", unexpected.len())
            .with("lost", json!(lost))
            .with("recovered", json!(recovered))
            .with("unexpected", json!(unexpected))
    }
}
