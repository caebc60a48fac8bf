//! What clients ask of the state machine and what it answers.
//!
//! Values are JSON in canonical text (compact, object keys sorted), so that equal values are equal bytes.

use serde::{Deserialize, Serialize};

use super::store::Versioned;
use crate::raft::{Index, NodeId};

/// A change of state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    Write {
        key: String,
        value: String,
    },
    /// Sets `key` to `value` if it holds `expected`; `None` stands for absence. `decided`: the compare was
    /// made before the command entered the log (one of the museum's bugs).
    Cas {
        key: String,
        expected: Option<String>,
        value: String,
        decided: bool,
    },
    Delete {
        key: String,
    },
    Txn(Txn),
    /// Opens a client session; its number is the index of this entry.
    OpenSession,
    /// Grants a lease; its number is the index of this entry.
    Grant {
        ttl_millis: u64,
    },
    KeepAlive {
        lease: u64,
    },
    Revoke {
        lease: u64,
    },
    /// The leader's clock says that the lease ran out after `renewals` renewals.
    Expire {
        lease: u64,
        renewals: u64,
    },
    /// Takes a lock for a lease, if it is free or the lease holds it already.
    Lock {
        name: String,
        lease: u64,
    },
    Unlock {
        name: String,
        token: u64,
    },
    /// Watchers can no longer ask for changes up to here.
    Compact {
        through: Index,
    },
}

/// If every guard holds, `then` is done, else `otherwise`; all of it at one instant or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Txn {
    pub guards: Vec<Guard>,
    pub then: Vec<Op>,
    pub otherwise: Vec<Op>,
    /// The guards were judged before the transaction entered the log (one of the museum's bugs).
    pub decided: Option<bool>,
}

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Guard {
    /// `key` holds `value`; `None`: it is absent.
    Value { key: String, value: Option<String> },
    /// `key` was last changed by entry `version`; 0: it is absent.
    Version { key: String, version: Index },
    /// The lock is held with this fencing token.
    Held { lock: String, token: u64 },
}

/// One step of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    Read {
        key: String,
    },
    Write {
        key: String,
        value: String,
    },
    Delete {
        key: String,
    },
    /// Appends to the list at `key`; absent counts as empty. `read_before`: what the key held when the request
    /// arrived, to go on from (one of the museum's bugs).
    Append {
        key: String,
        item: String,
        read_before: Option<Option<String>>,
    },
    /// Adds to the integer at `key`; absent counts as 0.
    Add {
        key: String,
        amount: i64,
        read_before: Option<Option<String>>,
    },

    Range {
        start: String,
        end: Option<String>,
        limit: u64,
    },
}

impl Op {
    pub fn is_read(&self) -> bool {
        matches!(self, Op::Read { .. } | Op::Range { .. })
    }
}

impl Txn {
    /// Nothing can change, whatever the guards say.
    pub fn is_read_only(&self) -> bool {
        self.then.iter().chain(&self.otherwise).all(Op::is_read)
    }
}

/// Where a client's session stands: the same number twice means the same request, done once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionSeq {
    pub session: u64,
    pub seq: u64,
}

/// A command as it stands in the log: with the node that waits for the answer. `id` is unique among all
/// requests of all lives of that node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    pub origin: NodeId,
    pub id: u64,
    pub session: Option<SessionSeq>,
    pub command: Command,
}

/// What a command did. `version` is the log index of the change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    Written {
        version: Index,
    },
    Swapped {
        version: Index,
    },
    /// The compare did not match; nothing changed. `None`: the key is absent.
    Mismatch {
        actual: Option<String>,
        version: Index,
    },
    Deleted {
        existed: bool,
        version: Index,
    },
    Txn {
        succeeded: bool,
        results: Vec<OpResult>,
        version: Index,
    },
    SessionOpened {
        session: u64,
    },
    Granted {
        lease: u64,
    },
    Renewed {
        lease: u64,
    },
    Revoked {
        existed: bool,
    },
    Locked {
        token: u64,
    },
    /// Somebody else holds the lock.
    LockBusy {
        token: u64,
        lease: u64,
    },
    Unlocked {
        held: bool,
    },
    Refused(Refused),
    /// Watches are complete for every index after this one.
    Compacted {
        complete_after: Index,
    },
}

/// Why a command changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refused {
    /// A step met a value of the wrong type, or a number out of range.
    WrongType {
        key: String,
    },
    NoLease,
    /// The session was never opened, or so many others were used since that it was forgotten.
    NoSession,
    /// A later request of the same session was done already.
    OldSeq,
}

/// What one step of a transaction did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OpResult {
    Value(Option<Versioned>),
    Written,
    Deleted { existed: bool },
    Appended { length: u64 },
    Added { value: i64 },
    Range { items: Vec<(String, Versioned)>, more: bool },
}
