//! Jepsen's EDN: one operation map a line, as its own histories are stored.
//!
//! Keys become `[key value]` tuples, as in `jepsen.independent`. A cas that did not match is an observation
//! to squall and a `:fail` to Jepsen, so it becomes one, with `:error :mismatch`. Functions of transactions'
//! micro-operations become keywords, as Elle wants them.

use std::io::{self, Write};

use squall_history::{EventKind, FaultPhase, History, Value};

use super::events::{Step, events};

/// Writes all events, and the beginnings and ends of faults, in time order.
pub(crate) fn write(history: &History, out: &mut dyn Write) -> io::Result<()> {
    let mut faults = history.faults.iter().peekable();
    let mut text = String::new();
    let mut index = 0u64;
    for step in &events(history) {
        while let Some(fault) = faults.next_if(|f| f.time <= step.time()) {
            fault_line(index, fault, &mut text);
            index += 1;
        }
        event_line(index, history, step, &mut text);
        index += 1;
        if text.len() > 1 << 16 {
            out.write_all(text.as_bytes())?;
            text.clear();
        }
    }
    for fault in faults {
        fault_line(index, fault, &mut text);
        index += 1;
    }
    out.write_all(text.as_bytes())
}

fn event_line(index: u64, history: &History, step: &Step<'_>, out: &mut String) {
    let op = &step.op;
    let mismatch = step.kind == EventKind::Ok && op.f == "cas" && op.output.as_str() == Some("mismatch");
    let kind = match step.kind {
        _ if mismatch => "fail",
        EventKind::Invoke => "invoke",
        EventKind::Ok => "ok",
        EventKind::Fail => "fail",
        EventKind::Info => "info",
    };
    head(index, step.time(), kind, &op.process.to_string(), op.f, out);
    let value = if mismatch { op.input } else { step.value() };
    if !op.key.is_nil() {
        out.push('[');
        edn(op.key, false, out);
        out.push(' ');
    }
    edn(value, op.f == "txn", out);
    if !op.key.is_nil() {
        out.push(']');
    }
    let error = history.meta(op.index as usize).and_then(|m| m.error.as_deref());
    if mismatch {
        out.push_str(", :error :mismatch");
    } else if let (EventKind::Fail | EventKind::Info, Some(error)) = (step.kind, error) {
        out.push_str(", :error ");
        string(error, out);
    }
    out.push_str("}\n");
}

fn fault_line(index: u64, fault: &squall_history::Fault, out: &mut String) {
    let verb = match fault.phase {
        FaultPhase::Begin => "start",
        FaultPhase::End => "stop",
    };
    head(index, fault.time, "info", ":nemesis", &format!("{verb}-{}", fault.kind), out);
    string(&fault.description, out);
    out.push_str("}\n");
}

/// Everything up to the value.
fn head(index: u64, time: u64, kind: &str, process: &str, f: &str, out: &mut String) {
    out.push_str(&format!("{{:index {index}, :time {time}, :type :{kind}, :process {process}, :f "));
    word(f, out);
    out.push_str(", :value ");
}

/// A keyword where it can be one, else a text.
fn word(text: &str, out: &mut String) {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+' | '*' | '!' | '?' | '.');
    if text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(fits) {
        out.push(':');
        out.push_str(text);
    } else {
        string(text, out);
    }
}

fn string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// A value. In a transaction the first item of each micro-operation is a keyword.
fn edn(value: &Value, transaction: bool, out: &mut String) {
    match value {
        Value::Nil => out.push_str("nil"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Int(i) => out.push_str(&i.to_string()),
        Value::Str(s) => string(s, out),
        Value::List(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(' ');
                }
                match item.as_list() {
                    Some([Value::Str(f), rest @ ..]) if transaction => {
                        out.push('[');
                        word(f, out);
                        for value in rest {
                            out.push(' ');
                            edn(value, false, out);
                        }
                        out.push(']');
                    }
                    _ => edn(item, false, out),
                }
            }
            out.push(']');
        }
        Value::Map(pairs) => {
            out.push('{');
            for (at, (key, value)) in pairs.iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                edn(key, false, out);
                out.push(' ');
                edn(value, false, out);
            }
            out.push('}');
        }
    }
}
