//! When leases run out, by this node's monotonic clock.
//!
//! Every node keeps timers, so that a new leader has them; it starts them all afresh, which can only lengthen
//! a lease. Only a leader acts on them.

use std::collections::HashMap;

use crate::kv::{Answer, Command, Leases};
use crate::raft::Micros;

/// How often leases are looked at.
const LOOK_EVERY: Micros = 20_000;
/// If the proposal of an expiry is lost, the next one comes so much later.
const AGAIN_AFTER: Micros = 500_000;

/// A timer for each lease that was seen.
#[derive(Debug, Default)]
pub struct LeaseTimers {
    started: HashMap<u64, Micros>,
    looked: Option<Micros>,
    led: bool,
}

impl LeaseTimers {
    /// An answer of the state machine may begin, renew or end a lease.
    pub fn observe(&mut self, answer: &Answer, now: Micros) {
        if let Answer::Granted { lease } | Answer::Renewed { lease } = answer {
            self.started.insert(*lease, now);
        }
    }

    /// Expiries to propose now. `keep`: timers survive a change of leader (one of the museum's bugs).
    pub fn due(&mut self, leases: &Leases, lead: bool, keep: bool, now: Micros) -> Vec<Command> {
        if self.looked.is_some_and(|at| now.saturating_sub(at) < LOOK_EVERY) {
            return Vec::new();
        }
        self.looked = Some(now);
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
            let started = self.started.entry(lease).or_insert(now);
            let ttl = found.ttl_millis.saturating_mul(1000);
            let ran = now.saturating_sub(*started);
            if ran >= ttl {
                *started = now - ttl.saturating_sub(AGAIN_AFTER).min(ran);
                due.push(Command::Expire { lease, renewals: found.renewals });
            }
        }
        due
    }
}
