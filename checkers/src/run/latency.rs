//! How long operations took and how many ended when: exact quantiles, per function and per span of time.
//!
//! Latency of an operation that was sent when it was due is what the client saw; under open load the time
//! from when it was due counts too (the wait for a free process), and both are given.

use serde_json::{Map, Value as Json, json};
use squall_history::{History, Op, Outcome};

use super::stats::Counts;
use super::windows::seconds;
use crate::{Budget, Check, Verdict};

/// Exact quantiles, in nanoseconds, by nearest rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantiles {
    /// How many values there were.
    pub count: u64,
    /// Half are no longer than this.
    pub p50: u64,
    /// 95 of 100 are no longer.
    pub p95: u64,
    /// 99 of 100 are no longer.
    pub p99: u64,
    /// 999 of 1000 are no longer.
    pub p999: u64,
    /// The longest.
    pub max: u64,
}

impl Quantiles {
    /// Of values in any order, which are sorted on the way; `None` of nothing.
    pub fn of(values: &mut [u64]) -> Option<Self> {
        values.sort_unstable();
        let max = *values.last()?;
        let rank = |q: f64| values[((values.len() as f64 * q).ceil() as usize).clamp(1, values.len()) - 1];
        let count = values.len() as u64;
        Some(Quantiles { count, p50: rank(0.5), p95: rank(0.95), p99: rank(0.99), p999: rank(0.999), max })
    }

    fn json(&self) -> Json {
        json!({
            "count": self.count, "p50_seconds": seconds(self.p50), "p95_seconds": seconds(self.p95),
            "p99_seconds": seconds(self.p99), "p999_seconds": seconds(self.p999),
            "max_seconds": seconds(self.max),
        })
    }
}

/// A span of time and what was folded over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket<T> {
    /// Its beginning, in nanoseconds.
    pub from: u64,
    /// Its end, exclusive, in nanoseconds.
    pub to: u64,
    /// What was folded.
    pub value: T,
}

fn place(time: u64, from: u64, width: u64) -> usize {
    (time.saturating_sub(from) / width.max(1)) as usize
}

/// When an operation ended, or began if it never did.
fn ended(op: &Op<'_>) -> u64 {
    if op.end == u64::MAX { op.start } else { op.end }
}

/// Operations by the time at which they ended (open ones: began), in buckets of `width` nanoseconds that
/// cover `[from, to]`.
pub fn rates(history: &History, from: u64, to: u64, width: u64) -> Vec<Bucket<Counts>> {
    let mut all = vec![Counts::default(); place(to, from, width) + 1];
    for op in history.ops() {
        if let Some(counts) = all.get_mut(place(ended(&op), from, width)) {
            counts.add(op.outcome);
        }
    }
    buckets(all, from, width)
}

/// Quantiles of the latency of `ok` operations, by the time at which they were invoked, in buckets of
/// `width` nanoseconds that cover `[from, to]`; `None` where nothing was `ok`.
pub fn latencies(history: &History, from: u64, to: u64, width: u64) -> Vec<Bucket<Option<Quantiles>>> {
    let mut all: Vec<Vec<u64>> = vec![Vec::new(); place(to, from, width) + 1];
    for op in history.ops().filter(|op| op.outcome == Outcome::Ok) {
        if let Some(values) = all.get_mut(place(op.start, from, width)) {
            values.push(op.end - op.start);
        }
    }
    buckets(all.iter_mut().map(|v| Quantiles::of(v)).collect(), from, width)
}

fn buckets<T>(values: Vec<T>, from: u64, width: u64) -> Vec<Bucket<T>> {
    let at = |i: usize| from.saturating_add((i as u64).saturating_mul(width.max(1)));
    values.into_iter().enumerate().map(|(i, value)| Bucket { from: at(i), to: at(i + 1), value }).collect()
}

/// The check `latency`: quantiles of `ok` operations, per function: from the send (`by-f`) and, where load
/// was open, from when they were due (`from-intended-by-f`). Only measures.
#[derive(Clone, Copy, Debug, Default)]
pub struct Latency;

impl Check for Latency {
    fn name(&self) -> &str {
        "latency"
    }

    fn check(&self, history: &History, _: &Budget) -> Verdict {
        let open_load = history.ops().any(|op| op.intended != op.start);
        let sent = by_f(history, |op| op.start);
        let mut verdict = Verdict::valid("latency").with("by-f", sent);
        if open_load {
            verdict = verdict.with("from-intended-by-f", by_f(history, |op| op.intended));
        }
        verdict
    }
}

fn by_f(history: &History, since: impl Fn(&Op<'_>) -> u64) -> Map<String, Json> {
    let mut values: Vec<Vec<u64>> = vec![Vec::new(); history.functions().len()];
    for op in history.ops().filter(|op| op.outcome == Outcome::Ok) {
        values[op.f_id as usize].push(op.end.saturating_sub(since(&op)));
    }
    let named = history.functions().iter().zip(&mut values);
    named.filter_map(|(f, v)| Some((f.to_string(), Quantiles::of(v)?.json()))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use squall_history::EventKind::{Fail, Info, Ok};

    use super::*;
    use crate::run::testing::Script;

    #[test]
    fn quantiles_are_nearest_ranks() {
        let q = Quantiles::of(&mut (1..=100).rev().collect::<Vec<u64>>()).unwrap();
        assert_eq!((q.count, q.p50, q.p95, q.p99, q.p999, q.max), (100, 50, 95, 99, 100, 100));
        assert_eq!(Quantiles::of(&mut []), None);
        assert_eq!(Quantiles::of(&mut [7]).unwrap().p50, 7);
    }

    proptest! {
        #[test]
        fn a_quantile_has_its_share_below(mut values in proptest::collection::vec(0u64..50, 1..200)) {
            let q = Quantiles::of(&mut values).unwrap();
            for (x, share) in [(q.p50, 0.5), (q.p95, 0.95), (q.p99, 0.99), (q.p999, 0.999)] {
                let below = values.iter().filter(|&&v| v <= x).count() as f64 / values.len() as f64;
                let under = values.iter().filter(|&&v| v < x).count() as f64 / values.len() as f64;
                prop_assert!(below >= share && under < share);
            }
        }
    }

    #[test]
    fn buckets_count_by_end_and_measure_by_start() {
        let h = Script::new()
            .op(0, "read", Ok, 1, 12)
            .op(1, "read", Fail, 2, 5)
            .op(2, "read", Info, 13, 29)
            .history();
        let r = rates(&h, 0, 29, 10);
        assert_eq!(r.len(), 3);
        assert_eq!(r[0].value, Counts { ok: 0, fail: 1, info: 0 });
        assert_eq!(r[1].value, Counts { ok: 1, fail: 0, info: 0 });
        assert_eq!((r[2].from, r[2].to, r[2].value), (20, 30, Counts { ok: 0, fail: 0, info: 1 }));
        let l = latencies(&h, 0, 29, 10);
        assert_eq!(l[0].value.unwrap().max, 11);
        assert_eq!(l[1].value, None);
    }
}
