//! JSON lines: one event a line, as `check` reads them; faults as acts of the process `nemesis`.

use std::io::{self, Write};

use serde::Serialize;
use squall_history::{EventKind, Fault, FaultPhase, History, Meta, Value};

use super::events::{Step, events};

/// Writes all events, and the beginnings and ends of faults, in time order.
pub(crate) fn write(history: &History, out: &mut dyn Write) -> io::Result<()> {
    let mut faults = history.faults.iter().peekable();
    for (index, step) in events(history).iter().enumerate() {
        while let Some(fault) = faults.next_if(|f| f.time <= step.time()) {
            line(out, &fault_line(fault))?;
        }
        line(out, &event_line(history, index, step))?;
    }
    faults.try_for_each(|fault| line(out, &fault_line(fault)))
}

fn line<T: Serialize>(out: &mut dyn Write, value: &T) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

/// An event as it stands on its line.
#[derive(Serialize)]
struct EventLine<'a> {
    index: usize,
    r#type: EventKind,
    process: u32,
    time: u64,
    f: &'a str,
    #[serde(skip_serializing_if = "Value::is_nil")]
    key: &'a Value,
    value: &'a Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<&'a Meta>,
}

fn event_line<'a>(history: &'a History, index: usize, step: &Step<'a>) -> EventLine<'a> {
    let op = &step.op;
    let meta = history.meta(op.index as usize).filter(|_| step.kind != EventKind::Invoke);
    EventLine {
        index,
        r#type: step.kind,
        process: op.process,
        time: step.time(),
        f: op.f,
        key: op.key,
        value: step.value(),
        node: history.node_of(op.process),
        meta,
    }
}

/// A fault as it stands on its line.
#[derive(Serialize)]
struct FaultLine<'a> {
    r#type: &'static str,
    process: &'static str,
    time: u64,
    f: String,
    value: &'a str,
    nodes: &'a [String],
}

fn fault_line(fault: &Fault) -> FaultLine<'_> {
    let verb = match fault.phase {
        FaultPhase::Begin => "start",
        FaultPhase::End => "stop",
    };
    FaultLine {
        r#type: "info",
        process: "nemesis",
        time: fault.time,
        f: format!("{verb}-{}", fault.kind),
        value: &fault.description,
        nodes: &fault.nodes,
    }
}
