//! Small histories for the tests of this folder. Times are given in nanoseconds.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use squall_history::{
    Builder, Event, EventKind, Fault, FaultPhase, History, Meta, Note, Order, Phase, ProcessInfo, Value,
};

/// Puts a history together, step by step.
pub struct Script(Builder);

impl Script {
    pub fn new() -> Self {
        Script(Builder::new(Order::ByTime))
    }

    pub fn process(mut self, process: u32, node: &str) -> Self {
        let info = ProcessInfo { time: 0, process, worker: process, node: node.into() };
        self.0.history_mut().processes.push(info);
        self
    }

    /// One operation with its completion.
    pub fn op(self, process: u32, f: &str, kind: EventKind, from: u64, to: u64) -> Self {
        self.op_with(process, f, kind, from, to, None)
    }

    pub fn op_with(
        mut self,
        process: u32,
        f: &str,
        kind: EventKind,
        from: u64,
        to: u64,
        meta: Option<Meta>,
    ) -> Self {
        let event = |kind, time, meta: Option<Meta>| Event {
            kind,
            process,
            time,
            intended: time,
            f: f.into(),
            key: Value::Nil,
            value: Value::Nil,
            meta: meta.map(Box::new),
        };
        self.0.push(event(EventKind::Invoke, from, None)).unwrap();
        self.0.push(event(kind, to, meta)).unwrap();
        self
    }

    pub fn phase(mut self, time: u64, name: &str) -> Self {
        self.0.history_mut().phases.push(Phase { time, name: name.into() });
        self
    }

    pub fn fault(mut self, time: u64, id: u32, kind: &str, nodes: &[&str]) -> Self {
        self.0.history_mut().faults.push(Fault {
            time,
            phase: FaultPhase::Begin,
            id,
            kind: kind.into(),
            nodes: nodes.iter().map(|n| (*n).to_owned()).collect(),
            description: String::new(),
            detail: Json::Null,
            effective: None,
            evidence: BTreeMap::new(),
        });
        self
    }

    /// The end of a fault that was begun before.
    pub fn heal(mut self, time: u64, id: u32, effective: Option<bool>) -> Self {
        let faults = &mut self.0.history_mut().faults;
        let begin = faults.iter().find(|f| f.id == id).unwrap().clone();
        faults.push(Fault { time, phase: FaultPhase::End, effective, ..begin });
        self
    }

    pub fn leader(self, time: u64, node: &str, term: i64) -> Self {
        self.note(time, "leader", Some(node), &[("term", term.into())])
    }

    pub fn note(mut self, time: u64, kind: &str, node: Option<&str>, data: &[(&str, Json)]) -> Self {
        self.0.history_mut().notes.push(Note {
            time,
            kind: kind.into(),
            node: node.map(Into::into),
            text: format!("{kind} at {time}"),
            data: data.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect(),
        });
        self
    }

    pub fn history(self) -> History {
        self.0.finish().unwrap()
    }
}
