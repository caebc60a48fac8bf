//! How much a check may spend, and how it learns that it is spent.
//!
//! Checkers have no clock of their own, so time arrives from outside: the caller raises a flag (a timer
//! thread, say), and checkers look at it between steps. Memory is an estimate that checkers keep themselves
//! of what they hold for searching, beside the history. Searches that run side by side share it: each says
//! what it holds through a [`Share`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

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

/// Limits of one check. Cloning shares the flag and what is held.
#[derive(Clone, Debug)]
pub struct Budget {
    stop: Arc<AtomicBool>,
    held: Arc<AtomicU64>,
    /// Bytes that a search may hold beside the history.
    pub memory_bytes: u64,
    /// Threads that a check may use.
    pub threads: usize,
}

impl Default for Budget {
    /// No time limit, 2 GiB, as many threads as rayon's pool has.
    fn default() -> Self {
        Budget { stop: Arc::default(), held: Arc::default(), memory_bytes: 2 << 30, threads: usize::MAX }
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

/// What one of several searches holds of a budget's memory; it is given back when this is dropped.
#[derive(Debug)]
pub struct Share<'a> {
    budget: &'a Budget,
    held_bytes: u64,
}

impl<'a> Share<'a> {
    /// A share of nothing yet.
    pub fn new(budget: &'a Budget) -> Self {
        Share { budget, held_bytes: 0 }
    }

    /// Says what this search holds now. An error once time is up or all together pass the memory limit.
    pub fn spend(&mut self, held_bytes: u64) -> Result<(), Exhausted> {
        let all = &self.budget.held;
        let before = all.fetch_add(held_bytes, Ordering::Relaxed);
        all.fetch_sub(self.held_bytes, Ordering::Relaxed);
        let others = before.saturating_sub(self.held_bytes);
        self.held_bytes = held_bytes;
        self.budget.spend(others.saturating_add(held_bytes))
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.budget.held.fetch_sub(self.held_bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searches_share_the_memory_and_give_it_back() {
        let budget = Budget { memory_bytes: 100, ..Budget::default() };
        let (mut one, mut other) = (Share::new(&budget), Share::new(&budget));
        assert_eq!(one.spend(60), Ok(()));
        assert_eq!(other.spend(50), Err(Exhausted::Memory));
        assert_eq!(other.spend(40), Ok(()));
        drop(one);
        assert_eq!(other.spend(100), Ok(()));
        assert_eq!(other.spend(101), Err(Exhausted::Memory));
        budget.stop();
        assert_eq!(other.spend(0), Err(Exhausted::Time));
    }
}
