//! Reads a run's log, whole or frame by frame.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use thiserror::Error;

use super::assemble::{self, Assembler, Names};
use super::frame::{self, MAGIC, MAX_FRAME};
use crate::SCHEMA_VERSION;
use crate::json::Json;
use crate::object;
use crate::pool::Pool;
use crate::scan::Stop;
use crate::{BadEvent, Entry, History, Skipped};

const CHUNK: usize = 1 << 20;

/// Why a log cannot be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The operating system said no.
    #[error("cannot read the log: {0}")]
    Io(#[from] io::Error),
    /// There is nothing in it.
    #[error("the log is empty: expected at least one zstd frame of JSON lines")]
    Empty,
    /// It says that its format is a later one: what is not known of it might be misread.
    #[error("the log is of a later version of squall (format {found}; this one reads up to {known})")]
    Newer {
        /// The format that it says to have.
        found: u32,
        /// The latest that is known here.
        known: u32,
    },
    /// Its first bytes are not those of a log.
    #[error("this is no run log: expected a zstd frame (bytes 28 b5 2f fd) at its start, found {found}")]
    NotALog {
        /// The first bytes, for people.
        found: String,
    },
    /// A frame that is not the last one is broken.
    #[error("the log is damaged in frame {frame}, at byte {offset}: {reason}")]
    Damaged {
        /// Which frame, from 1.
        frame: u64,
        /// Where in the file it begins.
        offset: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// Events that contradict each other.
    #[error("the log contradicts itself: {0}")]
    Impossible(#[from] BadEvent),
}

/// One frame's entries, in the order in which they were pushed.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// Without the mark.
    pub entries: Vec<Entry>,
    /// Every event up to this time, in nanoseconds, is in this or an earlier frame.
    pub watermark: u64,
}

/// Reads frames one after the other. It gives them as they are: cutting at the watermark is for the caller,
/// by a [`super::Merger`].
#[derive(Debug)]
pub struct LogReader<R: Read> {
    input: R,
    window: Vec<u8>,
    at: usize,
    ended: bool,
    lines: Vec<u8>,
    frame: u64,
    offset: u64,
    // Where the frame that was given last begins.
    begins: u64,
    names: Names,
    pool: Pool,
    unpacked: u64,
    skipped: Skipped,
}

impl<R: Read> LogReader<R> {
    /// A log that begins at the present place of `input`.
    pub fn new(input: R) -> Self {
        LogReader {
            input,
            window: Vec::new(),
            at: 0,
            ended: false,
            lines: Vec::new(),
            frame: 0,
            offset: 0,
            begins: 0,
            names: Names::default(),
            pool: Pool::default(),
            unpacked: 0,
            skipped: Skipped::default(),
        }
    }

    /// The next frame; `None` at the end, whether clean or torn.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, ReadError> {
        if self.skipped.bytes > 0 {
            return Ok(None);
        }
        let Some(length) = self.find()? else { return Ok(None) };
        self.frame += 1;
        let mut lines = std::mem::take(&mut self.lines);
        let bytes = &self.window[self.at..self.at + length];
        let read = frame::unpack(bytes, &mut lines).and_then(|()| self.parse(&lines));
        self.unpacked += lines.len() as u64;
        self.lines = lines;
        match read {
            Ok(frame) => {
                self.at += length;
                self.begins = self.offset;
                self.offset += length as u64;
                Ok(Some(frame))
            }
            Err(reason) => {
                self.frame -= 1;
                self.fill_all()?;
                self.torn_or_damaged(length, reason).map(|()| None)
            }
        }
    }

    /// How many bytes at the end are not a whole frame. Known once [`LogReader::next_frame`] has given `None`.
    pub fn skipped(&self) -> &Skipped {
        &self.skipped
    }

    /// Bytes of lines so far.
    pub fn unpacked_bytes(&self) -> u64 {
        self.unpacked
    }

    /// All entries, in the order in which they were pushed, of all whole frames: also those after the last
    /// watermark.
    pub fn entries(mut self) -> impl Iterator<Item = Result<Entry, ReadError>> {
        let mut frame = Vec::new().into_iter();
        std::iter::from_fn(move || {
            loop {
                if let Some(entry) = frame.next() {
                    return Some(Ok(entry));
                }
                match self.next_frame() {
                    Ok(Some(next)) => frame = next.entries.into_iter(),
                    Ok(None) => return None,
                    Err(e) => return Some(Err(e)),
                }
            }
        })
    }

    /// The length of the frame under the cursor, or `None` at the end.
    fn find(&mut self) -> Result<Option<usize>, ReadError> {
        loop {
            let rest = &self.window[self.at..];
            if let Some(length) = frame::whole(rest) {
                return Ok(Some(length));
            }
            if !rest.starts_with(&MAGIC[..rest.len().min(MAGIC.len())]) {
                return self.no_magic();
            }
            if rest.len() > MAX_FRAME {
                return Err(self.damaged("it is longer than one GiB".to_owned()));
            }
            if self.ended {
                break;
            }
            self.fill()?;
        }
        match self.window.len() - self.at {
            0 if self.frame == 0 => Err(ReadError::Empty),
            0 => Ok(None),
            rest => {
                let skip = rest.min(MAGIC.len());
                self.torn_or_damaged(skip, "it is not whole".to_owned()).map(|()| None)
            }
        }
    }

    fn no_magic(&mut self) -> Result<Option<usize>, ReadError> {
        if self.frame > 0 {
            self.fill_all()?;
            return self.torn_or_damaged(1, "it does not begin as a frame".to_owned()).map(|()| None);
        }
        let start = &self.window[..self.window.len().min(8)];
        let found = start.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" ");
        Err(ReadError::NotALog { found })
    }

    /// What is left is not a sound frame. If another one follows it, this one is damaged; else it is the tail
    /// that was being written, of which a machine that crashed may also have kept zeros.
    fn torn_or_damaged(&mut self, length: usize, reason: String) -> Result<(), ReadError> {
        let rest = &self.window[self.at..];
        // A damaged length may reach over the next frame, so the search begins right after this one's magic.
        if rest[length..].starts_with(&MAGIC) || frame::any_sound_frame(&rest[1..]) {
            return Err(self.damaged(reason));
        }
        self.skipped.bytes = rest.len() as u64;
        self.skipped.reason = format!(
            "the last {} bytes, from byte {}, are no whole frame ({reason}): the run was cut off while writing",
            rest.len(),
            self.offset
        );
        Ok(())
    }

    fn damaged(&self, reason: String) -> ReadError {
        ReadError::Damaged { frame: self.frame + 1, offset: self.offset, reason }
    }

    /// Reads another piece, dropping what was consumed.
    fn fill(&mut self) -> io::Result<()> {
        self.window.drain(..self.at);
        self.at = 0;
        let more = CHUNK.max(self.window.len());
        let read = self.input.by_ref().take(more as u64).read_to_end(&mut self.window)?;
        self.ended = read == 0;
        Ok(())
    }

    fn fill_all(&mut self) -> io::Result<()> {
        while !self.ended {
            self.fill()?;
        }
        Ok(())
    }

    fn parse(&mut self, lines: &[u8]) -> Result<Frame, String> {
        let mut entries = Vec::new();
        let mut json = Json::new(lines, 0, &mut self.pool);
        let mut line = 0u64;
        while json.cursor.at < lines.len() {
            line += 1;
            let wrong = |stop: Stop| match stop {
                Stop::More => format!("its line {line} is cut short"),
                Stop::Bad { expected, .. } => format!("its line {line}: expected {expected}"),
            };
            let object = object::read(&mut json, |_| None).map_err(wrong)?;
            if lines.get(json.cursor.at) != Some(&b'\n') {
                return Err(format!("its line {line}: expected the line to end after its object"));
            }
            json.cursor.at += 1;
            if object.kind.as_deref() != Some("mark") {
                entries.push(assemble::entry(lines, object, &mut self.names).map_err(wrong)?);
                continue;
            }
            return match (object.time, object.entries) {
                (Some(_), Some(n)) if n != entries.len() as u64 => {
                    Err(format!("its mark counts {n} entries, but it holds {}", entries.len()))
                }
                (Some(_), Some(_)) if json.cursor.at < lines.len() => {
                    Err("something follows its mark".to_owned())
                }
                (Some(watermark), Some(_)) => Ok(Frame { entries, watermark }),
                _ => Err("its mark lacks `time` or `entries`".to_owned()),
            };
        }
        Err("it does not end in a mark".to_owned())
    }
}

/// Reads a whole log as a history, cut at its last watermark. Entries that are no operations are kept whenever
/// their frame is whole.
pub fn read_log(input: impl Read) -> Result<(History, Skipped), ReadError> {
    let mut reader = LogReader::new(input);
    read_all(&mut reader)
}

pub(crate) fn read_all<R: Read>(reader: &mut LogReader<R>) -> Result<(History, Skipped), ReadError> {
    let mut assembler = Assembler::new();
    while let Some(Frame { entries, watermark }) = reader.next_frame()? {
        let newer = |entry: &Entry| match entry {
            Entry::Run(run) => (run.schema_version > SCHEMA_VERSION).then_some(run.schema_version),
            _ => None,
        };
        if let Some(found) = entries.iter().find_map(newer) {
            return Err(ReadError::Newer { found, known: SCHEMA_VERSION });
        }
        entries.into_iter().for_each(|entry| assembler.entry(entry));
        if assembler.is_late() {
            let reason = "it holds an event that an earlier watermark had ruled out".to_owned();
            return Err(ReadError::Damaged { frame: reader.frame, offset: reader.begins, reason });
        }
        assembler.mark(watermark)?;
    }
    let mut skipped = reader.skipped.clone();
    let (history, events) = assembler.finish()?;
    skipped.events = events;
    if events > 0 && skipped.reason.is_empty() {
        skipped.reason = "the last events are later than the last watermark".to_owned();
    }
    Ok((history, skipped))
}

/// The same, from a file.
pub fn read_log_file(path: &Path) -> Result<(History, Skipped), ReadError> {
    read_log(File::open(path)?)
}
