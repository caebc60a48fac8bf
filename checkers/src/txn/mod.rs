//! Transactions: which consistency models a history of them does not violate.
//!
//! [`any::Transactions`] is the way in. [`append`] judges transactions of appends and whole reads, where version
//! orders are known; [`decide`] plain reads and writes, where they are not, with [`serial`] for models that ask
//! for an order. [`cycles`] finds and names cycles in a dependency graph; [`models`] is the map of consistency
//! models as data, and [`strongest`] places a history on it; [`verify`] accepts certificates and shares nothing
//! with the rest. Predicate reads are not treated.

pub mod acyclic;
pub mod any;
pub mod append;
#[cfg(test)]
pub(crate) mod brute;
pub mod certify;
#[cfg(test)]
mod corpora_tests;
pub mod cycles;
pub mod decide;
#[cfg(test)]
mod docs_tests;
pub mod explain;
pub mod findings;
pub mod r#gen;
pub mod gen_store;
pub mod gen_weak;
pub mod graph;
#[cfg(test)]
mod held_tests;
pub mod intern;
pub mod judge;
#[cfg(test)]
mod measure;
pub mod micro;
pub mod models;
pub mod order;
pub mod parallel;
pub mod random;
pub mod serial;
pub mod strongest;
pub mod verify;
pub mod watch;
