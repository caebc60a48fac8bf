//! Causal models on reads and writes, of single operations or of transactions.
//!
//! Reads are resolved to writes by value ([`columns`]); session order and reads-from are then known, and every
//! model here is a question about what must come before what. What a session *knows* is what it read, what it
//! did, and what those depend on: visibility that is proven, never guessed.

#[cfg(test)]
mod brute;
pub mod check;
pub mod clocks;
pub mod columns;
pub mod converged;
pub mod convergence;
mod draft;
pub mod isolation;
pub mod live;
pub mod memory;
pub mod order;
mod resolve;
pub mod sessions;
pub mod staleness;
