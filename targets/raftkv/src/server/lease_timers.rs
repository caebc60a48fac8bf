//! When leases run out, by this node's monotonic clock.
//!
//! Every node keeps timers, so that a new leader has them; it starts them all afresh, which can only lengthen
//! a lease. Only a leader acts on them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::kv::{Answer, Command, Leases};

/// How often leases are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A timer for each lease that was seen.
#[derive(Debug, Default)]
pub struct LeaseTimers {
    started: HashMap<u64, Instant>,
    looked: Option<Instant>,
    led: bool,
}

impl LeaseTimers {
    /// An answer of the state machine may begin, renew or end a lease.
    pub fn observe(&mut self, answer: &Answer) {
        if let Answer::Granted { lease } | Answer::Renewed { lease } = answer {
            self.started.insert(*lease, Instant::now());
        }
    }

    /// Expiries to propose now. `keep`: timers survive a change of leader (one of the museum's bugs).
    pub fn due(&mut self, leases: &Leases, lead: bool, keep: bool) -> Vec<Command> {
        if self.looked.is_some_and(|at| at.elapsed() < LOOK_EVERY) {
            return Vec::new();
        }
        self.looked = Some(Instant::now());
        self.started.retain(|lease, _| leases.get(*lease).is_some());
        if lead && !self.led && !keep {
            self.started.clear();
        }
        self.led = lead;
        if !lead {
            return Vec::new();
        }
        let mut due = Vec::new();
        for (lease, found) in leases.iter() {
            let started = self.started.entry(lease).or_insert_with(Instant::now);
            let ttl = Duration::from_millis(found.ttl_millis);
            if started.elapsed() >= ttl {
                // If this proposal is lost, the next one comes a while later.
                *started =
                    Instant::now() - ttl.saturating_sub(Duration::from_millis(500)).min(started.elapsed());
                due.push(Command::Expire { lease, renewals: found.renewals });
            }
        }
        due
    }
}
