//! Sleeping to within some ten microseconds.
//!
//! The runtime's own timers tick in milliseconds: too coarse for load that is due at a time, whose latency
//! counts from that time. A timer descriptor of the kernel has no such grain.

use std::os::fd::{AsFd as _, AsRawFd, RawFd};
use std::time::{Duration, Instant};

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::Error;

/// One sleeper's timer.
#[derive(Debug)]
pub struct Timer(AsyncFd<Raw>);

/// The runtime asks for a raw descriptor, which the timer's type does not give.
#[derive(Debug)]
struct Raw(TimerFd);

impl AsRawFd for Raw {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl Timer {
    /// A timer. Must be made inside the runtime.
    pub fn new() -> Result<Self, Error> {
        let fd = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)
            .map_err(|e| Error::io("a timer cannot be made", e.into()))?;
        // Deprecated because a descriptor could change under it, which this private type rules out; the
        // replacement differs only in being `unsafe` to call.
        #[allow(deprecated, reason = "see above")]
        let fd = AsyncFd::with_interest(Raw(fd), Interest::READABLE)
            .map_err(|e| Error::io("a timer cannot be registered", e))?;
        Ok(Timer(fd))
    }

    /// Returns at `at`, or at once if that has passed.
    pub async fn sleep_until(&mut self, at: Instant) {
        let left = at.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        if self.arm(left).is_err() {
            tokio::time::sleep(left).await;
            return;
        }
        loop {
            let Ok(mut ready) = self.0.readable().await else {
                return;
            };
            ready.clear_ready();
            // A wake-up may be left over from a sleep that was cut short.
            let left = at.saturating_duration_since(Instant::now());
            if left.is_zero() || self.arm(left).is_err() {
                return;
            }
        }
    }

    // Setting a timer also forgets an expiry that was not read.
    fn arm(&self, left: Duration) -> nix::Result<()> {
        self.0.get_ref().0.set(Expiration::OneShot(TimeSpec::from_duration(left)), TimerSetTimeFlags::empty())
    }
}
