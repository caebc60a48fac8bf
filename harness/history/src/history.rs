//! A history in memory: operations in columns, their events ordered by rank.
//!
//! Invariants: an operation's index is the order of its invocation; ranks of all invocations and
//! completions together are distinct and follow real time; an operation that is `info` (or was open when the
//! log ended) has the completion rank [`NEVER`]. Nothing here depends on hash order.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use thiserror::Error;

use crate::{Event, EventKind, Fault, Meta, Note, Phase, ProcessId, ProcessInfo, RunHeader, Value};

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
        if let Some(i) = self.function(f) {
            return i;
        }
        self.functions.push(f.clone());
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
    open: FxHashMap<ProcessId, u32>,
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
            open: FxHashMap::default(),
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
            Order::AsGiven => {
                if event.time < self.last {
                    return Err(BadEvent::TimeBackwards { time: event.time, before: self.last });
                }
                self.last = event.time;
                self.accept(event)
            }
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
        if self.rank >= NEVER - 1 {
            return Err(BadEvent::TooMany);
        }
        let rank = self.rank;
        match event.kind {
            EventKind::Invoke => self.invoke(event, rank)?,
            EventKind::Ok | EventKind::Fail | EventKind::Info => self.complete(event, rank)?,
        }
        self.rank += 1;
        Ok(())
    }

    fn invoke(&mut self, event: Event, rank: u32) -> Result<(), BadEvent> {
        let index = self.history.len() as u32;
        if let Some(&open) = self.open.get(&event.process) {
            let open = self.history.op(open as usize).f.to_owned();
            return Err(BadEvent::StillOpen { process: event.process, f: event.f.to_string(), open });
        }
        self.open.insert(event.process, index);
        let f = self.history.intern(&event.f);
        let h = &mut self.history;
        if !event.key.is_nil() && h.key.is_empty() {
            h.key = vec![Value::Nil; h.process.len()];
        }
        if !event.key.is_nil() || !h.key.is_empty() {
            h.key.push(event.key);
        }
        if event.intended != event.time && h.intended.is_empty() {
            h.intended.clone_from(&h.start);
        }
        if event.intended != event.time || !h.intended.is_empty() {
            h.intended.push(event.intended);
        }
        h.process.push(event.process);
        h.f.push(f);
        h.outcome.push(Outcome::Info);
        h.input.push(event.value);
        h.output.push(Value::Nil);
        h.invoked.push(rank);
        h.completed.push(NEVER);
        h.start.push(event.time);
        h.end.push(u64::MAX);
        if let Some(meta) = event.meta {
            h.meta.insert(index, meta);
        }
        Ok(())
    }

    fn complete(&mut self, event: Event, rank: u32) -> Result<(), BadEvent> {
        let Some(index) = self.open.remove(&event.process) else {
            return Err(BadEvent::NotInvoked {
                process: event.process,
                f: event.f.to_string(),
                kind: event.kind,
            });
        };
        let i = index as usize;
        let h = &mut self.history;
        let open = &h.functions[h.f[i] as usize];
        if **open != *event.f {
            let open = open.to_string();
            return Err(BadEvent::OtherFunction { process: event.process, f: event.f.to_string(), open });
        }
        h.end[i] = event.time;
        match event.kind {
            EventKind::Ok => {
                h.outcome[i] = Outcome::Ok;
                h.output[i] = event.value;
                h.completed[i] = rank;
            }
            EventKind::Fail => {
                h.outcome[i] = Outcome::Fail;
                h.completed[i] = rank;
            }
            EventKind::Info | EventKind::Invoke => {}
        }
        if let Some(meta) = event.meta {
            h.meta.insert(index, meta);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: EventKind, process: u32, time: u64, f: &str, value: Value) -> Event {
        Event { kind, process, time, intended: time, f: f.into(), key: Value::Nil, value, meta: None }
    }

    #[test]
    fn at_equal_times_invocations_come_before_completions() {
        let mut b = Builder::new(Order::ByTime);
        b.push(event(EventKind::Invoke, 0, 1, "write", 1.into())).unwrap();
        b.push(event(EventKind::Ok, 0, 5, "write", 1.into())).unwrap();
        b.push(event(EventKind::Invoke, 1, 5, "read", Value::Nil)).unwrap();
        b.push(event(EventKind::Ok, 1, 9, "read", Value::Nil)).unwrap();
        let h = b.finish().unwrap();
        assert!(h.op(1).invoked < h.op(0).completed, "the two overlap");
    }

    #[test]
    fn what_is_not_completed_never_completes() {
        let mut b = Builder::new(Order::AsGiven);
        b.push(event(EventKind::Invoke, 0, 1, "write", 1.into())).unwrap();
        b.push(event(EventKind::Invoke, 1, 1, "write", 2.into())).unwrap();
        b.push(event(EventKind::Info, 1, 2, "write", 2.into())).unwrap();
        let h = b.finish().unwrap();
        assert_eq!((h.op(0).outcome, h.op(0).completed, h.op(0).end), (Outcome::Info, NEVER, u64::MAX));
        assert_eq!((h.op(1).outcome, h.op(1).completed, h.op(1).end), (Outcome::Info, NEVER, 2));
    }

    #[test]
    fn impossible_events_are_refused() {
        let mut b = Builder::new(Order::AsGiven);
        assert!(matches!(
            b.push(event(EventKind::Ok, 0, 1, "read", Value::Nil)),
            Err(BadEvent::NotInvoked { process: 0, .. })
        ));
        b.push(event(EventKind::Invoke, 0, 4, "read", Value::Nil)).unwrap();
        assert!(matches!(
            b.push(event(EventKind::Invoke, 0, 5, "read", Value::Nil)),
            Err(BadEvent::StillOpen { process: 0, .. })
        ));
        assert!(matches!(
            b.push(event(EventKind::Ok, 0, 5, "write", Value::Nil)),
            Err(BadEvent::OtherFunction { process: 0, .. })
        ));
        assert!(matches!(
            b.push(event(EventKind::Invoke, 1, 2, "read", Value::Nil)),
            Err(BadEvent::TimeBackwards { time: 2, before: 5 })
        ));
    }

    #[test]
    fn keys_and_due_times_cost_nothing_until_used() {
        let mut b = Builder::new(Order::AsGiven);
        b.push(event(EventKind::Invoke, 0, 1, "read", Value::Nil)).unwrap();
        assert!(!b.history_mut().is_keyed());
        let mut keyed = event(EventKind::Invoke, 1, 3, "read", Value::Nil);
        keyed.key = 7.into();
        keyed.intended = 2;
        b.push(keyed).unwrap();
        let h = b.finish().unwrap();
        assert_eq!((h.op(0).key, h.op(0).intended), (&Value::Nil, 1));
        assert_eq!((h.op(1).key, h.op(1).intended), (&Value::Int(7), 2));
    }
}
