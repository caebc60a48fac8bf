//! The figures of a run that are compared between runs: speed, availability, recovery.

use serde::{Deserialize, Serialize};
use squall_checkers::run::{Availability, Counts, Quantiles, Recovery, reigns, seconds, span};
use squall_checkers::{Budget, Check};
use squall_history::{History, Outcome};

/// Figures of one run; those of operations are about its main phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Length of the main phase.
    pub main_seconds: f64,
    /// Operations a second that ended `ok`.
    pub ok_per_second: f64,
    /// The part of all operations that ended `ok`, from 0 to 1.
    pub ok_share: Option<f64>,
    /// Median latency of `ok` operations.
    pub p50_seconds: Option<f64>,
    /// 99 of 100 `ok` operations took no longer.
    pub p99_seconds: Option<f64>,
    /// The longest time without any `ok`.
    pub longest_gap_seconds: Option<f64>,
    /// Changes of leader in the whole run.
    pub leader_changes: u64,
    /// From healing until the cluster served again.
    pub recovery_seconds: Option<f64>,
}

impl Figures {
    /// Of a history.
    pub fn of(history: &History) -> Self {
        let (from, to) = history.main_phase();
        let to = to.min(span(history).1).max(from);
        let main = || history.ops().filter(|op| (from..to).contains(&op.start));
        let mut counts = Counts::default();
        main().for_each(|op| counts.add(op.outcome));
        let mut took: Vec<u64> =
            main().filter(|op| op.outcome == Outcome::Ok).map(|op| op.end - op.start).collect();
        let took = Quantiles::of(&mut took);
        let figure = |check: &dyn Check, key: &str| {
            check.check(history, &Budget::default()).details.get(key).and_then(serde_json::Value::as_f64)
        };
        let main_seconds = seconds(to - from);
        Figures {
            main_seconds,
            ok_per_second: if main_seconds > 0.0 { counts.ok as f64 / main_seconds } else { 0.0 },
            ok_share: counts.ok_share(),
            p50_seconds: took.map(|q| seconds(q.p50)),
            p99_seconds: took.map(|q| seconds(q.p99)),
            longest_gap_seconds: figure(&Availability, "longest_gap_seconds"),
            leader_changes: reigns(history).len().saturating_sub(1) as u64,
            recovery_seconds: figure(&Recovery, "recovery_seconds"),
        }
    }

    /// Each figure that has a value, by name.
    pub fn named(&self) -> Vec<(&'static str, f64)> {
        let all = [
            ("ok_per_second", Some(self.ok_per_second)),
            ("ok_share", self.ok_share),
            ("p50_seconds", self.p50_seconds),
            ("p99_seconds", self.p99_seconds),
            ("longest_gap_seconds", self.longest_gap_seconds),
            ("leader_changes", Some(self.leader_changes as f64)),
            ("recovery_seconds", self.recovery_seconds),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}
