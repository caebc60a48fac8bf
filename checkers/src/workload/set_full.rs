//! Set, read all the time: what becomes of every single element.
//!
//! An element is known from the moment at which its add was acknowledged, or a read that saw it was completed,
//! whichever came first. It is *lost* if some read that began after that lacks it, and no read that began later
//! shows it again; *stale* if a read lacked it that late but it came back; *stable* if it stayed;
//! *never read* if no read that began after it was known ever showed it or could have.

use std::collections::BTreeMap;

use serde_json::json;
use squall_history::{History, NEVER, Op, Outcome, Value};

use super::report::{anomaly, items, seconds};
use crate::{Budget, Check, Valid, Verdict};

/// Judges `add` and `read` of everything, by key where there are keys.
#[derive(Clone, Copy, Debug, Default)]
pub struct SetFull {
    /// Whether a read must show everything acknowledged before it began: then staleness is wrong too.
    pub linearizable: bool,
}

#[derive(Clone, Debug, Default)]
struct Element {
    add: u32,
    // Rank and nanoseconds at which it became known, and the operation that showed it.
    known: Option<(u32, u64)>,
    // The latest invocations of reads that did and did not show it: (rank, nanoseconds, operation).
    present: Option<(u32, u64, u32)>,
    absent: Option<(u32, u64, u32)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcomes {
    Stable,
    Lost,
    NeverRead,
}

impl Element {
    fn outcome(&self) -> Outcomes {
        let Some((known, _)) = self.known else { return Outcomes::NeverRead };
        let present = self.present.map(|p| p.0);
        match self.absent {
            Some((absent, ..)) if absent > known && present.is_none_or(|p| p < absent) => Outcomes::Lost,
            _ if present.is_some() => Outcomes::Stable,
            _ => Outcomes::NeverRead,
        }
    }

    /// Nanoseconds from when it was known until the last read that lacked it began.
    fn stale_nanos(&self) -> Option<u64> {
        let ((known, at), (absent, last, _)) = (self.known?, self.absent?);
        (absent > known).then(|| last.saturating_sub(at))
    }
}

impl Check for SetFull {
    fn name(&self) -> &str {
        "set-full"
    }

    fn check(&self, history: &History, _: &Budget) -> Verdict {
        let mut elements: BTreeMap<(&Value, &Value), Element> = BTreeMap::new();
        for op in history.ops().filter(|op| op.f == "add" && op.outcome != Outcome::Fail) {
            let known = (op.outcome == Outcome::Ok).then_some((op.completed, op.end));
            elements.insert((op.key, op.input), Element { add: op.index, known, ..Element::default() });
        }
        let attempts = elements.len();
        let mut duplicated: BTreeMap<&Value, (usize, u32)> = BTreeMap::new();
        for op in history.ops().filter(|op| op.f == "read" && op.outcome == Outcome::Ok) {
            observe(&op, &mut elements, &mut duplicated);
        }
        self.verdict(&elements, attempts, &duplicated)
    }
}

fn observe<'a>(
    op: &Op<'a>,
    elements: &mut BTreeMap<(&'a Value, &'a Value), Element>,
    duplicated: &mut BTreeMap<&'a Value, (usize, u32)>,
) {
    let mut seen: Vec<&Value> = items(op.output);
    seen.sort_unstable();
    for run in seen.chunk_by(|a, b| a == b).filter(|run| run.len() > 1) {
        let most = duplicated.entry(run[0]).or_insert((run.len(), op.index));
        most.0 = most.0.max(run.len());
    }
    seen.dedup();
    let at = (op.invoked, op.start, op.index);
    let range = (op.key, &Value::Nil)..;
    for (_, e) in
        elements.range_mut(range).take_while(|((key, _), _)| *key == op.key).map(|(k, e)| (k, (k, e)))
    {
        let ((_, value), e) = e;
        if seen.binary_search(value).is_ok() {
            let known = e.known.unwrap_or((NEVER, u64::MAX));
            e.known = Some(known.min((op.completed, op.end)));
            e.present = e.present.max(Some(at));
        } else {
            e.absent = e.absent.max(Some(at));
        }
    }
}

impl SetFull {
    fn verdict(
        &self,
        elements: &BTreeMap<(&Value, &Value), Element>,
        attempts: usize,
        duplicated: &BTreeMap<&Value, (usize, u32)>,
    ) -> Verdict {
        let of = |outcome| elements.iter().filter(move |(_, e)| e.outcome() == outcome);
        let lost: Vec<_> = of(Outcomes::Lost).collect();
        let mut stale: Vec<_> = of(Outcomes::Stable)
            .filter_map(|(k, e)| e.stale_nanos().filter(|&n| n > 0).map(|n| (n, k.1, e)))
            .collect();
        stale.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
        let stable = of(Outcomes::Stable).count();
        let mut found = Vec::new();
        for ((_, value), e) in lost.iter().take(8) {
            let (_, _, read) = e.absent.unwrap_or_default();
            let text = format!(
                "{value} was known to be in the set (#{}), but #{read} and all later reads lack it.",
                e.add
            );
            found.push(anomaly("set-full", "lost", text, vec![e.add, read]));
        }
        for (value, (times, read)) in duplicated.iter().take(8) {
            let text = format!("#{read} shows {value} {times} times.");
            found.push(anomaly("set-full", "duplicated", text, vec![*read]));
        }
        if self.linearizable {
            for (nanos, value, e) in stale.iter().take(8) {
                let (_, _, read) = e.absent.unwrap_or_default();
                let text = format!(
                    "{value} was known to be in the set (#{}), but #{read}, which began {:.3} s later, lacks it.",
                    e.add,
                    seconds(*nanos)
                );
                found.push(anomaly("set-full", "stale", text, vec![e.add, read]));
            }
        }
        let values =
            |list: &[(&(&Value, &Value), &Element)]| json!(list.iter().map(|(k, _)| k.1).collect::<Vec<_>>());
        let never: Vec<_> = of(Outcomes::NeverRead).collect();
        let mut latencies: Vec<u64> =
            of(Outcomes::Stable).map(|(_, e)| e.stale_nanos().unwrap_or(0)).collect();
        latencies.sort_unstable();
        let mut verdict = Verdict::from_anomalies("set-full", found)
            .with("attempt_count", attempts)
            .with("stable_count", stable)
            .with("lost_count", lost.len())
            .with("lost", values(&lost))
            .with("never_read_count", never.len())
            .with("never_read", values(&never))
            .with("stale_count", stale.len())
            .with("stale", json!(stale.iter().map(|s| s.1).collect::<Vec<_>>()))
            .with(
                "worst_stale",
                json!(
                    stale
                        .iter()
                        .take(8)
                        .map(|s| json!({"element": s.1, "stale_seconds": seconds(s.0)}))
                        .collect::<Vec<_>>()
                ),
            )
            .with("duplicated_count", duplicated.len())
            .with("duplicated", json!(duplicated.keys().collect::<Vec<_>>()))
            .with("stable_latency_seconds", quantiles(&latencies));
        if verdict.valid == Valid::Yes && stable == 0 {
            verdict.valid = Valid::Unknown;
            verdict.reason = Some("no element was read after it was known".to_owned());
        }
        verdict
    }
}

/// Jepsen's quantiles of sorted nanoseconds, in seconds.
fn quantiles(sorted: &[u64]) -> serde_json::Value {
    let at = |q: f64| {
        let i = ((sorted.len() as f64 * q) as usize).min(sorted.len().saturating_sub(1));
        sorted.get(i).map(|&n| seconds(n))
    };
    json!({"0": at(0.0), "0.5": at(0.5), "0.95": at(0.95), "0.99": at(0.99), "1": at(1.0)})
}
