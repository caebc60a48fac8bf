//! Puts a log's entries and marks together into a history, cut at the last mark.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::Merger;
use crate::object::{Actor, Object};
use crate::scan::{Stop, text};
use crate::{BadEvent, Builder, Entry, Event, EventKind, History, Order, Value};

/// What is known of a history while its log is read.
#[derive(Debug)]
pub(crate) struct Assembler {
    builder: Builder,
    merger: Merger,
    marks: u64,
}

impl Assembler {
    pub fn new() -> Self {
        Assembler { builder: Builder::new(Order::AsGiven), merger: Merger::new(), marks: 0 }
    }

    /// Adds an entry. Those that are no operations count at once, whatever the mark.
    pub fn entry(&mut self, entry: Entry) {
        let history = self.builder.history_mut();
        match entry {
            Entry::Op(event) => self.merger.push(event),
            Entry::Run(run) => history.run = Some(run),
            Entry::Process(process) => history.processes.push(process),
            Entry::Phase(phase) => history.phases.push(phase),
            Entry::Fault(fault) => history.faults.push(*fault),
            Entry::Note(note) => history.notes.push(*note),
        }
    }

    /// Takes the events up to a watermark into the history.
    pub fn mark(&mut self, watermark: u64) -> Result<(), BadEvent> {
        self.marks += 1;
        for event in self.merger.advance(watermark) {
            self.builder.push(event)?;
        }
        Ok(())
    }

    /// Whether an event came after a mark had ruled it out.
    pub fn is_late(&self) -> bool {
        self.merger.late() > 0
    }

    /// How many marks there were.
    pub fn marks(&self) -> u64 {
        self.marks
    }

    /// The history, and how many events after the last mark were dropped.
    pub fn finish(self) -> Result<(History, u64), BadEvent> {
        Ok((self.builder.finish()?, self.merger.waiting() as u64))
    }
}

/// Names of functions, each allocated once.
#[derive(Debug, Default)]
pub(crate) struct Names(Vec<Arc<str>>);

impl Names {
    fn shared(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.0.iter().find(|f| &***f == name) {
            return known.clone();
        }
        self.0.push(name.into());
        self.0[self.0.len() - 1].clone()
    }
}

/// The entry that an object of `lines` stands for; marks are the caller's.
pub(crate) fn entry(lines: &[u8], o: Object<'_>, names: &mut Names) -> Result<Entry, Stop> {
    let kind = match o.kind.as_deref() {
        Some("invoke") => EventKind::Invoke,
        Some("ok") => EventKind::Ok,
        Some("fail") => EventKind::Fail,
        Some("info") => EventKind::Info,
        Some("run") => return other(lines, &o).map(|b| Entry::Run(Box::new(b))),
        Some("process") => return other(lines, &o).map(Entry::Process),
        Some("phase") => return other(lines, &o).map(Entry::Phase),
        Some("fault") => return other(lines, &o).map(|b| Entry::Fault(Box::new(b))),
        Some("note") => return other(lines, &o).map(|b| Entry::Note(Box::new(b))),
        _ => return Stop::bad(o.from, "a `type` that a run log has"),
    };
    let (Some(Actor::Number(process)), Some(time), Some(f)) = (o.process, o.time, o.f) else {
        return Stop::bad(o.from, "an operation with `process`, `time` and `f`");
    };
    Ok(Entry::Op(Event {
        kind,
        process,
        time,
        intended: o.intended.unwrap_or(time),
        f: names.shared(&f),
        key: o.key.unwrap_or(Value::Nil),
        value: o.value.unwrap_or(Value::Nil),
        meta: o.meta,
    }))
}

fn other<T: DeserializeOwned>(lines: &[u8], o: &Object<'_>) -> Result<T, Stop> {
    let raw = text(&lines[o.from..o.to], o.from)?;
    serde_json::from_str(raw).or_else(|e| Stop::bad(o.from, format!("an entry that a run log has ({e})")))
}
