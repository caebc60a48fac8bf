//! Transactions on etcd, as careful users write them.
//!
//! First all keys are read at one revision, then everything is written in one guarded transaction that only
//! happens if no key was changed since. A transaction that only reads is the first step alone. Where the guard
//! fails nothing happened, and the operation is `fail`: this client does not try again.

use std::collections::BTreeMap;

use hyper::Method;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use squall_engine::{Completion, Operation};
use squall_history::Value;

use super::client::failed;
use super::wire::{ChangeReply, Header, RangeReply, answer_text, base64, encode, unbase64};
use crate::http::{Answer, Http};

/// What a key holds, and the revision of its last change (0: absent).
type Seen = BTreeMap<String, (Value, String)>;

/// Does a transaction of `["r" | "w" | "append", key, value]`.
pub(super) async fn invoke(http: &mut Http, op: &Operation, serializable: bool) -> Completion {
    let Some(micros) = micros(op) else {
        return Completion::fail("not-asked", "a transaction is a list of [f, key, value]");
    };
    let read = read_request(&micros, serializable && op.read_only);
    let (seen, revision) = match http.request(Method::POST, "/v3/kv/txn", read).await {
        // Nothing was written yet, whatever went wrong.
        Err(e) => return Completion::fail("read-step", e),
        Ok(answer) => match seen(&micros, &answer) {
            Some(seen) => seen,
            None => return Completion::fail("read-step", answer_text(&answer)),
        },
    };
    let (filled, written) = apply(&micros, &seen);
    if written.is_empty() {
        return Completion::ok_at(filled, revision);
    }
    let answer = match http.request(Method::POST, "/v3/kv/txn", write_request(&seen, &written)).await {
        Ok(answer) => answer,
        Err(e) => return Completion::info("connection-broke", e),
    };
    if answer.status != 200 {
        return failed(op, &answer);
    }
    match serde_json::from_slice::<ChangeReply>(&answer.body) {
        Ok(reply) if reply.succeeded => Completion::ok_at(filled, reply.header.revision.parse().unwrap_or(0)),
        Ok(_) => Completion::fail("guard", "a key was changed in between: nothing was written"),
        Err(_) => Completion::info("not-understood", answer_text(&answer)),
    }
}

struct Micro {
    f: String,
    key: String,
    whole: Value,
    value: Value,
}

fn micros(op: &Operation) -> Option<Vec<Micro>> {
    let micro = |whole: &Value| {
        let [f, key, value] = whole.as_list()? else { return None };
        let key = format!("{}{key}", &op.on[..1]);
        Some(Micro { f: f.as_str()?.to_owned(), key, whole: whole.clone(), value: value.clone() })
    };
    op.value.as_list()?.iter().map(micro).collect()
}

/// Each key once, in the order of its name.
fn keys(micros: &[Micro]) -> Vec<&str> {
    let mut keys: Vec<&str> = micros.iter().map(|m| &*m.key).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

fn read_request(micros: &[Micro], serializable: bool) -> String {
    let range = |key: &&str| json!({ "request_range": { "key": base64(key), "serializable": serializable } });
    json!({ "success": keys(micros).iter().map(range).collect::<Vec<_>>() }).to_string()
}

#[derive(Deserialize)]
struct TxnReply {
    header: Header,
    #[serde(default)]
    responses: Vec<Response>,
}

#[derive(Deserialize)]
struct Response {
    response_range: RangeReply,
}

fn seen(micros: &[Micro], answer: &Answer) -> Option<(Seen, i64)> {
    if answer.status != 200 {
        return None;
    }
    let reply: TxnReply = serde_json::from_slice(&answer.body).ok()?;
    let keys = keys(micros);
    if reply.responses.len() != keys.len() {
        return None;
    }
    let mut seen = Seen::new();
    for (key, response) in keys.into_iter().zip(reply.responses) {
        let held = match response.response_range.kvs.first() {
            None => (Value::Nil, "0".to_owned()),
            Some(kv) => (serde_json::from_slice(&unbase64(&kv.value)?).ok()?, kv.mod_revision.clone()),
        };
        seen.insert(key.to_owned(), held);
    }
    Some((seen, reply.header.revision.parse().ok()?))
}

/// Runs the steps on what was seen: the transaction with its reads filled in, and what it writes.
fn apply(micros: &[Micro], seen: &Seen) -> (Vec<Value>, BTreeMap<String, Value>) {
    let mut written = BTreeMap::new();
    let mut filled = Vec::with_capacity(micros.len());
    for micro in micros {
        let current = written.get(&micro.key).or_else(|| seen.get(&micro.key).map(|s| &s.0)).cloned();
        let current = current.unwrap_or_default();
        match &*micro.f {
            "r" => {
                let [f, key, _] = micro.whole.as_list().unwrap_or_default() else { continue };
                filled.push(Value::list([f.clone(), key.clone(), current]));
                continue;
            }
            "append" => {
                let mut list = current.as_list().unwrap_or_default().to_vec();
                list.push(micro.value.clone());
                written.insert(micro.key.clone(), Value::list(list));
            }
            _ => drop(written.insert(micro.key.clone(), micro.value.clone())),
        }
        filled.push(micro.whole.clone());
    }
    (filled, written)
}

/// Guards on everything that was read or is written: reads count, or write skew would slip through.
fn write_request(seen: &Seen, written: &BTreeMap<String, Value>) -> String {
    let guard = |(key, (_, revision)): (&String, &(Value, String))| json!({ "key": base64(key), "target": "MOD", "result": "EQUAL", "mod_revision": revision });
    let put = |(key, value): (&String, &Value)| json!({ "request_put": { "key": base64(key), "value": encode(value) } });
    let compare: Vec<Json> = seen.iter().map(guard).collect();
    let success: Vec<Json> = written.iter().map(put).collect();
    json!({ "compare": compare, "success": success }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(text: &str) -> Operation {
        let value: Value = serde_json::from_str(text).unwrap();
        Operation::new(&"txn".into(), Value::Nil, value).on("append")
    }

    fn answer(body: &str) -> Answer {
        Answer { status: 200, body: body.to_owned().into() }
    }

    #[test]
    fn every_key_is_guarded_by_the_revision_at_which_it_was_seen() {
        let micros = micros(&op(r#"[["append",2,7],["r",1,null],["append",2,8],["r",2,null]]"#)).unwrap();
        let read: Json = serde_json::from_str(&read_request(&micros, false)).unwrap();
        assert_eq!(read["success"].as_array().unwrap().len(), 2, "each key once");
        // Key a1 is absent; a2 holds [5] at revision 9.
        let body = r#"{"header":{"revision":"12"},"responses":[
            {"response_range":{"header":{"revision":"12"}}},
            {"response_range":{"kvs":[{"key":"YTI=","value":"WzVd","mod_revision":"9"}]}}]}"#;
        let (seen, revision) = seen(&micros, &answer(body)).unwrap();
        assert_eq!(revision, 12);
        let (filled, written) = apply(&micros, &seen);
        let filled = Value::list(filled).to_string();
        assert_eq!(filled, r#"[["append",2,7],["r",1,null],["append",2,8],["r",2,[5,7,8]]]"#);
        let write: Json = serde_json::from_str(&write_request(&seen, &written)).unwrap();
        assert_eq!(
            write["compare"],
            json!([
                { "key": "YTE=", "target": "MOD", "result": "EQUAL", "mod_revision": "0" },
                { "key": "YTI=", "target": "MOD", "result": "EQUAL", "mod_revision": "9" },
            ])
        );
        assert_eq!(write["success"], json!([{ "request_put": { "key": "YTI=", "value": "WzUsNyw4XQ==" } }]));
    }
}
