//! What clients do, and which checks judge it.
//!
//! A workload is one file and one line in [`workloads`].

mod register;
mod registry;

pub use registry::workloads;
