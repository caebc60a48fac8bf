//! Transactions: which consistency models a history of them does not violate.
//!
//! [`append`] judges transactions of appends and whole reads, where version orders are known. [`cycles`] finds
//! and names cycles in a dependency graph; [`models`] is the map of consistency models as data; [`judge`] turns
//! what was found into a verdict. Predicate reads are not treated.

pub mod append;
#[cfg(test)]
pub(crate) mod brute;
#[cfg(test)]
mod corpora_tests;
pub mod cycles;
pub mod decide;
pub mod explain;
pub mod findings;
pub mod r#gen;
pub mod gen_store;
pub mod gen_weak;
pub mod graph;
pub mod intern;
pub mod judge;
#[cfg(test)]
mod measure;
pub mod micro;
pub mod models;
pub mod order;
pub mod random;
pub mod serial;
pub mod strongest;
pub mod verify;
pub mod watch;
