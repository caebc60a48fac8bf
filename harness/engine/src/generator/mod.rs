//! Generators: pure descriptions of what to do next.
//!
//! A worker that is free asks for its next operation; the answer is an operation with the time at which it
//! is due, `Pending`, or `Done`. What operation `i` of worker `w` is depends on (seed, w, i) alone, so a
//! generator keeps its state per worker and draws from [`Context::rng`]; state that depends on answers comes
//! in through [`Generator::update`] and only ever fills in arguments.

mod combine;
mod keys;
mod phases;
mod source;

#[cfg(test)]
mod tests;

pub use combine::{Limit, Mix, Rate, Reserve, Stagger, TimeLimit};
pub use keys::{FinalReads, Key, KeyPool};
pub use phases::{EachProcess, Phases};
pub use source::{Draw, Nothing, Sequence, draw};

use crate::operation::Operation;
use crate::seed::{Rng, Seed};
use squall_history::Event;

/// What a generator may know when it is asked.
#[derive(Clone, Debug)]
pub struct Context {
    /// The worker that asks, from 0.
    pub worker: usize,
    /// How many workers there are.
    pub workers: usize,
    /// Its current process.
    pub process: u32,
    /// How many operations this worker has been given before.
    pub index: u64,
    /// Now, in nanoseconds since the run began.
    pub time: u64,
    /// When the operation is due; sources that depend on time use this and not `time`.
    pub due: u64,
    /// Where operation (seed, worker, index) draws from.
    pub rng: Rng,
}

impl Context {
    /// A context for operation `index` of `worker`.
    pub fn new(seed: Seed, worker: usize, workers: usize, process: u32, index: u64, time: u64) -> Self {
        Context {
            worker,
            workers,
            process,
            index,
            time,
            due: time,
            rng: seed.operation(worker as u64, index),
        }
    }
}

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// This operation, due at this time (nanoseconds since the run began).
    Op(Operation, u64),
    /// Nothing yet; ask again after the next completion of anyone.
    Pending,
    /// Nothing any more, for this worker.
    Done,
}

/// See the module.
pub trait Generator: Send + std::fmt::Debug {
    /// The next operation of the worker that asks.
    fn next(&mut self, ctx: &mut Context) -> Next;

    /// An event of any worker, in no strict order between workers.
    fn update(&mut self, _event: &Event) {}

    /// Whether [`Generator::update`] does anything: if not, workers need not wait for each other to tell.
    fn listens(&self) -> bool {
        false
    }
}
