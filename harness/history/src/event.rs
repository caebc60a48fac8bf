//! One event of an operation: its invocation or its completion.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Value;

/// A logical client. After an `info` it never acts again and a fresh one takes its place.
pub type ProcessId = u32;

/// What an event says of its operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// The request is about to leave.
    Invoke,
    /// It took effect, between the invocation and now.
    Ok,
    /// It certainly did not happen, and says nothing about the state.
    Fail,
    /// Nobody knows: it may take effect now, later or never.
    Info,
}

/// What a client noted about a completion: kept for people, never read by a checker, except `revision` by
/// checks of versioned data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    /// The node that was asked, where it differs from the process's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The raw error or reply, cut to a bounded length by the client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The row of the client's error table that decided between `fail` and `info`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<Cow<'static, str>>,
    /// The version that the target gave to the state written or read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<i64>,
    /// Anything else.
    #[serde(default, flatten)]
    pub more: BTreeMap<String, serde_json::Value>,
}

/// An invocation or a completion.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Invocation, or which completion.
    pub kind: EventKind,
    /// Who acts.
    pub process: ProcessId,
    /// Nanoseconds of the monotonic clock since the run began. Strictly increasing within a process.
    pub time: u64,
    /// Invocations: when the operation was due under open load, in the same nanoseconds. Else equal to `time`.
    pub intended: u64,
    /// The function's name, such as `read`.
    pub f: std::sync::Arc<str>,
    /// The independent object that is acted on, [`Value::Nil`] where there is only one.
    pub key: Value,
    /// Invocation: the argument. Completion: the answer of an `ok`; else the argument again or nil.
    pub value: Value,
    /// What the client noted.
    pub meta: Option<Box<Meta>>,
}
