//! Recent changes, for those who watch: in order, complete from a known index on.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::raft::Index;

/// Changes remembered, at most.
pub const MAX_CHANGES: usize = 100_000;

/// One key's change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub index: Index,
    pub key: Arc<str>,
    /// `None`: deleted.
    pub value: Option<Arc<str>>,
}

/// The last changes. Complete for every index greater than `complete_after`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    changes: VecDeque<Change>,
    complete_after: Index,
}

impl History {
    /// Nothing is known up to `index`.
    pub fn starting_after(index: Index) -> History {
        History { changes: VecDeque::new(), complete_after: index }
    }

    pub fn push(&mut self, change: Change) {
        self.changes.push_back(change);
        while self.changes.len() > MAX_CHANGES
            && let Some(dropped) = self.changes.pop_front()
        {
            self.complete_after = dropped.index;
        }
    }

    /// Forgets changes up to `through`.
    pub fn forget_through(&mut self, through: Index) {
        let keep_from = self.changes.partition_point(|c| c.index <= through);
        self.changes.drain(..keep_from);
        self.complete_after = self.complete_after.max(through);
    }

    /// Changes after `after` to keys that begin with `prefix`, in order; `None` if some are forgotten.
    pub fn since(&self, after: Index, prefix: &str) -> Option<impl Iterator<Item = &Change>> {
        if after < self.complete_after {
            return None;
        }
        let start = self.changes.partition_point(|c| c.index <= after);
        Some(self.changes.range(start..).filter(move |c| c.key.starts_with(prefix)))
    }

    /// The oldest index that can be watched from.
    pub fn complete_after(&self) -> Index {
        self.complete_after
    }
}
