//! How a disk is served.

use std::time::Duration;

/// How a disk is served.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether a program's `fsync` waits for the machine's own disk, as it would without this file system.
    /// Power losses are right either way.
    pub sync: bool,
    /// Threads that serve it.
    pub threads: usize,
    /// Whose files are whose.
    pub owner: Owner,
    /// Decides what is random in faults that stand.
    pub seed: u64,
    /// After this long, unsynced data and names become durable by themselves, as a kernel writes them back.
    pub writeback_after: Duration,
    /// At most so many bytes are remembered for undoing; then the oldest are written back, as a kernel does
    /// that runs out of memory.
    pub undo_limit_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            sync: true,
            threads: 4,
            owner: Owner::Same,
            seed: 0,
            writeback_after: Duration::from_secs(30),
            undo_limit_bytes: 256 << 20,
        }
    }
}

/// How owners in the directory relate to owners inside the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The same numbers mean the same users: the server is root.
    Same,
    /// The server's own user is this user inside, and can give files to nobody else.
    Single {
        /// Its user id inside.
        uid: u32,
        /// Its group id inside.
        gid: u32,
    },
}
