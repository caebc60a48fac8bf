//! Jepsen's EDN, one operation map a line, as Elle and Knossos read it.
//!
//! Keys become `[key value]` tuples, as `jepsen.independent` has them: of all operations, if of any. Text is text, except the names of
//! functions and of micro-operations, which are keywords. Faults become `:info` operations of `:nemesis`.
//! Jepsen's processes do one thing at a time: where a history has two operations of one process overlap (it
//! may, if clocks differed, or if it has no times), the later one gets a process of its own.

use std::io::{self, Write};

use rustc_hash::FxHashSet;

use crate::value::{write_int, write_json_str};
use crate::{EventKind, Fault, FaultPhase, History, Value};

/// Writes a history as EDN.
pub fn edn(history: &History, mut out: impl Write) -> io::Result<()> {
    let mut writer = Writer { history, line: Vec::new(), index: 0 };
    let mut faults = history.faults.iter().peekable();
    let mut busy = FxHashSet::default();
    let mut renamed = vec![None; history.len()];
    let mut fresh = history.ops().map(|op| op.process).max().map_or(0, |p| u64::from(p) + 1);
    for (kind, index) in history.events() {
        let event = history.event(kind, index);
        while let Some(fault) = faults.next_if(|f| f.time <= event.time) {
            writer.fault(fault);
        }
        let own = u64::from(event.process);
        let process = if kind == EventKind::Invoke {
            let process = if busy.contains(&own) { fresh } else { own };
            fresh += u64::from(process == fresh);
            busy.insert(process);
            renamed[index as usize] = Some(process);
            process
        } else {
            let process = renamed[index as usize].unwrap_or(own);
            busy.remove(&process);
            process
        };
        writer.event(kind, index, process);
        out.write_all(&writer.line)?;
        writer.line.clear();
    }
    faults.for_each(|fault| writer.fault(fault));
    out.write_all(&writer.line)
}

struct Writer<'h> {
    history: &'h History,
    line: Vec<u8>,
    index: u64,
}

impl Writer<'_> {
    fn event(&mut self, kind: EventKind, index: u32, process: u64) {
        let event = self.history.event(kind, index);
        self.begin(match kind {
            EventKind::Invoke => ":invoke",
            EventKind::Ok => ":ok",
            EventKind::Fail => ":fail",
            EventKind::Info => ":info",
        });
        self.text(&format!(", :process {process}, :f "));
        keyword(&event.f, &mut self.line);
        self.text(&format!(", :time {}, :value ", event.time));
        if !self.history.is_keyed() {
            write_value(&event.value, &mut self.line);
        } else {
            self.line.push(b'[');
            write_value(&event.key, &mut self.line);
            self.line.push(b' ');
            write_value(&event.value, &mut self.line);
            self.line.push(b']');
        }
        for (name, text) in event.meta.iter().flat_map(|m| [(":node", &m.node), (":error", &m.error)]) {
            if let Some(text) = text {
                self.text(&format!(", {name} "));
                write_str(text, &mut self.line);
            }
        }
        self.text("}\n");
    }

    fn fault(&mut self, fault: &Fault) {
        self.begin(":info");
        let prefix = if fault.phase == FaultPhase::Begin { "start" } else { "stop" };
        self.text(", :process :nemesis, :f ");
        keyword(&format!("{prefix}-{}", fault.kind), &mut self.line);
        self.text(&format!(", :time {}, :value ", fault.time));
        write_str(&fault.description, &mut self.line);
        self.text("}\n");
    }

    fn begin(&mut self, kind: &str) {
        let index = self.index;
        self.index += 1;
        self.text(&format!("{{:index {index}, :type {kind}"));
    }

    fn text(&mut self, text: &str) {
        self.line.extend_from_slice(text.as_bytes());
    }
}

/// A keyword where the name can be one, else a text.
fn keyword(name: &str, out: &mut Vec<u8>) {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b"*+!-_'?<>=./".contains(&b);
    let begins_well =
        name.as_bytes().first().is_some_and(|b| !b.is_ascii_digit() && *b != b'/' && *b != b'.');
    if begins_well && name.bytes().all(is_part) {
        out.push(b':');
        out.extend_from_slice(name.as_bytes());
    } else {
        write_str(name, out);
    }
}

fn write_str(text: &str, out: &mut Vec<u8>) {
    // The escapes that JSON needs are among those that EDN has.
    write_json_str(text, out);
}

fn write_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Nil => out.extend_from_slice(b"nil"),
        Value::Bool(b) => out.extend_from_slice(if *b { b"true" } else { b"false" }),
        Value::Int(i) => write_int(*i, out),
        Value::Str(text) => write_str(text, out),
        Value::List(items) => {
            let is_txn = crate::import::is_transaction(value);
            seq(b'[', items.iter(), b']', out, |item, out| match item.as_list() {
                Some([Value::Str(name), rest @ ..]) if is_txn => {
                    out.push(b'[');
                    keyword(name, out);
                    for part in rest {
                        out.push(b' ');
                        write_value(part, out);
                    }
                    out.push(b']');
                }
                _ => write_value(item, out),
            });
        }
        Value::Map(pairs) => seq(b'{', pairs.iter(), b'}', out, |(key, value), out| {
            write_value(key, out);
            out.push(b' ');
            write_value(value, out);
        }),
    }
}

fn seq<T>(
    open: u8,
    items: impl Iterator<Item = T>,
    close: u8,
    out: &mut Vec<u8>,
    write: impl Fn(T, &mut Vec<u8>),
) {
    out.push(open);
    for (i, item) in items.enumerate() {
        if i > 0 {
            out.push(b' ');
        }
        write(item, out);
    }
    out.push(close);
}
