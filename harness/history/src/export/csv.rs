//! One row an operation, for spreadsheets and data frames (RFC 4180, line feeds only).

use std::io::{self, Write};

use crate::{History, Outcome, Value};

/// Writes a history as CSV with a header row. Keys and values stand as JSON, absence as an empty field; times
/// are nanoseconds since the run began, and an operation that never ended has no `end_nanos`.
pub fn csv(history: &History, mut out: impl Write) -> io::Result<()> {
    writeln!(
        out,
        "index,process,node,f,key,input,output,outcome,intended_nanos,start_nanos,end_nanos,latency_nanos,error"
    )?;
    for op in history.ops() {
        let meta = history.meta(op.index as usize);
        let node = meta.and_then(|m| m.node.as_deref()).or_else(|| history.node_of(op.process));
        let error = meta.and_then(|m| m.error.as_deref());
        let outcome = match op.outcome {
            Outcome::Ok => "ok",
            Outcome::Fail => "fail",
            Outcome::Info => "info",
        };
        let end = Some(op.end).filter(|&e| e != u64::MAX);
        let number = |n: Option<u64>| n.map_or(String::new(), |n| n.to_string());
        let fields = [
            op.index.to_string(),
            op.process.to_string(),
            node.unwrap_or_default().to_owned(),
            op.f.to_owned(),
            value(op.key),
            value(op.input),
            value(op.output),
            outcome.to_owned(),
            op.intended.to_string(),
            op.start.to_string(),
            number(end),
            number(end.map(|e| e.saturating_sub(op.start))),
            error.unwrap_or_default().to_owned(),
        ];
        writeln!(out, "{}", fields.map(quoted).join(","))?;
    }
    Ok(())
}

fn value(value: &Value) -> String {
    if value.is_nil() { String::new() } else { value.to_string() }
}

fn quoted(field: String) -> String {
    if field.contains([',', '"', '\n', '\r']) { format!("\"{}\"", field.replace('"', "\"\"")) } else { field }
}
