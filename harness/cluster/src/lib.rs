//! What a node is: it runs programs, keeps files, has links, a clock and a disk, and takes harm. The traits
//! here are what a provider implements (`local` in a crate of its own; `ssh` and `attach` here).
//!
//! Small protocols with optional capabilities: a node always runs programs; whether its links, clock and
//! disk can be harmed is asked by [`Capability`] before a run starts anything.
//!
//! Deliberately absent: targets, faults, schedules. A provider only offers the means.

pub mod attach;
mod capability;
mod clock;
mod damage;
mod disk;
mod error;
mod folder;
mod glob;
mod limits;
mod links;
mod node;
mod program;
mod provider;
mod random;
mod shell_word;
#[cfg(feature = "ssh")]
pub mod ssh;

pub use capability::{Capability, Probe};
pub use clock::{Clock, ClockChange, ClockReading};
pub use damage::{files_matching, harm_file};
pub use disk::{
    Damage, Damaged, Discarded, Disk, DiskCall, DiskCounters, DiskError, DiskFault, PowerLoss, Torn,
};
pub use error::Error;
pub use folder::empty_folder;
pub use glob::Glob;
pub use limits::{Limits, Usage};
pub use links::{Delay, DelayShape, Endpoint, LinkCounters, LinkMessage, LinkPolicy, Links, Loss};
pub use node::{Conversation, ExitEvent, Node, Output, ProgramState};
pub use program::{Exit, Program};
pub use provider::{ClientNet, Cluster, ClusterSpec, Found, Provider, Teardown};
pub use random::Random;
pub use shell_word::shell_word;
