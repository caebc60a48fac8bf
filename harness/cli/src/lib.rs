//! The command line: reads what a person wants, wires the other crates together, says what came of it.
//!
//! A library as well as a binary, so that nobody needs a fork: a stranger's own binary calls
//! [`main`] with a [`Registry`] to which it has added its targets, workloads, faults and checks, and has
//! every command.
//!
//! Invariants: exit codes are those of [`Exit`], whatever goes wrong; people's text goes to standard error
//! and documents go to standard output; text from outside is made inert before it reaches a terminal.

pub mod args;
pub mod bench;
pub mod campaign;
pub mod check;
pub mod commands;
pub mod conformance;
pub mod declared;
pub mod export;
pub mod museum;
pub mod output;
pub mod registry;
pub mod run;
pub mod schema;
pub mod skeleton;

mod dispatch;
mod entry;
mod exit;
mod serve;
mod stored;
mod suggest;
mod trend;
mod verify;

pub use entry::main;
pub use exit::{Exit, Refused};
pub use registry::Registry;
