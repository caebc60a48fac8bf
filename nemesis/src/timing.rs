//! When faults begin and how long they last.

use std::time::Duration;

use squall_engine::seed::Rng;

/// Faults are on for a while and off for a while, both exponentially distributed and clipped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timing {
    /// Mean time on.
    pub on: Duration,
    /// Mean time off.
    pub off: Duration,
    /// No time on is shorter: two election time-outs, or nobody would notice.
    pub min: Duration,
    /// No time on or off is longer.
    pub max: Duration,
}

impl Default for Timing {
    /// Jepsen's practice: 5 s on, 5 s off, at most 20 s.
    fn default() -> Self {
        Timing {
            on: Duration::from_secs(5),
            off: Duration::from_secs(5),
            min: Duration::from_secs(2),
            max: Duration::from_secs(20),
        }
    }
}

/// Nothing is off for less: the cluster gets a chance to notice that it was healed.
const OFF_MIN: Duration = Duration::from_millis(500);
/// The first fault of a lane comes within this time, so that short runs see one.
const FIRST_WITHIN: Duration = Duration::from_secs(2);

impl Timing {
    /// Nanoseconds before the next injection begins.
    pub(crate) fn draw_off(&self, rng: &mut Rng, first: bool) -> u64 {
        if first {
            return rng.below(FIRST_WITHIN.min(self.off).as_nanos() as u64);
        }
        self.draw(rng, self.off, OFF_MIN)
    }

    /// Nanoseconds for which it lasts.
    pub(crate) fn draw_on(&self, rng: &mut Rng) -> u64 {
        self.draw(rng, self.on, self.min)
    }

    fn draw(&self, rng: &mut Rng, mean: Duration, min: Duration) -> u64 {
        let drawn = rng.exponential(mean.as_nanos() as f64) as u64;
        drawn.clamp(min.as_nanos() as u64, self.max.max(min).as_nanos() as u64)
    }
}
