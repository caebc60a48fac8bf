//! A history in memory: operations in columns, their events ordered by rank.
//!
//! Invariants: an operation's index is the order of its invocation; ranks of all invocations and
//! completions together are distinct and follow real time; an operation that is `info` (or was open when the
//! log ended) has the completion rank [`NEVER`]. Operations of one process follow each other by index, and each
//! is over before the next begins, except in imported histories whose clocks differed or whose times are
//! unknown. Nothing here depends on hash order.

mod events;
mod raw;

use std::sync::Arc;

use rustc_hash::FxHashMap;
use thiserror::Error;

use crate::{Event, EventKind, Fault, Meta, Note, Phase, ProcessId, ProcessInfo, RunHeader, Value};

use raw::Open;
pub use raw::{RawEvent, RawOperation};

/// The completion rank of an operation that has no certain completion: later than every other.
pub const NEVER: u32 = u32::MAX;

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Outcome {
    /// It took effect between invocation and completion.
    Ok,
    /// It certainly did not happen.
    Fail,
    /// It may take effect at any time after its invocation, or never.
    Info,
}

/// What gives events their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Their times; where two are equal, invocations come first. For logs with clocks that can be trusted.
    ByTime,
    /// The order in which they come. For imported histories.
    AsGiven,
}

/// Why an event cannot be part of a history.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadEvent {
    /// A completion of a process that has no open operation.
    #[error("process {process} completes `{f}` ({kind:?}), but has invoked nothing")]
    NotInvoked {
        /// The process.
        process: ProcessId,
        /// The function.
        f: String,
        /// The completion.
        kind: EventKind,
    },
    /// A completion whose function is not the one that is open.
    #[error("process {process} completes `{f}`, but its open operation is `{open}`")]
    OtherFunction {
        /// The process.
        process: ProcessId,
        /// The completion's function.
        f: String,
        /// The open one.
        open: String,
    },
    /// A second invocation while one is open.
    #[error("process {process} invokes `{f}` while its `{open}` is still open")]
    StillOpen {
        /// The process.
        process: ProcessId,
        /// The new function.
        f: String,
        /// The open one.
        open: String,
    },
    /// Time ran backwards in a history whose order is the one given.
    #[error("time goes backwards: {time} ns after {before} ns")]
    TimeBackwards {
        /// This event's time.
        time: u64,
        /// The time of the event before.
        before: u64,
    },
    /// More operations than ranks can count.
    #[error("more than two thousand million events")]
    TooMany,
}

/// Operations, and what happened beside them.
#[derive(Clone, Debug, Default)]
pub struct History {
    functions: Vec<Arc<str>>,
    process: Vec<ProcessId>,
    f: Vec<u16>,
    outcome: Vec<Outcome>,
    // Empty while no operation has a key.
    key: Vec<Value>,
    input: Vec<Value>,
    output: Vec<Value>,
    invoked: Vec<u32>,
    completed: Vec<u32>,
    start: Vec<u64>,
    end: Vec<u64>,
    // Empty while every operation was sent when it was due.
    intended: Vec<u64>,
    meta: FxHashMap<u32, Box<Meta>>,
    /// The log's header; `None` for imported histories.
    pub run: Option<Box<RunHeader>>,
    /// Processes, in the order in which they were opened.
    pub processes: Vec<ProcessInfo>,
    /// Phases, in time order.
    pub phases: Vec<Phase>,
    /// Beginnings and ends of faults, in time order.
    pub faults: Vec<Fault>,
    /// Notes, in time order.
    pub notes: Vec<Note>,
    /// In imported EDN an ok read of nil may carry no information (Knossos' convention).
    pub nil_reads_may_be_unknown: bool,
    /// The operation that writes the initial values, if the history has one: it comes before all others in
    /// every order.
    pub initial_operation: Option<u32>,
}

/// One operation, borrowed from its history.
#[derive(Clone, Copy, Debug)]
pub struct Op<'a> {
    /// Its place in the history: operations are numbered by invocation, from 0.
    pub index: u32,
    /// Who invoked it.
    pub process: ProcessId,
    /// The function's name.
    pub f: &'a str,
    /// The function's number in this history: see [`History::functions`].
    pub f_id: u16,
    /// The object acted on, or nil.
    pub key: &'a Value,
    /// The argument.
    pub input: &'a Value,
    /// The answer, if `ok`; nil otherwise.
    pub output: &'a Value,
    /// How it ended.
    pub outcome: Outcome,
    /// Rank of its invocation among all events.
    pub invoked: u32,
    /// Rank of its completion among all events; [`NEVER`] for `info`.
    pub completed: u32,
    /// Nanoseconds since the run began, at invocation.
    pub start: u64,
    /// The same at completion; of an `info`, when it was given up; [`u64::MAX`] if it was still open.
    pub end: u64,
    /// When it was due; equal to `start` unless load is open.
    pub intended: u64,
}

static NIL: Value = Value::Nil;

impl History {
    /// Number of operations.
    pub fn len(&self) -> usize {
        self.process.len()
    }

    /// Whether there are no operations.
    pub fn is_empty(&self) -> bool {
        self.process.is_empty()
    }

    /// Names of the functions that occur; an operation's `f_id` indexes them.
    pub fn functions(&self) -> &[Arc<str>] {
        &self.functions
    }

    /// The number of a function's name, if it occurs.
    pub fn function(&self, name: &str) -> Option<u16> {
        self.functions.iter().position(|f| &**f == name).map(|i| i as u16)
    }

    /// Whether any operation has a key.
    pub fn is_keyed(&self) -> bool {
        !self.key.is_empty()
    }

    /// Operation number `index`. Panics beyond the end.
    #[inline]
    pub fn op(&self, index: usize) -> Op<'_> {
        Op {
            index: index as u32,
            process: self.process[index],
            f: &self.functions[self.f[index] as usize],
            f_id: self.f[index],
            key: self.key.get(index).unwrap_or(&NIL),
            input: &self.input[index],
            output: &self.output[index],
            outcome: self.outcome[index],
            invoked: self.invoked[index],
            completed: self.completed[index],
            start: self.start[index],
            end: self.end[index],
            intended: self.intended.get(index).copied().unwrap_or(self.start[index]),
        }
    }

    /// All operations, by invocation.
    #[inline]
    pub fn ops(&self) -> impl ExactSizeIterator<Item = Op<'_>> + DoubleEndedIterator + Clone {
        (0..self.len()).map(|i| self.op(i))
    }

    /// What the client noted about an operation.
    pub fn meta(&self, index: usize) -> Option<&Meta> {
        self.meta.get(&(index as u32)).map(|m| &**m)
    }

    /// The node that a process talks to, if the log says.
    pub fn node_of(&self, process: ProcessId) -> Option<&str> {
        let at = self.processes.partition_point(|p| p.process < process);
        match self.processes.get(at) {
            Some(p) if p.process == process => Some(&p.node),
            _ => None,
        }
    }

    /// When a phase began, in nanoseconds.
    pub fn phase_start(&self, name: &str) -> Option<u64> {
        self.phases.iter().find(|p| p.name == name).map(|p| p.time)
    }

    /// The main phase as `[from, to)` in nanoseconds; everything, if the log names no phases.
    pub fn main_phase(&self) -> (u64, u64) {
        let from = self.phase_start("main").unwrap_or(0);
        let to = self.phases.iter().find(|p| p.name != "main" && p.time > from).map_or(u64::MAX, |p| p.time);
        (from, if self.phase_start("main").is_some() { to } else { u64::MAX })
    }

    fn intern(&mut self, f: &Arc<str>) -> u16 {
        self.function(f).unwrap_or_else(|| self.add_function(f.clone()))
    }

    fn add_function(&mut self, f: Arc<str>) -> u16 {
        self.functions.push(f);
        (self.functions.len() - 1) as u16
    }
}

/// Puts events together into a [`History`].
#[derive(Debug)]
pub struct Builder {
    order: Order,
    history: History,
    // ByTime: everything, until `finish` sorts it.
    waiting: Vec<Event>,
    open: Open,
    rank: u32,
    last: u64,
}

impl Builder {
    /// An empty history whose events will be ordered so.
    pub fn new(order: Order) -> Self {
        Builder {
            order,
            history: History::default(),
            waiting: Vec::new(),
            open: Open::default(),
            rank: 0,
            last: 0,
        }
    }

    /// The history so far, to set its header, faults and notes.
    pub fn history_mut(&mut self) -> &mut History {
        &mut self.history
    }

    /// Adds an event. With [`Order::ByTime`] mistakes show in [`Builder::finish`] only.
    pub fn push(&mut self, event: Event) -> Result<(), BadEvent> {
        match self.order {
            Order::ByTime => {
                self.waiting.push(event);
                Ok(())
            }
            Order::AsGiven => self.accept(event),
        }
    }

    /// Orders what waits, leaves operations without completion open, and gives the history.
    pub fn finish(mut self) -> Result<History, BadEvent> {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.sort_by_key(|e| (e.time, e.kind != EventKind::Invoke));
        for event in waiting {
            self.accept(event)?;
        }
        self.history.processes.sort_by_key(|p| p.process);
        self.history.phases.sort_by_key(|p| p.time);
        self.history.faults.sort_by_key(|f| f.time);
        self.history.notes.sort_by_key(|n| n.time);
        Ok(self.history)
    }

    fn accept(&mut self, event: Event) -> Result<(), BadEvent> {
        let f = self.history.intern(&event.f);
        self.push_raw(RawEvent {
            kind: event.kind,
            process: event.process,
            time: event.time,
            intended: event.intended,
            f,
            key: event.key,
            value: event.value,
            meta: event.meta,
        })
    }
}

#[cfg(test)]
mod tests;
