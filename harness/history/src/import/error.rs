//! Why a history cannot be imported: always with the place, and with what would have been right.

use std::io;

use thiserror::Error;

use crate::BadEvent;
use crate::runlog::ReadError;

/// Why a history cannot be imported. No message names the file: the caller does.
#[derive(Debug, Error)]
pub enum ImportError {
    /// The operating system, or what unpacks gzip or zstd, said no.
    #[error("cannot read: {0}")]
    Io(#[from] io::Error),
    /// There is nothing in it.
    #[error("empty: expected a history")]
    Empty,
    /// Its beginning is that of no known format.
    #[error(
        "line {line}: expected a history (Jepsen EDN or log lines, JSON lines, a run log, awdit or plume text), found {found}"
    )]
    Unknown {
        /// The first line that is not blank, from 1.
        line: u64,
        /// How it begins.
        found: String,
    },
    /// Something that does not belong there.
    #[error("line {line}, column {column}: expected {expected}, found {found}")]
    Syntax {
        /// From 1.
        line: u64,
        /// In bytes, from 1.
        column: u64,
        /// What would have been right.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// It ends in the middle of something.
    #[error("line {line}: the history is cut short: expected {expected}, found its end")]
    Truncated {
        /// Where the unfinished thing began, from 1.
        line: u64,
        /// What would have been right.
        expected: String,
    },
    /// One operation is too long to be meant.
    #[error("line {line}: expected an operation of at most {limit} bytes, found a longer one")]
    TooLong {
        /// Where it began, from 1.
        line: u64,
        /// Bytes.
        limit: usize,
    },
    /// An event that cannot be part of the history.
    #[error("line {line}: {source}")]
    Event {
        /// From 1.
        line: u64,
        /// What is wrong with it.
        source: BadEvent,
    },
    /// A pair may be a key with a value, or a value.
    #[error(
        "line {line}: {what}: pass --keyed yes if values are [key value] tuples of independent keys, --keyed no if they are plain values"
    )]
    Ambiguous {
        /// The line that shows it, from 1.
        line: u64,
        /// What it shows.
        what: String,
    },
    /// A run's log that is damaged.
    #[error(transparent)]
    Log(#[from] ReadError),
    /// An option that this history cannot honour.
    #[error("{0}")]
    Option(String),
}
