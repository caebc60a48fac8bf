//! A client of etcd: registers, sets and identifiers by one request an operation. What else there is is made of
//! several (see [`super::lock`] and the recipes).

use async_trait::async_trait;
use hyper::Method;
use serde_json::json;
use squall_engine::protocol::Client;
use squall_engine::{Completion, Operation};
use squall_history::Value;

use super::lease;
use super::lock;
use super::replica;
use super::watch;
use super::wire::{ChangeReply, ErrorReply, RangeReply, answer_text, base64, encode, range, unbase64};
use crate::http::{Answer, Http};
use crate::recipes;

/// See the module.
#[derive(Debug)]
pub(super) struct EtcdClient {
    pub(super) http: Http,
    pub(super) serializable: bool,
    /// Takes the whole connection while it is open.
    watching: Option<watch::Stream>,
}

impl EtcdClient {
    pub(super) fn new(http: Http, serializable: bool) -> Self {
        EtcdClient { http, serializable, watching: None }
    }
}

#[async_trait]
impl Client for EtcdClient {
    async fn invoke(&mut self, op: &Operation) -> Completion {
        match op.on {
            "watch" => return watch::invoke(&mut self.http, &mut self.watching, op).await,
            "replica" => return replica::digest(&mut self.http, op).await,
            "lease" if &*op.f == "grant" => return lease::grant(&mut self.http, op).await,
            "register" | "set" | "ids" | "lease" => {}
            "lock" => return lock::invoke(&mut self.http, op).await,
            _ => return recipes::invoke(self, op).await,
        }
        let (path, body) = match request_for(op, self.serializable) {
            Ok(request) => request,
            Err(why) => return Completion::fail("not-asked", why),
        };
        match self.http.request(Method::POST, path, body).await {
            Ok(answer) => complete(op, &answer),
            Err(e) => Completion::unclear(op, "connection-broke", e),
        }
    }

    fn is_usable(&self) -> bool {
        self.watching.is_some() || self.http.is_usable()
    }
}

fn request_for(op: &Operation, serializable: bool) -> Result<(&'static str, String), String> {
    let key = format!("r{}", op.key);
    match (op.on, &*op.f) {
        ("set", "add") => {
            let element = format!("s{}/{}", op.key, op.value);
            Ok(("/v3/kv/put", json!({ "key": base64(&element), "value": base64("1") }).to_string()))
        }
        ("set", "read") => {
            // Everything from `sK/` up to the next byte after the slash.
            let (from, to) = (base64(&format!("s{}/", op.key)), base64(&format!("s{}0", op.key)));
            let body =
                json!({ "key": from, "range_end": to, "serializable": serializable, "keys_only": true });
            Ok(("/v3/kv/range", body.to_string()))
        }
        // Every change has a revision of its own, whatever it changes.
        ("ids", "generate") => Ok(("/v3/kv/put", json!({ "key": base64("ids"), "value": "" }).to_string())),
        ("lease", "read") => Ok(("/v3/kv/range", range(&lease::key(op), serializable))),
        ("register", "read") => Ok(("/v3/kv/range", range(&key, serializable))),
        ("register", "write") => {
            Ok(("/v3/kv/put", json!({ "key": base64(&key), "value": encode(&op.value) }).to_string()))
        }
        ("register", "cas") => {
            let (old, new) = op.value.as_pair().ok_or("a cas takes [old, new]")?;
            let compare = if old.is_nil() {
                json!({ "key": base64(&key), "target": "CREATE", "result": "EQUAL", "create_revision": "0" })
            } else {
                json!({ "key": base64(&key), "target": "VALUE", "result": "EQUAL", "value": encode(old) })
            };
            let put = json!({ "request_put": { "key": base64(&key), "value": encode(new) } });
            Ok(("/v3/kv/txn", json!({ "compare": [compare], "success": [put] }).to_string()))
        }
        (on, f) => Err(format!("etcd's client does not know `{f}` of a {on}")),
    }
}

fn complete(op: &Operation, answer: &Answer) -> Completion {
    if answer.status != 200 {
        return failed(op, answer);
    }
    let understood = match (op.on, &*op.f) {
        ("set", "read") => elements(&answer.body),
        (_, "read") => read(&answer.body),
        ("ids", _) => change(&answer.body).map(|(revision, _)| Completion::ok_at(revision, revision)),
        (_, f) => change(&answer.body).map(|(revision, succeeded)| {
            let mismatch = f == "cas" && !succeeded;
            Completion::ok_at(if mismatch { Value::str("mismatch") } else { op.value.clone() }, revision)
        }),
    };
    understood.unwrap_or_else(|| Completion::unclear(op, "not-understood", answer_text(answer)))
}

fn read(body: &[u8]) -> Option<Completion> {
    let reply: RangeReply = serde_json::from_slice(body).ok()?;
    let Some(kv) = reply.kvs.first() else {
        return Some(Completion::ok_at(Value::Nil, 0));
    };
    let value: Value = serde_json::from_slice(&unbase64(&kv.value)?).ok()?;
    Some(Completion::ok_at(value, kv.mod_revision.parse().ok()?))
}

fn elements(body: &[u8]) -> Option<Completion> {
    let reply: RangeReply = serde_json::from_slice(body).ok()?;
    let element = |kv: &super::wire::Kv| {
        let key = String::from_utf8(unbase64(&kv.key)?).ok()?;
        serde_json::from_str::<Value>(key.split_once('/')?.1).ok()
    };
    let elements: Option<Vec<Value>> = reply.kvs.iter().map(element).collect();
    Some(Completion::ok_at(elements?, reply.header.revision.parse().ok()?))
}

fn change(body: &[u8]) -> Option<(i64, bool)> {
    let reply: ChangeReply = serde_json::from_slice(body).ok()?;
    Some((reply.header.revision.parse().ok()?, reply.succeeded))
}

pub(super) fn failed(op: &Operation, answer: &Answer) -> Completion {
    let Ok(reply) = serde_json::from_slice::<ErrorReply>(&answer.body) else {
        return Completion::unclear(op, "not-understood", answer_text(answer));
    };
    let text = if reply.message.is_empty() { reply.error } else { reply.message };
    match reply.code {
        3 | 11 | 12 => Completion::fail(format!("grpc-{}", reply.code), text),
        8 if text == "etcdserver: too many requests" => Completion::fail("grpc-8-too-many-requests", text),
        code => Completion::unclear(op, format!("grpc-{code}"), text),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value as Json;
    use squall_engine::Outcome;

    use super::*;

    fn op(f: &str, value: Value) -> Operation {
        Operation { read_only: f == "read", ..Operation::new(&f.into(), 7.into(), value) }
    }

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, body: body.to_owned().into() }
    }

    // The gateway ignores fields that it does not know: a misspelt guard would answer 200 and guard nothing.
    // So requests are compared with what etcd's API reference has, to the letter.
    #[test]
    fn requests_are_as_etcd_documents_them() {
        let (path, body) = request_for(&op("cas", Value::list([1.into(), 2.into()])), false).unwrap();
        assert_eq!(path, "/v3/kv/txn");
        let body: Json = serde_json::from_str(&body).unwrap();
        assert_eq!(
            body,
            json!({
                "compare": [{ "key": "cjc=", "target": "VALUE", "result": "EQUAL", "value": "MQ==" }],
                "success": [{ "request_put": { "key": "cjc=", "value": "Mg==" } }],
            })
        );
        let (_, absent) = request_for(&op("cas", Value::list([Value::Nil, 2.into()])), false).unwrap();
        let absent: Json = serde_json::from_str(&absent).unwrap();
        assert_eq!(absent["compare"][0]["create_revision"], "0");
        let (_, read) = request_for(&op("read", Value::Nil), true).unwrap();
        assert_eq!(
            serde_json::from_str::<Json>(&read).unwrap(),
            json!({ "key": "cjc=", "serializable": true })
        );
    }

    #[test]
    fn answers_are_read_with_their_revisions() {
        let read = complete(
            &op("read", Value::Nil),
            &answer(
                200,
                r#"{"header":{"revision":"9"},"kvs":[{"key":"cjc=","mod_revision":"4","value":"Mg=="}],"count":"1"}"#,
            ),
        );
        assert_eq!(read.outcome, Outcome::Ok(2.into()));
        assert_eq!(read.meta.unwrap().revision, Some(4));
        let absent = complete(&op("read", Value::Nil), &answer(200, r#"{"header":{"revision":"9"}}"#));
        assert_eq!(absent.outcome, Outcome::Ok(Value::Nil));
        let cas = op("cas", Value::list([1.into(), 2.into()]));
        let mismatch = complete(&cas, &answer(200, r#"{"header":{"revision":"9"}}"#));
        assert_eq!(mismatch.outcome, Outcome::Ok(Value::str("mismatch")));
        let matched = complete(&cas, &answer(200, r#"{"header":{"revision":"10"},"succeeded":true}"#));
        assert_eq!(matched.outcome, Outcome::Ok(cas.value.clone()));
    }

    #[test]
    fn only_documented_refusals_fail_a_change() {
        let write = op("write", 1.into());
        let outcome = |status, body| complete(&write, &answer(status, body)).outcome;
        assert_eq!(outcome(503, r#"{"code":14,"message":"etcdserver: leader changed"}"#), Outcome::Info);
        assert_eq!(outcome(503, r#"{"code":14,"message":"etcdserver: request timed out"}"#), Outcome::Info);
        assert_eq!(outcome(429, r#"{"code":8,"message":"etcdserver: too many requests"}"#), Outcome::Fail);
        assert_eq!(
            outcome(429, r#"{"code":8,"message":"etcdserver: mvcc: database space exceeded"}"#),
            Outcome::Info
        );
        assert_eq!(outcome(400, r#"{"code":3,"message":"etcdserver: key is not provided"}"#), Outcome::Fail);
        assert_eq!(outcome(200, "not json"), Outcome::Info);
        let read = op("read", Value::Nil);
        assert_eq!(complete(&read, &answer(503, r#"{"code":14}"#)).outcome, Outcome::Fail);
    }
}
