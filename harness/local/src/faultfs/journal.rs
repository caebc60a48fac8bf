//! Changes of folders that are not durable yet, in their order, and how to undo them.
//!
//! As in ext4 and XFS, changes of names become durable in order: whatever makes one durable makes all before it
//! durable. Removed files are kept aside until their removal is durable.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Instant;

/// A name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub folder: u64,
    pub name: OsString,
}

/// A change of a folder.
#[derive(Debug)]
pub(super) enum Change {
    /// A name appeared: a new file, folder or link.
    Appeared { place: Place, ino: u64 },
    /// A name went; what it named is kept aside.
    Removed { place: Place, ino: u64, aside: PathBuf },
    /// A name moved, perhaps over another one, whose file is kept aside.
    Renamed { from: Place, to: Place, ino: u64, replaced: Option<(u64, PathBuf)> },
    /// Two names changed places.
    Exchanged { one: Place, other: Place, inos: [u64; 2] },
}

impl Change {
    /// What it keeps aside.
    pub fn aside(&self) -> Option<&PathBuf> {
        match self {
            Change::Removed { aside, .. } | Change::Renamed { replaced: Some((_, aside)), .. } => Some(aside),
            Change::Appeared { .. } | Change::Renamed { replaced: None, .. } | Change::Exchanged { .. } => {
                None
            }
        }
    }
}

/// The changes that are not durable, oldest first.
#[derive(Debug, Default)]
pub(super) struct Journal {
    changes: VecDeque<(Instant, Change)>,
    /// Number of the oldest change in it: changes are counted from the beginning.
    first: u64,
}

impl Journal {
    pub fn push(&mut self, change: Change) {
        self.changes.push_back((Instant::now(), change));
    }

    /// The number that the next change will have: what a commit now makes durable ends there.
    pub fn position(&self) -> u64 {
        self.first + self.changes.len() as u64
    }

    /// Changes before this number have become durable; they are returned.
    pub fn commit(&mut self, position: u64) -> Vec<Change> {
        let count = position.saturating_sub(self.first).min(self.changes.len() as u64);
        self.first += count;
        self.changes.drain(..count as usize).map(|(_, change)| change).collect()
    }

    /// The position before which all changes are older than this.
    pub fn position_before(&self, instant: Instant) -> u64 {
        self.first + self.changes.iter().take_while(|(made, _)| *made < instant).count() as u64
    }

    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Takes all changes but the first `kept`, latest first, as they are to be undone. The kept ones remain and
    /// are for the caller to commit.
    pub fn take_after(&mut self, kept: usize) -> Vec<Change> {
        self.changes.drain(kept..).rev().map(|(_, change)| change).collect()
    }
}
