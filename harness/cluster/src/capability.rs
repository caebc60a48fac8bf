//! What a machine and a provider can do, asked before anything starts.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A means that a fault may need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// Nodes can be made, programs started, killed and paused.
    Nodes,
    /// Directed links can be cut.
    Links,
    /// Links can be delayed, made lossy, slowed and so on.
    LinkQuality,
    /// A node's wall clock can be moved by itself.
    Clock,
    /// A node's disk can lose, refuse, delay and spoil data.
    Disk,
    /// Files that a node has stored can be damaged.
    Damage,
    /// CPU time of a node can be limited.
    CpuLimit,
    /// Memory of a node can be limited.
    MemoryLimit,
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Capability::Nodes => "nodes",
            Capability::Links => "links",
            Capability::LinkQuality => "link-quality",
            Capability::Clock => "clock",
            Capability::Disk => "disk",
            Capability::Damage => "damage",
            Capability::CpuLimit => "cpu-limit",
            Capability::MemoryLimit => "memory-limit",
        })
    }
}

/// Whether this machine offers a capability, and what to do if not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// What was probed.
    pub capability: Capability,
    /// Whether it works here.
    pub available: bool,
    /// How it works here, or what is missing.
    pub finding: String,
    /// What a person can do to allow it, the least intrusive way first; empty if it works.
    pub remedies: Vec<String>,
}
