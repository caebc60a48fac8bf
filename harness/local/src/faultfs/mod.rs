//! A node's disk: a FUSE file system over a real directory that can lose, refuse, delay and spoil what
//! programs entrust to it.
//!
//! Writes go through to the directory at once; what would undo them is remembered until they are made durable.
//! So an idle disk is a plain directory that can be looked at, and a power loss is fast.
//!
//! Invariants:
//! - What a program was told is durable survives every power loss, unless a fault says otherwise.
//! - What a power loss leaves is a state that ext4 (`data=ordered`) or XFS may leave: changes of folders
//!   survive in their order, up to some point; data of a file survives once the file was synced, and before that
//!   may be lost even if the file's name survives.
//! - No lock is held while a program's sync waits for the machine's disk, nor while the kernel is made to forget
//!   what it has cached, for which it may wait for us.
//!
//! Deliberately absent: extended attributes and device files; undoing changes of mode, owner and times;
//! `sync(2)`, which the kernel does not tell FUSE file systems about.

mod attributes;
pub mod bench;
mod damage;
mod files;
mod folders;
mod journal;
mod late;
mod mount;
mod options;
mod power;
mod reads;
mod rules;
mod serve;
mod server;
mod state;
mod tree;
mod undo;

pub use mount::{mount, mount_options};
pub use options::{Options, Owner};
pub use serve::FaultFs;
