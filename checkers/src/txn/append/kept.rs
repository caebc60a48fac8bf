//! What a live check keeps of the operations that it was fed: numbers, from which their history can be made
//! again when it has to be judged as a whole.
//!
//! A read is kept as the length of the prefix that it saw, a transaction as its keys and elements. What does not
//! fit that form is kept as it came.

use rustc_hash::FxHashMap;
use squall_history::{BadEvent, Builder, Event, EventKind, History, Order, Value};

use crate::txn::intern::{Codes, Interner};
use crate::txn::micro::{Micro, micro};

const NEVER: u32 = u32::MAX;

/// One micro-operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub key: u32,
    pub append: bool,
    /// Appends: the element's code. Reads: how many elements were seen; [`NOTHING`] for nil.
    pub number: i64,
}

/// A read that saw nil, or was not answered.
pub(super) const NOTHING: i64 = -1;

#[derive(Clone, Copy, Debug)]
struct Row {
    process: u32,
    end: Option<EventKind>,
    invoked: u32,
    ended: u32,
    first: u32,
}

/// Operations by invocation.
#[derive(Debug, Default)]
pub(super) struct Kept {
    rows: Vec<Row>,
    steps: Vec<Step>,
    // Questions and answers that are no plain transactions of appends and reads.
    odd: FxHashMap<u32, (Value, Value)>,
    open: FxHashMap<u32, u32>,
    events: u32,
    pub keys: Interner,
    pub codes: Codes,
}

impl Kept {
    /// Number of operations.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The steps of an operation.
    pub fn steps(&self, t: u32) -> &[Step] {
        let to = self.rows.get(t as usize + 1).map_or(self.steps.len(), |r| r.first as usize);
        &self.steps[self.rows[t as usize].first as usize..to]
    }

    /// Who runs an operation.
    pub fn process(&self, t: u32) -> u32 {
        self.rows[t as usize].process
    }

    /// When an operation was invoked, in events.
    pub fn invoked(&self, t: u32) -> u32 {
        self.rows[t as usize].invoked
    }

    /// When it was completed.
    pub fn ended(&self, t: u32) -> u32 {
        self.rows[t as usize].ended
    }

    /// Whether an operation is kept as it came.
    pub fn is_odd(&self, t: u32) -> bool {
        self.odd.contains_key(&t)
    }

    /// A new operation.
    pub fn invoke(&mut self, event: Event) -> Result<u32, BadEvent> {
        let t = self.rows.len() as u32;
        let f = || event.f.to_string();
        if self.open.insert(event.process, t).is_some() {
            return Err(BadEvent::StillOpen { process: event.process, f: f(), open: f() });
        }
        let first = self.steps.len() as u32;
        if !self.question(&event.value) {
            self.steps.truncate(first as usize);
            self.odd.insert(t, (event.value, Value::Nil));
        }
        let row = Row { process: event.process, end: None, invoked: self.events, ended: NEVER, first };
        self.rows.push(row);
        self.events += 1;
        Ok(t)
    }

    /// Keeps the steps of a transaction. False if it holds anything but plain appends and reads.
    fn question(&mut self, value: &Value) -> bool {
        let Some(items) = value.as_list() else { return false };
        items.iter().all(|item| {
            let short = item.as_list().is_none_or(|i| i.len() != 3);
            let step = match micro(item).filter(|_| !short) {
                Some(Micro::Read(key, Value::Nil)) => {
                    Step { key: self.keys.id(key), append: false, number: NOTHING }
                }
                Some(Micro::Append(key, v)) => {
                    Step { key: self.keys.id(key), append: true, number: self.codes.code(v) }
                }
                Some(Micro::Read(..) | Micro::Write(..)) | None => return false,
            };
            self.steps.push(step);
            true
        })
    }

    /// The end of the operation that a process has open.
    pub fn end(&mut self, event: &Event) -> Result<u32, BadEvent> {
        let Some(t) = self.open.remove(&event.process) else {
            let f = event.f.to_string();
            return Err(BadEvent::NotInvoked { process: event.process, f, kind: event.kind });
        };
        let row = &mut self.rows[t as usize];
        (row.end, row.ended) = (Some(event.kind), self.events);
        self.events += 1;
        Ok(t)
    }

    /// Whether an answer has the steps of its question, and only lists as answers to reads.
    pub fn fits(&mut self, t: u32, answer: &Value) -> bool {
        let Some(items) = answer.as_list() else { return false };
        if self.is_odd(t) || self.steps(t).len() != items.len() {
            return false;
        }
        let first = self.rows[t as usize].first as usize;
        items.iter().enumerate().all(|(i, item)| {
            let (step, full) = (self.steps[first + i], item.as_list().is_some_and(|i| i.len() == 3));
            full && match micro(item) {
                Some(Micro::Read(key, Value::Nil | Value::List(_))) => {
                    !step.append && self.keys.get(key) == Some(step.key)
                }
                Some(Micro::Append(key, v)) => {
                    step.append && self.keys.get(key) == Some(step.key) && self.codes.code(v) == step.number
                }
                Some(Micro::Read(..) | Micro::Write(..)) | None => false,
            }
        })
    }

    /// Notes how much a read saw.
    pub fn saw(&mut self, t: u32, step: usize, seen: i64) {
        let first = self.rows[t as usize].first as usize;
        self.steps[first + step].number = seen;
    }

    /// Keeps an answer as it came.
    pub fn keep(&mut self, t: u32, answer: Value) {
        let question = match self.odd.remove(&t) {
            Some((question, _)) => question,
            None => self.value(t, &|_| -> &[i64] { &[] }, false),
        };
        self.odd.insert(t, (question, answer));
    }

    /// A transaction as a value; reads by the spines of their keys, if they are to be `answered`.
    fn value<'a>(&self, t: u32, spine: &dyn Fn(u32) -> &'a [i64], answered: bool) -> Value {
        let items = self.steps(t).iter().map(|step| {
            let (f, value) = if step.append {
                ("append", self.codes.value(step.number))
            } else if answered && step.number != NOTHING {
                let seen = &spine(step.key)[..step.number as usize];
                ("r", Value::list(seen.iter().map(|&c| self.codes.value(c)).collect::<Vec<_>>()))
            } else {
                ("r", Value::Nil)
            };
            Value::list([Value::str(f), self.keys.name(step.key).clone(), value])
        });
        Value::list(items.collect::<Vec<_>>())
    }

    /// The history so far.
    pub fn history<'a>(&self, spine: &dyn Fn(u32) -> &'a [i64]) -> Result<History, BadEvent> {
        let mut events: Vec<(u32, u32, EventKind)> = Vec::with_capacity(2 * self.rows.len());
        for (t, row) in self.rows.iter().enumerate() {
            events.push((row.invoked, t as u32, EventKind::Invoke));
            if let Some(end) = row.end {
                events.push((row.ended, t as u32, end));
            }
        }
        events.sort_unstable_by_key(|e| e.0);
        let mut builder = Builder::new(Order::AsGiven);
        for (rank, t, kind) in events {
            let ok = kind == EventKind::Ok;
            let value = match self.odd.get(&t) {
                Some((_, answer)) if ok => answer.clone(),
                Some((question, _)) => question.clone(),
                None => self.value(t, spine, ok),
            };
            let (process, time) = (self.process(t), u64::from(rank));
            builder.push(Event {
                kind,
                process,
                time,
                intended: time,
                f: "txn".into(),
                key: Value::Nil,
                value,
                meta: None,
            })?;
        }
        builder.finish()
    }
}
