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
mod plain_line;
mod sessions;
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

use crate::{Accesses, History, Skipped};

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
pub struct Imported<H = History> {
    /// The history.
    pub history: H,
    /// What the content turned out to be.
    pub format: Format,
    /// Lines for people about what was left out or assumed.
    pub warnings: Vec<String>,
    /// Of a run's log: what its end had lost.
    pub skipped: Skipped,
    /// Bytes read, after unpacking.
    pub bytes: u64,
}

/// A history in the form in which its format is read fastest.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one for each file")]
pub enum Held {
    /// The form that every check takes.
    General(History),
    /// Columns of integers: the text formats of transactions, and EDN of a plain form.
    Columns(Accesses),
}

impl Held {
    /// Number of operations.
    pub fn len(&self) -> usize {
        match self {
            Held::General(history) => history.len(),
            Held::Columns(accesses) => accesses.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The general form.
    pub fn general(self) -> History {
        match self {
            Held::General(history) => history,
            Held::Columns(accesses) => accesses.history(),
        }
    }
}

/// Reads a history in any format that squall knows, gzip and zstd unpacked, into whichever form is cheapest.
pub fn read_held(input: impl Read, options: &Options) -> Result<Imported<Held>, ImportError> {
    let read = detect::read(Box::new(input), options, false)?;
    Ok(read.expect("without `compact` whatever is read is given"))
}

/// Reads EDN into columns; `None` if it holds anything but transactions of integers, with times that never go back,
/// and has to be read from its beginning again by [`read_held`]. Other formats are read as there.
pub fn read_columns(input: impl Read, options: &Options) -> Result<Option<Imported<Held>>, ImportError> {
    if options.keyed == Keyed::Yes || options.clock_error > 0 {
        return Ok(None);
    }
    detect::read(Box::new(input), options, true)
}

/// Reads a file, and EDN into columns if it can be: a file can be begun again if it turns out that it cannot.
pub fn read_file_held(path: &Path, options: &Options) -> Result<Imported<Held>, ImportError> {
    let open = || File::open(path).map_err(ImportError::Io);
    if path.is_file()
        && let Some(imported) = read_columns(open()?, options)?
    {
        return Ok(imported);
    }
    read_held(open()?, options)
}

/// Reads a history in any format that squall knows, gzip and zstd unpacked.
pub fn read(input: impl Read, options: &Options) -> Result<Imported, ImportError> {
    let Imported { history, format, warnings, skipped, bytes } = read_held(input, options)?;
    Ok(Imported { history: history.general(), format, warnings, skipped, bytes })
}

/// The same, from a file.
pub fn read_file(path: &Path, options: &Options) -> Result<Imported, ImportError> {
    read(File::open(path).map_err(ImportError::Io)?, options)
}
