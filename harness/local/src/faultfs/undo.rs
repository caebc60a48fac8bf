//! What would undo the unsynced writes of one file.
//!
//! Pure but for the file itself: entries are recorded before a write, dropped when it has become durable, and
//! played backwards by a power loss.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry::Vacant;
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Instant;

use squall_cluster::{Discarded, Random, Torn};

/// As many parts as one call takes (`IOV_MAX`).
const RUN_MOST: usize = 1024;

/// A write or truncation as it can be undone.
#[derive(Debug)]
struct Entry {
    offset: u64,
    /// What was there before, as far as the file reached.
    old: Vec<u8>,
    /// Bytes written; 0 for a truncation.
    written: u64,
    size_before: u64,
}

impl Entry {
    fn end(&self) -> u64 {
        self.offset + self.written
    }

    /// From where to where it changed the file.
    fn range(&self) -> (u64, u64) {
        (self.offset, self.end().max(self.offset + self.old.len() as u64))
    }
}

/// The undo log of one file.
#[derive(Debug, Default)]
pub(super) struct Undo {
    entries: Vec<Entry>,
    /// A descriptor that can write the file, wherever its name has gone.
    file: Option<Arc<File>>,
    /// When the oldest entry was made.
    since: Option<Instant>,
    /// Whether its size or room has changed since it was last synced: a sync then commits the journal, too.
    metadata_changed: bool,
    /// Whether any write came since it was last synced: its time of change is metadata, too.
    touched: bool,
    /// Raised by each power loss, so that a sync under way does not drop entries that came after it.
    epoch: u64,
}

/// A point in an undo log, up to which a sync makes it durable.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    entries: usize,
    epoch: u64,
    /// Whether an `fdatasync` has metadata to commit.
    pub metadata_changed: bool,
    /// Whether a full `fsync` has.
    pub touched: bool,
}

impl Undo {
    /// Remembers what a write is about to replace. Says how many bytes that takes.
    pub fn record_write(&mut self, file: &Arc<File>, offset: u64, length: u64) -> io::Result<u64> {
        let size_before = file.metadata()?.len();
        let end = offset.saturating_add(length).min(size_before);
        let old = read(file, offset, end.saturating_sub(offset))?;
        self.metadata_changed |= offset + length > size_before;
        self.touched = true;
        Ok(self.push(file, Entry { offset, old, written: length, size_before }))
    }

    /// Remembers what a change of size is about to cut off.
    pub fn record_resize(&mut self, file: &Arc<File>, size: u64) -> io::Result<u64> {
        let size_before = file.metadata()?.len();
        let old = read(file, size, size_before.saturating_sub(size))?;
        self.metadata_changed = true;
        self.touched = true;
        Ok(self.push(file, Entry { offset: size, old, written: 0, size_before }))
    }

    /// A new file, or one whose name changed: its next sync commits the journal.
    pub fn metadata_changed(&mut self) {
        self.metadata_changed = true;
    }

    /// The journal has nothing of this file.
    pub fn settle(&mut self) {
        (self.metadata_changed, self.touched) = (false, false);
    }

    fn push(&mut self, file: &Arc<File>, entry: Entry) -> u64 {
        let cost = entry.old.len() as u64;
        self.since.get_or_insert_with(Instant::now);
        self.file.get_or_insert_with(|| file.clone());
        self.entries.push(entry);
        cost
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn since(&self) -> Option<Instant> {
        self.since
    }

    /// Bytes written and not yet durable.
    pub fn unsynced_bytes(&self) -> u64 {
        self.entries.iter().map(|entry| entry.written).sum()
    }

    /// The parts of the file that differ from what is durable: offset and length, disjoint, in order.
    pub fn ranges(&self) -> Vec<(u64, u64)> {
        let mut ranges: Vec<(u64, u64)> = self.entries.iter().map(Entry::range).collect();
        ranges.sort_unstable();
        let mut merged: Vec<(u64, u64)> = Vec::new();
        for (from, to) in ranges {
            match merged.last_mut().filter(|last| from <= last.1) {
                Some(last) => last.1 = last.1.max(to),
                None => merged.push((from, to)),
            }
        }
        merged.into_iter().map(|(from, to)| (from, to - from)).collect()
    }

    /// Where it stands now.
    pub fn mark(&self) -> Mark {
        Mark {
            entries: self.entries.len(),
            epoch: self.epoch,
            metadata_changed: self.metadata_changed,
            touched: self.touched,
        }
    }

    /// Everything before the mark has become durable. Says how many bytes need not be remembered any more.
    pub fn make_durable(&mut self, mark: Mark) -> u64 {
        if mark.epoch != self.epoch {
            return 0;
        }
        let durable = self.entries.drain(..mark.entries.min(self.entries.len()));
        let freed = durable.map(|entry| entry.old.len() as u64).sum();
        if self.entries.is_empty() {
            *self = Undo { epoch: self.epoch, ..Undo::default() };
        } else {
            self.since = Some(Instant::now());
        }
        freed
    }

    /// Undoes what was not made durable, or, torn, an arbitrary part of it.
    ///
    /// The kernel's cache is then wrong in the ranges that [`Undo::ranges`] named before.
    pub fn lose(&mut self, torn: Option<(Torn, &mut Random)>) -> io::Result<Discarded> {
        let lost = std::mem::take(self);
        self.epoch = lost.epoch + 1;
        let (Some(file), Some(first)) = (&lost.file, lost.entries.first()) else {
            return Ok(Discarded::default());
        };
        let durable_size = first.size_before;
        match torn {
            None => revert_all(file, &lost.entries, durable_size),
            Some((torn, random)) => {
                // Sectors may reach the medium in any order; many disks keep it, so both must be expected.
                // The order of changes of size is the journal's, so they only ever lose a tail.
                let resized = lost.entries.iter().any(|entry| entry.written == 0);
                match resized || random.hits(0.5) {
                    true => keep_prefix(file, &lost.entries, torn, random),
                    false => keep_sectors(file, &lost.entries, durable_size, torn, random),
                }
            }
        }
    }
}

fn read(file: &File, offset: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut old = vec![0; usize::try_from(length).map_err(|_| io::ErrorKind::OutOfMemory)?];
    file.read_exact_at(&mut old, offset)?;
    Ok(old)
}

fn revert(file: &File, entry: &Entry) -> io::Result<()> {
    if entry.old.is_empty() { Ok(()) } else { file.write_all_at(&entry.old, entry.offset) }
}

/// Undoes entries, the last first. Those that follow each other in the file as they do in the log are disjoint, and are
/// written in one call: a tail of many small writes is mostly calls.
fn revert_each(file: &File, entries: &[Entry]) -> io::Result<()> {
    let follows = |a: &Entry, b: &Entry| {
        !a.old.is_empty() && !b.old.is_empty() && a.offset + a.old.len() as u64 == b.offset
    };
    let runs: Vec<&[Entry]> = entries.chunk_by(follows).flat_map(|run| run.chunks(RUN_MOST)).collect();
    for run in runs.into_iter().rev() {
        let slices: Vec<IoSlice<'_>> = run.iter().map(|entry| IoSlice::new(&entry.old)).collect();
        let length: usize = run.iter().map(|entry| entry.old.len()).sum();
        let offset = i64::try_from(run[0].offset).map_err(io::Error::other)?;
        // A short write says why when it is tried again.
        if length > 0 && nix::sys::uio::pwritev(file, &slices, offset)? < length {
            run.iter().try_for_each(|entry| revert(file, entry))?;
        }
    }
    Ok(())
}

fn resize(file: &File, size: u64) -> io::Result<()> {
    if file.metadata()?.len() == size { Ok(()) } else { file.set_len(size) }
}

fn revert_all(file: &File, entries: &[Entry], durable_size: u64) -> io::Result<Discarded> {
    revert_each(file, entries)?;
    resize(file, durable_size)?;
    Ok(Discarded {
        bytes: entries.iter().map(|entry| entry.written).sum(),
        writes: entries.len() as u64,
        files: 1,
        ..Discarded::default()
    })
}

/// The first writes survive, and of the next one its first sectors.
fn keep_prefix(file: &File, entries: &[Entry], torn: Torn, random: &mut Random) -> io::Result<Discarded> {
    let kept = random.below(entries.len() as u64 + 1) as usize;
    let Some(cut_entry) = entries.get(kept) else {
        return Ok(Discarded { survived: kept as u64, ..Discarded::default() });
    };
    revert_each(file, &entries[kept + 1..])?;
    let sector = u64::from(torn.sector_bytes);
    let whole_sectors = cut_entry.end().div_ceil(sector) - cut_entry.offset / sector;
    let cut = match random.below(whole_sectors.max(1)) {
        0 => cut_entry.offset,
        sectors => (cut_entry.offset / sector + sectors) * sector,
    };
    let surviving = cut - cut_entry.offset;
    if let Some(old) = cut_entry.old.get(surviving as usize..).filter(|old| !old.is_empty()) {
        file.write_all_at(old, cut)?;
    }
    let size = if surviving > 0 { cut_entry.size_before.max(cut) } else { cut_entry.size_before };
    resize(file, size)?;
    let later: u64 = entries[kept + 1..].iter().map(|entry| entry.written).sum();
    Ok(Discarded {
        bytes: later + cut_entry.written - surviving,
        writes: (entries.len() - kept) as u64,
        torn_writes: u64::from(surviving > 0),
        files: 1,
        survived: kept as u64,
        names: 0,
    })
}

/// Each sector survives or not, whatever became of its neighbours.
fn keep_sectors(
    file: &File,
    entries: &[Entry],
    durable_size: u64,
    torn: Torn,
    random: &mut Random,
) -> io::Result<Discarded> {
    let sector = u64::from(torn.sector_bytes);
    let size = file.metadata()?.len();
    let mut surviving = BTreeMap::new();
    for entry in entries {
        for at in entry.offset / sector..entry.end().div_ceil(sector) {
            if let Vacant(place) = surviving.entry(at) {
                let end = ((at + 1) * sector).min(size);
                let kept = random.hits(0.5).then(|| read(file, at * sector, end - at * sector));
                place.insert(kept.transpose()?);
            }
        }
    }
    let mut discarded = revert_all(file, entries, durable_size)?;
    for (at, bytes) in &surviving {
        if let Some(bytes) = bytes {
            file.write_all_at(bytes, at * sector)?;
        }
    }
    let kept = |entry: &Entry| -> Vec<bool> {
        let sectors = entry.offset / sector..entry.end().div_ceil(sector);
        sectors.map(|at| surviving.get(&at).is_some_and(Option::is_some)).collect()
    };
    discarded.bytes = 0;
    for entry in entries {
        let kept = kept(entry);
        let (some, all) = (kept.contains(&true), !kept.contains(&false));
        let lost = kept.iter().filter(|kept| !**kept).count() as u64;
        discarded.bytes += (lost * sector).min(entry.written);
        discarded.torn_writes += u64::from(some && !all);
        discarded.survived += u64::from(all);
        discarded.writes -= u64::from(all);
    }
    discarded.files = u64::from(discarded.writes > 0);
    Ok(discarded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_with(contents: &[u8]) -> Arc<File> {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(contents, 0).unwrap();
        Arc::new(file)
    }

    fn contents(file: &File) -> Vec<u8> {
        read(file, 0, file.metadata().unwrap().len()).unwrap()
    }

    fn write(undo: &mut Undo, file: &Arc<File>, offset: u64, bytes: &[u8]) {
        undo.record_write(file, offset, bytes.len() as u64).unwrap();
        file.write_all_at(bytes, offset).unwrap();
    }

    fn resize(undo: &mut Undo, file: &Arc<File>, size: u64) {
        undo.record_resize(file, size).unwrap();
        file.set_len(size).unwrap();
    }

    #[test]
    fn a_power_loss_brings_back_what_was_durable() {
        let file = file_with(b"0123456789");
        let mut undo = Undo::default();
        write(&mut undo, &file, 2, b"abc");
        let mark = undo.mark();
        write(&mut undo, &file, 8, b"defgh");
        resize(&mut undo, &file, 3);
        write(&mut undo, &file, 0, b"XYZUVW");
        undo.make_durable(mark);
        assert_eq!(undo.unsynced_bytes(), 11);
        assert_eq!(undo.ranges(), [(0, 13)]);
        let discarded = undo.lose(None).unwrap();
        assert_eq!(contents(&file), b"01abc56789");
        assert_eq!((discarded.bytes, discarded.writes, discarded.files), (11, 3, 1));
        assert!(undo.is_empty());
    }

    #[test]
    fn a_long_tail_of_small_writes_is_undone_in_any_pattern() {
        let before: Vec<u8> = (0..24_000_u32).map(|at| at as u8).collect();
        let file = file_with(&before);
        let mut undo = Undo::default();
        // One after the other, more than one call takes; then backwards, each over half of its neighbour; then past the end.
        for at in 0..3000 {
            write(&mut undo, &file, at * 8, &[1; 8]);
        }
        for at in (0..1000).rev() {
            write(&mut undo, &file, at * 4, &[2; 8]);
        }
        for at in 0..10 {
            write(&mut undo, &file, 23_996 + at * 8, &[3; 8]);
        }
        let discarded = undo.lose(None).unwrap();
        assert_eq!((contents(&file), discarded.writes), (before, 4010));
    }

    #[test]
    fn a_sync_that_a_power_loss_overtakes_makes_nothing_durable() {
        let file = file_with(b"old");
        let mut undo = Undo::default();
        write(&mut undo, &file, 0, b"new");
        let mark = undo.mark();
        undo.lose(None).unwrap();
        write(&mut undo, &file, 0, b"NEW");
        assert_eq!(undo.make_durable(mark), 0);
        undo.lose(None).unwrap();
        assert_eq!(contents(&file), b"old");
    }

    #[test]
    fn an_overwrite_in_place_leaves_nothing_for_the_journal() {
        let file = file_with(&[0; 100]);
        let mut undo = Undo::default();
        write(&mut undo, &file, 0, &[1; 50]);
        assert!(!undo.mark().metadata_changed && undo.mark().touched);
        write(&mut undo, &file, 90, &[1; 50]);
        assert!(undo.mark().metadata_changed);
    }

    /// Whatever survives a torn loss, each sector is as it was before one of the writes or after it.
    #[test]
    fn torn_losses_split_writes_at_sectors_only() {
        for sector_bytes in [512u32, 4096] {
            let (mut torn_writes, mut intact) = (0, 0);
            for seed in 0..200 {
                let file = file_with(&[b'.'; 20_000]);
                let mut undo = Undo::default();
                write(&mut undo, &file, 100, &[b'a'; 9_000]);
                write(&mut undo, &file, 5_000, &[b'b'; 20_000]);
                write(&mut undo, &file, 25_000, &[b'c'; 300]);
                let mut random = Random::new(seed);
                let torn = Torn { sector_bytes, seed };
                let discarded = undo.lose(Some((torn, &mut random))).unwrap();
                torn_writes += discarded.torn_writes;
                intact += u64::from(discarded.writes == 0);
                let after = contents(&file);
                assert!(after.len() >= 20_000 && after.len() <= 25_300);
                for (at, sector) in after.chunks(sector_bytes as usize).enumerate() {
                    assert_sector(sector, at * sector_bytes as usize);
                }
            }
            assert!(torn_writes > 50 && intact > 0, "{torn_writes} {intact}");
        }
    }

    /// A sector's contents are those of one of the four versions of the file.
    fn assert_sector(sector: &[u8], at: usize) {
        let version = |stage: usize, at: usize| match at {
            25_000..25_300 if stage >= 3 => b'c',
            5_000..25_000 if stage >= 2 => b'b',
            100..9_100 if stage >= 1 => b'a',
            0..20_000 => b'.',
            _ => 0,
        };
        let is_of = |stage: usize| sector.iter().enumerate().all(|(k, byte)| *byte == version(stage, at + k));
        assert!((0..4).any(is_of), "the sector at {at} mixes versions");
    }
}
