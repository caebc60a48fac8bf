//! A counterexample in words, for a picture, and as a certificate.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};
use squall_history::{History, NEVER, Op, Outcome, Value};

use super::counterexample::Counterexample;
use super::judge::NAME;
use super::problem::Call;
use crate::{Anomaly, Certificate};

/// What a counterexample is about.
#[derive(Clone, Copy)]
pub(crate) struct About<'a> {
    pub history: &'a History,
    pub model: &'a str,
    pub key: &'a Value,
    pub keyed: bool,
    pub initial: &'a Value,
    pub nil_reads_unknown: bool,
}

/// More operations than this are not told one by one.
const TOLD: usize = 24;

impl About<'_> {
    fn op(&self, index: u32) -> Op<'_> {
        self.history.op(index as usize)
    }

    pub(crate) fn anomaly(&self, found: &Counterexample, fast: Option<(&'static str, &str)>) -> Anomaly {
        let shape = match fast {
            Some((shape, _)) => shape,
            None => self.op(found.fatal).f,
        };
        let mut operations: Vec<u32> = found.calls.iter().map(|c| c.index).collect();
        operations.sort_unstable();
        Anomaly {
            kind: "nonlinearizable".to_owned(),
            signature: format!("{NAME}/nonlinearizable/{}/{shape}", self.model),
            explanation: self.sentences(found, fast.map(|(_, sentence)| sentence)),
            operations,
            details: self.details(found),
        }
    }

    fn sentences(&self, found: &Counterexample, fast: Option<&str>) -> String {
        let on = if self.key.is_nil() { String::new() } else { format!("Key {}: ", self.key) };
        let mut text = on;
        if let Some(sentence) = fast {
            text.push_str(sentence);
            text.push(' ');
        }
        let fatal = self.op(found.fatal);
        let told = found.calls.len() <= TOLD;
        if told {
            for call in found.calls.iter().filter(|c| c.index != found.fatal) {
                text.push_str(&self.tell(call));
            }
        } else {
            text.push_str(&format!("{} operations together have no legal order. ", found.calls.len()));
        }
        text.push_str(&format!("#{} {} ", fatal.index, happened(&fatal)));
        let before =
            found.calls.iter().filter(|c| c.completed < fatal.invoked).map(|c| format!("#{}", c.index));
        let before: Vec<String> = before.collect();
        if told && !before.is_empty() {
            text.push_str(&format!("after {} completed, ", and(&before)));
        }
        let states: Vec<&str> = found.last.iter().map(|(state, _)| state.as_str()).take(6).collect();
        let more = if found.last.len() > 6 { ", …" } else { "" };
        match states.as_slice() {
            [] => text.push_str("which no order explains."),
            [one] => text.push_str(&format!("yet every legal order of the others leads to {one}.")),
            several => text.push_str(&format!(
                "yet the legal orders of the others lead only to: {}{more}.",
                several.join("; ")
            )),
        }
        if found.any_start {
            text.push_str(" This holds whatever happened before.");
        }
        text
    }

    fn tell(&self, call: &Call) -> String {
        let op = self.op(call.index);
        let weaker = match (call.is_open(), op.outcome) {
            (true, Outcome::Info) => " (no answer: it may have taken effect or not)",
            (true, _) => " (whenever it took effect)",
            (false, _) => "",
        };
        format!("#{} {}{weaker}. ", op.index, happened(&op))
    }

    /// What a picture needs: one row a process, times, the last legal states and why each cannot go on.
    fn details(&self, found: &Counterexample) -> Map<String, Json> {
        let mut rows: BTreeMap<u32, Vec<Json>> = BTreeMap::new();
        for call in &found.calls {
            let op = self.op(call.index);
            let end = if op.end == u64::MAX { Json::Null } else { json!(op.end as f64 / 1e9) };
            let completed = if call.completed == NEVER { Json::Null } else { json!(call.completed) };
            rows.entry(op.process).or_default().push(json!({
                "index": op.index,
                "text": happened(&op),
                "invoked": op.invoked,
                "completed": completed,
                "start_seconds": op.start as f64 / 1e9,
                "end_seconds": end,
                "outcome": if op.outcome == Outcome::Info { "info" } else { "ok" },
                "weakened": call.is_open() && op.outcome == Outcome::Ok,
                "fatal": op.index == found.fatal,
            }));
        }
        let rows: Vec<Json> = rows
            .into_iter()
            .map(|(process, operations)| json!({"process": process, "operations": operations}))
            .collect();
        let fatal = self.op(found.fatal);
        let ways: Vec<Json> = found
            .last
            .iter()
            .map(|(state, order)| {
                let why = format!("#{} {}, impossible with {state}", fatal.index, happened(&fatal));
                json!({"order": order, "state": state, "fails": {"operation": fatal.index, "why": why}})
            })
            .collect();
        let mut details = Map::new();
        details.insert("key".into(), serde_json::to_value(self.key).unwrap_or(Json::Null));
        details.insert("model".into(), json!(self.model));
        details.insert("any_start".into(), json!(found.any_start));
        details.insert("fatal".into(), json!(found.fatal));
        details.insert("rows".into(), json!(rows));
        details.insert("last_states".into(), json!(ways));
        details
    }

    pub(crate) fn certificate(&self, found: &Counterexample, elements: Option<&[Value]>) -> Certificate {
        let operations: Vec<Json> =
            found.calls.iter().map(|c| json!({"index": c.index, "open": c.is_open()})).collect();
        let body = json!({
            "model": self.model,
            "initial": self.initial,
            "nil_reads_unknown": self.nil_reads_unknown,
            "keyed": self.keyed,
            "key": self.key,
            "any_start": found.any_start,
            "elements": elements,
            "operations": operations,
        });
        Certificate { kind: "nonlinearizable".to_owned(), body }
    }
}

/// An operation as a clause: "read 3", "wrote 4", "`enqueue` of 7".
fn happened(op: &Op<'_>) -> String {
    match (op.f, op.outcome) {
        ("read" | "get", Outcome::Ok) => format!("read {}", short(op.output)),
        ("write" | "put", _) => format!("wrote {}", short(op.input)),
        ("cas", _) => match op.input.as_pair() {
            Some((old, new)) if op.output.as_str() == Some("mismatch") => {
                format!("saw a value other than {} (cas to {})", short(old), short(new))
            }
            Some((old, new)) => format!("changed {} to {}", short(old), short(new)),
            None => "cas".to_owned(),
        },
        ("enqueue" | "push" | "add" | "append", _) => format!("did {} {}", op.f, short(op.input)),
        ("acquire" | "release", _) => format!("did {} (process {})", op.f, op.process),
        (f, Outcome::Ok) if op.input.is_nil() => format!("did {f}, answered {}", short(op.output)),
        (f, Outcome::Ok) => format!("did {f} {}, answered {}", short(op.input), short(op.output)),
        (f, _) => format!("did {f} {}", short(op.input)),
    }
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= 60 {
        return text;
    }
    let (start, end): (String, String) =
        (text.chars().take(28).collect(), text.chars().skip(text.chars().count() - 28).collect());
    format!("{start}…{end}")
}

fn and(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}
