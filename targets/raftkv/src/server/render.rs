//! From replies to JSON. Values are JSON text already, so answers are put together as text.

use std::fmt::Write as _;

use serde_json::Value;

use super::asks::Reply;
use crate::kv::{Answer, Change, OpResult, Versioned};

/// The body of an answer.
pub fn render(reply: Reply) -> String {
    match reply {
        Reply::Value { found, applied } => {
            let (value, version) = value_and_version(found.as_ref());
            format!(r#"{{"value":{value},"version":{version},"applied":{applied}}}"#)
        }
        Reply::Range { items, more, applied } => {
            format!(r#"{{"items":{},"more":{more},"applied":{applied}}}"#, list_items(&items))
        }
        Reply::Changed(answer) | Reply::Queried(answer) => render_answer(answer),
        Reply::Changes { events, next } => render_changes(&events, next),
        Reply::Hash { applied, hash } => format!(r#"{{"applied":{applied},"hash":"{hash:016x}"}}"#),
        Reply::Members(membership) => serde_json::to_string(&membership).expect("a membership is plain data"),
        Reply::Status(status) => serde_json::to_string(&status).expect("a status is plain data"),
        Reply::Text(text) => text,
    }
}

fn value_and_version(found: Option<&Versioned>) -> (&str, u64) {
    found.map_or(("null", 0), |v| (v.value.as_ref(), v.version))
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn render_answer(answer: Answer) -> String {
    match answer {
        Answer::Written { version } => format!(r#"{{"version":{version}}}"#),
        Answer::Swapped { version } => format!(r#"{{"ok":true,"version":{version}}}"#),
        Answer::Mismatch { actual, version } => {
            let actual = actual.as_deref().unwrap_or("null");
            format!(r#"{{"ok":false,"actual":{actual},"version":{version}}}"#)
        }
        Answer::Deleted { existed, version } => format!(r#"{{"existed":{existed},"version":{version}}}"#),
        Answer::Txn { succeeded, results, version } => {
            let results: Vec<String> = results.iter().map(render_result).collect();
            format!(r#"{{"succeeded":{succeeded},"results":[{}],"version":{version}}}"#, results.join(","))
        }
        Answer::SessionOpened { session } => format!(r#"{{"session":{session}}}"#),
        Answer::Granted { lease } | Answer::Renewed { lease } => format!(r#"{{"lease":{lease}}}"#),
        Answer::Revoked { existed } => format!(r#"{{"existed":{existed}}}"#),
        Answer::Locked { token } => format!(r#"{{"ok":true,"token":{token}}}"#),
        Answer::LockBusy { token, lease } => format!(r#"{{"ok":false,"token":{token},"lease":{lease}}}"#),
        Answer::Unlocked { held } => format!(r#"{{"held":{held}}}"#),
        Answer::Compacted { complete_after } => format!(r#"{{"complete_after":{complete_after}}}"#),
        Answer::Refused(_) => unreachable!("a refusal is answered as an error"),
    }
}

fn render_result(result: &OpResult) -> String {
    match result {
        OpResult::Value(found) => {
            let (value, version) = value_and_version(found.as_ref());
            format!(r#"{{"value":{value},"version":{version}}}"#)
        }
        OpResult::Written => "{}".into(),
        OpResult::Deleted { existed } => format!(r#"{{"existed":{existed}}}"#),
        OpResult::Appended { length } => format!(r#"{{"length":{length}}}"#),
        OpResult::Added { value } => format!(r#"{{"value":{value}}}"#),
        OpResult::Range { items, more } => format!(r#"{{"items":{},"more":{more}}}"#, list_items(items)),
    }
}

fn list_items(items: &[(String, Versioned)]) -> String {
    let items: Vec<String> = items
        .iter()
        .map(|(key, v)| format!(r#"{{"key":{},"value":{},"version":{}}}"#, quoted(key), v.value, v.version))
        .collect();
    format!("[{}]", items.join(","))
}

fn render_changes(events: &[Change], next: u64) -> String {
    let mut out = String::from(r#"{"events":["#);
    for (i, change) in events.iter().enumerate() {
        let comma = if i > 0 { "," } else { "" };
        let value = change.value.as_deref().unwrap_or("null");
        let (key, version) = (quoted(&change.key), change.index);
        write!(out, r#"{comma}{{"key":{key},"value":{value},"version":{version}}}"#)
            .expect("strings take anything");
    }
    write!(out, r#"],"next":{next}}}"#).expect("strings take anything");
    out
}
