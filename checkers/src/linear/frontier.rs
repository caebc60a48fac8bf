//! The set of configurations that the search holds: only those that no other one makes superfluous.
//!
//! A pending operation is, in a configuration, *owed* (it must still take effect before it completes),
//! *spare* (it can be counted as having taken effect, yet may still be used) or neither (it was used).
//! Spare is at least as good as either of the others, which are incomparable.

use std::hash::{Hash, Hasher};

use rustc_hash::{FxHashMap, FxHashSet};

use super::mask::Mask;

/// A state of the object and what has become of the pending operations.
#[derive(Clone, Debug)]
pub(crate) struct Config<K> {
    pub state: u32,
    /// How it came to be, if that is recorded: a node of the search's trace. Never makes a difference.
    pub trace: u32,
    pub owed: K,
    pub spare: K,
}

impl<K: Mask> PartialEq for Config<K> {
    fn eq(&self, other: &Self) -> bool {
        self.state == other.state && self.owed == other.owed && self.spare == other.spare
    }
}

impl<K: Mask> Eq for Config<K> {}

impl<K: Mask> Hash for Config<K> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.state.hash(hasher);
        self.owed.hash(hasher);
        self.spare.hash(hasher);
    }
}

impl<K: Mask> Config<K> {
    /// Whether everything that `other` can still do, `self` can do too.
    fn covers(&self, other: &Self) -> bool {
        if self.state != other.state {
            return false;
        }
        let mine = self.owed.words().iter().zip(self.spare.words());
        let theirs = other.owed.words().iter().zip(other.spare.words());
        mine.zip(theirs).all(|((&owed, &spare), (&their_owed, &their_spare))| {
            their_spare & !spare == 0 && owed & !their_owed == 0 && their_owed & !(owed | spare) == 0
        })
    }
}

/// Below this size a scan beats an index by state.
const SCAN: usize = 24;
/// How many configurations of one state are compared before only exact repetition counts.
const COMPARE: usize = 96;

/// Configurations of which none covers another (as far as it pays to look).
#[derive(Debug)]
pub(crate) struct Frontier<K> {
    configs: Vec<Config<K>>,
    // Past SCAN: where configurations of a state stand; past COMPARE of one state: all, exactly.
    by_state: FxHashMap<u32, Vec<u32>>,
    exact: FxHashSet<Config<K>>,
}

impl<K: Mask> Frontier<K> {
    pub(crate) fn new() -> Self {
        Frontier { configs: Vec::new(), by_state: FxHashMap::default(), exact: FxHashSet::default() }
    }

    pub(crate) fn configs(&self) -> &[Config<K>] {
        &self.configs
    }

    pub(crate) fn len(&self) -> usize {
        self.configs.len()
    }

    pub(crate) fn clear(&mut self) {
        self.configs.clear();
        self.by_state.clear();
        self.exact.clear();
    }

    /// Adds a configuration unless one that is held covers it. Says whether it was added. What the new one
    /// covers stays until [`Frontier::pruned`].
    pub(crate) fn add(&mut self, config: Config<K>) -> bool {
        if self.configs.len() < SCAN {
            if self.configs.iter().any(|held| held.covers(&config)) {
                return false;
            }
            self.configs.push(config);
            if self.configs.len() == SCAN {
                self.index();
            }
            return true;
        }
        let same = self.by_state.entry(config.state).or_default();
        if same.len() >= COMPARE && !self.exact.insert(config.clone()) {
            return false;
        }
        if same.iter().take(COMPARE).any(|&i| self.configs[i as usize].covers(&config)) {
            return false;
        }
        same.push(self.configs.len() as u32);
        self.configs.push(config);
        true
    }

    fn index(&mut self) {
        for (i, config) in self.configs.iter().enumerate() {
            self.by_state.entry(config.state).or_default().push(i as u32);
        }
    }

    /// Drops what others cover, and gives what is left.
    pub(crate) fn pruned(&mut self) -> Vec<Config<K>> {
        let mut all = std::mem::take(&mut self.configs);
        self.clear();
        if all.len() <= 1 {
            return all;
        }
        // A cover has at least as many spare and at most as many owed, so sorted this way each comes first.
        all.sort_by_cached_key(|c| (c.state, std::cmp::Reverse(c.spare.count()), c.owed.count()));
        let mut kept: Vec<Config<K>> = Vec::with_capacity(all.len());
        let mut from = 0;
        for config in all {
            if kept.last().is_some_and(|last| last.state != config.state) {
                from = kept.len();
            }
            if !kept[from..].iter().take(4 * COMPARE).any(|held| held.covers(&config)) {
                kept.push(config);
            }
        }
        kept
    }

    /// Bytes held, roughly.
    pub(crate) fn held_bytes(&self, config_bytes: u64) -> u64 {
        (self.configs.capacity() as u64 + 2 * self.exact.len() as u64) * config_bytes
            + self.by_state.len() as u64 * 32
    }
}
