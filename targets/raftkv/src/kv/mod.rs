//! The replicated state machine: keys with values and versions, transactions, sessions, leases and locks.
//! Deterministic: the same commands in the same order give the same state and the same answers on every node.
//! No clock, no randomness, no I/O.

mod command;
mod dump;
mod history;
mod leases;
mod pages;
mod sessions;
mod store;
mod txn;

pub use command::{Answer, Command, Guard, Op, OpResult, Refused, Request, SessionSeq, Txn};
pub use dump::{read_snapshot, write_snapshot};
pub use history::{Change, History};
pub use leases::{Lease, Leases};
pub use pages::Pages;
pub use sessions::{MAX_SESSIONS, Sessions};
pub use store::{Store, Versioned};
pub use txn::MAX_RANGE;
