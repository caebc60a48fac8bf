//! Swarm mode: each run draws which of its faults act and how dense they are, by its seed (Groce and others,
//! "Swarm testing", ISSTA 2012). A run with everything on at once hides what a run with two of them finds.

use std::time::Duration;

use squall_engine::seed::{Rng, Seed};

use super::{RunPlan, Timing};

/// The stream of random numbers that nothing else draws from: no run has so many faults.
const STREAM: u64 = u64::MAX;
/// Times on and off are multiplied by something between this and its inverse.
const INTENSITY: f64 = 4.0;

/// The run with what its seed leaves of its faults, at least one, and with its own times.
pub(crate) fn drawn(mut plan: RunPlan) -> RunPlan {
    let mut rng = Seed(plan.seed).fault(STREAM);
    if !plan.faults.is_empty() {
        let sure = rng.index(plan.faults.len());
        let mut place = 0;
        plan.faults.retain(|_| {
            let kept = rng.chance(0.5) || place == sure;
            place += 1;
            kept
        });
    }
    let Timing { on, off, min, max } = plan.timing;
    let scaled = |time: Duration, rng: &mut Rng| {
        time.mul_f64(rng.log_uniform(1.0 / INTENSITY, INTENSITY)).clamp(min.min(max), max)
    };
    plan.timing = Timing { on: scaled(on, &mut rng), off: scaled(off, &mut rng), min, max };
    plan
}
