//! What clients ask of the state machine and what it answers.
//!
//! Values are JSON in canonical text (compact, object keys sorted), so that equal values are equal bytes.

use serde::{Deserialize, Serialize};

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
}

/// A command as it stands in the log: with the node that waits for the answer. `id` is unique among all
/// requests of all lives of that node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    pub origin: NodeId,
    pub id: u64,
    pub command: Command,
}

/// What a command did. `version` is the log index of the change.
#[derive(Debug, Clone, PartialEq, Eq)]
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
}
