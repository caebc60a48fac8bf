//! How true time maps to a node's time: two straight lines and the instant where one takes over from the other.
//! Pure arithmetic; the stub in the programs does exactly the same (`stub.rs`).
//!
//! A change of rate takes hold a little after it is published, so that every reader, however it was delayed
//! between reading the clock and reading the page, uses the same line for the same instant: no step backwards.

use squall_cluster::ClockChange;

/// The rate of true time, in units of 2^-32.
pub(super) const TRUE_RATE: i64 = 1 << 32;

/// The fastest rate that is offered. Faster ones would leave the range of 64-bit nanoseconds within hours.
pub(super) const MAX_RATE: f64 = 1000.0;

/// How far a clock may be moved from true time: 200 years, so that sums stay within 64-bit nanoseconds.
pub(super) const MAX_OFFSET_NANOS: i64 = 200 * 365 * 86_400 * 1_000_000_000;

/// How far ahead a change of rate is published.
pub(super) const LEAD_NANOS: i64 = 1_000_000;

/// A line: at true time `anchor` the node's clock shows `value` and runs at `rate` (units of 2^-32).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    pub anchor: i64,
    pub value: i64,
    pub rate: i64,
}

impl Line {
    /// The node's time at a true time.
    pub fn at(&self, real: i64) -> i64 {
        let elapsed = i128::from(real.wrapping_sub(self.anchor));
        self.value.wrapping_add(((elapsed * i128::from(self.rate)) >> 32) as i64)
    }
}

/// A node's clock: `before` holds up to the true time `switch_at`, `after` from then on, anchored there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mapping {
    /// Whether the node's time differs from true time at all.
    pub skewed: bool,
    pub switch_at: i64,
    pub before: Line,
    pub after: Line,
}

/// A change that cannot be made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Refusal {
    /// The clock would be more than [`MAX_OFFSET_NANOS`] away from true time.
    TooFar,
    /// The rate is negative, not a number or above [`MAX_RATE`].
    BadRate(f64),
}

impl Mapping {
    /// True time, spelt out as a mapping that later changes can build on.
    pub fn identity(now: i64) -> Self {
        let line = Line { anchor: now, value: now, rate: TRUE_RATE };
        Mapping { skewed: true, switch_at: now, before: line, after: line }
    }

    /// The node's time at a true time.
    pub fn at(&self, real: i64) -> i64 {
        if !self.skewed { real } else { self.line(real).at(real) }
    }

    /// The rate in force at a true time, as a multiple of the true rate.
    pub fn rate_at(&self, real: i64) -> f64 {
        if self.skewed { self.line(real).rate as f64 / TRUE_RATE as f64 } else { 1.0 }
    }

    /// Whether a change of rate is published that has not taken hold yet.
    pub fn is_pending(&self, real: i64) -> bool {
        self.skewed && real < self.switch_at
    }

    fn line(&self, real: i64) -> &Line {
        if real < self.switch_at { &self.before } else { &self.after }
    }

    /// This mapping moved by so many nanoseconds, at once: also for readers of coarse clocks, which lag.
    pub fn jumped(mut self, delta: i64) -> Result<Self, Refusal> {
        for line in [&mut self.before, &mut self.after] {
            line.value = line.value.checked_add(delta).ok_or(Refusal::TooFar)?;
        }
        Ok(self)
    }

    /// This mapping with another rate from `from` on, where it goes on without a step.
    fn with_rate(self, rate: f64, from: i64) -> Result<Self, Refusal> {
        if !(0.0..=MAX_RATE).contains(&rate) {
            return Err(Refusal::BadRate(rate));
        }
        let before = self.after;
        let after =
            Line { anchor: from, value: before.at(from), rate: (rate * TRUE_RATE as f64).round() as i64 };
        Ok(Mapping { skewed: true, switch_at: from, before, after })
    }

    /// What a change makes of this mapping at the true time `now`. A change of rate needs that no other is
    /// pending.
    pub fn changed(self, change: ClockChange, now: i64) -> Result<Self, Refusal> {
        let base = if self.skewed { self } else { Mapping::identity(now) };
        let next = match change {
            ClockChange::Jump(delta) => base.jumped(delta)?,
            ClockChange::Rate(rate) => base.with_rate(rate, now + LEAD_NANOS)?,
            ClockChange::Reset => Mapping::default(),
        };
        let offset = next.at(now).checked_sub(now).ok_or(Refusal::TooFar)?;
        if offset.unsigned_abs() > MAX_OFFSET_NANOS.unsigned_abs() { Err(Refusal::TooFar) } else { Ok(next) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000_000_000;
    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn a_jump_moves_every_reading_at_once() {
        let jumped = Mapping::default().changed(ClockChange::Jump(-20 * SECOND), NOW).unwrap();
        for real in [NOW - SECOND, NOW, NOW + SECOND] {
            assert_eq!(jumped.at(real), real - 20 * SECOND);
        }
    }

    #[test]
    fn a_rate_takes_hold_after_the_lead_without_a_step() {
        let slow = Mapping::default().changed(ClockChange::Rate(0.25), NOW).unwrap();
        let switch = NOW + LEAD_NANOS;
        assert_eq!(slow.at(switch - 1), switch - 1);
        assert_eq!(slow.at(switch), switch);
        assert_eq!(slow.at(switch + 4 * SECOND), switch + SECOND);
        assert_eq!(slow.rate_at(switch), 0.25);
    }

    #[test]
    fn freezing_stops_and_a_rate_goes_on_from_there() {
        let frozen = Mapping::default().changed(ClockChange::Rate(0.0), NOW).unwrap();
        let stood = frozen.at(NOW + SECOND);
        assert_eq!(stood, frozen.at(NOW + 100 * SECOND));
        let later = NOW + 100 * SECOND;
        let moving = frozen.changed(ClockChange::Rate(2.0), later).unwrap();
        assert_eq!(moving.at(later + LEAD_NANOS + SECOND), stood + 2 * SECOND);
    }

    #[test]
    fn readings_never_decrease_over_a_chain_of_rates() {
        let (mut mapping, mut now, mut last) = (Mapping::default(), NOW, 0);
        for rate in [0.1, 0.3, 7.7, 0.0, 1.000_1, 0.999, 3.3] {
            let next = mapping.changed(ClockChange::Rate(rate), now).unwrap();
            // Both mappings are in use around the switch: readers of either must agree in order.
            for real in now..now + 500 {
                assert!(mapping.at(real) >= last && next.at(real) == mapping.at(real));
                last = next.at(real);
            }
            for real in now + LEAD_NANOS - 500..now + LEAD_NANOS + 500 {
                assert!(next.at(real) >= last, "step back at rate {rate}");
                last = next.at(real);
            }
            mapping = next;
            now += 3 * LEAD_NANOS;
        }
    }

    #[test]
    fn impossible_changes_are_refused() {
        let none = Mapping::default();
        assert_eq!(none.changed(ClockChange::Rate(-1.0), NOW), Err(Refusal::BadRate(-1.0)));
        assert!(none.changed(ClockChange::Rate(f64::NAN), NOW).is_err());
        assert_eq!(none.changed(ClockChange::Jump(i64::MAX), NOW), Err(Refusal::TooFar));
        assert_eq!(none.changed(ClockChange::Jump(MAX_OFFSET_NANOS + 1), NOW), Err(Refusal::TooFar));
        assert!(none.changed(ClockChange::Jump(-MAX_OFFSET_NANOS / 2), NOW).is_ok());
    }

    #[test]
    fn reset_is_true_time_again() {
        let jumped = Mapping::default().changed(ClockChange::Jump(5), NOW).unwrap();
        let reset = jumped.changed(ClockChange::Reset, NOW + 1).unwrap();
        assert_eq!((reset.at(NOW), reset.rate_at(NOW)), (NOW, 1.0));
    }
}
