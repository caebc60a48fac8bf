//! Bank: transfers between accounts; every read of all accounts must show the same total.

use serde_json::json;
use squall_history::{History, Outcome, Value};

use super::report::{anomaly, few};
use crate::{Budget, Check, Verdict};

/// Judges reads of all balances (`read` → `{account: balance}`).
#[derive(Clone, Debug, Default)]
pub struct Bank {
    /// What all balances add up to; by default what the first ok read shows.
    pub total: Option<i64>,
    /// The accounts; by default those of the first ok read.
    pub accounts: Option<Vec<Value>>,
    /// Whether balances may be negative.
    pub negative_balances: bool,
}

impl Check for Bank {
    fn name(&self) -> &str {
        "bank"
    }

    fn check(&self, history: &History, _: &Budget) -> Verdict {
        let reads: Vec<_> = history
            .ops()
            .filter(|op| op.f == "read" && op.outcome == Outcome::Ok)
            .filter_map(|op| Some((op.index, op.output.as_map()?)))
            .collect();
        let Some((_, first)) = reads.first() else {
            return Verdict::unknown("bank", "no read of the balances was completed");
        };
        let sum = |pairs: &[(Value, Value)]| pairs.iter().filter_map(|(_, v)| v.as_int()).sum::<i64>();
        let total = self.total.unwrap_or_else(|| sum(first));
        let accounts =
            self.accounts.clone().unwrap_or_else(|| first.iter().map(|(k, _)| k.clone()).collect());
        let mut found = Vec::new();
        let (mut lowest, mut highest) = (i64::MAX, i64::MIN);
        for &(index, pairs) in &reads {
            let mut add = |kind: &str, text: String| found.push(anomaly("bank", kind, text, vec![index]));
            if let Some((key, _)) = pairs.iter().find(|(k, _)| !accounts.contains(k)) {
                add("unexpected-key", format!("#{index} read the account {key}, which does not exist."));
            } else if let Some((key, v)) = pairs.iter().find(|(_, v)| v.as_int().is_none()) {
                add("nil-balance", format!("#{index} read {v} as the balance of account {key}."));
            } else if sum(pairs) != total {
                (lowest, highest) = (lowest.min(sum(pairs)), highest.max(sum(pairs)));
                add("wrong-total", format!("#{index} read a total of {}, not {total}.", sum(pairs)));
            } else if !self.negative_balances
                && let Some((key, v)) = pairs.iter().find(|(_, v)| v.as_int().is_some_and(|n| n < 0))
            {
                add("negative-value", format!("#{index} read {v} as the balance of account {key}."));
            }
        }
        let count = found.len();
        let mut verdict = Verdict::from_anomalies("bank", few(found))
            .with("read_count", reads.len())
            .with("error_count", count)
            .with("total", total);
        if lowest <= highest {
            verdict = verdict.with("wrong_total", json!({"lowest": lowest, "highest": highest}));
        }
        if self.total.is_none() {
            verdict.warnings.push(format!("the total of {total} was taken from the first read"));
        }
        verdict
    }
}
