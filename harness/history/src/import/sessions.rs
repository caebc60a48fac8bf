//! Reads and writes as they come, a line each, sorted into the transactions of sessions.
//!
//! Transactions are numbered as they begin. Nearly always one ends before the next begins, and its reads and
//! writes go straight into the columns; where two sessions speak in turn, they are sorted at the end.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::{AccessKind, Accesses, Outcome};

/// One read or write, as it stands on a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Micro {
    pub is_read: bool,
    pub key: i64,
    pub value: i64,
}

/// The transaction of a session that may still grow.
#[derive(Clone, Copy, Debug)]
struct Growing {
    transaction: i64,
    index: u32,
    // The highest number so far, to tell a new transaction from one that was closed.
    highest: i64,
}

#[derive(Debug)]
pub(super) struct Sessions {
    columns: Accesses,
    growing: FxHashMap<u32, Growing>,
    // Of the line before: what is aborted ends where another session speaks.
    last: Option<(u32, i64)>,
    last_index: u32,
    // Of each read and write its transaction, once they do not come one transaction after the other.
    owner: Vec<u32>,
    // What is known of transaction 0 in session 0.
    initial: Initial,
    zeros: FxHashSet<i64>,
    read_before_written: bool,
    read_as_nil: FxHashSet<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Initial {
    Unseen,
    Is(u32),
    IsNot,
}

impl Sessions {
    pub fn new() -> Self {
        Sessions {
            columns: Accesses::default(),
            growing: FxHashMap::default(),
            last: None,
            last_index: 0,
            owner: Vec::new(),
            initial: Initial::Unseen,
            zeros: FxHashSet::default(),
            read_before_written: false,
            read_as_nil: FxHashSet::default(),
        }
    }

    /// Adds a read or write. False if its transaction was closed before: then nothing was added.
    #[inline]
    pub fn add(&mut self, session: u32, transaction: i64, micro: Micro) -> bool {
        if self.last != Some((session, transaction)) {
            match self.find(session, transaction) {
                Some(index) => self.last_index = index,
                None => return false,
            }
            self.last = Some((session, transaction));
        }
        if session == 0 && self.initial != Initial::IsNot {
            self.note_initial(transaction, micro);
        }
        let kind = if micro.value == 0 { self.kind_of_zero(micro) } else { kind(micro) };
        if self.last_index as usize + 1 != self.columns.len() || !self.owner.is_empty() {
            self.note_owner();
        }
        self.columns.kind.push(kind);
        self.columns.key.push(micro.key);
        self.columns.value.push(micro.value);
        self.columns.span[self.last_index as usize].1 = self.columns.key.len() as u32;
        true
    }

    /// The transaction that a line belongs to, which begins if it is new. `None` if it was closed before.
    fn find(&mut self, session: u32, transaction: i64) -> Option<u32> {
        let fresh = self.columns.len() as u32;
        let known = self.growing.get_mut(&session);
        if let Some(growing) = known {
            // An aborted one ends with the last of its lines that stand together.
            let together = transaction >= 0 || self.last.is_some_and(|(s, _)| s == session);
            if growing.transaction == transaction && together {
                return Some(growing.index);
            }
            if transaction >= 0 && growing.highest >= transaction {
                return None;
            }
            *growing = Growing { transaction, index: fresh, highest: growing.highest.max(transaction) };
        } else {
            self.growing.insert(session, Growing { transaction, index: fresh, highest: transaction });
        }
        self.columns.process.push(session);
        self.columns.outcome.push(if transaction < 0 { Outcome::Fail } else { Outcome::Ok });
        let here = self.columns.key.len() as u32;
        self.columns.span.push((here, here));
        Some(fresh)
    }

    fn note_initial(&mut self, transaction: i64, micro: Micro) {
        let may_be = transaction == 0 && !micro.is_read && micro.value == 0;
        self.initial = if may_be { Initial::Is(self.last_index) } else { Initial::IsNot };
    }

    /// A read of 0 saw nothing, as long as nobody is known to have written 0 there.
    fn kind_of_zero(&mut self, micro: Micro) -> AccessKind {
        if !micro.is_read {
            self.zeros.insert(micro.key);
            self.read_before_written |= self.read_as_nil.contains(&micro.key);
        } else if !self.zeros.contains(&micro.key) {
            self.read_as_nil.insert(micro.key);
            return AccessKind::ReadNothing;
        }
        kind(micro)
    }

    /// From the first line on that goes back to an earlier transaction, owners are kept.
    #[cold]
    fn note_owner(&mut self) {
        let c = &self.columns;
        if self.owner.is_empty() {
            self.owner.reserve(c.key.len() + 1);
            for t in 0..c.len() {
                // Nothing was sorted so far: each ends where the next begins.
                self.owner.resize(c.span.get(t + 1).map_or(c.key.len(), |s| s.0 as usize), t as u32);
            }
        }
        self.owner.push(self.last_index);
    }

    pub fn finish(mut self) -> Accesses {
        let c = &mut self.columns;
        if self.read_before_written {
            // Reads of 0 that came before the line that writes 0.
            for (kind, key) in c.kind.iter_mut().zip(&c.key) {
                if *kind == AccessKind::ReadNothing && self.zeros.contains(key) {
                    *kind = AccessKind::Read;
                }
            }
        }
        if !self.owner.is_empty() {
            sort_by_owner(c, &self.owner);
        }
        // Where it stands anywhere but first, it is one transaction among others.
        c.initial = self.initial == Initial::Is(0);
        self.columns
    }
}

fn kind(micro: Micro) -> AccessKind {
    if micro.is_read { AccessKind::Read } else { AccessKind::Write }
}

/// Brings reads and writes together by transaction; within one they keep their order.
fn sort_by_owner(c: &mut Accesses, owner: &[u32]) {
    let mut first = vec![0u32; c.len() + 1];
    for &t in owner {
        first[t as usize + 1] += 1;
    }
    for t in 0..c.len() {
        first[t + 1] += first[t];
    }
    let mut next = first.clone();
    let mut place = vec![0usize; owner.len()];
    for (from, &t) in owner.iter().enumerate() {
        place[next[t as usize] as usize] = from;
        next[t as usize] += 1;
    }
    c.kind = place.iter().map(|&from| c.kind[from]).collect();
    c.key = place.iter().map(|&from| c.key[from]).collect();
    c.value = place.iter().map(|&from| c.value[from]).collect();
    c.span = first.windows(2).map(|w| (w[0], w[1])).collect();
}
