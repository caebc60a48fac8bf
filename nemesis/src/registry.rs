//! Every fault by its name.

use std::sync::Arc;

use squall_engine::protocol::{Fault, FaultKind, options};

use crate::clock::Clock;
use crate::damage::{BitFlip, Truncate};
use crate::disk::OnDisk;
use crate::disk_harms::{DiskErrors, DiskFull, LostFsync, SlowDisk, StaleRead};
use crate::flap::Flap;
use crate::harms::{Bandwidth, Corrupt, Delay, Duplicate, HalfOpen, Loss, Reorder, Reset};
use crate::limits::{Cpu, Memory};
use crate::maintenance::Maintain;
use crate::members::Membership;
use crate::partition::Partition;
use crate::power::{PowerLoss, TornWrite};
use crate::process::{Kill, Pause, RestartAll};
use crate::quality::OnLinks;
use crate::restarts::{CrashLoop, GracefulStop, RollingRestart};
use crate::restore::Restore;
use crate::topple::Topple;
use crate::upgrade::Upgrade;

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
        kind::<OnLinks<HalfOpen>>(
            "half-open",
            "lets open TCP connections die without a word",
            "link-quality",
        ),
        kind::<Flap>("flap", "lets links go down and come up in turn, until they hold", "links"),
        kind::<Topple>(
            "topple",
            "cuts off each new leader some time after its election, and lets the one before come back",
            "links, and a target that says who leads",
        ),
        kind::<Kill>("kill", "kills a node's programs (SIGKILL) and starts them again later", "nodes"),
        kind::<Pause>("pause", "stops a node's programs (SIGSTOP) and lets them go on later", "nodes"),
        kind::<RestartAll>("restart-all", "kills every node at once and starts all again", "nodes"),
        kind::<GracefulStop>(
            "stop",
            "asks a node's programs to end (SIGTERM) and starts them later",
            "nodes",
        ),
        kind::<RollingRestart>(
            "rolling-restart",
            "restarts every node in order, one after the other",
            "nodes",
        ),
        kind::<CrashLoop>("crash-loop", "kills a node's programs soon after each start", "nodes"),
        kind::<Cpu>("cpu", "lets a node's programs run for a share of the time", "cpu-limit"),
        kind::<Memory>("memory", "leaves a node's programs little memory", "memory-limit"),
        kind::<Clock>("clock", "moves a node's wall clock: jumps, drifts, strobes, freezes, walks", "clock"),
        kind::<PowerLoss>("power-loss", "cuts a node's power: what was not durable is gone", "disk"),
        kind::<TornWrite>("torn-write", "the same, with writes under way there in part", "disk"),
        kind::<OnDisk<LostFsync>>("lost-fsync", "flushes of a minority lie; then its power fails", "disk"),
        kind::<OnDisk<DiskErrors>>(
            "disk-error",
            "fails chosen calls on chosen files: EIO, ENOSPC, EROFS",
            "disk",
        ),
        kind::<OnDisk<DiskFull>>("disk-full", "leaves no room on a disk: ENOSPC", "disk"),
        kind::<OnDisk<SlowDisk>>("slow-disk", "makes writes and flushes slow", "disk"),
        kind::<OnDisk<StaleRead>>("stale-read", "lets overwritten blocks read as they were before", "disk"),
        kind::<BitFlip>("bit-flip", "flips bits in files of a killed node, for good", "damage"),
        kind::<Truncate>("truncate", "cuts the ends off files of a killed node, for good", "damage"),
        kind::<Membership>(
            "membership",
            "removes a node and lets it join again, with its data or without",
            "nodes, and a target that can change its members",
        ),
        kind::<Maintain>(
            "maintenance",
            "has nodes do what operators ask for: compact, defragment, save a snapshot",
            "a target that can be asked for it",
        ),
        kind::<Restore>(
            "restore",
            "saves a snapshot, and later sets every node back to it, as after a disaster",
            "nodes, and a target that can be made anew from a snapshot",
        ),
        kind::<Upgrade>(
            "upgrade",
            "restarts every node in order with other options of the target",
            "nodes, and a target that can be upgraded",
        ),
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
