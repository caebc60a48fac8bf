//! The replicated state machine: keys with values and versions. Deterministic: the same commands in the same
//! order give the same state and the same answers on every node.

mod command;
mod store;

pub use command::{Answer, Command, Request};
pub use store::{Store, Versioned};
