//! Histories from anywhere, told apart by content: Jepsen EDN and log lines, squall's run logs, JSON lines.
//!
//! Everything is read as a stream through a bounded window, so neither a line without end nor a compressed
//! bomb takes more memory than the history it holds. A history is taken whole or not at all: the first thing
//! that does not belong is an error that names the line and what was expected there.

mod detect;
mod edn;
mod error;
mod jepsen_log;
mod jsonl;
mod keyed;
mod lines;
mod sink;
mod spans;
mod transactions;
mod window;

#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Read;
use std::path::Path;

pub use detect::Format;
pub use error::ImportError;
pub use keyed::Keyed;
pub(crate) use keyed::is_transaction;

use crate::{History, Skipped};

/// How to read what the content alone does not tell.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Whether values are `[key value]` tuples.
    pub keyed: Keyed,
    /// How far, in nanoseconds, the clocks of the recording machines may have been apart: every interval is
    /// widened by this much on both sides, and order follows time.
    pub clock_error: u64,
}

/// A history, and what reading it showed.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The history.
    pub history: History,
    /// What the content turned out to be.
    pub format: Format,
    /// Lines for people about what was left out or assumed.
    pub warnings: Vec<String>,
    /// Of a run's log: what its end had lost.
    pub skipped: Skipped,
    /// Bytes read, after unpacking.
    pub bytes: u64,
}

/// Reads a history in any format that squall knows, gzip and zstd unpacked.
pub fn read(input: impl Read, options: &Options) -> Result<Imported, ImportError> {
    detect::read(Box::new(input), options)
}

/// The same, from a file.
pub fn read_file(path: &Path, options: &Options) -> Result<Imported, ImportError> {
    read(File::open(path).map_err(ImportError::Io)?, options)
}
