//! Every fault by its name.

use std::sync::Arc;

use squall_engine::protocol::{Fault, FaultKind, options};

use crate::clock::Clock;
use crate::disk::{LostFsync, PowerLoss, SlowDisk, TornWrite};
use crate::harms::{Bandwidth, Corrupt, Delay, Duplicate, Loss, Reorder, Reset};
use crate::partition::Partition;
use crate::process::{Kill, Pause, RestartAll};
use crate::quality::OnLinks;

/// The faults that a campaign can name.
pub fn faults() -> Vec<FaultKind> {
    vec![
        kind::<Partition>("partition", "cuts links between nodes, or between clients and nodes", "links"),
        kind::<OnLinks<Delay>>("delay", "makes packets late: mean, jitter, distribution", "link-quality"),
        kind::<OnLinks<Loss>>("loss", "loses packets, alone or in bursts", "link-quality"),
        kind::<OnLinks<Duplicate>>("duplicate", "delivers packets twice", "link-quality"),
        kind::<OnLinks<Reorder>>("reorder", "lets packets overtake each other", "link-quality"),
        kind::<OnLinks<Corrupt>>("corrupt", "flips bits in packets, past checksums if asked", "link-quality"),
        kind::<OnLinks<Bandwidth>>(
            "bandwidth",
            "limits what links carry, with a bounded queue",
            "link-quality",
        ),
        kind::<OnLinks<Reset>>("reset", "resets TCP connections", "link-quality"),
        kind::<Kill>("kill", "kills a node's programs (SIGKILL) and starts them again later", "nodes"),
        kind::<Pause>("pause", "stops a node's programs (SIGSTOP) and lets them go on later", "nodes"),
        kind::<RestartAll>("restart-all", "kills every node at once and starts all again", "nodes"),
        kind::<Clock>("clock", "moves a node's wall clock: jumps, drifts, strobes, freezes", "clock"),
        kind::<PowerLoss>("power-loss", "cuts a node's power: what was not durable is gone", "disk"),
        kind::<TornWrite>("torn-write", "the same, with writes under way there in part", "disk"),
        kind::<LostFsync>("lost-fsync", "flushes of a minority lie; then its power fails", "disk"),
        kind::<SlowDisk>("slow-disk", "makes writes and flushes slow", "disk"),
    ]
}

fn kind<F>(name: &'static str, summary: &'static str, needs: &'static str) -> FaultKind
where
    F: Fault + serde::de::DeserializeOwned + Default + Validate + 'static,
{
    FaultKind {
        name,
        summary,
        needs,
        build: Box::new(move |given| {
            let fault: F = options(name, given)?;
            fault.validate()?;
            Ok(Arc::new(fault))
        }),
    }
}

/// What options can be wrong about beyond their types.
pub(crate) trait Validate {
    /// An error for options that make no sense.
    fn validate(&self) -> Result<(), squall_engine::Error> {
        Ok(())
    }
}
