//! Raft as a pure state machine: inputs in, one ordered batch of outputs out. No I/O, no clock, no randomness.
//!
//! Sections and figures without a source are those of "In Search of an Understandable Consensus Algorithm"
//! (extended version); "thesis" is Ongaro's "Consensus: Bridging Theory and Practice".

mod core;
mod durable;
mod election;
mod log;
mod membership;
mod progress;
mod read;
mod replication;
mod snapshot;
mod types;

pub use core::{Core, CoreConfig, Restored};
pub use log::Log;
pub use progress::{Mode, Progress};
pub use types::{
    BadNodeId, Entry, HardState, Index, Input, Membership, Message, Micros, NodeId, Output, Payload, Piece,
    Proposed, ReadOutcome, Refusal, Role, RoleChange, SnapshotMeta, Term, Write,
};
