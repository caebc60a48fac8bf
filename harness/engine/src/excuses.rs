//! Which nodes may give up: a program that meets a disk which fails it, or runs out of memory, may stop, and
//! one whose data was spoilt may refuse to serve for ever. Neither is held against it.
//!
//! Also the book of whose disk is harmed, so that a run can stay within what a correct system must survive.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A program may take notice a little after the harm has ended.
const GRACE: Duration = Duration::from_secs(3);

/// See the module.
#[derive(Debug, Default)]
pub struct Excuses(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    now: BTreeMap<usize, BTreeSet<u32>>,
    until: BTreeMap<usize, Instant>,
    spoilt: BTreeSet<usize>,
    ever: BTreeSet<usize>,
}

impl Excuses {
    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Fault `id` harms a node so that it may give up.
    pub fn begin(&self, id: u32, node: usize) {
        self.with(|inner| {
            inner.now.entry(node).or_default().insert(id);
            inner.ever.insert(node);
        });
    }

    /// It does so no longer.
    pub fn end(&self, id: u32, node: usize) {
        self.with(|inner| {
            if inner.now.get_mut(&node).is_some_and(|ids| ids.remove(&id)) {
                inner.until.insert(node, Instant::now() + GRACE);
            }
        });
    }

    /// A node's data was spoilt for good.
    pub fn spoil(&self, node: usize) {
        self.with(|inner| {
            inner.spoilt.insert(node);
            inner.ever.insert(node);
        });
    }

    /// Whether a node may give up now.
    pub fn now(&self, node: usize) -> bool {
        self.with(|inner| {
            inner.spoilt.contains(&node)
                || inner.now.get(&node).is_some_and(|ids| !ids.is_empty())
                || inner.until.get(&node).is_some_and(|until| Instant::now() < *until)
        })
    }

    /// Whether a node could ever give up with reason.
    pub fn ever(&self, node: usize) -> bool {
        self.with(|inner| inner.ever.contains(&node))
    }

    /// Whether a node's data was spoilt.
    pub fn is_spoilt(&self, node: usize) -> bool {
        self.with(|inner| inner.spoilt.contains(&node))
    }

    /// Those of `wanted` that may be harmed so that no more than a minority of so many nodes is harmed, those
    /// included that are harmed now or were spoilt: who is harmed already comes first.
    pub fn within_minority(&self, wanted: &[usize], nodes: usize) -> Vec<usize> {
        let mut harmed = self.harmed();
        let most = nodes.saturating_sub(1) / 2;
        let (again, fresh): (Vec<usize>, Vec<usize>) = wanted.iter().partition(|n| harmed.contains(n));
        let mut may = again;
        for node in fresh {
            if harmed.len() < most {
                harmed.insert(node);
                may.push(node);
            }
        }
        may
    }

    /// Whether harming these too would be more than a minority can bear.
    pub fn exceeds_minority(&self, wanted: &[usize], nodes: usize) -> bool {
        let mut harmed = self.harmed();
        harmed.extend(wanted);
        2 * harmed.len() >= nodes
    }

    fn harmed(&self) -> BTreeSet<usize> {
        self.with(|inner| {
            let now = inner.now.iter().filter(|(_, ids)| !ids.is_empty()).map(|(node, _)| *node);
            now.chain(inner.spoilt.iter().copied()).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minority_stays_a_minority_however_often_it_is_asked() {
        let excuses = Excuses::default();
        assert_eq!(excuses.within_minority(&[4, 1, 2], 5), [4, 1]);
        excuses.begin(0, 4);
        excuses.spoil(1);
        assert_eq!(excuses.within_minority(&[2, 3], 5), [0usize; 0]);
        assert_eq!(excuses.within_minority(&[2, 1], 5), [1], "who is harmed already may be again");
        assert!(excuses.exceeds_minority(&[2], 5) && !excuses.exceeds_minority(&[1, 4], 5));
        excuses.end(0, 4);
        assert_eq!(excuses.within_minority(&[2, 3], 5), [2], "spoilt data stays spoilt");
        assert_eq!(excuses.within_minority(&[0], 2), [0usize; 0], "of two nodes none is a minority");
    }

    #[test]
    fn an_excuse_lasts_a_little_longer_than_the_harm() {
        let excuses = Excuses::default();
        assert!(!excuses.now(0));
        excuses.begin(3, 0);
        excuses.begin(4, 0);
        excuses.end(3, 0);
        assert!(excuses.now(0));
        excuses.end(4, 0);
        assert!(excuses.now(0) && excuses.ever(0) && !excuses.is_spoilt(0));
        assert!(!excuses.now(1) && !excuses.ever(1));
    }
}
