//! A trace in Chrome's JSON form, which Perfetto opens: a track a process, and a track a kind of fault.
//!
//! Times are microseconds with nanoseconds as fractions. An operation that never ended lasts to the end of
//! the history; its outcome says so.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::{Value as Json, json};
use squall_history::{FaultPhase, History, Outcome};

const CLIENTS: u32 = 1;
const FAULTS: u32 = 2;

/// Writes the trace.
pub(crate) fn write(history: &History, out: &mut dyn Write) -> io::Result<()> {
    let last = |op: squall_history::Op<'_>| if op.end == u64::MAX { op.start } else { op.end };
    let of_ops = history.ops().map(last).max().unwrap_or(0);
    let end = history.faults.iter().map(|f| f.time).max().unwrap_or(0).max(of_ops);
    let mut first = true;
    let mut event = |value: Json| -> io::Result<()> {
        out.write_all(if first { b"{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n" } else { b",\n" })?;
        first = false;
        serde_json::to_writer(&mut *out, &value)?;
        Ok(())
    };
    event(name("process_name", CLIENTS, 0, "clients"))?;
    event(name("process_name", FAULTS, 0, "faults"))?;
    for p in &history.processes {
        event(name("thread_name", CLIENTS, p.process, &format!("process {} on {}", p.process, p.node)))?;
    }
    for op in history.ops() {
        let until = if op.end == u64::MAX { end } else { op.end };
        let outcome = match op.outcome {
            Outcome::Ok => "ok",
            Outcome::Fail => "fail",
            Outcome::Info => "info",
        };
        event(json!({
            "name": op.f, "cat": outcome, "ph": "X", "pid": CLIENTS, "tid": op.process,
            "ts": micros(op.start), "dur": micros(until.saturating_sub(op.start)),
            "args": {
                "index": op.index, "outcome": outcome, "key": op.key, "input": op.input, "output": op.output,
            },
        }))?;
    }
    for span in faults(history, end) {
        event(span)?;
    }
    out.write_all(b"\n]}\n")
}

/// Faults as spans; one that the history does not see end lasts to its end.
fn faults(history: &History, end: u64) -> Vec<Json> {
    let mut kinds: Vec<&str> = history.faults.iter().map(|f| f.kind.as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let track = |kind: &str| kinds.iter().position(|k| *k == kind).unwrap_or(0) as u32;
    let mut spans: Vec<Json> =
        kinds.iter().map(|kind| name("thread_name", FAULTS, track(kind), kind)).collect();
    let ends: BTreeMap<u32, u64> =
        history.faults.iter().filter(|f| f.phase == FaultPhase::End).map(|f| (f.id, f.time)).collect();
    for fault in history.faults.iter().filter(|f| f.phase == FaultPhase::Begin) {
        let until = ends.get(&fault.id).copied().unwrap_or(end);
        spans.push(json!({
            "name": fault.description, "cat": fault.kind, "ph": "X", "pid": FAULTS, "tid": track(&fault.kind),
            "ts": micros(fault.time), "dur": micros(until.saturating_sub(fault.time)),
            "args": { "nodes": fault.nodes, "detail": fault.detail },
        }));
    }
    spans
}

fn name(what: &str, pid: u32, tid: u32, name: &str) -> Json {
    json!({ "name": what, "ph": "M", "pid": pid, "tid": tid, "args": { "name": name } })
}

fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1e3
}
