//! Power loss: everything that is not durable goes, or, torn, an arbitrary part of it.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

use fuser::INodeNo;
use squall_cluster::{Discarded, PowerLoss, Random};

use super::folders::exchange;
use super::journal::{Change, Place};
use super::state::{Shared, lock};

/// What the kernel may have cached and must forget.
#[derive(Debug, Default)]
pub(super) struct Forgotten {
    /// Files of which nothing cached is right.
    pub inodes: HashSet<u64>,
    /// Parts of files: number, offset, length. Dropping a large file's whole cache would take long.
    pub ranges: Vec<(u64, u64, u64)>,
    pub places: Vec<Place>,
    /// Files whose attributes changed.
    pub attributes: Vec<u64>,
}

impl Shared {
    /// Loses what is not durable. The programs that wrote it must be gone.
    pub fn lose_power(&self, loss: PowerLoss) -> io::Result<Discarded> {
        let mut forgotten = Forgotten::default();
        let discarded = {
            let _alone = self.stop_all();
            self.epoch.fetch_add(1, Relaxed);
            let mut random = Random::new(loss.torn.map_or(0, |torn| torn.seed));
            let data = self.lose_data(loss, &mut random, &mut forgotten)?;
            let names = self.lose_names(loss, &mut random, &mut forgotten)?;
            Discarded { names: names.names, survived: data.survived + names.survived, ..data }
        };
        // Not under the gate: the kernel may wait for requests that wait for the gate.
        self.let_kernel_forget(&forgotten);
        let counts = &self.rules.counts;
        counts.power_losses.add(1);
        counts.discarded_bytes.add(discarded.bytes);
        counts.discarded_names.add(discarded.names);
        Ok(discarded)
    }

    fn lose_data(
        &self,
        loss: PowerLoss,
        random: &mut Random,
        forgotten: &mut Forgotten,
    ) -> io::Result<Discarded> {
        let mut dirty: Vec<_> = self.dirty().drain().collect();
        // In an order that does not depend on how they are hashed.
        dirty.sort_by_key(|(ino, _)| *ino);
        let mut sum = Discarded::default();
        for (ino, state) in dirty {
            let torn = loss.torn.map(|torn| (torn, &mut *random));
            let lost = {
                let mut undo = lock(&state.undo);
                forgotten.ranges.extend(undo.ranges().into_iter().map(|(from, length)| (ino, from, length)));
                undo.lose(torn)?
            };
            let mut stale = lock(&state.stale);
            if !stale.is_empty() {
                stale.clear();
                forgotten.inodes.insert(ino);
            }
            sum.bytes += lost.bytes;
            sum.writes += lost.writes;
            sum.torn_writes += lost.torn_writes;
            sum.files += lost.files;
            sum.survived += lost.survived;
        }
        self.undo_bytes.store(0, Relaxed);
        // Nobody has anything for the journal any more, those without data at risk included.
        for state in self.tree().states() {
            lock(&state.undo).settle();
        }
        Ok(sum)
    }

    fn lose_names(
        &self,
        loss: PowerLoss,
        random: &mut Random,
        forgotten: &mut Forgotten,
    ) -> io::Result<Discarded> {
        let (undone, kept) = {
            let mut journal = self.journal();
            let kept = if loss.torn.is_some() { random.below(journal.len() as u64 + 1) as usize } else { 0 };
            let undone = journal.take_after(kept);
            let position = journal.position();
            (undone, journal.commit(position))
        };
        for change in &undone {
            self.undo_change(change)?;
            forget_change(change, forgotten);
        }
        self.sweep(&kept);
        Ok(Discarded { names: undone.len() as u64, survived: kept.len() as u64, ..Discarded::default() })
    }

    fn undo_change(&self, change: &Change) -> io::Result<()> {
        let mut tree = self.tree_mut();
        let path = |place: &Place| tree.path_of(place).map(|path| self.root.join(path));
        match change {
            Change::Appeared { place, ino } => {
                remove_any(&path(place)?)?;
                tree.remove_name(*ino, place);
            }
            Change::Removed { place, ino, aside } => {
                std::fs::rename(aside, path(place)?)?;
                tree.add_name(*ino, place);
            }
            Change::Renamed { from, to, ino, replaced } => {
                std::fs::rename(path(to)?, path(from)?)?;
                if let Some((replaced, aside)) = replaced {
                    std::fs::rename(aside, path(to)?)?;
                    tree.add_name(*replaced, to);
                }
                tree.move_name(*ino, to, from);
            }
            Change::Exchanged { one, other, inos } => {
                exchange(&path(one)?, &path(other)?)?;
                tree.move_name(inos[0], other, one);
                tree.move_name(inos[1], one, other);
            }
        }
        Ok(())
    }

    /// Makes the kernel ask again for all that it may have cached of these. Failing is no harm: what it does
    /// not know, or what is not mounted any more, is not cached.
    pub fn let_kernel_forget(&self, forgotten: &Forgotten) {
        let Some(notifier) = self.notifier.get() else { return };
        for place in &forgotten.places {
            notifier.inval_entry(INodeNo(place.folder), &place.name).ok();
        }
        // A negative offset means the attributes alone.
        let folders = forgotten.places.iter().map(|place| place.folder);
        for ino in folders.chain(forgotten.attributes.iter().copied()).collect::<HashSet<_>>() {
            notifier.inval_inode(INodeNo(ino), -1, 0).ok();
        }
        for (ino, from, length) in &forgotten.ranges {
            let (Ok(from), Ok(length)) = (i64::try_from(*from), i64::try_from(*length)) else { continue };
            notifier.inval_inode(INodeNo(*ino), from, length).ok();
        }
        for ino in &forgotten.inodes {
            notifier.inval_inode(INodeNo(*ino), 0, 0).ok();
        }
    }
}

fn remove_any(path: &Path) -> io::Result<()> {
    // In order, a folder's contents have been undone before it; what was put there from outside goes with it.
    if path.symlink_metadata()?.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }
}

fn forget_change(change: &Change, forgotten: &mut Forgotten) {
    match change {
        Change::Appeared { place, ino } | Change::Removed { place, ino, .. } => {
            forgotten.places.push(place.clone());
            forgotten.attributes.push(*ino);
        }
        Change::Renamed { from, to, ino, .. } => {
            forgotten.places.extend([from.clone(), to.clone()]);
            forgotten.attributes.push(*ino);
        }
        Change::Exchanged { one, other, inos } => {
            forgotten.places.extend([one.clone(), other.clone()]);
            forgotten.attributes.extend(inos);
        }
    }
}
