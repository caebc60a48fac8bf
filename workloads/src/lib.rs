//! What clients do, and which checks judge it.
//!
//! A workload is one file and one line in [`workloads`].

mod append;
mod lease;
mod register;
mod registry;
mod set;

pub use registry::workloads;
