//! Counter: every read lies between what must and what may have been added by then.

use squall_history::{History, NEVER, Outcome};

use super::report::{anomaly, few};
use crate::{Budget, Check, Verdict};

/// Judges `add` (any sign) and `read`. Keys are counters of their own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counter;

/// One counter at a moment: what must and what may have been added, and the same over each read that is open.
#[derive(Default)]
struct Bounds {
    low: i64,
    high: i64,
    // Index, and the lowest and highest that it may see.
    open: Vec<(u32, i64, i64)>,
}

impl Bounds {
    /// An addition is invoked, from when on it may count, or completes, from when on it must.
    fn add(&mut self, n: i64, completes: bool) {
        let side = if (n > 0) == completes { &mut self.low } else { &mut self.high };
        *side = side.saturating_add(n);
        for (_, lower, upper) in &mut self.open {
            (*lower, *upper) = ((*lower).min(self.low), (*upper).max(self.high));
        }
    }

    fn begin(&mut self, read: u32) {
        self.open.push((read, self.low, self.high));
    }

    fn end(&mut self, read: u32) -> (i64, i64) {
        let at = self.open.iter().position(|o| o.0 == read);
        at.map_or((self.low, self.high), |at| {
            let (_, lower, upper) = self.open.swap_remove(at);
            (lower, upper)
        })
    }
}

impl Check for Counter {
    fn name(&self) -> &str {
        "counter"
    }

    fn check(&self, history: &History, _: &Budget) -> Verdict {
        // Events by rank: (rank, what).
        let mut events: Vec<(u32, u32, bool)> = Vec::new();
        for op in history.ops().filter(|op| op.outcome != Outcome::Fail) {
            events.push((op.invoked, op.index, false));
            if op.completed != NEVER {
                events.push((op.completed, op.index, true));
            }
        }
        events.sort_unstable();
        let mut counters: rustc_hash::FxHashMap<_, Bounds> = rustc_hash::FxHashMap::default();
        let (mut found, mut reads) = (Vec::new(), 0u64);
        for (_, index, completes) in events {
            let op = history.op(index as usize);
            let counter = counters.entry(op.key).or_default();
            match (op.f, completes) {
                ("add", _) => counter.add(op.input.as_int().unwrap_or_default(), completes),
                ("read", false) => counter.begin(index),
                ("read", true) => {
                    let (lower, upper) = counter.end(index);
                    let Some(seen) = op.output.as_int() else { continue };
                    reads += 1;
                    if seen < lower || seen > upper {
                        let text = format!("#{index} read {seen}, which is not between {lower} and {upper}.");
                        found.push(anomaly("counter", "out-of-bounds", text, vec![index]));
                    }
                }
                _ => {}
            }
        }
        if reads == 0 {
            return Verdict::unknown("counter", "no read was completed");
        }
        let errors = found.len();
        Verdict::from_anomalies("counter", few(found)).with("read_count", reads).with("error_count", errors)
    }
}
