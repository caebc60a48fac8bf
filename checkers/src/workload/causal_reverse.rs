//! Causal reverse: if a write was completed before another was invoked, nobody may see the second without the
//! first.

use rustc_hash::FxHashMap;
use squall_history::{History, Outcome, Value};

use super::report::{anomaly, items, value};
use crate::{Budget, Check, Verdict};

/// Judges unique writes (`write` or `insert`) and reads of everything (`read` → list), by key where there are
/// keys.
#[derive(Clone, Copy, Debug, Default)]
pub struct CausalReverse;

impl Check for CausalReverse {
    fn name(&self) -> &str {
        "causal-reverse"
    }

    fn check(&self, history: &History, _: &Budget) -> Verdict {
        // Of each key: its writes, as value → (operation, invoked); and acknowledged ones by completion.
        let mut writes: FxHashMap<(&Value, &Value), (u32, u32)> = FxHashMap::default();
        let mut acknowledged: FxHashMap<&Value, Vec<(u32, u32, &Value)>> = FxHashMap::default();
        for op in history.ops().filter(|op| op.f != "read" && op.outcome != Outcome::Fail) {
            writes.insert((op.key, value(&op)), (op.index, op.invoked));
            if op.outcome == Outcome::Ok {
                acknowledged.entry(op.key).or_default().push((op.completed, op.index, value(&op)));
            }
        }
        acknowledged.values_mut().for_each(|list| list.sort_unstable());
        let mut found = Vec::new();
        let mut reads = 0;
        for op in history.ops().filter(|op| op.f == "read" && op.outcome == Outcome::Ok) {
            reads += 1;
            let seen: rustc_hash::FxHashSet<&Value> = items(op.output).into_iter().collect();
            let all = acknowledged.get(op.key).map_or(&[][..], Vec::as_slice);
            // The earliest acknowledged write that this read lacks, and anything seen that began after it.
            let Some(&(completed, missing, what)) = all.iter().find(|(_, _, v)| !seen.contains(v)) else {
                continue;
            };
            let mut later: Vec<(u32, &Value)> = seen
                .iter()
                .filter_map(|&v| writes.get(&(op.key, v)).map(|&(index, invoked)| (index, invoked, v)))
                .filter(|&(_, invoked, _)| invoked > completed)
                .map(|(index, _, v)| (index, v))
                .collect();
            later.sort_unstable();
            if let Some((index, v)) = later.first() {
                let text = format!(
                    "#{} saw {v}, which #{index} wrote, but not {what}, which #{missing} had written before #{index} \
                     began.",
                    op.index
                );
                found.push(anomaly(
                    "causal-reverse",
                    "causal-reverse",
                    text,
                    vec![op.index, *index, missing],
                ));
            }
        }
        if reads == 0 {
            return Verdict::unknown("causal-reverse", "nothing was read");
        }
        Verdict::from_anomalies("causal-reverse", found).with("reads", reads)
    }
}
