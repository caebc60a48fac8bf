//! JSON Schemas (draft-07) of what squall reads and writes.
//!
//! They are derived from structures that only describe (what reads and writes is elsewhere, with better
//! errors than a schema could give), and tests hold the two together: every key, every default, every example.

mod campaign;
mod documents;
mod history;
mod tidy;

#[cfg(test)]
mod tests;

pub use campaign::campaign;
pub use documents::{check, run};
pub use history::history;
