//! The run log: entries as JSON lines in independent, checksummed zstd frames.
//!
//! A frame ends in a mark with a watermark W: every event with a time of at most W is in this or an earlier
//! frame. Events reach the log in no exact order, so a reader that trusted the last lines could see a
//! completion whose invocation was lost, and convict the innocent. Readers therefore cut at the last mark:
//! later events are dropped, and operations that are open there become `info`, which is always true of them.
//! What is left of a frame that was being written when the machine stopped is dropped too, and counted.
//! Damage anywhere else is an error: a log is never silently read as another history.
//!
//! Frames are independent so that `zstdcat` reads a log as it is, also while it grows, and a frame that is
//! on disk never changes. Flushing a file to disk is the caller's: this module knows only `Write` and `Read`.

mod assemble;
mod frame;
mod merger;
mod reader;
mod writer;

#[cfg(test)]
mod tests;

pub(crate) use assemble::{Assembler, Names, entry};
pub use merger::Merger;
pub(crate) use reader::read_all;
pub use reader::{Frame, LogReader, ReadError, read_log, read_log_file};
pub use writer::LogWriter;
