//! A replicated key-value store on Raft: a pure core, a log on disk, a server.
//!
//! - [`raft`]: consensus as a pure state machine, without I/O, clock or randomness;
//! - [`kv`]: what is replicated: keys with versions;
//! - [`wal`]: the log on disk, checksummed, one fsync for each group of writes;
//! - [`sim`]: whole clusters in one thread, with network and disks made of data;
//! - [`server`]: threads, network, HTTP;
//! - [`client`]: one connection to one node, typed;
//! - [`bugs`]: classic mistakes that can be switched on, for harnesses to find;
//! - [`cli`]: the command line.

pub mod bugs;
pub mod cli;
pub mod client;
mod ctl;
pub mod kv;
pub mod raft;
pub mod server;
pub mod sim;
pub mod wal;
