//! The write-ahead log: recovery at start, group commit afterwards.

use std::fs::{File, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::frame::{self, Record};
use super::segment::{self, Scan};
use super::{DataDir, WalError};
use crate::raft::{Entry, HardState, Write};

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
    length: usize,
    next_sequence: u64,
    hard_state: HardState,
    buffer: Vec<u8>,
}

impl Wal {
    /// Reads every segment, repairs a torn tail, and is ready to append.
    pub fn open(dir: &DataDir, options: WalOptions) -> Result<(Wal, Recovered), WalError> {
        let dir = dir.path().to_owned();
        let numbers = segment::list(&dir)?;
        let mut recovered = Recovered::default();
        let mut expected = None;
        let mut tail = None;
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
            replay(&path, scan, &mut recovered)?;
        }
        let next_sequence = expected.unwrap_or(1);
        let hard_state = recovered.hard_state;
        let (number, length, file) = match (numbers.last().copied(), tail) {
            (Some(number), Some((scanned, good, torn))) if scanned == number => {
                let (file, cut) = open_tail(&segment::path(&dir, number), good, torn)?;
                recovered.torn_bytes = cut;
                (number, good, file)
            }
            // The last segment was only being created.
            (last, _) => {
                let number = last.unwrap_or(1);
                (number, segment::HEADER, segment::create(&dir, number, next_sequence)?)
            }
        };
        let buffer = Vec::new();
        let mut wal = Wal { dir, options, file, number, length, next_sequence, hard_state, buffer };
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
            records.extend(write.entries.into_iter().map(Record::Entry));
        }
        self.write_frame(&records)
    }

    fn write_frame(&mut self, records: &[Record]) -> Result<(), WalError> {
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
        self.number += 1;
        self.file = segment::create(&self.dir, self.number, self.next_sequence)?;
        self.length = segment::HEADER;
        self.write_frame(&[Record::HardState(self.hard_state)])
    }
}

/// Cuts off what is torn, for good.
fn open_tail(path: &Path, good: usize, torn: bool) -> Result<(File, u64), WalError> {
    let mut file = OpenOptions::new().write(true).open(path).map_err(WalError::io("cannot open", path))?;
    let length = file.metadata().map_err(WalError::io("cannot read", path))?.len();
    if torn {
        file.set_len(good as u64).map_err(WalError::io("cannot repair", path))?;
        file.sync_all().map_err(WalError::io("cannot flush", path))?;
    }
    file.seek(SeekFrom::Start(good as u64)).map_err(WalError::io("cannot read", path))?;
    Ok((file, if torn { length - good as u64 } else { 0 }))
}

fn replay(path: &Path, scan: Scan, into: &mut Recovered) -> Result<(), WalError> {
    for record in scan.records {
        match record {
            Record::HardState(state) => into.hard_state = state,
            Record::Entry(entry) => {
                let first = into.entries.first().map_or(1, |e| e.index);
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
