//! Checks of single workloads, with the result keys that Jepsen's users know.
//!
//! Each is one file and one [`crate::Check`]; they share nothing but [`report`].

pub mod bank;
pub mod causal_reverse;
pub mod counter;
mod leases;
pub mod lock;
pub mod long_fork;
pub mod monotonic;
pub mod queue;
pub mod replicas;
pub mod report;
pub mod set;
pub mod set_full;
pub mod unique_ids;
pub mod watch;
pub mod write_skew;

#[cfg(test)]
mod tests;
