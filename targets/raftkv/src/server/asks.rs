//! What reaches the core, and what it answers.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::error::ApiError;
use super::status::Status;
use super::wire::Frame;
use crate::kv::{Answer, Change, Command, SessionSeq, Store, Txn, Versioned};
use crate::raft::{Index, Membership, NodeId, SnapshotMeta};
use crate::wal::WalError;

/// Where to send them, from any thread.
pub type Events = mpsc::UnboundedSender<Event>;

/// Whatever the core must hear of.
#[derive(Debug)]
pub enum Event {
    Client {
        ask: Ask,
        reply: Responder,
    },
    Peer {
        from: NodeId,
        frame: Frame,
    },
    Link {
        peer: NodeId,
        up: bool,
    },
    /// A flush that took so long made everything up to `seq` durable.
    Persisted {
        seq: u64,
        took: Duration,
    },
    DiskFailed(String),
    SnapshotWritten(Result<SnapshotMeta, WalError>),
    SnapshotLoaded(Result<Box<(SnapshotMeta, Store)>, WalError>),
    Stop,
}

/// What a client wants.
#[derive(Debug)]
pub enum Ask {
    Change {
        command: Command,
        session: Option<SessionSeq>,
    },
    Query {
        query: Query,
        consistency: Consistency,
    },
    /// Changes after an index to keys with a prefix; waits for the first.
    Watch {
        after: Index,
        prefix: String,
        wait: Duration,
    },
    Members(MemberChange),
    /// Hand the leader's office to this node.
    Transfer(NodeId),
    Status,
    Hash,
    Metrics,
}

/// One step of membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberChange {
    AddLearner { id: NodeId, address: String },
    Promote(NodeId),
    Remove(NodeId),
}

/// What a client wants to know.
#[derive(Debug)]
pub enum Query {
    Get(String),
    Range {
        start: String,
        end: Option<String>,
        limit: u64,
    },
    /// A transaction that only reads.
    Txn(Txn),
}

/// How fresh a read must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consistency {
    Linearizable,
    /// As linearizable, but a leader answers by itself while its lease holds.
    Lease,
    /// At least everything up to this log index, which an earlier answer named.
    Session {
        token: Index,
    },
    /// Whatever this node has applied.
    Local,
}

/// What a client gets.
#[derive(Debug)]
pub enum Reply {
    Changed(Answer),
    Value {
        found: Option<Versioned>,
        applied: Index,
    },
    Range {
        items: Vec<(String, Versioned)>,
        more: bool,
        applied: Index,
    },
    Queried(Answer),
    /// Ask again after `next`.
    Changes {
        events: Vec<Change>,
        next: Index,
    },
    Hash {
        applied: Index,
        hash: u64,
    },
    Members(Membership),
    Status(Box<Status>),
    Text(String),
}

pub type Responder = oneshot::Sender<Result<Reply, ApiError>>;
