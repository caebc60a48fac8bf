//! Locks as their users see them: who believed to hold one, and whose writes a fence let through.
//!
//! Functions: `acquire` → `[token, lease]` (only where it was taken; a lock that was busy is a `fail`), `release`,
//! `renew` (says only that its process still believes), and on a fenced resource `write` → `[token, before]`,
//! where `before` is the token of the write before it, or `"refused"`.
//!
//! [`Exclusion`] is complete for a lock without a fence: a process holds from the answer of its acquire until
//! it begins to release, or as long as it showed that it believed so; acquires and releases have a legal order
//! exactly if no two such spans overlap. [`Fencing`] is complete for a fenced resource: operations must fit into
//! the order of their tokens, and as that is a total preorder it is enough to compare pairs.
//!
//! Both also hold the store to the lease itself, which no pause and no partition excuses: see [`leases`].

use std::collections::BTreeMap;

use serde_json::json;
use squall_history::{History, Op, Outcome, ProcessId, Value};

use super::leases;
use super::report::{anomaly, seconds};
use crate::{Anomaly, Budget, Check, Verdict};

/// Anomalies told of one history: more of the same help nobody.
const TOLD: usize = 8;

/// No two processes hold one lock at a time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Exclusion;

/// A span in which a process certainly believed to hold a lock. Ranks and nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Hold {
    acquire: u32,
    process: ProcessId,
    from: (u32, u64),
    until: (u32, u64),
    // What shows that it believed until then.
    last: u32,
}

fn holds(history: &History) -> BTreeMap<&Value, Vec<Hold>> {
    let mut open: BTreeMap<(ProcessId, &Value), Hold> = BTreeMap::new();
    let mut done: BTreeMap<&Value, Vec<Hold>> = BTreeMap::new();
    for op in history.ops() {
        let at = (op.process, op.key);
        match (op.f, op.outcome) {
            ("acquire", Outcome::Ok) => {
                let from = (op.completed, op.end);
                let hold = Hold { acquire: op.index, process: op.process, from, until: from, last: op.index };
                // An acquire by the holder itself: its old belief ended some time before.
                done.entry(op.key).or_default().extend(open.insert(at, hold));
            }
            ("release", _) => {
                if let Some(mut hold) = open.remove(&at) {
                    (hold.until, hold.last) = ((op.invoked, op.start), op.index);
                    done.entry(op.key).or_default().push(hold);
                }
            }
            ("renew" | "write", _) => {
                if let Some(hold) = open.get_mut(&at) {
                    (hold.until, hold.last) = ((op.invoked, op.start), op.index);
                }
            }
            _ => {}
        }
    }
    for ((_, key), hold) in open {
        done.entry(key).or_default().push(hold);
    }
    done
}

impl Check for Exclusion {
    fn name(&self) -> &str {
        "exclusion"
    }

    fn check(&self, history: &History, _: &Budget) -> Verdict {
        let holds = holds(history);
        let count: usize = holds.values().map(Vec::len).sum();
        if count == 0 {
            return Verdict::unknown("exclusion", "no lock was acquired");
        }
        let (mut found, mut pairs, mut longest) = (Vec::new(), 0u64, 0u64);
        for (key, mut spans) in holds {
            spans.sort_unstable_by_key(|h| h.from);
            // Whoever held it longest of all that began before.
            let mut before: Option<Hold> = None;
            for hold in spans {
                if let Some(other) = before.filter(|b| hold.from.0 < b.until.0) {
                    pairs += 1;
                    longest = longest.max(other.until.1.min(hold.until.1).saturating_sub(hold.from.1));
                    if found.len() < TOLD {
                        found.push(two_holders(key, &other, &hold));
                    }
                }
                before = before.filter(|b| b.until >= hold.until).or(Some(hold));
            }
        }
        let ok = |f: &str| history.ops().filter(|op| op.f == f && op.outcome == Outcome::Ok).count();
        let lost = history.ops().filter(|op| op.f == "release" && op.output.as_str() == Some("lost")).count();
        // Neither kind hides the other.
        found.extend(leases::cut_short("exclusion", history).into_iter().take(TOLD));
        Verdict::from_anomalies("exclusion", found)
            .with("hold_count", count)
            .with("release_count", ok("release"))
            .with("lost_count", lost)
            .with("overlap_count", pairs)
            .with("longest_overlap_seconds", json!(seconds(longest)))
    }
}

fn two_holders(key: &Value, a: &Hold, b: &Hold) -> Anomaly {
    let text = format!(
        "Process {} held the lock {key} from #{} ({:.3} s) until at least #{} ({:.3} s); process {} was given it \
         by #{} at {:.3} s, in between.",
        a.process,
        a.acquire,
        seconds(a.from.1),
        a.last,
        seconds(a.until.1),
        b.process,
        b.acquire,
        seconds(b.from.1)
    );
    anomaly("exclusion", "two-holders", text, vec![a.acquire, a.last, b.acquire])
}

/// Tokens only grow, and a resource lets nobody write with a token older than one that was given out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fencing;

/// An `ok` acquire or write that went through.
#[derive(Clone, Copy, Debug)]
struct Use {
    token: i64,
    index: u32,
    process: ProcessId,
    invoked: u32,
    completed: u32,
    // Of a write: the token of the one before.
    before: Option<Option<i64>>,
}

fn usage(op: &Op<'_>) -> Option<Use> {
    let [first, second] = op.output.as_list()? else { return None };
    let before = match op.f {
        "acquire" => None,
        "write" => Some(second.as_int()),
        _ => return None,
    };
    let (token, index) = (first.as_int()?, op.index);
    Some(Use { token, index, process: op.process, invoked: op.invoked, completed: op.completed, before })
}

impl Check for Fencing {
    fn name(&self) -> &str {
        "fencing"
    }

    fn check(&self, history: &History, _: &Budget) -> Verdict {
        let mut locks: BTreeMap<&Value, Vec<Use>> = BTreeMap::new();
        for op in history.ops().filter(|op| op.outcome == Outcome::Ok) {
            if let Some(used) = usage(&op) {
                locks.entry(op.key).or_default().push(used);
            }
        }
        let all = || locks.values().flatten();
        let writes = all().filter(|u| u.before.is_some()).count();
        let refused =
            history.ops().filter(|op| op.f == "write" && op.output.as_str() == Some("refused")).count();
        if writes == 0 {
            return Verdict::unknown("fencing", "nothing was written under a lock");
        }
        let mut found = Vec::new();
        for (key, uses) in &locks {
            given_twice(key, uses, &mut found);
            out_of_order(key, uses, &mut found);
            went_back(key, uses, &mut found);
        }
        let cut_short = leases::cut_short("fencing", history);
        let count = found.len() + cut_short.len();
        found.truncate(TOLD);
        found.extend(cut_short.into_iter().take(TOLD));
        Verdict::from_anomalies("fencing", found)
            .with("acquire_count", all().count() - writes)
            .with("write_count", writes)
            .with("refused_count", refused)
            .with("error_count", count)
    }
}

fn given_twice(key: &Value, uses: &[Use], found: &mut Vec<Anomaly>) {
    let mut holder: BTreeMap<i64, &Use> = BTreeMap::new();
    for used in uses.iter().filter(|u| u.before.is_none()) {
        if let Some(first) = holder.insert(used.token, used) {
            let text = format!(
                "#{} and #{} were both given the token {} of the lock {key}.",
                first.index, used.index, used.token
            );
            found.push(anomaly("fencing", "token-given-twice", text, vec![first.index, used.index]));
        }
    }
}

/// Anything that began after something with a greater token was completed.
fn out_of_order(key: &Value, uses: &[Use], found: &mut Vec<Anomaly>) {
    let mut ends: Vec<&Use> = uses.iter().collect();
    ends.sort_unstable_by_key(|u| u.completed);
    let (mut next, mut greatest) = (0, None::<&Use>);
    // In order of invocation, as the history has them.
    for used in uses {
        while let Some(end) = ends.get(next).filter(|e| e.completed < used.invoked) {
            greatest = greatest.filter(|g| g.token >= end.token).or(Some(end));
            next += 1;
        }
        let Some(newer) = greatest.filter(|g| g.token > used.token) else { continue };
        let did = |u: &Use| if u.before.is_some() { "wrote with" } else { "was given" };
        let kind = if used.before.is_some() { "stale-token-accepted" } else { "token-went-back" };
        let text = format!(
            "#{} (process {}) {} token {} of the lock {key}, although #{} (process {}) {} token {} before it began.",
            used.index,
            used.process,
            did(used),
            used.token,
            newer.index,
            newer.process,
            did(newer),
            newer.token
        );
        found.push(anomaly("fencing", kind, text, vec![newer.index, used.index]));
    }
}

/// A write that found an older token before it than one that had been written with: somebody whose answer
/// never came wrote in between, and should not have.
fn went_back(key: &Value, uses: &[Use], found: &mut Vec<Anomaly>) {
    let writes = || uses.iter().filter(|u| u.before.is_some());
    let mut ends: Vec<&Use> = writes().collect();
    ends.sort_unstable_by_key(|u| u.completed);
    let (mut next, mut greatest) = (0, None::<&Use>);
    for write in writes() {
        while let Some(end) = ends.get(next).filter(|e| e.completed < write.invoked) {
            greatest = greatest.filter(|g| g.token >= end.token).or(Some(end));
            next += 1;
        }
        let before = write.before.flatten();
        if let Some(newer) = greatest.filter(|g| before.is_none_or(|b| b < g.token)) {
            let what = before.map_or("nothing".to_owned(), |b| format!("a write with token {b}"));
            let text = format!(
                "#{} found {what} before it on the lock {key}, although #{} had written with token {}.",
                write.index, newer.index, newer.token
            );
            found.push(anomaly("fencing", "resource-went-back", text, vec![newer.index, write.index]));
        }
    }
}

#[cfg(test)]
#[path = "lock_tests.rs"]
mod tests;
