//! The messages, as bytes. Questions are written by hand: this is the hot path of a run.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value as Json;
use squall_engine::Operation;
use squall_history::{Meta, Value};

/// What the program is told first.
#[derive(Clone, Debug, Serialize)]
pub struct Hello {
    /// Always [`super::PROTOCOL`].
    pub protocol: u32,
    /// The target's name.
    pub target: String,
    /// Its options, as the run has them.
    pub options: BTreeMap<String, Json>,
    /// Every node.
    pub nodes: Vec<NodeHello>,
}

/// A node, as the program is told of it.
#[derive(Clone, Debug, Serialize)]
pub struct NodeHello {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: String,
    /// The ports that the target names.
    pub ports: BTreeMap<String, u16>,
}

/// What the program is told of a process that begins.
#[derive(Clone, Debug, Serialize)]
pub struct Open {
    /// The process's node.
    pub node: String,
    /// Where that node is.
    pub host: String,
    /// Its port for clients; 0 if the target names none.
    pub port: u16,
    /// The address to connect from, so that faults on this client's links reach it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind: Option<String>,
}

/// An answer as it stands on its line.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    #[serde(rename = "type")]
    pub kind: Kind,
    #[serde(default)]
    pub process: Option<u64>,
    #[serde(default)]
    pub id: Option<u64>,
    // Absent and null are different answers: a read of nothing is an observation.
    #[serde(default, deserialize_with = "present")]
    pub value: Option<Value>,
    #[serde(default)]
    pub error: Option<String>,
    #[serde(default)]
    pub closed: bool,
    #[serde(default)]
    pub meta: Option<Box<Meta>>,
    #[serde(default)]
    pub protocol: Option<u32>,
    #[serde(default)]
    pub client: Option<String>,
    #[serde(default)]
    pub supports: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Hello,
    Ok,
    Fail,
    Info,
}

fn present<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(d).map(Some)
}

/// A question's line, but for its numbers and its end: `{"type":"KIND","process":P,"id":I` is added before.
pub(super) enum Question<'a> {
    Open(&'a Open),
    Setup,
    Invoke(&'a Operation),
}

impl Question<'_> {
    /// Appends the question as a line.
    pub fn write(&self, process: u64, id: u64, out: &mut Vec<u8>) {
        let kind: &[u8] = match self {
            Question::Open(_) => b"open",
            Question::Setup => b"setup",
            Question::Invoke(_) => b"invoke",
        };
        out.extend_from_slice(b"{\"type\":\"");
        out.extend_from_slice(kind);
        out.extend_from_slice(b"\",\"process\":");
        number(process, out);
        out.extend_from_slice(b",\"id\":");
        number(id, out);
        match self {
            Question::Setup => {}
            Question::Open(open) => {
                let text = serde_json::to_vec(open).expect("plain data becomes JSON");
                out.push(b',');
                out.extend_from_slice(&text[1..text.len() - 1]);
            }
            Question::Invoke(op) => {
                out.extend_from_slice(b",\"on\":");
                Value::str(op.on).write_json(out);
                out.extend_from_slice(b",\"f\":");
                text(&op.f, out);
                out.extend_from_slice(b",\"key\":");
                op.key.write_json(out);
                out.extend_from_slice(b",\"value\":");
                op.value.write_json(out);
                if op.read_only {
                    out.extend_from_slice(b",\"read_only\":true");
                }
            }
        }
        out.extend_from_slice(b"}\n");
    }
}

/// Appends the goodbye of a process; it has no answer.
pub(super) fn write_close(process: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"type\":\"close\",\"process\":");
    number(process, out);
    out.extend_from_slice(b"}\n");
}

pub(super) fn hello_line(hello: &Hello) -> Vec<u8> {
    let mut json = serde_json::to_value(hello).expect("plain data becomes JSON");
    json["type"] = "hello".into();
    let mut line = json.to_string().into_bytes();
    line.push(b'\n');
    line
}

fn number(n: u64, out: &mut Vec<u8>) {
    Value::Int(n as i64).write_json(out);
}

/// A function's name is a word; whatever else it is goes the long way.
fn text(word: &str, out: &mut Vec<u8>) {
    if word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
        out.push(b'"');
        out.extend_from_slice(word.as_bytes());
        out.push(b'"');
    } else {
        Value::str(word).write_json(out);
    }
}

/// What a program wrote, made fit for a message: cut, and without control characters.
pub(super) fn quote(seen: &[u8]) -> String {
    const CHARS_MAX: usize = 200;
    let text = String::from_utf8_lossy(&seen[..seen.len().min(4 * CHARS_MAX)]);
    let mut out: String =
        text.trim_end().chars().take(CHARS_MAX).map(|c| if c.is_control() { '�' } else { c }).collect();
    if text.trim_end().chars().count() > CHARS_MAX || seen.len() > 4 * CHARS_MAX {
        out.push('…');
    }
    out
}
