//! Limits on what a node's programs may use of the machine, and what they did use.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::Error;

/// What a node's programs have used, as the kernel accounts for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Processor time of the processes that live now, seconds.
    pub cpu_seconds: f64,
    /// Writable private memory of the processes that live now, bytes.
    pub memory_bytes: u64,
    /// The tightest limit of memory that was laid on any process that lives now, as the kernel shows it, bytes.
    pub memory_limit_bytes: Option<u64>,
    /// The share of the time for which programs are let run now, if it is limited.
    pub cpu_share: Option<f64>,
}

/// A node's share of the machine.
#[async_trait]
pub trait Limits: Send + Sync + std::fmt::Debug {
    /// Lets the node's programs run for this share of the time (above 0, below 1), or without limit.
    async fn cpu(&self, share: Option<f64>) -> Result<(), Error>;

    /// Refuses each process memory beyond so many bytes, or lifts that. What is in use already stays.
    async fn memory(&self, bytes: Option<u64>) -> Result<(), Error>;

    /// What is used.
    async fn usage(&self) -> Result<Usage, Error>;
}
