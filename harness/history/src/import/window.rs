//! A bounded window on a stream: what readers parse, and where in the stream it lies.

use std::fmt;
use std::io::Read;

use super::ImportError;
use crate::scan::Stop;

/// Tests read in pieces so small that records lie across their borders.
const CHUNK: usize = if cfg!(test) { 64 } else { 1 << 18 };

/// The longest operation that is read, in bytes.
pub(crate) const MAX_RECORD: usize = if cfg!(test) { 1 << 20 } else { 64 << 20 };

/// Bytes of a stream around the record that is being read.
pub(crate) struct Window<'r> {
    input: Box<dyn Read + 'r>,
    pub bytes: Vec<u8>,
    /// Where the next record begins.
    pub at: usize,
    /// Whether the stream has ended: `bytes` then ends in a line feed of ours.
    pub ended: bool,
    /// Bytes that were dropped from the front.
    dropped: u64,
    /// Line feeds of the stream before `counted`, a place in the window: lines are counted once, not for every
    /// record.
    lines: u64,
    counted: usize,
}

impl<'r> Window<'r> {
    pub fn new(input: Box<dyn Read + 'r>) -> Self {
        Window { input, bytes: Vec::new(), at: 0, ended: false, dropped: 0, lines: 0, counted: 0 }
    }

    /// Drops what is before `at` and reads on. At the end of the stream a line feed is added, so that what
    /// stands last is seen to end.
    pub fn fill(&mut self) -> Result<(), ImportError> {
        let kept = self.bytes.len() - self.at;
        if kept > MAX_RECORD {
            return Err(ImportError::TooLong { line: self.line(self.at), limit: MAX_RECORD });
        }
        self.count_to(self.at);
        self.counted -= self.at;
        self.dropped += self.at as u64;
        self.bytes.drain(..self.at);
        self.at = 0;
        // At least as much again: a long record is begun anew only a few times.
        let more = CHUNK.max(kept);
        let read = self.input.by_ref().take(more as u64).read_to_end(&mut self.bytes)?;
        if read == 0 {
            self.ended = true;
            self.bytes.push(b'\n');
        }
        Ok(())
    }

    /// Where the line at `at` ends: the place of its line feed. `None` at the end of the stream.
    pub fn line_end(&mut self) -> Result<Option<usize>, ImportError> {
        let mut searched = 0;
        loop {
            let rest = &self.bytes[self.at..];
            if let Some(length) = rest[searched..].iter().position(|&b| b == b'\n') {
                return Ok(Some(self.at + searched + length));
            }
            if self.ended {
                return Ok(None);
            }
            searched = rest.len();
            self.fill()?;
        }
    }

    /// Whether what is left of the stream is one line without a line feed of its own, or nothing.
    pub fn rest_is_one_line(&self) -> bool {
        let rest = self.bytes[self.at..].trim_ascii_start();
        self.ended && count_lines(rest) <= 1
    }

    /// Whether only white space is left.
    pub fn rest_is_blank(&self) -> bool {
        self.bytes[self.at..].iter().all(u8::is_ascii_whitespace)
    }

    /// The line, from 1, of a place in the window.
    pub fn line(&self, at: usize) -> u64 {
        if at < self.counted {
            return self.lines - count_lines(&self.bytes[at..self.counted]) + 1;
        }
        self.lines + count_lines(&self.bytes[self.counted..at]) + 1
    }

    /// The same, for a reader that asks for every record.
    pub fn next_line(&mut self, at: usize) -> u64 {
        self.count_to(at);
        self.line(at)
    }

    fn count_to(&mut self, at: usize) {
        if at > self.counted {
            self.lines += count_lines(&self.bytes[self.counted..at]);
            self.counted = at;
        }
    }

    /// Bytes of the stream before a place in the window.
    pub fn offset(&self, at: usize) -> u64 {
        self.dropped + at as u64
    }

    /// The error for what a reader met in the record at `self.at`.
    pub fn error(&self, stop: Stop) -> ImportError {
        match stop {
            Stop::More => {
                let blank = self.bytes[self.at..].iter().take_while(|b| b.is_ascii_whitespace()).count();
                ImportError::Truncated {
                    line: self.line(self.at + blank),
                    expected: "the rest of the operation that begins here".to_owned(),
                }
            }
            Stop::Bad { at, expected } if self.ended && at + 1 >= self.bytes.len() => {
                ImportError::Truncated {
                    line: self.line(self.bytes.len() - 1),
                    expected: expected.into_owned(),
                }
            }
            Stop::Bad { at, expected } => {
                let at = at.min(self.bytes.len());
                let line_start = self.bytes[..at].iter().rposition(|&b| b == b'\n').map_or(0, |i| i + 1);
                ImportError::Syntax {
                    line: self.line(at),
                    column: (at - line_start) as u64 + 1,
                    expected: expected.into_owned(),
                    found: excerpt(&self.bytes[at..]),
                }
            }
        }
    }
}

impl fmt::Debug for Window<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Window").field("at", &self.at).field("ended", &self.ended).finish_non_exhaustive()
    }
}

fn count_lines(bytes: &[u8]) -> u64 {
    // Sums of bytes over short pieces are what a compiler turns into vector instructions.
    let in_piece = |piece: &[u8]| u64::from(piece.iter().map(|&b| u8::from(b == b'\n')).sum::<u8>());
    bytes.chunks(255).map(in_piece).sum()
}

/// The next few characters, for an error message.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    const LONGEST: usize = 24;
    let line = bytes.split(|&b| b == b'\n').next().unwrap_or_default();
    let cut = String::from_utf8_lossy(&line[..line.len().min(4 * LONGEST)]).into_owned();
    let short: String = cut.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    match (short.is_empty(), cut.chars().count() > LONGEST || line.len() > 4 * LONGEST) {
        (true, _) => "the end of the line".to_owned(),
        (false, true) => format!("`{short}…`"),
        (false, false) => format!("`{short}`"),
    }
}
