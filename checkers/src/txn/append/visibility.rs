//! Fractured reads and causality of list-append transactions: what a read must not have missed.
//!
//! A list shows everyone who appended to it, so each of them is visible to its reader, with everything else
//! that it did (read atomic), and with everything that it knew (causal). A visible append that is missing from
//! a list is a violation.

use super::columns::Columns;
use super::depend::happened;
use super::versions::{NONE, Versions};
use crate::Budget;
use crate::causal::clocks::visit;
use crate::causal::columns::{Access, INITIAL, Plain};
use crate::causal::order::{Writers, linear};
use crate::txn::findings::{Finding, Findings};

/// A read of a list, by position of its transaction among those that happened.
#[derive(Clone, Copy, Debug)]
struct Seen {
    key: u32,
    len: u32,
}

struct Lists {
    plain: Plain,
    // Beside `plain.writes`: the place of the transaction's last append in the list; `NONE` if nobody read it.
    place: Vec<u32>,
    // Lists read by each transaction.
    first: Vec<u32>,
    seen: Vec<Seen>,
}

/// Violations of causality of which it is asked whether reads alone show them, and how many transactions are
/// looked at for each.
const LOOKED_AT: usize = 64;
const NEAR: usize = 20_000;

/// Adds `fractured-read`, `fractured-read-process`, and `causality-violation` (`-process` where it takes the order
/// of processes to see it) to the findings.
pub fn judge_visibility(c: &mut Columns, v: &Versions, budget: &Budget) {
    let lists = lists(c, v);
    let mut findings = std::mem::take(&mut c.findings);
    fractured(c, &lists, &mut findings);
    let mut looked = 0;
    if let Some(order) = linear(&lists.plain) {
        let writers = Writers::new(&lists.plain);
        let result = visit(&lists.plain, &order, false, budget, |t, clock, _| {
            for s in lists.seen_by(t) {
                for w in writers.last_within(&lists.plain, s.key, clock).filter(|&w| w != t) {
                    if lists.place_of(w, s.key).is_some_and(|at| at >= s.len) {
                        looked += 1;
                        let kind = match looked <= LOOKED_AT && reads_lead(&lists.plain, w, t) {
                            true => "causality-violation",
                            false => "causality-violation-process",
                        };
                        report(c, &lists, kind, t, w, *s, &mut findings);
                    }
                }
            }
        });
        // Out of memory: the cycles that were found stand, and nothing is added to them.
        drop(result);
    }
    c.findings = findings;
}

/// Whether reads alone, without the order of processes, lead from one transaction to another. Gives up on long ways.
fn reads_lead(p: &Plain, from: u32, to: u32) -> bool {
    let mut met = rustc_hash::FxHashSet::default();
    let mut todo = vec![to];
    while let Some(t) = todo.pop().filter(|_| met.len() < NEAR) {
        for w in p.reads_of(t).iter().map(|r| r.from).filter(|&w| w != INITIAL) {
            if w == from {
                return true;
            }
            if met.insert(w) {
                todo.push(w);
            }
        }
    }
    false
}

impl Lists {
    fn seen_by(&self, t: u32) -> &[Seen] {
        &self.seen[self.first[t as usize] as usize..self.first[t as usize + 1] as usize]
    }

    fn place_of(&self, t: u32, key: u32) -> Option<u32> {
        let at = self.plain.writes_of(t).binary_search(&key).ok()?;
        Some(self.place[self.plain.write_first[t as usize] as usize + at])
    }
}

fn lists(c: &Columns, v: &Versions) -> Lists {
    let kept = happened(c, v);
    let mut position = vec![NONE; c.txns.len()];
    let mut p = Plain::default();
    let mut sessions = rustc_hash::FxHashMap::default();
    for (t, _) in kept.iter().enumerate().filter(|(_, k)| **k) {
        position[t] = p.txns.len() as u32;
        p.txns.push(c.txns[t]);
        let fresh = sessions.len() as u32;
        let session = sessions.entry(c.txns[t].process).or_insert((fresh, 0));
        session.1 += 1;
        p.session.push(session.0);
        p.place.push(session.1);
    }
    p.sessions = sessions.len() as u32;
    p.keys = c.keys.clone();
    let mut in_list = vec![NONE; c.appends.len()];
    for key in 0..c.keys.len() as u32 {
        for (at, &a) in v.writers(key).iter().enumerate().filter(|(_, a)| **a != NONE) {
            in_list[a as usize] = at as u32;
        }
    }
    let (mut reads, mut appends) =
        (c.reads.iter().enumerate().peekable(), c.appends.iter().enumerate().peekable());
    let (mut place, mut first, mut seen) = (Vec::new(), Vec::new(), Vec::new());
    for (t, &keep) in kept.iter().enumerate() {
        let t = t as u32;
        if keep {
            p.read_first.push(p.reads.len() as u32);
            p.write_first.push(p.writes.len() as u32);
            first.push(seen.len() as u32);
        }
        let mut own: Vec<(u32, u32)> = Vec::new();
        while let Some((a, append)) = appends.next_if(|(_, a)| a.txn == t) {
            own.push((append.key, in_list[a]));
        }
        while let Some((r, read)) = reads.next_if(|(_, r)| r.txn == t) {
            if !keep || c.odd.binary_search(&(r as u32)).is_ok() {
                continue;
            }
            seen.push(Seen { key: read.key, len: read.len });
            for &a in &v.writers(read.key)[..read.len as usize] {
                let writer = if a == NONE { NONE } else { position[c.appends[a as usize].txn as usize] };
                if writer != NONE && writer != position[t as usize] {
                    p.reads.push(Access { key: read.key, from: writer });
                }
            }
        }
        if keep {
            own.sort_unstable();
            for (i, &(key, at)) in own.iter().enumerate() {
                if own.get(i + 1).is_none_or(|n| n.0 != key) {
                    p.writes.push(key);
                    place.push(at);
                }
            }
        }
    }
    p.read_first.push(p.reads.len() as u32);
    p.write_first.push(p.writes.len() as u32);
    first.push(seen.len() as u32);
    Lists { plain: p, place, first, seen }
}

fn fractured(c: &Columns, lists: &Lists, findings: &mut Findings) {
    let p = &lists.plain;
    let mut last: rustc_hash::FxHashMap<(u32, u32), u32> = rustc_hash::FxHashMap::default();
    for t in 0..p.len() as u32 {
        let lists_read = lists.seen_by(t);
        let mut writers: Vec<u32> = p.reads_of(t).iter().map(|r| r.from).filter(|&w| w != INITIAL).collect();
        writers.sort_unstable();
        writers.dedup();
        for s in lists_read {
            for &w in &writers {
                if lists.place_of(w, s.key).is_some_and(|at| at >= s.len) {
                    report(c, lists, "fractured-read", t, w, *s, findings);
                }
            }
            let own = last.get(&(p.session[t as usize], s.key)).copied();
            if let Some(w) = own.filter(|&w| lists.place_of(w, s.key).is_some_and(|at| at >= s.len)) {
                report(c, lists, "fractured-read-process", t, w, *s, findings);
            }
        }
        for &key in p.writes_of(t) {
            last.insert((p.session[t as usize], key), t);
        }
    }
}

fn report(
    c: &Columns,
    lists: &Lists,
    kind: &'static str,
    reader: u32,
    writer: u32,
    s: Seen,
    findings: &mut Findings,
) {
    let index = |t: u32| lists.plain.txns[t as usize].index;
    findings.add(kind, || {
        let how = match kind {
            "fractured-read" => "saw another effect of it in the same transaction",
            "fractured-read-process" => "came later in the same process",
            _ => "depends on it",
        };
        let text = format!(
            "#{} read {} elements from key {} without what #{} appended to it, although it {how}.",
            index(reader),
            s.len,
            c.keys.name(s.key),
            index(writer)
        );
        Finding::new(vec![index(reader), index(writer)], text)
    });
}
