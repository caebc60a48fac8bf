//! Linearizability: whether operations could have taken effect one at a time, each between its invocation
//! and its completion.
//!
//! A history is split by key, and each object is judged by the cheapest algorithm that is complete for it;
//! the verdict names which ran. [`check_model`] judges by a built-in model, [`check_with`] by a stranger's,
//! [`Linearizable`] is the same as a [`crate::Check`].
//!
//! Deliberately absent: clocks and I/O (a [`crate::Budget`] brings time from outside), and any idea of how
//! a history was made.

mod choose;
mod counterexample;
mod elements;
mod events;
mod expand;
mod explain;
mod frontier;
mod incremental;
mod judge;
mod linearization;
mod lock;
mod mask;
mod numbers;
mod options;
mod priority;
mod problem;
mod queue;
mod search;
mod set;
mod spec;
mod split;
mod stabbed;
mod stack;
mod sweep;
pub mod verify;
mod versions;
mod zones;

#[cfg(test)]
mod tests;

pub use incremental::Incremental;
pub use judge::{Linearizable, check_model, check_with};
pub use options::Options;
