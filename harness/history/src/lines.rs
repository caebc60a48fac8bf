//! The lines of a run's log: one JSON object an entry, told apart by `type`.
//!
//! Operations are written by hand, since the recorder does it a million times a second; everything else is
//! rare and goes through serde. The form is described in `docs/format.md`.

use serde::Serialize;

use crate::value::{write_int, write_json_str};
use crate::{Entry, Event, EventKind, Meta};

/// Appends an entry as one line, with its line feed.
pub(crate) fn write_entry(entry: &Entry, out: &mut Vec<u8>) {
    match entry {
        Entry::Op(event) => write_event(event, out),
        Entry::Run(run) => write_other("run", run, out),
        Entry::Process(process) => write_other("process", process, out),
        Entry::Phase(phase) => write_other("phase", phase, out),
        Entry::Fault(fault) => write_other("fault", fault, out),
        Entry::Note(note) => write_other("note", note, out),
    }
}

/// Appends an operation's event as one line, with its line feed.
pub(crate) fn write_event(event: &Event, out: &mut Vec<u8>) {
    out.extend_from_slice(match event.kind {
        EventKind::Invoke => b"{\"type\":\"invoke\",\"process\":".as_slice(),
        EventKind::Ok => b"{\"type\":\"ok\",\"process\":",
        EventKind::Fail => b"{\"type\":\"fail\",\"process\":",
        EventKind::Info => b"{\"type\":\"info\",\"process\":",
    });
    write_int(i64::from(event.process), out);
    out.extend_from_slice(b",\"time\":");
    write_u64(event.time, out);
    out.extend_from_slice(b",\"f\":");
    write_json_str(&event.f, out);
    if !event.key.is_nil() {
        out.extend_from_slice(b",\"key\":");
        event.key.write_json(out);
    }
    out.extend_from_slice(b",\"value\":");
    event.value.write_json(out);
    if event.kind == EventKind::Invoke && event.intended != event.time {
        out.extend_from_slice(b",\"intended\":");
        write_u64(event.intended, out);
    }
    if let Some(meta) = &event.meta {
        out.extend_from_slice(b",\"meta\":");
        write_meta(meta, out);
    }
    out.extend_from_slice(b"}\n");
}

/// Appends the watermark that ends a frame of `entries` lines.
pub(crate) fn write_mark(time: u64, entries: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"type\":\"mark\",\"time\":");
    write_u64(time, out);
    out.extend_from_slice(b",\"entries\":");
    write_u64(entries, out);
    out.extend_from_slice(b"}\n");
}

fn write_u64(n: u64, out: &mut Vec<u8>) {
    match i64::try_from(n) {
        Ok(small) => write_int(small, out),
        Err(_) => out.extend_from_slice(n.to_string().as_bytes()),
    }
}

fn write_meta(meta: &Meta, out: &mut Vec<u8>) {
    let open = out.len();
    let field = |name: &[u8], out: &mut Vec<u8>| {
        out.push(if out.len() == open { b'{' } else { b',' });
        out.push(b'"');
        out.extend_from_slice(name);
        out.extend_from_slice(b"\":");
    };
    for (name, text) in [
        (b"node".as_slice(), meta.node.as_deref()),
        (b"error", meta.error.as_deref()),
        (b"row", meta.row.as_deref()),
    ] {
        if let Some(text) = text {
            field(name, out);
            write_json_str(text, out);
        }
    }
    if let Some(revision) = meta.revision {
        field(b"revision", out);
        write_int(revision, out);
    }
    for (name, value) in &meta.more {
        out.push(if out.len() == open { b'{' } else { b',' });
        write_json_str(name, out);
        out.push(b':');
        append_serde(value, out);
    }
    if out.len() == open {
        out.push(b'{');
    }
    out.push(b'}');
}

fn write_other<T: Serialize>(name: &str, body: &T, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\",");
    let open = out.len();
    append_serde(body, out);
    // Every such structure has at least one field, so its opening brace can make way for ours.
    out.remove(open);
    out.push(b'\n');
}

fn append_serde<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    serde_json::to_writer(out, value)
        .expect("our own structures have text keys, and a vector takes any bytes");
}
