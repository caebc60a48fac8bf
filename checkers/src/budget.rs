//! How much a check may spend, and how it learns that it is spent.
//!
//! Checkers have no clock of their own, so time arrives from outside: the caller raises a flag (a timer
//! thread, say), and checkers look at it between steps. Memory is an estimate that checkers keep themselves
//! of what they hold for searching, beside the history.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What stopped a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Exhausted {
    /// The caller's time limit passed.
    #[error("the time limit was reached")]
    Time,
    /// The memory limit would be passed.
    #[error("the memory limit was reached")]
    Memory,
}

/// Limits of one check. Cloning shares the flag.
#[derive(Clone, Debug)]
pub struct Budget {
    stop: Arc<AtomicBool>,
    /// Bytes that a search may hold beside the history.
    pub memory_bytes: u64,
    /// Threads that a check may use.
    pub threads: usize,
}

impl Default for Budget {
    /// No time limit, 2 GiB, as many threads as rayon's pool has.
    fn default() -> Self {
        Budget { stop: Arc::default(), memory_bytes: 2 << 30, threads: usize::MAX }
    }
}

impl Budget {
    /// Ends every check that uses this budget, soon.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether time is up. Cheap enough to ask between any two steps.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// An error once time is up or `held_bytes` passes the memory limit.
    pub fn spend(&self, held_bytes: u64) -> Result<(), Exhausted> {
        if self.is_stopped() {
            return Err(Exhausted::Time);
        }
        if held_bytes > self.memory_bytes {
            return Err(Exhausted::Memory);
        }
        Ok(())
    }
}
