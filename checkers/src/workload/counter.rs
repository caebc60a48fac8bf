//! Counter: every read lies between what must and what may have been added by then.

use serde_json::json;
use squall_history::{History, NEVER, Outcome};

use super::report::anomaly;
use crate::{Budget, Check, Verdict};

/// Judges `add` (any sign) and `read`. Keys are counters of their own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counter;

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
        // Per key: what certainly and what possibly was added, at the lowest and at the highest.
        let mut bounds: rustc_hash::FxHashMap<_, (i64, i64)> = rustc_hash::FxHashMap::default();
        let mut open: rustc_hash::FxHashMap<u32, i64> = rustc_hash::FxHashMap::default();
        let (mut found, mut reads) = (Vec::new(), Vec::new());
        for (_, index, completes) in events {
            let op = history.op(index as usize);
            let (low, high) = bounds.entry(op.key).or_default();
            match (op.f, completes) {
                ("add", _) => {
                    let n = op.input.as_int().unwrap_or_default();
                    // Invoked: it may count. Completed: it must.
                    let side = if (n > 0) == completes { low } else { high };
                    *side = side.saturating_add(n);
                }
                ("read", false) => drop(open.insert(index, *low)),
                ("read", true) => {
                    // Subtractions that began meanwhile may count as well.
                    let lower = open.remove(&index).unwrap_or(*low).min(*low);
                    let upper = *high;
                    let Some(seen) = op.output.as_int() else { continue };
                    reads.push(json!([lower, seen, upper]));
                    if seen < lower || seen > upper {
                        let text = format!("#{index} read {seen}, which is not between {lower} and {upper}.");
                        found.push(anomaly("counter", "out-of-bounds", text, vec![index]));
                    }
                }
                _ => {}
            }
        }
        if reads.is_empty() {
            return Verdict::unknown("counter", "no read was completed");
        }
        let errors = found.len();
        Verdict::from_anomalies("counter", found).with("read_count", reads.len()).with("error_count", errors)
    }
}
