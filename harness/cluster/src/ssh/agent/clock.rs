//! The host's wall clock, moved with `clock_settime`. Where true time is, is known from the monotonic clock, which
//! nobody can set: so it can be put right at any moment, also by a process that comes later.
//!
//! A real clock cannot be made to run at any rate, so a rate other than 1 and a strobe are made of small steps,
//! one every [`STEP`]. The daemons that keep time are stopped by the harness before, or they would fight.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime, clock_settime};
use serde::{Deserialize, Serialize};

use crate::ssh::wire::{Answer, ClockOrder};

/// How often a clock that does not run at its own rate is set.
const STEP: Duration = Duration::from_millis(10);
/// A clock that is this close to where it was put was put there: time passes between setting and reading.
const NEAR: i64 = 50_000_000;

/// One moment on both clocks, true.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Anchor {
    monotonic_nanos: i64,
    wall_nanos: i64,
}

/// The clocks of a machine.
pub(super) trait Clocks: Send {
    /// Nanoseconds that nobody can set.
    fn monotonic(&self) -> io::Result<i64>;
    /// Nanoseconds since 1970.
    fn wall(&self) -> io::Result<i64>;
    /// Sets the wall clock.
    fn set(&mut self, wall_nanos: i64) -> io::Result<()>;
}

/// This machine's.
#[derive(Debug)]
pub(super) struct System;

impl Clocks for System {
    fn monotonic(&self) -> io::Result<i64> {
        read(ClockId::CLOCK_MONOTONIC)
    }

    fn wall(&self) -> io::Result<i64> {
        read(ClockId::CLOCK_REALTIME)
    }

    fn set(&mut self, wall_nanos: i64) -> io::Result<()> {
        let (seconds, nanos) = (wall_nanos.div_euclid(1_000_000_000), wall_nanos.rem_euclid(1_000_000_000));
        Ok(clock_settime(ClockId::CLOCK_REALTIME, TimeSpec::new(seconds, nanos))?)
    }
}

fn read(clock: ClockId) -> io::Result<i64> {
    let time = clock_gettime(clock)?;
    Ok(time.tv_sec() * 1_000_000_000 + time.tv_nsec())
}

impl Anchor {
    /// This moment.
    pub fn now(clocks: &dyn Clocks) -> io::Result<Anchor> {
        Ok(Anchor { monotonic_nanos: clocks.monotonic()?, wall_nanos: clocks.wall()? })
    }

    /// True wall time at a moment of the monotonic clock.
    fn wall_at(&self, monotonic: i64) -> i64 {
        self.wall_nanos + (monotonic - self.monotonic_nanos)
    }
}

/// Puts the clock right.
pub(super) fn restore(anchor: &Anchor) -> io::Result<()> {
    put_right(anchor, &mut System)
}

fn put_right(anchor: &Anchor, clocks: &mut dyn Clocks) -> io::Result<()> {
    let now = clocks.monotonic()?;
    clocks.set(anchor.wall_at(now))
}

/// How the clock is meant to go: pure.
#[derive(Clone, Copy, Debug)]
struct Course {
    anchor: Anchor,
    // Since when it has gone at this rate, from this offset.
    since: i64,
    offset: i64,
    rate: f64,
    strobe: Option<(i64, i64)>,
}

impl Course {
    fn true_time(anchor: Anchor) -> Course {
        Course { anchor, since: anchor.monotonic_nanos, offset: 0, rate: 1.0, strobe: None }
    }

    /// How far ahead of true time it is meant to be.
    fn offset_at(&self, now: i64) -> i64 {
        let gone = (now - self.since) as f64;
        let strobe = match self.strobe {
            Some((delta, period)) if (now - self.since) / period.max(1) % 2 == 0 => delta,
            _ => 0,
        };
        self.offset + ((self.rate - 1.0) * gone) as i64 + strobe
    }

    fn changed(self, order: ClockOrder, now: i64) -> Course {
        let here = Course { since: now, offset: self.offset_at(now), strobe: None, ..self };
        match order {
            ClockOrder::Jump(nanos) => Course { offset: here.offset + nanos, ..here },
            ClockOrder::Rate(rate) => Course { rate, ..here },
            ClockOrder::Reset => Course { since: now, ..Course::true_time(self.anchor) },
            ClockOrder::Strobe { delta_nanos, period_nanos } => {
                Course { strobe: Some((delta_nanos, period_nanos as i64)), ..here }
            }
        }
    }

    /// Whether it has to be set again and again.
    fn is_restless(&self) -> bool {
        self.rate != 1.0 || self.strobe.is_some()
    }
}

/// The clock of a host, and the thread that keeps it on its course.
pub(super) struct HostClock<C: Clocks + 'static = System> {
    shared: Arc<Mutex<Shared<C>>>,
    generation: u64,
    // Dropped, the thread ends.
    wake: Option<Sender<()>>,
}

struct Shared<C> {
    course: Course,
    clocks: C,
}

impl<C: Clocks> Shared<C> {
    /// Sets the clock where it is meant to be, and says where it is then.
    fn keep(&mut self) -> io::Result<(i64, bool)> {
        let now = self.clocks.monotonic()?;
        let meant = self.course.offset_at(now);
        self.clocks.set(self.course.anchor.wall_at(now) + meant)?;
        let (then, wall) = (self.clocks.monotonic()?, self.clocks.wall()?);
        let offset = wall - self.course.anchor.wall_at(then);
        Ok((offset, (offset - meant).abs() <= NEAR))
    }
}

impl<C: Clocks + 'static> HostClock<C> {
    pub fn new(anchor: Anchor, clocks: C) -> Self {
        let shared = Shared { course: Course::true_time(anchor), clocks };
        HostClock { shared: Arc::new(Mutex::new(shared)), generation: 0, wake: None }
    }

    /// Changes it, and proves it by reading it back.
    pub fn change(&mut self, order: ClockOrder) -> io::Result<Answer> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let now = shared.clocks.monotonic()?;
        shared.course = shared.course.changed(order, now);
        let (offset, seen) = shared.keep()?;
        let (rate, restless) = (shared.course.rate, shared.course.is_restless());
        drop(shared);
        if restless && self.wake.is_none() {
            let (wake, ended) = channel();
            let shared = self.shared.clone();
            std::thread::Builder::new().name("squall-clock".into()).spawn(move || attend(&shared, &ended))?;
            self.wake = Some(wake);
        }
        if !restless {
            self.wake = None;
        }
        self.generation += 1;
        // Of a clock at true time nobody cares about the nanoseconds that a reading takes.
        let offset_nanos = if order == ClockOrder::Reset && seen { 0 } else { offset };
        Ok(Answer::Clock { offset_nanos, rate, generation: self.generation, seen })
    }
}

/// Keeps it on its course until nobody wants that any more.
fn attend<C: Clocks>(shared: &Mutex<Shared<C>>, ended: &Receiver<()>) {
    while ended.recv_timeout(STEP) == Err(RecvTimeoutError::Timeout) {
        // What cannot be set now is seen at the next order.
        let _ = shared.lock().unwrap_or_else(PoisonError::into_inner).keep();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    /// A machine whose time passes only when told to; what is set is recorded.
    #[derive(Clone, Debug, Default)]
    struct Recorded(Arc<Mutex<(i64, i64, Vec<i64>)>>);

    impl Recorded {
        fn pass(&self, nanos: i64) {
            let mut state = self.0.lock().unwrap();
            (state.0, state.1) = (state.0 + nanos, state.1 + nanos);
        }
    }

    impl Clocks for Recorded {
        fn monotonic(&self) -> io::Result<i64> {
            Ok(self.0.lock().unwrap().0)
        }
        fn wall(&self) -> io::Result<i64> {
            Ok(self.0.lock().unwrap().1)
        }
        fn set(&mut self, wall: i64) -> io::Result<()> {
            let mut state = self.0.lock().unwrap();
            state.1 = wall;
            state.2.push(wall);
            Ok(())
        }
    }

    fn machine() -> (Recorded, HostClock<Recorded>) {
        let machine = Recorded(Arc::new(Mutex::new((100 * S, 1_000 * S, Vec::new()))));
        let anchor = Anchor::now(&machine).unwrap();
        (machine.clone(), HostClock::new(anchor, machine))
    }

    #[test]
    fn jumps_add_up_and_end_at_true_time() {
        let (machine, mut clock) = machine();
        clock.change(ClockOrder::Jump(5 * S)).unwrap();
        machine.pass(S);
        clock.change(ClockOrder::Jump(-7 * S)).unwrap();
        machine.pass(S);
        let answer = clock.change(ClockOrder::Reset).unwrap();
        let expected = Answer::Clock { offset_nanos: 0, rate: 1.0, generation: 3, seen: true };
        assert_eq!(answer, expected);
        assert_eq!(machine.0.lock().unwrap().2, [1005 * S, 999 * S, 1002 * S]);
    }

    #[test]
    fn a_rate_is_made_of_steps_and_a_later_process_finds_true_time() {
        let anchor = Anchor { monotonic_nanos: 100 * S, wall_nanos: 1_000 * S };
        let fast = Course::true_time(anchor).changed(ClockOrder::Rate(1.5), 110 * S);
        assert_eq!(fast.offset_at(110 * S), 0);
        assert_eq!(fast.offset_at(114 * S), 2 * S);
        assert!(fast.is_restless());
        let frozen = fast.changed(ClockOrder::Rate(0.0), 114 * S);
        assert_eq!(frozen.offset_at(117 * S), 2 * S - 3 * S);
        let strobe = ClockOrder::Strobe { delta_nanos: 3 * S, period_nanos: S as u64 };
        let strobe = Course::true_time(anchor).changed(strobe, 100 * S);
        assert_eq!(strobe.offset_at(100 * S + S / 2), 3 * S);
        assert_eq!(strobe.offset_at(101 * S + S / 2), 0);
        let mut other = Recorded(Arc::new(Mutex::new((130 * S, 7 * S, Vec::new()))));
        put_right(&anchor, &mut other).unwrap();
        assert_eq!(other.wall().unwrap(), 1_030 * S);
    }

    #[test]
    fn a_clock_that_does_not_obey_is_not_seen() {
        #[derive(Debug)]
        struct Stuck;
        impl Clocks for Stuck {
            fn monotonic(&self) -> io::Result<i64> {
                Ok(0)
            }
            fn wall(&self) -> io::Result<i64> {
                Ok(0)
            }
            fn set(&mut self, _: i64) -> io::Result<()> {
                Ok(())
            }
        }
        let mut clock = HostClock::new(Anchor::default(), Stuck);
        let Answer::Clock { seen, .. } = clock.change(ClockOrder::Jump(S)).unwrap() else { panic!() };
        assert!(!seen);
    }
}
