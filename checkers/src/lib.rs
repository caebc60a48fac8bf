//! Checks: a history goes in, a verdict comes out. Pure: no I/O, no async, no clock, no unseeded randomness.
//!
//! The one protocol is [`Check`]. A checker that cannot decide within its [`Budget`] answers `unknown` with
//! the reason and what it did prove; it never guesses and never aborts. Every algorithm here has a
//! brute-force twin in its tests.

pub mod bench;
mod budget;
pub mod causal;
mod check;
pub mod linear;
pub mod models;
pub mod run;
pub mod txn;
mod verdict;
pub mod workload;

pub use budget::{Budget, Exhausted, Share};
pub use check::{Check, Live};
pub use txn::any::Transactions;
pub use txn::models::{MODELS, Model, model};
pub use txn::strongest::{Reading, Strongest};
pub use verdict::{Anomaly, Certificate, Valid, Verdict};
