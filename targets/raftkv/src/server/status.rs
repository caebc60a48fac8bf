//! What `/status` tells.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::config::Config;
use crate::kv::Store;
use crate::raft::{Core, Index, NodeId, Role, Term};

/// One node's view, at one moment.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    pub id: NodeId,
    pub cluster: String,
    pub version: &'static str,
    pub role: Role,
    pub term: Term,
    /// The term that the node would know after a crash.
    pub durable_term: Term,
    pub leader: Option<NodeId>,
    pub commit: Index,
    pub applied: Index,
    pub last_index: Index,
    /// Who has a vote by this node's log, committed or not.
    pub members: Vec<NodeId>,
    /// The index of the entry that said so.
    pub members_index: Index,
    pub learners: Vec<NodeId>,
    pub keys: usize,
    pub leases: usize,
    pub sessions: usize,
    /// This process's own wall clock, nanoseconds since 1970.
    pub wall_clock_unix_nanos: i64,
    pub uptime_seconds: f64,
    pub unsafe_reads: bool,
    pub fsync: bool,
    pub bug: Option<&'static str>,
}

impl Status {
    /// Reads everything now.
    pub fn of(config: &Config, core: &Core, store: &Store, started: Instant) -> Status {
        let membership = core.log().membership();
        Status {
            id: config.id,
            cluster: config.cluster.clone(),
            version: env!("CARGO_PKG_VERSION"),
            role: core.role(),
            term: core.term(),
            durable_term: core.durable_term(),
            leader: core.leader(),
            commit: core.commit(),
            applied: store.applied(),
            last_index: core.log().last_index(),
            members: membership.voters.iter().copied().collect(),
            members_index: core.log().membership_index(),
            learners: membership.learners.iter().copied().collect(),
            keys: store.len(),
            leases: store.leases().len(),
            sessions: store.sessions().len(),
            wall_clock_unix_nanos: wall_clock_unix_nanos(),
            uptime_seconds: started.elapsed().as_secs_f64(),
            unsafe_reads: config.unsafe_reads,
            fsync: config.fsync,
            bug: config.bug.map(|bug| bug.name()),
        }
    }
}

/// Before 1970 it is negative: a skewed clock may say so.
fn wall_clock_unix_nanos() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |n| -n),
    }
}
