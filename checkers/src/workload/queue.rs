//! Queues without regard to order: what comes out must have gone in, once, and what went in must come out.

use std::collections::BTreeMap;

use serde_json::json;
use squall_history::{History, NEVER, Op, Outcome, Value};

use super::report::{anomaly, few, items};
use crate::{Budget, Check, Verdict};

/// Every dequeue comes from an enqueue that had begun: `enqueue`, `dequeue`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Queue;

/// What is enqueued is dequeued (or drained), given a final drain: `enqueue`, `dequeue`, `drain`.
#[derive(Clone, Copy, Debug, Default)]
pub struct TotalQueue {
    /// Whether an element may be delivered more than once.
    pub at_least_once: bool,
    /// Whether an element only counts as lost if its queue (by operation key) was seen to be empty after it had
    /// gone in, and dequeues without an answer cannot have taken it. Histories of others end with a drain and
    /// are judged as Jepsen does: whatever never came out is lost.
    pub seen_empty: bool,
}

/// What became of a queue in the end. Ranks.
#[derive(Default)]
struct Emptied {
    // When the last dequeue began that found nothing.
    empty: u32,
    // Dequeues of which nobody knows what they took.
    unseen: u64,
    missing: u64,
}

/// What an ok operation took out.
fn taken<'a>(op: &Op<'a>) -> Vec<&'a Value> {
    match (op.f, op.outcome) {
        ("dequeue", Outcome::Ok) if !op.output.is_nil() => vec![op.output],
        ("drain", Outcome::Ok) => items(op.output),
        _ => Vec::new(),
    }
}

impl Check for Queue {
    fn name(&self) -> &str {
        "queue"
    }

    fn check(&self, history: &History, _: &Budget) -> Verdict {
        let mut events: Vec<(u32, u32)> = Vec::new();
        for op in history.ops().filter(|op| op.outcome != Outcome::Fail) {
            match op.f {
                "enqueue" => events.push((op.invoked, op.index)),
                _ if op.completed != NEVER => events.push((op.completed, op.index)),
                _ => {}
            }
        }
        events.sort_unstable();
        let mut inside: BTreeMap<&Value, u64> = BTreeMap::new();
        let mut found = Vec::new();
        let mut out = 0u64;
        for (_, index) in events {
            let op = history.op(index as usize);
            if op.f == "enqueue" {
                *inside.entry(op.input).or_default() += 1;
                continue;
            }
            for value in taken(&op) {
                out += 1;
                match inside.get_mut(value) {
                    Some(n) if *n > 0 => *n -= 1,
                    Some(_) | None => {
                        let text = format!("#{index} took out {value}, which was not there to be taken.");
                        found.push(anomaly("queue", "unexpected", text, vec![index]));
                    }
                }
            }
        }
        if out == 0 {
            return Verdict::unknown("queue", "nothing was dequeued");
        }
        Verdict::from_anomalies("queue", found).with("dequeued_count", out)
    }
}

impl Check for TotalQueue {
    fn name(&self) -> &str {
        "total-queue"
    }

    fn check(&self, history: &History, _: &Budget) -> Verdict {
        #[derive(Default)]
        struct Counts<'a> {
            attempts: u64,
            acknowledged: u64,
            out: Vec<u32>,
            first: u32,
            key: Option<&'a Value>,
            // When the last of its enqueues was acknowledged.
            since: u32,
        }
        let mut all: BTreeMap<&Value, Counts<'_>> = BTreeMap::new();
        for op in history.ops() {
            if op.f == "enqueue" && op.outcome != Outcome::Fail {
                let c = all.entry(op.input).or_default();
                c.attempts += 1;
                c.acknowledged += u64::from(op.outcome == Outcome::Ok);
                c.first = op.index;
                c.key = Some(op.key);
                c.since = if op.outcome == Outcome::Ok { op.completed.max(c.since) } else { c.since };
            }
            for value in taken(&op) {
                all.entry(value).or_default().out.push(op.index);
            }
        }
        let mut found = Vec::new();
        let sum = |f: &dyn Fn(&Counts<'_>) -> u64| all.values().map(f).sum::<u64>();
        let out = |c: &Counts<'_>| c.out.len() as u64;
        let missing = |c: &Counts<'_>| c.acknowledged.saturating_sub(out(c));
        // Of each queue: how many elements are missing that it was seen not to have, and how many may have been
        // taken unseen.
        let mut queues: BTreeMap<Option<&Value>, Emptied> = BTreeMap::new();
        if self.seen_empty {
            for op in history.ops().filter(|op| op.f == "dequeue") {
                let queue = queues.entry(Some(op.key)).or_default();
                queue.unseen += u64::from(op.outcome == Outcome::Info);
                if op.outcome == Outcome::Ok && op.output.is_nil() {
                    queue.empty = queue.empty.max(op.invoked);
                }
            }
            for c in all.values() {
                let queue = queues.entry(c.key).or_default();
                let gone = missing(c) > 0 && c.since < queue.empty;
                queue.missing += if gone { missing(c) } else { 0 };
            }
        }
        let lost = |c: &Counts<'_>| match queues.get(&c.key) {
            Some(q) if c.since >= q.empty || q.missing <= q.unseen => 0,
            Some(_) | None => missing(c),
        };
        let unexpected = |c: &Counts<'_>| if c.attempts == 0 { out(c) } else { 0 };
        let duplicated = |c: &Counts<'_>| if c.attempts == 0 { 0 } else { out(c).saturating_sub(c.attempts) };
        let recovered = |c: &Counts<'_>| out(c).min(c.attempts).saturating_sub(c.acknowledged);
        for (value, c) in &all {
            if lost(c) > 0 {
                let text = format!("{value} was acknowledged (#{}) and never came out.", c.first);
                found.push(anomaly("total-queue", "lost", text, vec![c.first]));
            }
            if unexpected(c) > 0 {
                let text = format!("#{} took out {value}, which nobody had enqueued.", c.out[0]);
                found.push(anomaly("total-queue", "unexpected", text, c.out.clone()));
            }
            if duplicated(c) > 0 && !self.at_least_once {
                let text =
                    format!("{value} came out {} times, but went in {} times.", c.out.len(), c.attempts);
                found.push(anomaly("total-queue", "duplicated", text, c.out.clone()));
            }
        }
        if sum(&|c| c.attempts) == 0 {
            return Verdict::unknown("total-queue", "nothing was enqueued");
        }
        let counts = json!({"ok": sum(&|c| out(c).min(c.attempts))});
        Verdict::from_anomalies("total-queue", few(found))
            .with("attempt_count", sum(&|c| c.attempts))
            .with("acknowledged_count", sum(&|c| c.acknowledged))
            .with("ok_count", counts["ok"].clone())
            .with("lost_count", sum(&lost))
            .with("unexpected_count", sum(&unexpected))
            .with("duplicated_count", sum(&duplicated))
            .with("recovered_count", sum(&recovered))
            .with("undecided_count", sum(&missing) - sum(&lost))
    }
}
