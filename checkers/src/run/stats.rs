//! How many operations there were and how they ended, under the keys that Jepsen's `stats` has.
//!
//! Only measures: where Jepsen fails a run in which some function never succeeded, [`super::Vacuity`] says
//! `unknown` here, since nothing was violated.

use serde_json::{Map, Value as Json, json};
use squall_history::{History, Outcome};

use crate::{Budget, Check, Verdict};

/// Operations by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Ended `ok`.
    pub ok: u64,
    /// Ended `fail`.
    pub fail: u64,
    /// Ended `info`, or still open when the log ended.
    pub info: u64,
}

impl Counts {
    /// Counts one more.
    pub fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Ok => self.ok += 1,
            Outcome::Fail => self.fail += 1,
            Outcome::Info => self.info += 1,
        }
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.ok + self.fail + self.info
    }

    /// The part that ended `ok`, from 0 to 1; `None` of nothing.
    pub fn ok_share(&self) -> Option<f64> {
        (self.total() > 0).then(|| self.ok as f64 / self.total() as f64)
    }

    /// Of a whole history.
    pub fn of(history: &History) -> Self {
        let mut counts = Counts::default();
        history.ops().for_each(|op| counts.add(op.outcome));
        counts
    }

    /// Of each function, in the order of [`History::functions`].
    pub fn by_f(history: &History) -> Vec<Self> {
        let mut counts = vec![Counts::default(); history.functions().len()];
        history.ops().for_each(|op| counts[op.f_id as usize].add(op.outcome));
        counts
    }

    fn json(&self) -> Map<String, Json> {
        let pairs = [
            ("count", self.total()),
            ("ok-count", self.ok),
            ("fail-count", self.fail),
            ("info-count", self.info),
        ];
        pairs.into_iter().map(|(k, v)| (k.to_owned(), v.into())).collect()
    }
}

/// The check `stats`: `count`, `ok-count`, `fail-count`, `info-count`, and the same by function in `by-f`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats;

impl Check for Stats {
    fn name(&self) -> &str {
        "stats"
    }

    fn check(&self, history: &History, _: &Budget) -> Verdict {
        let by_f = history.functions().iter().zip(Counts::by_f(history));
        let by_f: Map<String, Json> = by_f.map(|(f, c)| (f.to_string(), c.json().into())).collect();
        let mut verdict = Verdict::valid("stats").with("by-f", json!(by_f));
        verdict.details.extend(Counts::of(history).json());
        verdict
    }
}

#[cfg(test)]
mod tests {
    use squall_history::EventKind::{Fail, Info, Ok};

    use super::*;
    use crate::run::testing::Script;

    #[test]
    fn operations_are_counted_by_outcome_and_function() {
        let h = Script::new()
            .op(0, "read", Ok, 1, 2)
            .op(0, "write", Fail, 3, 4)
            .op(0, "write", Info, 5, 6)
            .op(1, "read", Ok, 7, 8)
            .history();
        let v = Stats.check(&h, &Budget::default());
        let details = Json::Object(v.details);
        assert_eq!(details["count"], 4);
        assert_eq!(details["ok-count"], 2);
        assert_eq!(details["by-f"]["write"], json!({"count":2,"ok-count":0,"fail-count":1,"info-count":1}));
    }
}
