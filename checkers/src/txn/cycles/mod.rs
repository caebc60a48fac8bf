//! From a dependency graph to named cycles.
//!
//! [`levels`] answers exactly, per component, which families of cycles exist; [`search`] looks for a shortest
//! cycle of each name, starting from its rarest edge; [`analyze`] puts the two together, so that a family that
//! exists is never without a cycle that proves it.

pub mod analyze;
pub mod cycle;
pub mod levels;
pub mod search;
