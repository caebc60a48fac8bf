//! A trace that Perfetto and Chrome's tracing page open: a track a process, one a kind of fault.
//!
//! Format: "Trace Event Format", JSON object form; `X` are intervals, `i` instants, `M` names of tracks.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::{Value as Json, json};

use crate::{Fault, FaultPhase, History, Op, Outcome};

const CLIENTS: u32 = 1;
const FAULTS: u32 = 2;
const RUN: u32 = 3;

/// Writes a history as a trace. Times are microseconds there, with the nanoseconds as a fraction.
pub fn perfetto(history: &History, mut out: impl Write) -> io::Result<()> {
    let end = last_time(history);
    let mut first = true;
    let mut write = |event: Json| -> io::Result<()> {
        out.write_all(if std::mem::take(&mut first) { b"{\"traceEvents\":[\n" } else { b",\n" })?;
        serde_json::to_writer(&mut out, &event).map_err(io::Error::from)
    };
    for (pid, name) in [(CLIENTS, "clients"), (FAULTS, "faults"), (RUN, "run")] {
        write(json!({"ph": "M", "name": "process_name", "pid": pid, "args": {"name": name}}))?;
    }
    for process in &history.processes {
        let name = format!("process {} on {}", process.process, process.node);
        write(
            json!({"ph": "M", "name": "thread_name", "pid": CLIENTS, "tid": process.process, "args": {"name": name}}),
        )?;
    }
    for op in history.ops() {
        write(operation(history, op, end))?;
    }
    for event in faults(history, end) {
        write(event)?;
    }
    for phase in &history.phases {
        write(instant(phase.time, &phase.name, "phase", json!({})))?;
    }
    for note in &history.notes {
        write(instant(note.time, &note.kind, "note", json!({"text": note.text, "node": note.node})))?;
    }
    out.write_all(b"\n],\"displayTimeUnit\":\"ms\"}\n")
}

fn last_time(history: &History) -> u64 {
    let ended = |op: Op<'_>| if op.end == u64::MAX { op.start } else { op.end };
    let faults = history.faults.iter().map(|f| f.time);
    history.ops().map(ended).chain(faults).max().unwrap_or(0)
}

fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1e3
}

fn operation(history: &History, op: Op<'_>, end: u64) -> Json {
    let key = if op.key.is_nil() { String::new() } else { format!(" {}", op.key) };
    let outcome = match op.outcome {
        Outcome::Ok => "ok",
        Outcome::Fail => "fail",
        Outcome::Info => "info",
    };
    let until = if op.end == u64::MAX { end } else { op.end };
    let meta = history.meta(op.index as usize);
    json!({
        "ph": "X",
        "name": format!("{}{key}", op.f),
        "cat": outcome,
        "pid": CLIENTS,
        "tid": op.process,
        "ts": micros(op.start),
        "dur": micros(until.saturating_sub(op.start)),
        "args": {"op": op.index, "input": op.input, "output": op.output, "outcome": outcome, "meta": meta},
    })
}

/// Beginnings and ends put together by id; what has no end lasts until the history does.
fn faults(history: &History, end: u64) -> Vec<Json> {
    let mut tracks: BTreeMap<&str, usize> = BTreeMap::new();
    let mut events = Vec::new();
    for begin in history.faults.iter().filter(|f| f.phase == FaultPhase::Begin) {
        let next = tracks.len();
        let track = *tracks.entry(&begin.kind).or_insert(next);
        let is_end = |f: &&Fault| f.id == begin.id && f.phase == FaultPhase::End;
        let ended = history.faults.iter().find(is_end);
        let until = ended.map_or(end, |f| f.time);
        events.push(json!({
            "ph": "X",
            "name": begin.description,
            "cat": begin.kind,
            "pid": FAULTS,
            "tid": track,
            "ts": micros(begin.time),
            "dur": micros(until.saturating_sub(begin.time)),
            "args": {
                "nodes": begin.nodes,
                "detail": begin.detail,
                "effective": ended.and_then(|f| f.effective),
                "evidence": ended.map(|f| &f.evidence),
            },
        }));
    }
    for (kind, track) in tracks {
        events.push(
            json!({"ph": "M", "name": "thread_name", "pid": FAULTS, "tid": track, "args": {"name": kind}}),
        );
    }
    events
}

fn instant(time: u64, name: &str, category: &str, args: Json) -> Json {
    json!({"ph": "i", "s": "g", "name": name, "cat": category, "pid": RUN, "tid": 0, "ts": micros(time), "args": args})
}
