//! Read committed and read atomic on plain reads and writes: the axioms of Biswas and Enea, "On the Complexity
//! of Checking Transactional Consistency" (OOPSLA 2019), by as few edges as decide them (Møldrup and
//! Pavlogiannis, "AWDIT: An Optimal Weak Database Isolation Tester", PLDI 2025), in O(n^1.5).
//!
//! Each axiom says of two writers of a key that one must come before the other in the order of commits. The
//! model holds exactly if these, reads-from, and for the session forms session order, have no cycle. Where all
//! of them agree with one linear order, corrected a few times by those that do not, there is none, and no graph
//! is built.

use std::convert::Infallible;

use super::columns::{Access, INITIAL, Plain};
use super::convergence::Conflict;
use super::order::corrected;

/// Which axiom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axiom {
    /// What a transaction has read from `v` it must not then read in an older version.
    ReadCommitted,
    /// Of a transaction that is read from, everything is seen.
    ReadAtomic,
    /// The same, and of what the session did before.
    SessionReadAtomic,
}

/// Calls `found` with everything that the axiom demands. A pair may come more than once.
pub fn demands(p: &Plain, axiom: Axiom, mut found: impl FnMut(Conflict)) {
    let mut seen = Seen { stamp: vec![(u32::MAX, 0); p.keys.len()], next: Vec::new(), from: Vec::new() };
    for t in 0..p.len() as u32 {
        seen.load(p, t);
        match axiom {
            Axiom::ReadCommitted => seen.committed(p, t, &mut found),
            Axiom::ReadAtomic | Axiom::SessionReadAtomic => seen.atomic(p, t, &mut found),
        }
    }
    if axiom == Axiom::SessionReadAtomic {
        session_demands(p, &mut found);
    }
}

/// The reads of one transaction, by key and by writer.
struct Seen {
    // Of each key: the transaction that read it last, and its first read there.
    stamp: Vec<(u32, u32)>,
    // Of each read: the next one of the same key.
    next: Vec<u32>,
    // Distinct writers, with the place of the first read from them.
    from: Vec<(u32, u32)>,
}

const END: u32 = u32::MAX;

impl Seen {
    fn load(&mut self, p: &Plain, t: u32) {
        let reads = p.reads_of(t);
        self.next.clear();
        self.next.resize(reads.len(), END);
        self.from.clear();
        for (i, r) in reads.iter().enumerate().rev() {
            let first = &mut self.stamp[r.key as usize];
            if first.0 == t {
                self.next[i] = first.1;
            }
            *first = (t, i as u32);
        }
        self.from.extend(
            reads.iter().enumerate().filter(|(_, r)| r.from != INITIAL).map(|(i, r)| (r.from, i as u32)),
        );
        self.from.sort_unstable();
        self.from.dedup_by_key(|&mut (writer, _)| writer);
    }

    fn first_after(&self, t: u32, key: u32, place: u32) -> Option<u32> {
        let (stamp, first) = self.stamp[key as usize];
        let mut at = if stamp == t { first } else { END };
        while at != END && at <= place {
            at = self.next[at as usize];
        }
        Some(at).filter(|&at| at != END)
    }

    fn committed(&self, p: &Plain, t: u32, found: &mut impl FnMut(Conflict)) {
        let reads = p.reads_of(t);
        let mut demand = |before: u32, r: Access| {
            if before != r.from {
                found(Conflict { before, after: r.from, reader: t, key: r.key });
            }
        };
        for (i, r) in reads.iter().enumerate() {
            if r.from != INITIAL && self.next[i] != END {
                demand(r.from, reads[self.next[i] as usize]);
            }
        }
        for &(writer, place) in &self.from {
            let keys = p.writes_of(writer);
            let later = place as usize + 1..reads.len();
            if keys.len() <= later.len() {
                for &key in keys {
                    if let Some(at) = self.first_after(t, key, place) {
                        demand(writer, reads[at as usize]);
                    }
                }
                continue;
            }
            for at in later {
                let r = reads[at];
                if p.writes_key(writer, r.key) && self.first_after(t, r.key, place) == Some(at as u32) {
                    demand(writer, r);
                }
            }
        }
    }

    fn atomic(&self, p: &Plain, t: u32, found: &mut impl FnMut(Conflict)) {
        let reads = p.reads_of(t);
        for &(writer, _) in &self.from {
            let keys = p.writes_of(writer);
            let mut demand = |r: Access| {
                if r.from != writer {
                    found(Conflict { before: writer, after: r.from, reader: t, key: r.key });
                }
            };
            if keys.len() > reads.len() {
                reads.iter().filter(|r| p.writes_key(writer, r.key)).for_each(|&r| demand(r));
                continue;
            }
            for &key in keys {
                let (stamp, first) = self.stamp[key as usize];
                let mut at = if stamp == t { first } else { END };
                while at != END {
                    demand(reads[at as usize]);
                    at = self.next[at as usize];
                }
            }
        }
    }
}

/// Of what a session did before, the last write of each key must not be missed.
fn session_demands(p: &Plain, found: &mut impl FnMut(Conflict)) {
    let (_, by_session) = crate::txn::append::versions::group(p.sessions as usize, p.session.iter().copied());
    let mut last = vec![(u32::MAX, 0u32); p.keys.len()];
    for t in by_session {
        let session = p.session[t as usize];
        for r in p.reads_of(t) {
            let (of, writer) = last[r.key as usize];
            if of == session && writer != r.from {
                found(Conflict { before: writer, after: r.from, reader: t, key: r.key });
            }
        }
        for &key in p.writes_of(t) {
            last[key as usize] = (session, t);
        }
    }
}

/// Whether an order is found near to this one with which every demand of the axiom agrees.
pub fn agrees(p: &Plain, axiom: Axiom, order: &[u32]) -> bool {
    let agreeing = corrected(p, order, |_, at, wrong| {
        demands(p, axiom, |c| {
            if c.after == INITIAL || at[c.before as usize] >= at[c.after as usize] {
                wrong.add(c.before, c.after);
            }
        });
        Ok::<_, Infallible>(())
    });
    matches!(agreeing, Ok(Some(_)))
}
