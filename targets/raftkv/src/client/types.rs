//! What requests take and what they answer.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How fresh a read must be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Consistency {
    /// Everything that was acknowledged anywhere before the read began.
    #[default]
    Linearizable,
    /// The same, from a leader that holds a lease: one round trip less, at the price of trusting clocks' rates.
    Lease,
    /// Everything up to this index, the largest `version` or `applied` that the client was told.
    Session { token: u64 },
    /// Whatever the node has.
    Local,
}

impl Consistency {
    pub(super) fn query(self) -> String {
        match self {
            Consistency::Linearizable => "consistency=linearizable".into(),
            Consistency::Lease => "consistency=lease".into(),
            Consistency::Session { token } => format!("consistency=session&token={token}"),
            Consistency::Local => "consistency=local".into(),
        }
    }
}

/// A key's value, null if it is absent; `applied` is a token for session reads.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Found {
    pub value: Value,
    /// The log index of the last change; 0 for an absent key.
    pub version: u64,
    pub applied: u64,
}

/// What a compare-and-set did.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Cas {
    /// Whether the value was what was expected, and is the new one now.
    pub ok: bool,
    /// The value that stood there instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual: Option<Value>,
    pub version: u64,
}

/// What a deletion did.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Deleted {
    pub existed: bool,
    pub version: u64,
}

/// Which keys to list: from `start` on, up to but not including `end`, at most `limit`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RangeQuery {
    pub start: String,
    pub end: Option<String>,
    pub limit: Option<u64>,
}

/// Keys in order; `more` if the limit left some out.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Range {
    pub items: Vec<Item>,
    pub more: bool,
    pub applied: u64,
}

/// One key of a range.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Item {
    pub key: String,
    pub value: Value,
    pub version: u64,
}

/// What a transaction did: whether its guards held, and one result for each step that was taken.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct TxnAnswer {
    pub succeeded: bool,
    pub results: Vec<Value>,
    pub version: u64,
}

/// A lock that was taken (`ok`), or who holds it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Locked {
    pub ok: bool,
    /// The fencing token of whoever holds it: it only grows.
    pub token: u64,
    /// The other holder's lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<u64>,
}

/// Changes in order. Ask again after `next`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Changes {
    pub events: Vec<Change>,
    pub next: u64,
}

/// One change; null stands for a deletion.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Change {
    pub key: String,
    pub value: Value,
    pub version: u64,
}

/// Equal `applied` means equal `hash` on all nodes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Hash {
    pub applied: u64,
    pub hash: String,
}

/// Who belongs to the cluster; addresses of those who joined later.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Members {
    pub voters: Vec<String>,
    pub learners: Vec<String>,
    pub addresses: std::collections::BTreeMap<String, String>,
}

/// What a node knows of itself and its cluster. Further fields are in the interface's description.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Status {
    pub id: String,
    pub cluster: String,
    pub version: String,
    pub role: String,
    pub term: u64,
    pub leader: Option<String>,
    pub commit: u64,
    pub applied: u64,
    pub last_index: u64,
    pub members: Vec<String>,
    pub learners: Vec<String>,
    pub keys: u64,
    pub uptime_seconds: f64,
}

impl Status {
    pub fn leads(&self) -> bool {
        self.role == "leader"
    }
}
