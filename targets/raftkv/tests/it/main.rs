//! What needs more than one module: the log on disk under damage, golden scripts, real server processes.

#![allow(clippy::unwrap_used, reason = "a test may panic; clippy only knows unit tests")]

mod client;
mod cluster;
mod faults;
mod golden;
mod processes;
mod wal;
