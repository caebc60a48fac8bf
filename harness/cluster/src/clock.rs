//! A node's wall clock, moved by itself while the machine's own stays as it is.

use std::time::Duration;

use async_trait::async_trait;

use crate::Error;

/// How a node's wall clock is to change from now on. Monotonic clocks never change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ClockChange {
    /// Move it by so many nanoseconds, forwards or back, and let it go on at its rate.
    Jump(i64),
    /// Let it run at this multiple of true time from now on, without a step. 0 freezes it.
    Rate(f64),
    /// True time at the true rate again. Ends a forward skew with a backward step, which is a jump too.
    Reset,
}

/// A node's clock as it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClockReading {
    /// Nanoseconds by which the node's wall clock is ahead of the machine's.
    pub offset_nanos: i64,
    /// Its rate as a multiple of true time.
    pub rate: f64,
    /// How often it was changed since the cluster was made.
    pub generation: u64,
    /// The latest generation that a program of the node has read: proof that a change was seen.
    pub seen: u64,
}

/// A node's wall clock.
#[async_trait]
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Changes it at once; programs see it at their next reading.
    async fn change(&self, change: ClockChange) -> Result<(), Error>;

    /// How it stands. Cheap.
    fn read(&self) -> ClockReading;

    /// Alternates a jump of `delta_nanos` and its undoing every `period` until changed otherwise.
    async fn strobe(&self, delta_nanos: i64, period: Duration) -> Result<(), Error>;
}
