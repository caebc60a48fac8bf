//! The write-ahead log: recovery at start, group commit afterwards.

use std::fs::{File, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::frame::{self, Record};
use super::segment::{self, Scan};
use super::{DataDir, WalError};
use crate::raft::{Entry, HardState, Index, Term, Write};

/// How to write.
#[derive(Debug, Clone, Copy)]
pub struct WalOptions {
    /// False: never flush (unsafe, for comparison).
    pub fsync: bool,
    /// A new segment is begun beyond this many bytes.
    pub segment_bytes: usize,
    /// Believe a torn tail: one of the museum's bugs.
    pub trust_tail: bool,
}

impl Default for WalOptions {
    fn default() -> WalOptions {
        WalOptions { fsync: true, segment_bytes: 64 << 20, trust_tail: false }
    }
}

/// What the disk remembers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    pub hard_state: HardState,
    /// Where the log last began anew.
    pub base: Option<(Index, Term)>,
    /// Contiguous; the first follows the base, or is the first that was not dropped.
    pub entries: Vec<Entry>,
    /// Bytes of a torn tail that were cut off.
    pub torn_bytes: u64,
}

/// An open log, positioned at its end.
#[derive(Debug)]
pub struct Wal {
    dir: PathBuf,
    options: WalOptions,
    file: File,
    number: u64,
    /// Older segments with the largest index in each, and the same for the current one.
    older: Vec<(u64, Index)>,
    largest: Index,
    length: usize,
    next_sequence: u64,
    hard_state: HardState,
    buffer: Vec<u8>,
}

impl Wal {
    /// Reads every segment, repairs a torn tail, makes durable what it read, and is ready to append.
    pub fn open(dir: &DataDir, options: WalOptions) -> Result<(Wal, Recovered), WalError> {
        let dir = dir.path().to_owned();
        let numbers = segment::list(&dir)?;
        let mut recovered = Recovered::default();
        let mut expected = None;
        let mut tail = None;
        let mut segments = Vec::new();
        for (i, &number) in numbers.iter().enumerate() {
            if number != numbers[0] + i as u64 {
                let why = format!("{}: segment {} is missing", dir.display(), numbers[0] + i as u64);
                return Err(WalError::Refused(why));
            }
            let last = i + 1 == numbers.len();
            let path = segment::path(&dir, number);
            let Some(scan) = segment::scan(&path, number, expected, last, options.trust_tail)? else {
                break;
            };
            expected = Some(scan.next_sequence);
            tail = Some((number, scan.good, scan.torn));
            segments.push((number, largest_index(&scan.records)));
            replay(&path, scan, numbers[0] == 1, &mut recovered)?;
        }
        if options.fsync {
            // Names, too: of segments, and of the snapshots beside them.
            segment::sync_dir(&dir)?;
        }
        let next_sequence = expected.unwrap_or(1);
        let hard_state = recovered.hard_state;
        let (number, length, file) = match (numbers.last().copied(), tail) {
            (Some(number), Some((scanned, good, torn))) if scanned == number => {
                let (file, cut) = open_tail(&segment::path(&dir, number), good, torn, options.fsync)?;
                recovered.torn_bytes = cut;
                (number, good, file)
            }
            // The last segment was only being created.
            (last, _) => {
                let number = last.unwrap_or(1);
                (number, segment::HEADER, segment::create(&dir, number, next_sequence)?)
            }
        };
        segments.retain(|(scanned, _)| *scanned <= number);
        let largest = segments.pop_if(|(scanned, _)| *scanned == number).map_or(0, |(_, largest)| largest);
        let (older, buffer) = (segments, Vec::new());
        let mut wal =
            Wal { dir, options, file, number, older, largest, length, next_sequence, hard_state, buffer };
        if options.trust_tail && length % segment::HEADER != 0 {
            wal.rotate()?; // frames are aligned; a believed half frame is not
        }
        Ok((wal, recovered))
    }

    /// Appends all of `writes` as one frame and makes it durable. After an error the log must not be used
    /// again: what is on disk is not known (a second fsync would lie).
    pub fn append(&mut self, writes: Vec<Write>) -> Result<(), WalError> {
        if self.length >= self.options.segment_bytes {
            self.rotate()?;
        }
        let mut records = Vec::new();
        for write in writes {
            if let Some(state) = write.hard_state {
                self.hard_state = state;
                records.push(Record::HardState(state));
            }
            records.extend(write.base.map(|(index, term)| Record::Base { index, term }));
            records.extend(write.entries.into_iter().map(Record::Entry));
        }
        self.write_frame(&records)
    }

    /// Drops segments that hold nothing after `index`: a durable snapshot covers them.
    pub fn drop_through(&mut self, index: Index) -> Result<(), WalError> {
        if self.length > self.options.segment_bytes / 16 {
            self.rotate()?;
        }
        while let Some(&(number, largest)) = self.older.first()
            && largest <= index
        {
            let path = segment::path(&self.dir, number);
            std::fs::remove_file(&path).map_err(WalError::io("cannot remove", &path))?;
            self.older.remove(0);
        }
        Ok(())
    }

    fn write_frame(&mut self, records: &[Record]) -> Result<(), WalError> {
        self.largest = self.largest.max(largest_index(records));
        let path = segment::path(&self.dir, self.number);
        self.buffer.clear();
        frame::encode(&mut self.buffer, self.next_sequence, records.iter())
            .map_err(|e| WalError::Refused(format!("cannot encode a record: {e}")))?;
        self.file.write_all(&self.buffer).map_err(WalError::io("cannot write", &path))?;
        if self.options.fsync {
            self.file.sync_data().map_err(WalError::io("cannot flush", &path))?;
        }
        self.length += self.buffer.len();
        self.next_sequence += 1;
        Ok(())
    }

    /// Begins a new segment. It repeats the hard state, so that older segments can be dropped one day.
    fn rotate(&mut self) -> Result<(), WalError> {
        self.older.push((self.number, self.largest));
        self.largest = 0;
        self.number += 1;
        self.file = segment::create(&self.dir, self.number, self.next_sequence)?;
        self.length = segment::HEADER;
        self.write_frame(&[Record::HardState(self.hard_state)])
    }
}

/// Cuts off what is torn, for good, and flushes what is not: who wrote it may have been killed before it could, and what
/// was read from memory will be acted upon as if the disk had it.
fn open_tail(path: &Path, good: usize, torn: bool, flush: bool) -> Result<(File, u64), WalError> {
    let mut file = OpenOptions::new().write(true).open(path).map_err(WalError::io("cannot open", path))?;
    let length = file.metadata().map_err(WalError::io("cannot read", path))?.len();
    if torn {
        file.set_len(good as u64).map_err(WalError::io("cannot repair", path))?;
    }
    if torn || flush {
        file.sync_all().map_err(WalError::io("cannot flush", path))?;
    }
    file.seek(SeekFrom::Start(good as u64)).map_err(WalError::io("cannot read", path))?;
    Ok((file, if torn { length - good as u64 } else { 0 }))
}

fn largest_index(records: &[Record]) -> Index {
    let index = |record: &Record| match record {
        Record::Entry(entry) => entry.index,
        Record::Base { index, .. } => *index,
        Record::HardState(_) => 0,
    };
    records.iter().map(index).max().unwrap_or(0)
}

/// Adds what a segment says. `whole`: no segment was ever dropped, so the first entry is the first of all.
fn replay(path: &Path, scan: Scan, whole: bool, into: &mut Recovered) -> Result<(), WalError> {
    for record in scan.records {
        match record {
            Record::HardState(state) => into.hard_state = state,
            Record::Base { index, term } => {
                let known = into.entries.iter().position(|e| (e.index, e.term) == (index, term));
                into.entries.drain(..known.map_or(into.entries.len(), |at| at + 1));
                into.base = Some((index, term));
            }
            Record::Entry(entry) => {
                let first = match (into.entries.first(), into.base) {
                    (Some(first), _) => first.index,
                    (None, Some((index, _))) => index + 1,
                    (None, None) if whole => 1,
                    (None, None) => entry.index,
                };
                let Some(keep) = entry.index.checked_sub(first).filter(|&k| k <= into.entries.len() as u64)
                else {
                    let why = format!("entry {} does not follow the entries before it", entry.index);
                    return Err(WalError::Corrupt { path: path.display().to_string(), offset: 0, why });
                };
                into.entries.truncate(keep as usize);
                into.entries.push(entry);
            }
        }
    }
    Ok(())
}
