//! Checks of a run as a whole: what its operations, faults and notes say beside any model of the data.
//!
//! All are folds over one history: counts ([`Stats`], [`Errors`]), time ([`Latency`], [`Availability`],
//! [`Failover`], [`Recovery`]), the state of the cluster ([`LogScan`], [`Exits`],
//! [`Terms`]) and whether the run proved
//! anything at all ([`Vacuity`]). The folds that reports draw from ([`windows`], [`reigns`], [`rates`],
//! [`latencies`], [`Quantiles`]) are public.
//!
//! Invariants: figures are in the units that their names carry; a check that only measures is always valid;
//! a fault is named by what the log says of it, never guessed.
//!
//! Deliberately absent: any idea of a model. A history without phases, faults or notes is judged as far as
//! it goes and never convicted for what its log does not say.

mod availability;
mod cluster;
mod errors;
mod failover;
mod latency;
mod recovery;
mod stats;
mod terms;
mod vacuity;
mod windows;

#[cfg(test)]
mod testing;

pub use availability::Availability;
pub use cluster::{Exits, LogScan};
pub use errors::Errors;
pub use failover::Failover;
pub use latency::{Bucket, Latency, Quantiles, latencies, rates};
pub use recovery::Recovery;
pub use stats::{Counts, Stats};
pub use terms::Terms;
pub use vacuity::Vacuity;
pub use windows::{Reign, Window, leader_at, node_of, reigns, seconds, span, windows};
