//! What a lease promises: whoever took it or renewed it has it for its time to live, counted from when that was
//! asked for at the latest.
//!
//! The store's timer begins when it applies the request, so between asking and answer, and never before the asking.
//! A store may keep a lease for longer (a new leader counts anew); it may not end it sooner. That holds whatever
//! happened to nodes, links and clients meanwhile, so unlike two holders it is always the store's mistake.
//!
//! Functions: `acquire` (its input is the time to live in milliseconds), `renew`, `release` and `write`, as in
//! [`super::lock`]; answers that say that the lease is no more are `"lost"` and `"refused"`.

use std::collections::BTreeMap;

use squall_history::{History, Op, Outcome, ProcessId, Value};

use super::report::{anomaly, seconds};
use crate::Anomaly;

/// By how much of a lease a store's clock may run fast: machines drift by far less, and some stores declare this much.
const DRIFT: f64 = 0.05;

/// A lock that was taken, and until when its lease must live.
#[derive(Clone, Copy, Debug)]
struct Held {
    process: ProcessId,
    acquire: u32,
    // Rank of the acquire's answer: whoever asks later meets the lease.
    from: u32,
    // Nanoseconds of the lease that nobody may take away.
    lives: u64,
    // The latest request that made it live on, when that was asked, and until when it lives.
    renewed: u32,
    at: u64,
    until: u64,
}

impl Held {
    fn of(op: &Op<'_>) -> Option<Held> {
        let millis = op.input.as_int().filter(|ttl| *ttl > 0)?;
        let lives = (millis as f64 * 1e6 * (1.0 - DRIFT)) as u64;
        let (acquire, at) = (op.index, op.start);
        let (from, renewed, until) = (op.completed, acquire, at + lives);
        Some(Held { process: op.process, acquire, from, lives, renewed, at, until })
    }

    fn renew(&mut self, op: &Op<'_>) {
        (self.renewed, self.at, self.until) = (op.index, op.start, op.start + self.lives);
    }
}

/// Leases that ended before their time, as their holder was told, or as another was given the lock.
pub(super) fn cut_short(check: &str, history: &History) -> Vec<Anomaly> {
    let mut open: BTreeMap<(ProcessId, &Value), Held> = BTreeMap::new();
    let mut ended: BTreeMap<&Value, Vec<Held>> = BTreeMap::new();
    let mut found = Vec::new();
    for op in history.ops() {
        let at = (op.process, op.key);
        let ok = op.outcome == Outcome::Ok;
        let gone = ok && matches!(op.output.as_str(), Some("lost" | "refused"));
        match op.f {
            "acquire" if ok => {
                let before = Held::of(&op).and_then(|held| open.insert(at, held));
                ended.entry(op.key).or_default().extend(before);
            }
            "renew" if ok && !gone => {
                if let Some(held) = open.get_mut(&at) {
                    held.renew(&op);
                }
            }
            f if gone || f == "release" => {
                let Some(mut held) = open.remove(&at) else { continue };
                if gone && op.end < held.until {
                    found.push(told(check, &held, &op, "was told that the lease had ended"));
                }
                // From when it begins to give it back nobody owes it anything.
                held.until = held.until.min(op.start);
                ended.entry(op.key).or_default().push(held);
            }
            _ => {}
        }
    }
    for ((_, key), held) in open {
        ended.entry(key).or_default().push(held);
    }
    given_to_others(check, history, ended, &mut found);
    found
}

/// An acquire that began after another's was answered, and ended while that one's lease had to live.
fn given_to_others(
    check: &str,
    history: &History,
    mut ended: BTreeMap<&Value, Vec<Held>>,
    found: &mut Vec<Anomaly>,
) {
    for held in ended.values_mut() {
        held.sort_unstable_by_key(|h| std::cmp::Reverse(h.from));
    }
    // Of each lock those that were answered and may live; operations come in the order of their asking.
    let mut live: BTreeMap<&Value, Vec<Held>> = BTreeMap::new();
    for op in history.ops().filter(|op| op.f == "acquire" && op.outcome == Outcome::Ok) {
        let Some(waiting) = ended.get_mut(op.key) else { continue };
        let live = live.entry(op.key).or_default();
        live.extend(std::iter::from_fn(|| waiting.pop_if(|h| h.from < op.invoked)));
        live.retain(|held| held.until > op.start);
        let others = live.iter().filter(|held| held.until > op.end && held.process != op.process);
        if let Some(held) = others.max_by_key(|held| held.until) {
            found.push(told(check, held, &op, "was given it although nobody had released it"));
        }
    }
}

fn told(check: &str, held: &Held, op: &Op<'_>, what: &str) -> Anomaly {
    let (key, by) = (op.key, if held.renewed == held.acquire { "took" } else { "renewed" });
    let text = format!(
        "Process {} {by} the lease of the lock {key} at {:.3} s (#{}), and so has it until {:.3} s at least; process \
         {} {what} at {:.3} s (#{}).",
        held.process,
        seconds(held.at),
        held.renewed,
        seconds(held.until),
        op.process,
        seconds(op.end),
        op.index
    );
    anomaly(check, "lease-cut-short", text, vec![held.acquire, held.renewed, op.index])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use squall_history::{Builder, Event, EventKind, Order};

    use super::*;
    use crate::txn::random::Random;

    /// Operations of one lock with a lease of two seconds: process, function, milliseconds of asking and answer, output.
    fn history(ops: &[(u32, &str, u64, u64, &str)]) -> History {
        let mut events = Vec::new();
        for &(process, f, start, end, output) in ops {
            let input = if f == "acquire" { 2000.into() } else { Value::Int(1) };
            let (kind, value) = match output {
                "info" => (EventKind::Info, input.clone()),
                "fail" => (EventKind::Fail, input.clone()),
                text => (EventKind::Ok, serde_json::from_str(text).unwrap_or(Value::str(text))),
            };
            events.push((start, process, f, EventKind::Invoke, input));
            events.push((end, process, f, kind, value));
        }
        events.sort_by_key(|e| e.0);
        let mut builder = Builder::new(Order::ByTime);
        for (millis, process, f, kind, value) in events {
            let (time, f, key, meta) = (millis * 1_000_000, f.into(), 7.into(), None);
            builder.push(Event { kind, process, time, intended: time, f, key, value, meta }).unwrap();
        }
        builder.finish().unwrap()
    }

    fn found(ops: &[(u32, &str, u64, u64, &str)]) -> Vec<Vec<u32>> {
        let found = cut_short("fencing", &history(ops));
        assert!(found.iter().all(|a| a.kind == "lease-cut-short"));
        found.into_iter().map(|a| a.operations).collect()
    }

    const TAKEN: (u32, &str, u64, u64, &str) = (0, "acquire", 0, 100, "[5,1]");

    #[test]
    fn a_lease_that_is_lost_lives_from_when_it_was_last_asked_for() {
        for f in ["renew", "release", "write"] {
            let lost = if f == "write" { "refused" } else { "lost" };
            assert_eq!(found(&[TAKEN, (0, f, 1000, 1500, lost)]), [[0, 1]]);
            // Its time, less what clocks may differ by, had passed by the answer.
            assert!(found(&[TAKEN, (0, f, 1000, 1950, lost)]).is_empty());
            assert_eq!(found(&[TAKEN, (0, "renew", 1000, 1200, "1"), (0, f, 1950, 2800, lost)]), [[0, 1, 2]]);
            // A renewal that failed promises nothing, and neither does one that nobody answered.
            assert!(found(&[TAKEN, (0, "renew", 1000, 1200, "fail"), (0, f, 1950, 2800, lost)]).is_empty());
            // Told once: the hold is over.
            assert_eq!(
                found(&[TAKEN, (0, f, 1000, 1100, lost), (0, "release", 1200, 1300, "lost")]).len(),
                1
            );
        }
        assert!(found(&[TAKEN, (0, "release", 1000, 1500, "released")]).is_empty());
    }

    #[test]
    fn nobody_is_given_a_lock_whose_lease_lives() {
        assert_eq!(found(&[TAKEN, (1, "acquire", 200, 300, "[9,2]")]), [[0, 1]]);
        assert_eq!(
            found(&[TAKEN, (0, "renew", 1000, 1100, "1"), (1, "acquire", 2000, 2800, "[9,2]")]),
            [[0, 1, 2]]
        );
        // It may have been taken before the first one's, which then was the second.
        assert!(found(&[TAKEN, (1, "acquire", 50, 300, "[4,2]")]).is_empty());
        for outcome in ["fail", "info"] {
            assert!(found(&[TAKEN, (1, "acquire", 200, 300, outcome)]).is_empty());
        }
        // Given back, or perhaps given back.
        for outcome in ["released", "info", "fail"] {
            assert!(
                found(&[TAKEN, (0, "release", 150, 180, outcome), (1, "acquire", 200, 300, "[9,2]")])
                    .is_empty()
            );
        }
        // Later than it must live.
        assert!(found(&[TAKEN, (1, "acquire", 200, 1950, "[9,2]")]).is_empty());
        // A longer promise is not forgotten for a shorter one.
        let second = (1, "acquire", 1950, 2000, "[9,2]");
        let third = (2, "acquire", 2100, 2200, "[12,3]");
        assert_eq!(found(&[TAKEN, (0, "renew", 1000, 1100, "1"), second, third]).len(), 2);
    }

    /// The definition, pair by pair: the operations that learn that a lease did not last.
    fn by_definition(history: &History) -> BTreeSet<u32> {
        let ops: Vec<Op<'_>> = history.ops().collect();
        let ok = |op: &Op<'_>| op.outcome == Outcome::Ok;
        let gone = |op: &Op<'_>| ok(op) && matches!(op.output.as_str(), Some("lost" | "refused"));
        let lives = 1_900_000_000;
        let mut learned = BTreeSet::new();
        for (i, taken) in ops.iter().enumerate().filter(|(_, op)| op.f == "acquire" && ok(op)) {
            let own = ops[i + 1..].iter().filter(|op| op.process == taken.process);
            let own: Vec<&Op<'_>> = own.take_while(|op| !(op.f == "acquire" && ok(op))).collect();
            let over = own.iter().position(|op| op.f == "release" || gone(op));
            let mut renewals = own[..over.unwrap_or(own.len())].iter().filter(|op| op.f == "renew" && ok(op));
            let until = renewals.next_back().map_or(taken.start, |op| op.start) + lives;
            let over = over.map(|at| own[at]);
            learned.extend(over.filter(|op| gone(op) && op.end < until).map(|op| op.index));
            let until = over.map_or(until, |op| until.min(op.start));
            let others = ops.iter().filter(|op| op.f == "acquire" && ok(op) && op.process != taken.process);
            let early = others.filter(|op| op.invoked > taken.completed && op.end < until);
            learned.extend(early.map(|op| op.index));
        }
        learned
    }

    #[test]
    fn agrees_with_its_definition() {
        let (mut random, mut seen) = (Random::new(3), [0; 2]);
        for _ in 0..5000 {
            let mut ops = Vec::new();
            for process in 0..3 {
                let mut now = random.below(1500);
                for _ in 0..1 + random.below(5) {
                    let (f, outputs): (_, &[&str]) = match random.below(5) {
                        0 | 1 => ("acquire", &["[1,1]", "[1,1]", "fail"]),
                        2 => ("release", &["released", "lost", "fail"]),
                        3 => ("renew", &["1", "1", "lost", "fail"]),
                        _ => ("write", &["[1,1]", "refused"]),
                    };
                    let end = now + 1 + random.below(900);
                    ops.push((process, f, now, end, outputs[random.below(outputs.len() as u64) as usize]));
                    now = end + 1 + random.below(1200);
                }
            }
            let history = history(&ops);
            // What was learned last is told last.
            let last = |text: &str| text.rsplit('#').next().unwrap().trim_end_matches(").").parse().unwrap();
            let told: BTreeSet<u32> =
                cut_short("fencing", &history).iter().map(|a| last(&a.explanation)).collect();
            assert_eq!(told, by_definition(&history), "{ops:?}");
            seen[usize::from(told.is_empty())] += 1;
        }
        assert!(seen.iter().all(|n| *n > 500), "{seen:?}");
    }
}
