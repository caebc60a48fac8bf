//! JSON lines. A run's log is unpacked as it is: its lines say everything. Any other history becomes one event a
//! line, as `check` reads them, with faults as acts of the process `nemesis`.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use serde::Serialize;
use squall_history::runlog::LogReader;
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

/// The lines of a run's log, without what its end had lost.
pub(crate) fn unpack(path: &Path, out: &mut dyn Write) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut start = [0; 4];
    let packed = file.read_exact(&mut start).is_ok() && start == ZSTD;
    file.rewind()?;
    if !packed {
        return io::copy(&mut file, out).map(drop);
    }
    let mut reader = LogReader::new(&mut file);
    while reader.next_frame().map_err(io::Error::other)?.is_some() {}
    let lost = reader.skipped().bytes;
    let length = file.metadata()?.len().saturating_sub(lost);
    file.rewind()?;
    zstd::stream::copy_decode(file.take(length), out)
}

/// The first bytes of a zstd frame.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

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
