//! A check of one's own, applied to every run: nobody ever reads a negative number.

use squall_checkers::{Anomaly, Budget, Check, Verdict};
use squall_history::History;

pub struct NoNegative;

impl Check for NoNegative {
    fn name(&self) -> &str {
        "no-negative"
    }

    fn check(&self, history: &History, _budget: &Budget) -> Verdict {
        let negative = history.ops().filter(|op| op.f == "read" && op.output.as_int().is_some_and(|n| n < 0));
        let anomalies = negative.map(|op| Anomaly {
            kind: "negative".into(),
            signature: "no-negative/negative".into(),
            explanation: format!("#{} read {}", op.index, op.output),
            operations: vec![op.index],
            details: Default::default(),
        });
        Verdict::from_anomalies("no-negative", anomalies.collect())
    }
}
