//! A node: a host of its own, with programs, files, and perhaps a clock and a disk that can be harmed.

use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::broadcast;

use crate::{Clock, Disk, Error, Exit, Limits, Program};

/// A program's state on its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgramState {
    /// It was never started.
    Absent,
    /// It runs; its process id as the harness's machine numbers it, 0 where that means nothing.
    Running {
        /// The process id.
        pid: u32,
    },
    /// It ended.
    Exited(Exit),
}

/// A program of a node ended.
#[derive(Clone, Debug)]
pub struct ExitEvent {
    /// The node's place in the cluster.
    pub node: usize,
    /// The program's name.
    pub program: String,
    /// How it ended.
    pub exit: Exit,
    /// When the provider saw it.
    pub at: Instant,
    /// Whether the harness itself ended it, by [`Node::kill`] or [`Node::stop`].
    pub expected: bool,
}

/// What a command that ran to its end said.
#[derive(Clone, Debug)]
pub struct Output {
    /// How it ended.
    pub exit: Exit,
    /// Its standard output, at most 1 MiB.
    pub stdout: Vec<u8>,
    /// Its standard error, at most 1 MiB.
    pub stderr: Vec<u8>,
}

/// A program that the harness talks to: its ends of the program's standard input and output. Closing the first
/// is how the program is told to end.
#[derive(Debug)]
pub struct Conversation {
    /// Write here what the program reads.
    pub stdin: OwnedFd,
    /// Read here what the program writes.
    pub stdout: OwnedFd,
}

/// One node of a cluster.
///
/// Programs' output goes to `<log dir>/<program>.log`, appended over restarts.
#[async_trait]
pub trait Node: Send + Sync + std::fmt::Debug {
    /// Its name, also its host name: `n1`, `n2`, …
    fn name(&self) -> &str;

    /// Its place in the cluster, from 0.
    fn index(&self) -> usize;

    /// Its address in the cluster's network.
    fn address(&self) -> IpAddr;

    /// Where its programs keep data, as they see it.
    fn data_dir(&self) -> &Path;

    /// Where its logs are kept, as the harness sees it.
    fn log_dir(&self) -> &Path;

    /// Starts a program. Returns once it runs (its `exec` succeeded); an executable that is missing or may
    /// not be run is an error that says so. Starting a program that runs is an error.
    async fn start(&self, program: &Program) -> Result<(), Error>;

    /// Starts a program whose standard input and output are the caller's; its standard error goes to its log.
    async fn converse(&self, program: &Program) -> Result<Conversation, Error> {
        let (name, on) = (&program.name, self.name());
        Err(Error::Unavailable(format!("{name} cannot be spoken to on {on}: this provider has no pipes")))
    }

    /// Kills (SIGKILL) every process of the node's programs, children included, and waits until they are
    /// gone. Works on paused nodes. Returns how many programs were running.
    async fn kill(&self) -> Result<usize, Error>;

    /// Stops (SIGSTOP) every process of the node.
    async fn pause(&self) -> Result<(), Error>;

    /// Lets a paused node go on. Nothing happens if it was not paused.
    async fn resume(&self) -> Result<(), Error>;

    /// Asks a program to end (SIGTERM), and kills it after `grace`. Says how it ended.
    async fn stop(&self, program: &str, grace: Duration) -> Result<Exit, Error>;

    /// A program's state.
    fn state(&self, program: &str) -> ProgramState;

    /// Whether every process of the node is stopped (state T), as the kernel sees it.
    async fn is_paused(&self) -> Result<bool, Error>;

    /// Runs a command on the node to its end, bounded by `limit`.
    async fn run(&self, program: &Program, limit: Duration) -> Result<Output, Error>;

    /// Removes everything in the data directory. Its programs must not be running.
    async fn wipe(&self) -> Result<(), Error>;

    /// Ends of this node's programs from now on.
    fn exits(&self) -> broadcast::Receiver<ExitEvent>;

    /// Brings logs that are kept elsewhere to the log directory, at the end of a run.
    async fn gather_logs(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Its wall clock, if that can be moved.
    fn clock(&self) -> Option<Arc<dyn Clock>> {
        None
    }

    /// Its disk, if that can be harmed.
    fn disk(&self) -> Option<Arc<dyn Disk>> {
        None
    }

    /// Limits on what it may use of the machine, if there can be any.
    fn limits(&self) -> Option<Arc<dyn Limits>> {
        None
    }
}
