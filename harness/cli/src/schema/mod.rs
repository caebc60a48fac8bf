//! JSON Schemas (draft-07) of what squall reads and writes.
//!
//! That of a history's line stands in `docs` beside the formats. The others are derived from structures that only describe (what reads and writes is elsewhere, with better
//! errors than a schema could give), and tests hold the two together: every key, every default, every example.

mod campaign;
mod documents;
mod tidy;

#[cfg(test)]
mod tests;

/// The schema of a line of a history in JSON lines, as text.
pub const HISTORY: &str = include_str!("../../../../docs/history.schema.json");

pub use campaign::campaign;
pub use documents::{check, run};
