//! What clients do, and which checks judge it.
//!
//! A workload is one file and one line in [`workloads`].

mod append;
mod bank;
mod causal;
mod causal_reverse;
mod common;
mod counter;
mod lease;
mod lock;
mod long_fork;
mod mix;
mod monotonic;
mod queue;
mod register;
mod registry;
mod replicas;
mod set;
mod unique_ids;
mod watch;
mod wr;
mod write_skew;

pub use registry::workloads;
