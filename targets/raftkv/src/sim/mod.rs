//! Whole clusters in one thread: the real core and the real state machine, with a network, disks and clocks
//! made of plain data. A seed replays exactly.
//!
//! [`Cluster`] is the mechanics, moved by hand, one message at a time; it asserts the paper's invariants at
//! each step. [`storm`] moves it at random, with faults, and checks what clients saw.

mod clients;
mod cluster;
mod faults;
mod invariants;
mod oracle;
mod storm;

pub use cluster::{Clock, Cluster, Disk, Happening, SimNode, Wire};
pub use invariants::Invariants;
pub use oracle::Oracle;
pub use storm::{Storm, StormConfig, StormReport, storm};
