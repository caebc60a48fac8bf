//! The museum: classic mistakes that `--bug NAME` switches on, one at a time.
//!
//! Each is a branch of a line or so at the place where people make it; the correct code is the other
//! branch. This table is the only list of them.

use std::fmt;
use std::str::FromStr;

/// One classic mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    StaleRead,
    LeaseClock,
    CausalTokenIgnored,
    FollowerReadsAsLinearizable,
    VoteTwice,
    TermNotPersisted,
    NoFsync,
    CountUnsynced,
    AckBeforeCommit,
    CommitOldTerm,
    LogNotTruncated,
    TruncateTooMuch,
    DuplicateApply,
    ApplyOutOfOrder,
    CasCheckOutsideLog,
    WriteSkew,
    LostUpdate,
    TxnNotAtomic,
    CounterWraps,
    WatchSkips,
    WatchReorders,
    LockWithoutFence,
    LeaseRevokedByOldLeader,
    MembershipTwoMajorities,
    RemovedNodeVotes,
    SnapshotLosesTail,
    SnapshotForgetsSessions,
    SnapshotDuringApply,
    DeleteResurrected,
    SessionExpiresByLocalClock,
    WalTailAccepted,
}

/// Every bug with its name and what it does.
pub const BUGS: &[(Bug, &str, &str)] = &[
    (
        Bug::StaleRead,
        "stale-read",
        "a leader answers linearizable reads without confirming that it still leads",
    ),
    (Bug::LeaseClock, "lease-clock", "timers and leases run on the wall clock: set back, a lease never ends"),
    (
        Bug::CausalTokenIgnored,
        "causal-token-ignored",
        "session reads do not wait for what their token stands for",
    ),
    (
        Bug::FollowerReadsAsLinearizable,
        "follower-reads-as-linearizable",
        "every node answers linearizable reads from its own state, however old",
    ),
    (
        Bug::VoteTwice,
        "vote-twice",
        "votes are not written to disk: a restarted node may vote again in the same term",
    ),
    (Bug::TermNotPersisted, "term-not-persisted", "a term learned from others is not written to disk"),
    (Bug::NoFsync, "no-fsync", "the log is written but never flushed to the disk"),
    (
        Bug::CountUnsynced,
        "count-unsynced",
        "a leader counts its own copy of an entry before that copy is on disk",
    ),
    (
        Bug::AckBeforeCommit,
        "ack-before-commit",
        "a leader acknowledges a write when it has appended it, not when it is committed",
    ),
    (
        Bug::CommitOldTerm,
        "commit-old-term",
        "a leader commits entries of earlier terms by counting copies (Figure 8)",
    ),
    (
        Bug::LogNotTruncated,
        "log-not-truncated",
        "a follower keeps its own entries where they conflict with the leader's",
    ),
    (
        Bug::TruncateTooMuch,
        "truncate-too-much",
        "the repair of the log's tail at start drops a whole record as well",
    ),
    (Bug::DuplicateApply, "duplicate-apply", "a new leader applies the last entry again"),
    (
        Bug::ApplyOutOfOrder,
        "apply-out-of-order",
        "entries that are committed together are applied last first",
    ),
    (
        Bug::CasCheckOutsideLog,
        "cas-check-outside-log",
        "a compare is made on local state when the request arrives, not when it is applied",
    ),
    (Bug::WriteSkew, "write-skew", "a transaction's guards are judged on local state when it arrives"),
    (
        Bug::LostUpdate,
        "lost-update",
        "appends and additions go on from what the key held when the request arrived",
    ),
    (Bug::TxnNotAtomic, "txn-not-atomic", "the second half of a transaction is applied with the next entry"),
    (Bug::CounterWraps, "counter-wraps", "a counter is kept in eight bits"),
    (Bug::WatchSkips, "watch-skips", "of several changes between two looks a watcher gets only the last"),
    (Bug::WatchReorders, "watch-reorders", "changes that a watcher gets together are ordered by key"),
    (Bug::LockWithoutFence, "lock-without-fence", "a fencing token is not compared with the lock's holder"),
    (
        Bug::LeaseRevokedByOldLeader,
        "lease-revoked-by-old-leader",
        "a node that led keeps timing leases, and an expiry does not look for renewals",
    ),
    (
        Bug::MembershipTwoMajorities,
        "membership-two-majorities",
        "several voters may be changed at once, and before the last change is committed",
    ),
    (
        Bug::RemovedNodeVotes,
        "removed-node-votes",
        "nodes that were removed still campaign, and their votes still count",
    ),
    (
        Bug::SnapshotLosesTail,
        "snapshot-loses-tail",
        "a snapshot is labelled with the end of the log, not with what was applied",
    ),
    (
        Bug::SnapshotForgetsSessions,
        "snapshot-forgets-sessions",
        "client sessions are left out of snapshots: a retry is done twice",
    ),
    (Bug::SnapshotDuringApply, "snapshot-during-apply", "one half of a snapshot is older than the other"),
    (Bug::DeleteResurrected, "delete-resurrected", "keys that a snapshot lacks survive its installation"),
    (
        Bug::SessionExpiresByLocalClock,
        "session-expires-by-local-clock",
        "each node forgets client sessions that were idle for a second by its own wall clock",
    ),
    (
        Bug::WalTailAccepted,
        "wal-tail-accepted",
        "a torn or damaged record at the end of the log is read as far as it can be",
    ),
];

impl Bug {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        BUGS.iter().find(|(bug, ..)| *bug == self).map_or("?", |(_, name, _)| name)
    }
}

impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No bug has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown bug {0:?}; `squall raftkv bugs` lists them")]
pub struct UnknownBug(pub String);

impl FromStr for Bug {
    type Err = UnknownBug;

    fn from_str(s: &str) -> Result<Bug, UnknownBug> {
        BUGS.iter()
            .find(|(_, name, _)| *name == s)
            .map(|(bug, ..)| *bug)
            .ok_or_else(|| UnknownBug(s.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bug_has_one_name_and_the_name_finds_it() {
        for (i, (bug, name, text)) in BUGS.iter().enumerate() {
            assert_eq!(name.parse(), Ok(*bug));
            assert_eq!(bug.name(), *name);
            assert!(!text.is_empty() && BUGS[..i].iter().all(|(_, other, _)| other != name));
        }
        assert!("no-such-bug".parse::<Bug>().is_err());
    }
}
