//! `squall check`: judges histories from anywhere.
//!
//! One file after the other in one process; each is read whole, judged, and answered in a line (JSON) or a
//! few (for people). A file that cannot be read as a history is never given a verdict.

mod answer;
mod by;
mod command;
mod map;
mod memory;
mod one;
mod timer;

#[cfg(test)]
mod tests;

pub use answer::{Answer, Unreadable};
pub use by::{By, MODELS, ModelEntry, Specification};
pub use command::check;
pub(crate) use memory::{peak_bytes, reset_peak};
