//! What was seen of the nodes from outside while a run went on: messages on the network, lines of logs.
//!
//! Neither is part of a history; a caller passes what it has (all of it, or what lies around anomalies).

/// A message between two nodes, as the network saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Nanoseconds since the run began, when it left.
    pub sent: u64,
    /// The same when it arrived; `None` if it never did.
    pub arrived: Option<u64>,
    /// Who sent it: a node, or a client by any name.
    pub from: String,
    /// Whom it was for.
    pub to: String,
    /// What it was, in a few words.
    pub what: String,
}

/// A line of a node's log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogLine {
    /// Nanoseconds since the run began.
    pub time: u64,
    /// The node.
    pub node: String,
    /// The line.
    pub text: String,
}
