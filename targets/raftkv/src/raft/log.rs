//! The log in memory: every entry since the base, and the memberships found in it.
//!
//! Invariants: indexes are contiguous from `base_index + 1`; terms never decrease. Knows nothing about
//! what is durable or committed.

use std::collections::VecDeque;

use super::types::{Entry, Index, Membership, Payload, SnapshotMeta, Term};

/// Entries after a base, which is (0, 0) or the last entry that a snapshot covers.
#[derive(Debug, Clone)]
pub struct Log {
    base_index: Index,
    base_term: Term,
    entries: VecDeque<Entry>,
    /// Every membership that a truncation could bring back, oldest first; never empty.
    memberships: Vec<(Index, Membership)>,
}

impl Log {
    /// An empty log of a cluster that starts with `membership`.
    pub fn new(membership: Membership) -> Log {
        Log { base_index: 0, base_term: 0, entries: VecDeque::new(), memberships: vec![(0, membership)] }
    }

    /// An empty log after what a snapshot covers.
    pub fn after(meta: &SnapshotMeta) -> Log {
        Log {
            base_index: meta.index,
            base_term: meta.term,
            entries: VecDeque::new(),
            memberships: vec![(meta.index, meta.membership.clone())],
        }
    }

    /// The entry before the first: what a snapshot must cover.
    pub fn base_index(&self) -> Index {
        self.base_index
    }

    /// The index of the entry that brought the membership in force.
    pub fn membership_index(&self) -> Index {
        self.memberships.last().expect("the first membership is never removed").0
    }

    /// The membership as of entry `index`.
    pub fn membership_at(&self, index: Index) -> &Membership {
        let at = self.memberships.iter().rev().find(|(at, _)| *at <= index);
        &at.unwrap_or(&self.memberships[0]).1
    }

    /// Forgets entries up to `index`, which the log must hold.
    pub fn compact(&mut self, index: Index) {
        let Some(term) = self.term_at(index).filter(|_| index > self.base_index) else { return };
        let membership = self.membership_at(index).clone();
        self.entries.drain(..(index - self.base_index) as usize);
        (self.base_index, self.base_term) = (index, term);
        self.memberships.retain(|(at, _)| *at > index);
        self.memberships.insert(0, (index, membership));
    }

    pub fn last_index(&self) -> Index {
        self.base_index + self.entries.len() as Index
    }

    pub fn last_term(&self) -> Term {
        self.entries.back().map_or(self.base_term, |e| e.term)
    }

    /// The membership in force: the latest in the log, committed or not.
    pub fn membership(&self) -> &Membership {
        &self.memberships.last().expect("the first membership is never removed").1
    }

    /// The term of the entry at `index`, if the log still or already knows it.
    pub fn term_at(&self, index: Index) -> Option<Term> {
        if index == self.base_index {
            return Some(self.base_term);
        }
        self.get(index).map(|e| e.term)
    }

    pub fn get(&self, index: Index) -> Option<&Entry> {
        let offset = index.checked_sub(self.base_index + 1)?;
        self.entries.get(usize::try_from(offset).ok()?)
    }

    /// Appends one entry; its index must be the next one.
    pub fn push(&mut self, entry: Entry) {
        assert_eq!(entry.index, self.last_index() + 1, "the log has no holes");
        if let Payload::Membership(m) = &entry.payload {
            self.memberships.push((entry.index, m.clone()));
        }
        self.entries.push_back(entry);
    }

    /// Drops every entry from `index` on.
    pub fn truncate_from(&mut self, index: Index) {
        assert!(index > self.base_index, "what a snapshot covers is never dropped");
        self.entries.truncate((index - self.base_index - 1) as usize);
        self.memberships.retain(|(at, _)| *at < index);
    }

    /// Entries from `from` on, at least one if there is one, then as many as fit into `max_bytes`.
    pub fn slice(&self, from: Index, max_bytes: usize) -> Vec<Entry> {
        let start = (from - self.base_index - 1) as usize;
        let mut bytes = 0;
        let mut taken = Vec::new();
        for entry in self.entries.range(start.min(self.entries.len())..) {
            bytes += entry.size();
            if !taken.is_empty() && bytes > max_bytes {
                break;
            }
            taken.push(entry.clone());
        }
        taken
    }

    /// The largest index at most `index` whose term is at most `term`, with its term: where two logs that
    /// disagree at `index` may first agree (§5.3).
    pub fn skip_back(&self, index: Index, term: Term) -> (Index, Term) {
        let mut at = index.min(self.last_index());
        loop {
            match self.term_at(at) {
                Some(t) if t <= term => return (at, t),
                Some(_) if at > self.base_index => at -= 1,
                _ => return (self.base_index, self.base_term),
            }
        }
    }

    /// Whether a log that ends in (`last_index`, `last_term`) is at least as up to date as this one (§5.4.1).
    pub fn is_outdone_by(&self, last_index: Index, last_term: Term) -> bool {
        (last_term, last_index) >= (self.last_term(), self.last_index())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(terms: &[Term]) -> Log {
        let mut log = Log::new(Membership::default());
        for (i, &term) in terms.iter().enumerate() {
            log.push(Entry { term, index: i as Index + 1, payload: Payload::Noop });
        }
        log
    }

    #[test]
    fn finds_where_logs_may_agree() {
        let log = log(&[1, 1, 1, 4, 4, 5]);
        assert_eq!(log.skip_back(6, 3), (3, 1));
        assert_eq!(log.skip_back(6, 4), (5, 4));
        assert_eq!(log.skip_back(9, 9), (6, 5));
        assert_eq!(log.skip_back(2, 0), (0, 0));
    }

    #[test]
    fn compares_by_term_then_length() {
        let log = log(&[1, 2]);
        assert!(log.is_outdone_by(2, 2));
        assert!(log.is_outdone_by(1, 3));
        assert!(!log.is_outdone_by(9, 1));
        assert!(!log.is_outdone_by(1, 2));
    }

    #[test]
    fn compaction_keeps_what_follows() {
        let mut log = log(&[1, 1, 2, 2]);
        log.compact(3);
        assert_eq!(
            (log.base_index(), log.last_index(), log.term_at(3), log.term_at(2)),
            (3, 4, Some(2), None)
        );
        assert_eq!(log.slice(4, 1000).len(), 1);
        assert_eq!(log.skip_back(4, 1), (3, 2));
        log.compact(4);
        assert_eq!((log.last_index(), log.last_term()), (4, 2));
    }

    #[test]
    fn truncation_brings_the_old_membership_back() {
        let mut log = log(&[1]);
        let grown = Membership::of(["n1".parse().unwrap()]);
        log.push(Entry { term: 1, index: 2, payload: Payload::Membership(grown.clone()) });
        assert_eq!(log.membership(), &grown);
        log.truncate_from(2);
        assert_eq!(log.membership(), &Membership::default());
        assert_eq!(log.last_index(), 1);
    }
}
