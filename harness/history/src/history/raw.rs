//! The builder's inner entrance: functions by number, nothing allocated per event, whole operations at once.
//!
//! For readers that handle millions of events a second, and for sources that know intervals and no order of
//! events. Everyone else uses [`Builder::push`].

use rustc_hash::FxHashMap;

use super::{BadEvent, Builder, History, NEVER, Outcome};
use crate::{EventKind, Meta, ProcessId, Value};

/// An event whose function is a number that [`Builder::function_id`] gave.
#[derive(Clone, Debug)]
pub struct RawEvent {
    /// Invocation, or which completion.
    pub kind: EventKind,
    /// Who acts.
    pub process: ProcessId,
    /// Nanoseconds since the run began.
    pub time: u64,
    /// Invocations: when the operation was due. Else equal to `time`.
    pub intended: u64,
    /// The function's number.
    pub f: u16,
    /// The object acted on, or nil.
    pub key: Value,
    /// Argument or answer.
    pub value: Value,
    /// What the client noted.
    pub meta: Option<Box<Meta>>,
}

/// A whole operation, for sources that know its interval.
#[derive(Clone, Debug)]
pub struct RawOperation {
    /// Who acts.
    pub process: ProcessId,
    /// The function's number.
    pub f: u16,
    /// The object acted on, or nil.
    pub key: Value,
    /// The argument.
    pub input: Value,
    /// The answer of an `ok`, else nil.
    pub output: Value,
    /// How it ended.
    pub outcome: Outcome,
    /// Nanoseconds at invocation.
    pub start: u64,
    /// Nanoseconds at completion; [`u64::MAX`] if it never came.
    pub end: u64,
    /// What the client noted.
    pub meta: Option<Box<Meta>>,
}

/// Which operation each process has open. Process numbers are small and dense nearly always.
#[derive(Debug, Default)]
pub(super) struct Open {
    low: Vec<u32>,
    high: FxHashMap<ProcessId, u32>,
}

const NONE: u32 = u32::MAX;
const LOW: u32 = 1 << 20;

impl Open {
    #[inline]
    pub(super) fn get(&self, process: ProcessId) -> Option<u32> {
        if process < LOW {
            self.low.get(process as usize).copied().filter(|&i| i != NONE)
        } else {
            self.high.get(&process).copied()
        }
    }

    #[inline]
    fn insert(&mut self, process: ProcessId, index: u32) {
        let at = process as usize;
        if process >= LOW {
            self.high.insert(process, index);
            return;
        }
        if at >= self.low.len() {
            self.low.resize(at + 1, NONE);
        }
        self.low[at] = index;
    }

    #[inline]
    fn remove(&mut self, process: ProcessId) -> Option<u32> {
        if process >= LOW {
            return self.high.remove(&process);
        }
        let slot = self.low.get_mut(process as usize)?;
        Some(std::mem::replace(slot, NONE)).filter(|&i| i != NONE)
    }
}

impl Builder {
    /// The number of a function's name, for [`RawEvent::f`].
    pub fn function_id(&mut self, name: &str) -> u16 {
        self.history.function_id(name)
    }

    /// Adds an event at once, in the order given, whatever the builder's order is.
    pub fn push_raw(&mut self, event: RawEvent) -> Result<(), BadEvent> {
        if self.order == super::Order::AsGiven && event.time < self.last {
            return Err(BadEvent::TimeBackwards { time: event.time, before: self.last });
        }
        self.last = event.time;
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

    /// The argument of the operation that a process has open.
    pub fn open_input(&self, process: ProcessId) -> Option<&Value> {
        self.open.get(process).map(|index| &self.history.input[index as usize])
    }

    fn invoke(&mut self, event: RawEvent, rank: u32) -> Result<(), BadEvent> {
        let index = self.history.len() as u32;
        if let Some(open) = self.open.get(event.process) {
            let open = self.history.op(open as usize).f.to_owned();
            let f = self.history.functions[event.f as usize].to_string();
            return Err(BadEvent::StillOpen { process: event.process, f, open });
        }
        self.open.insert(event.process, index);
        let intended = event.intended;
        self.history.append(RawOperation {
            process: event.process,
            f: event.f,
            key: event.key,
            input: event.value,
            output: Value::Nil,
            outcome: Outcome::Info,
            start: event.time,
            end: u64::MAX,
            meta: event.meta,
        });
        let h = &mut self.history;
        h.invoked[index as usize] = rank;
        if intended != event.time && h.intended.is_empty() {
            h.intended.extend_from_slice(&h.start[..index as usize]);
        }
        if intended != event.time || !h.intended.is_empty() {
            h.intended.push(intended);
        }
        Ok(())
    }

    fn complete(&mut self, event: RawEvent, rank: u32) -> Result<(), BadEvent> {
        let h = &mut self.history;
        let Some(index) = self.open.remove(event.process) else {
            let f = h.functions[event.f as usize].to_string();
            return Err(BadEvent::NotInvoked { process: event.process, f, kind: event.kind });
        };
        let i = index as usize;
        if h.f[i] != event.f {
            let open = h.functions[h.f[i] as usize].to_string();
            let f = h.functions[event.f as usize].to_string();
            return Err(BadEvent::OtherFunction { process: event.process, f, open });
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

impl History {
    /// The number of a function's name, which is added if it is new.
    pub(crate) fn function_id(&mut self, name: &str) -> u16 {
        self.function(name).unwrap_or_else(|| self.add_function(name.into()))
    }

    pub(crate) fn set_process(&mut self, index: usize, process: ProcessId) {
        self.process[index] = process;
    }

    /// Sets the argument of an operation, and its answer if it is `ok`, to one value.
    pub(crate) fn set_values(&mut self, index: u32, value: Value) {
        let i = index as usize;
        if self.outcome[i] == Outcome::Ok {
            self.output[i] = value.clone();
        }
        self.input[i] = value;
    }

    /// Sets the ranks of every operation, which stand for its times too. `initial`, if it is there, has to be
    /// operation 0 and completed before all others.
    pub(crate) fn set_ranks(&mut self, ranks: impl Fn(u32) -> (u32, u32), initial: Option<u32>) {
        for i in 0..self.len() {
            let (invoked, completed) = ranks(i as u32);
            self.invoked[i] = invoked;
            self.completed[i] = completed;
            self.start[i] = u64::from(invoked);
            self.end[i] = if completed == NEVER { u64::MAX } else { u64::from(completed) };
        }
        self.initial_operation = initial;
    }

    /// Adds a row to every column. Ranks are left for the caller to set.
    pub(crate) fn append(&mut self, op: RawOperation) {
        if !op.key.is_nil() && self.key.is_empty() {
            self.key = vec![Value::Nil; self.process.len()];
        }
        if !op.key.is_nil() || !self.key.is_empty() {
            self.key.push(op.key);
        }
        if let Some(meta) = op.meta {
            self.meta.insert(self.process.len() as u32, meta);
        }
        self.process.push(op.process);
        self.f.push(op.f);
        self.outcome.push(op.outcome);
        self.input.push(op.input);
        self.output.push(op.output);
        self.invoked.push(0);
        self.completed.push(NEVER);
        self.start.push(op.start);
        self.end.push(op.end);
    }

    /// Widens every interval by `error` nanoseconds on both sides and orders operations and events anew by
    /// time: for recordings of several machines whose clocks were at most this far apart.
    pub(crate) fn widen(&mut self, error: u64) {
        for (start, end) in self.start.iter_mut().zip(&mut self.end) {
            *start = start.saturating_sub(error);
            *end = end.saturating_add(error);
        }
        self.order_by_time();
    }

    /// Numbers operations by start, and ranks invocations and completions by time; where times are equal,
    /// invocations come first, so that operations that touch overlap. The intervals of one process may overlap.
    pub(crate) fn order_by_time(&mut self) {
        let mut order: Vec<u32> = (0..self.len() as u32).collect();
        order.sort_by_key(|&i| self.start[i as usize]);
        if !order.is_sorted() {
            self.permute(&order);
        }
        let mut ends: Vec<u32> =
            (0..self.len() as u32).filter(|&i| self.outcome[i as usize] != Outcome::Info).collect();
        ends.sort_by_key(|&i| self.end[i as usize]);
        let mut ends = ends.into_iter().peekable();
        let mut rank = 0;
        for i in 0..self.len() {
            while let Some(done) = ends.next_if(|&e| self.end[e as usize] < self.start[i]) {
                self.completed[done as usize] = rank;
                rank += 1;
            }
            self.invoked[i] = rank;
            rank += 1;
        }
        for done in ends {
            self.completed[done as usize] = rank;
            rank += 1;
        }
    }

    fn permute(&mut self, order: &[u32]) {
        fn take<T: Default>(column: &mut Vec<T>, order: &[u32]) {
            if !column.is_empty() {
                *column = order.iter().map(|&i| std::mem::take(&mut column[i as usize])).collect();
            }
        }
        take(&mut self.process, order);
        take(&mut self.f, order);
        take(&mut self.key, order);
        take(&mut self.input, order);
        take(&mut self.output, order);
        take(&mut self.start, order);
        take(&mut self.end, order);
        take(&mut self.intended, order);
        self.outcome = order.iter().map(|&i| self.outcome[i as usize]).collect();
        let mut meta = std::mem::take(&mut self.meta);
        for (new, old) in order.iter().enumerate() {
            if let Some(m) = meta.remove(old) {
                self.meta.insert(new as u32, m);
            }
        }
    }

    /// Splits every argument and answer that is a `[key value]` tuple into key and value. Gives the first
    /// operation that has an argument, or an answer, of another form; the history is then unusable.
    pub(crate) fn split_tuples(&mut self) -> Result<(), usize> {
        self.key.resize(self.len(), Value::Nil);
        for i in 0..self.len() {
            let (key, input) = self.input[i].as_pair().ok_or(i)?;
            (self.key[i], self.input[i]) = (key.clone(), input.clone());
            if self.outcome[i] == Outcome::Ok {
                let (_, output) = self.output[i].as_pair().ok_or(i)?;
                self.output[i] = output.clone();
            }
        }
        Ok(())
    }

    /// Undoes [`History::split_tuples`].
    pub(crate) fn join_tuples(&mut self) {
        for (i, key) in std::mem::take(&mut self.key).into_iter().enumerate() {
            let input = std::mem::take(&mut self.input[i]);
            self.input[i] = Value::list([key.clone(), input]);
            if self.outcome[i] == Outcome::Ok {
                let output = std::mem::take(&mut self.output[i]);
                self.output[i] = Value::list([key, output]);
            }
        }
    }
}
