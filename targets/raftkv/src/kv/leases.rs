//! Leases with time to live, and locks with fencing tokens.
//!
//! The state machine has no clock. The leader times each lease and proposes its expiry; the entry names how
//! many renewals it had seen, and a lease that was renewed in between lives on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::command::{Answer, Refused};
use crate::raft::Index;

/// One lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    pub ttl_millis: u64,
    /// How often it was renewed: what an expiry must name.
    pub renewals: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Lock {
    lease: u64,
    token: u64,
}

/// Every lease by number, every held lock by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leases {
    leases: BTreeMap<u64, Lease>,
    locks: BTreeMap<String, Lock>,
}

impl Leases {
    pub fn grant(&mut self, index: Index, ttl_millis: u64) -> Answer {
        self.leases.insert(index, Lease { ttl_millis, renewals: 0 });
        Answer::Granted { lease: index }
    }

    pub fn keep_alive(&mut self, lease: u64) -> Answer {
        match self.leases.get_mut(&lease) {
            Some(found) => {
                found.renewals += 1;
                Answer::Renewed { lease }
            }
            None => Answer::Refused(Refused::NoLease),
        }
    }

    /// Ends a lease and frees its locks.
    pub fn revoke(&mut self, lease: u64) -> Answer {
        let existed = self.leases.remove(&lease).is_some();
        self.locks.retain(|_, lock| lock.lease != lease);
        Answer::Revoked { existed }
    }

    /// Ends a lease unless it was renewed after `renewals`. `blindly`: even then (one of the museum's bugs).
    pub fn expire(&mut self, lease: u64, renewals: u64, blindly: bool) -> Answer {
        match self.leases.get(&lease) {
            Some(found) if found.renewals == renewals || blindly => self.revoke(lease),
            _ => Answer::Revoked { existed: false },
        }
    }

    /// The fencing token is the index of the entry that took the lock: it only grows.
    pub fn lock(&mut self, index: Index, name: String, lease: u64) -> Answer {
        if !self.leases.contains_key(&lease) {
            return Answer::Refused(Refused::NoLease);
        }
        match self.locks.get(&name) {
            Some(held) if held.lease == lease => Answer::Locked { token: held.token },
            Some(held) => Answer::LockBusy { token: held.token, lease: held.lease },
            None => {
                self.locks.insert(name, Lock { lease, token: index });
                Answer::Locked { token: index }
            }
        }
    }

    pub fn unlock(&mut self, name: &str, token: u64) -> Answer {
        let held = self.holder(name) == Some(token);
        if held {
            self.locks.remove(name);
        }
        Answer::Unlocked { held }
    }

    /// The token with which a lock is held.
    pub fn holder(&self, name: &str) -> Option<u64> {
        self.locks.get(name).map(|lock| lock.token)
    }

    pub fn get(&self, lease: u64) -> Option<&Lease> {
        self.leases.get(&lease)
    }

    /// Every lease, for the leader's timers.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Lease)> {
        self.leases.iter().map(|(id, lease)| (*id, lease))
    }

    pub fn len(&self) -> usize {
        self.leases.len()
    }

    pub fn is_empty(&self) -> bool {
        self.leases.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_ends_with_its_lease_and_its_token_is_never_used_again() {
        let mut leases = Leases::default();
        leases.grant(1, 1000);
        leases.grant(2, 1000);
        assert_eq!(leases.lock(3, "l".into(), 1), Answer::Locked { token: 3 });
        assert_eq!(leases.lock(4, "l".into(), 1), Answer::Locked { token: 3 });
        assert_eq!(leases.lock(5, "l".into(), 2), Answer::LockBusy { token: 3, lease: 1 });
        assert_eq!(leases.revoke(1), Answer::Revoked { existed: true });
        assert_eq!(leases.lock(6, "l".into(), 2), Answer::Locked { token: 6 });
        assert_eq!(leases.unlock("l", 3), Answer::Unlocked { held: false });
        assert_eq!(leases.holder("l"), Some(6));
        assert_eq!(leases.lock(7, "m".into(), 1), Answer::Refused(Refused::NoLease));
    }

    #[test]
    fn an_expiry_that_did_not_see_the_renewal_does_nothing() {
        let mut leases = Leases::default();
        leases.grant(1, 1000);
        leases.keep_alive(1);
        assert_eq!(leases.expire(1, 0, false), Answer::Revoked { existed: false });
        assert_eq!(leases.expire(1, 1, false), Answer::Revoked { existed: true });
        assert_eq!(leases.keep_alive(1), Answer::Refused(Refused::NoLease));
    }
}
