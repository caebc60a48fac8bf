//! A node's disk, made to lose, refuse, delay and spoil what programs entrust to it.
//!
//! Two kinds of harm: faults that stand until healed ([`DiskFault`]), and things that happen once: a power loss
//! ([`PowerLoss`]) and damage to what is stored ([`Damage`]). Files are chosen by glob: `*` and `?` within a
//! name, `**` across folders, relative to the data directory; a pattern without a slash matches names in any
//! folder.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::Error;

/// A call on the file system that a fault can choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiskCall {
    /// Opening a file that exists.
    Open,
    /// Creating a file, folder, link or special file.
    Create,
    /// Reading a file's data. Reads that the kernel's cache answers never reach the disk.
    Read,
    /// Writing a file's data.
    Write,
    /// Changing a file's size, or reserving room for it.
    Truncate,
    /// `fsync` and `fdatasync` of a file.
    Fsync,
    /// `fsync` of a folder.
    FsyncFolder,
    /// Renaming.
    Rename,
    /// Removing a file or folder.
    Remove,
}

/// The error that a refused call gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiskError {
    /// EIO: the medium failed.
    Io,
    /// ENOSPC: no room.
    NoSpace,
    /// EROFS: the file system was remounted read-only, as ext4 does after an error.
    ReadOnly,
}

/// Harm that stands until healed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiskFault {
    /// `fsync` of these files (and of folders that match) succeeds and makes nothing durable.
    LostFsync {
        /// Which files.
        files: String,
    },
    /// A share of these calls on these files fails, without having had any effect.
    Refuse {
        /// Which calls.
        calls: Vec<DiskCall>,
        /// Which files.
        files: String,
        /// With what error.
        error: DiskError,
        /// Share of calls, 0 to 1.
        share: f64,
    },
    /// No room: whatever would need more of it fails with ENOSPC. Overwriting in place still works.
    Full,
    /// These calls on these files are answered late. They still take effect at once.
    Slow {
        /// Which calls.
        calls: Vec<DiskCall>,
        /// Which files.
        files: String,
        /// By at least this much …
        delay: Duration,
        /// … and at most this much more, evenly spread.
        jitter: Duration,
    },
    /// Reads and writes together move at most so many bytes a second.
    Throughput {
        /// Bytes a second.
        bytes_per_second: u64,
    },
    /// A share of the 4096-byte blocks of these files that are overwritten from now on read as they were before,
    /// unless the kernel's cache answers.
    StaleReads {
        /// Which files.
        files: String,
        /// Share of blocks, 0 to 1.
        share: f64,
    },
}

/// What a power loss leaves of what was not made durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PowerLoss {
    /// `None`: nothing that was not made durable survives. Otherwise an arbitrary part of it does, as
    /// disks with a volatile cache leave it.
    pub torn: Option<Torn>,
}

/// How a power loss tears what was under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Torn {
    /// Bytes that the disk writes as one: 512 or 4096.
    pub sector_bytes: u32,
    /// Decides what survives.
    pub seed: u64,
}

/// What a power loss took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discarded {
    /// Bytes of written data that are gone.
    pub bytes: u64,
    /// Writes that were undone, in whole or in part.
    pub writes: u64,
    /// Writes of which one part survived and another did not.
    pub torn_writes: u64,
    /// Files whose data or size went back.
    pub files: u64,
    /// Creations, renames, removals and other changes of folders that were undone.
    pub names: u64,
    /// Writes and names that survived without having been made durable.
    pub survived: u64,
}

/// Harm done once to what is stored, for good.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Damage {
    /// Flips single bits at random places.
    FlipBits {
        /// In which files.
        files: String,
        /// How many in each.
        bits: u32,
        /// Decides where.
        seed: u64,
    },
    /// Cuts bytes off the end.
    Truncate {
        /// Of which files.
        files: String,
        /// How many; at most all.
        bytes: u64,
    },
}

/// What damage did to one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damaged {
    /// The file, relative to the data directory.
    pub file: String,
    /// Bytes that differ now, or are gone.
    pub offsets: Vec<u64>,
    /// Its size in bytes before.
    pub size: u64,
}

/// What a disk has done so far: evidence that faults took effect. All counts only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskCounters {
    /// Reads that reached the disk.
    pub reads: u64,
    /// Writes.
    pub writes: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// `fsync`s of files and folders that were answered.
    pub fsyncs: u64,
    /// `fsync`s that succeeded without making anything durable.
    pub lost_fsyncs: u64,
    /// Calls that were refused with EIO.
    pub io_errors: u64,
    /// Calls that were refused with ENOSPC.
    pub no_space_errors: u64,
    /// Calls that were refused with EROFS.
    pub read_only_errors: u64,
    /// Calls that were answered late.
    pub delayed: u64,
    /// Blocks that were read as they had been before.
    pub stale_blocks: u64,
    /// Bits flipped.
    pub flipped_bits: u64,
    /// Bytes cut off by damage.
    pub truncated_bytes: u64,
    /// Power losses.
    pub power_losses: u64,
    /// Bytes that power losses discarded.
    pub discarded_bytes: u64,
    /// Changes of folders that power losses undid.
    pub discarded_names: u64,
    /// Bytes written and not yet made durable: what a power loss would put at risk now. Not a count.
    pub unsynced_bytes: u64,
}

/// A node's disk: its data directory.
#[async_trait]
pub trait Disk: Send + Sync + std::fmt::Debug {
    /// Takes what was not made durable. The node's programs must have been killed before, as a power loss
    /// does: a program that lives on has its own memory of what it wrote.
    async fn power_loss(&self, loss: PowerLoss) -> Result<Discarded, Error>;

    /// Puts these faults in place of those that stand. Takes effect at the next call.
    async fn set_faults(&self, faults: &[DiskFault]) -> Result<(), Error>;

    /// The faults that stand.
    fn faults(&self) -> Vec<DiskFault>;

    /// Damages stored files, and says what it did to which. No file that matches is an error. Programs see
    /// it at their next read, even of what the kernel has cached.
    async fn damage(&self, damage: &Damage) -> Result<Vec<Damaged>, Error>;

    /// Ends all faults that stand. What was lost or damaged stays so.
    async fn heal(&self) -> Result<(), Error> {
        self.set_faults(&[]).await
    }

    /// What it has done so far. Cheap.
    fn counters(&self) -> DiskCounters;
}
