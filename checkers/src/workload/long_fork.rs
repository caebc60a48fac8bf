//! Long fork: groups of keys, each written once; reads of a group must agree on the order of its writes.

use std::collections::BTreeMap;

use squall_history::{History, Op, Outcome, Value};

use super::report::anomaly;
use crate::txn::micro::{Micro, list, micro};
use crate::{Budget, Check, Valid, Verdict};

/// Judges transactions of a single write, and of reads of a whole group.
#[derive(Clone, Copy, Debug, Default)]
pub struct LongFork;

/// A group's reads: (operation, state of each key in order).
type Reads<'a> = Vec<(u32, Vec<&'a Value>)>;

impl Check for LongFork {
    fn name(&self) -> &str {
        "long-fork"
    }

    fn check(&self, history: &History, _: &Budget) -> Verdict {
        let mut groups: BTreeMap<Vec<&Value>, Reads<'_>> = BTreeMap::new();
        for op in history.ops().filter(|op| op.outcome == Outcome::Ok) {
            if let Some((keys, state)) = group(&op) {
                groups.entry(keys).or_default().push((op.index, state));
            }
        }
        let reads: usize = groups.values().map(Vec::len).sum();
        let empty = |state: &[&Value]| state.iter().all(|v| v.is_nil());
        let full = |state: &[&Value]| state.iter().all(|v| !v.is_nil());
        let early = groups.values().flatten().filter(|(_, s)| empty(s)).count();
        let late = groups.values().flatten().filter(|(_, s)| full(s)).count();
        let mut found = Vec::new();
        let mut twice = None;
        for (keys, reads) in &groups {
            // Distinct states only: there are few.
            let mut states: Reads<'_> = Vec::new();
            for (index, state) in reads {
                if !states.iter().any(|(_, s)| s == state) {
                    states.push((*index, state.clone()));
                }
            }
            for (i, (a, x)) in states.iter().enumerate() {
                for (b, y) in &states[i + 1..] {
                    let pairs = || x.iter().zip(y);
                    if pairs().any(|(v, w)| v != w && !v.is_nil() && !w.is_nil()) {
                        twice = twice.or(Some((*a, *b)));
                    }
                    let newer = pairs().position(|(v, w)| !v.is_nil() && w.is_nil());
                    let older = pairs().position(|(v, w)| v.is_nil() && !w.is_nil());
                    if let (Some(k), Some(l)) = (newer, older) {
                        let text = format!(
                            "#{a} saw the write of key {} but not that of key {}; #{b} saw the second but not \
                             the first.",
                            keys[k], keys[l]
                        );
                        found.push(anomaly("long-fork", "long-fork", text, vec![*a, *b]));
                    }
                }
            }
        }
        let mut verdict = Verdict::from_anomalies("long-fork", found)
            .with("reads_count", reads)
            .with("early_read_count", early)
            .with("late_read_count", late);
        if verdict.valid == Valid::Yes {
            if let Some((a, b)) = twice {
                verdict.valid = Valid::Unknown;
                verdict.reason =
                    Some(format!("#{a} and #{b} read two values of one key; keys may be written once"));
            } else if reads == 0 {
                verdict.valid = Valid::Unknown;
                verdict.reason = Some("no group was read".to_owned());
            }
        }
        verdict
    }
}

/// The keys of a transaction of reads alone, ascending, and what it saw.
fn group<'a>(op: &Op<'a>) -> Option<(Vec<&'a Value>, Vec<&'a Value>)> {
    let mut pairs = Vec::new();
    for item in list(op)? {
        match micro(item)? {
            Micro::Read(key, value) => pairs.push((key, value)),
            Micro::Append(..) | Micro::Write(..) => return None,
        }
    }
    pairs.sort();
    pairs.dedup();
    (!pairs.is_empty()).then(|| pairs.into_iter().unzip())
}
