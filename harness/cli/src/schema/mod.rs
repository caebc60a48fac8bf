//! JSON Schemas (draft-07) of what squall reads and writes.
//!
//! Those of a history's line and of the protocol of clients stand in `docs`. The others are derived from structures that only describe (what reads and writes is elsewhere, with better
//! errors than a schema could give), and tests hold the two together: every key, every default, every example.

mod campaign;
mod documents;
mod target;
mod tidy;

#[cfg(test)]
mod tests;

/// The schema of a line between the harness and a client program, as text.
pub const CLIENT: &str = include_str!("../../../../docs/schema/client-protocol.schema.json");

/// The schema of a line of a history in JSON lines, as text.
pub const HISTORY: &str = include_str!("../../../../docs/history.schema.json");

pub use campaign::campaign;
pub use documents::{check, run};
pub use target::target;
