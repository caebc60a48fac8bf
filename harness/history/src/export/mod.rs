//! Histories for other tools: JSON lines, Jepsen's EDN, CSV, traces for Perfetto.
//!
//! Each function writes a whole history and leaves flushing to the caller. Nothing here decides anything:
//! order is that of [`crate::History::events`], times are in nanoseconds unless the format has its own unit.

mod csv;
mod edn;
mod jsonl;
mod perfetto;

#[cfg(test)]
mod tests;

pub use csv::csv;
pub use edn::edn;
pub use jsonl::jsonl;
pub use perfetto::perfetto;
