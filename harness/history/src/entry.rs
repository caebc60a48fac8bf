//! What stands in a run's log beside operations: the header, phases, processes, faults, notes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Event, ProcessId};

/// Version of the run log and of every JSON document. Raised when a reader of the old form would misread.
pub const SCHEMA_VERSION: u32 = 1;

/// One entry of a run's log. In the file each is a JSON object on a line of its own, told apart by `type`.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// First entry: what was run, resolved.
    Run(Box<RunHeader>),
    /// An operation's invocation or completion (`invoke`, `ok`, `fail`, `info`).
    Op(Event),
    /// A process was opened on a node.
    Process(ProcessInfo),
    /// The run entered a phase.
    Phase(Phase),
    /// A fault began or ended.
    Fault(Box<Fault>),
    /// Anything else worth knowing at its time.
    Note(Box<Note>),
}

/// What was run: enough to read the log without any other file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunHeader {
    /// [`SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// The run's name within its campaign.
    pub name: String,
    /// The target's registered name.
    pub target: String,
    /// What the target says of its version, or empty.
    #[serde(default)]
    pub target_version: String,
    /// The workload's registered name.
    pub workload: String,
    /// The consistency that the run is judged by.
    pub consistency: String,
    /// The seed: the decisions of the run follow from it.
    pub seed: u64,
    /// Nodes, in order.
    pub nodes: Vec<NodeInfo>,
    /// Processes that act at a time.
    pub concurrency: u32,
    /// Wall clock at time zero, nanoseconds since 1970.
    pub started_unix_nanos: u64,
    /// Everything else, resolved: the options of target, workload and faults, and the machine.
    #[serde(default)]
    pub options: serde_json::Value,
}

/// A node as the header names it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeInfo {
    /// Such as `n1`.
    pub name: String,
    /// Its address in the cluster's network.
    pub address: String,
}

/// A process was opened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProcessInfo {
    /// Nanoseconds since the run began.
    pub time: u64,
    /// The new process.
    pub process: ProcessId,
    /// The worker whose place it takes.
    pub worker: u32,
    /// The node it talks to.
    pub node: String,
}

/// The run entered a phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// Nanoseconds since the run began.
    pub time: u64,
    /// `setup`, `warm-up`, `main`, `heal`, `recovered`, `final`, `end`.
    pub name: String,
}

/// Whether a fault begins or ends with this entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FaultPhase {
    /// It has just taken effect.
    Begin,
    /// It has just been undone.
    End,
}

/// A fault, at its beginning or its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// Nanoseconds since the run began.
    pub time: u64,
    /// Beginning or end.
    pub phase: FaultPhase,
    /// The k-th injection of this run; the two entries of one injection share it.
    pub id: u32,
    /// The registered name of the fault.
    pub kind: String,
    /// The nodes that are harmed, by name.
    pub nodes: Vec<String>,
    /// One line for people: what exactly was done, or what was seen at its end.
    pub description: String,
    /// The parameters that were drawn.
    #[serde(default)]
    pub detail: serde_json::Value,
    /// At the end: whether it is proven to have taken effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective: Option<bool>,
    /// At the end: what was measured.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub evidence: BTreeMap<String, serde_json::Value>,
}

/// Something that happened beside operations and faults.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Note {
    /// Nanoseconds since the run began.
    pub time: u64,
    /// `leader`, `exit`, `panic`, `recovery`, `clock`, `offered`, `warning`, …
    pub kind: String,
    /// The node it is about, if one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// One line for people.
    pub text: String,
    /// The same for programs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub data: BTreeMap<String, serde_json::Value>,
}

/// How much of a log its reader had to leave out, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Bytes after the last whole frame.
    pub bytes: u64,
    /// Events after the last watermark, which could not be trusted to be complete.
    pub events: u64,
    /// One line for people; empty if nothing was left out.
    pub reason: String,
}
