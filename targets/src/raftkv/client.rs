//! A client of Raft KV: one request an operation where the store has what is asked for, else a recipe.
//!
//! It keeps the greatest version that it has seen: a session read names it, and whoever takes over goes on from it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use hyper::Method;
use serde::Deserialize;
use serde_json::json;
use squall_engine::protocol::Client;
use squall_engine::{Completion, Operation};
use squall_history::Value;

use super::{lock, watch};
use crate::http::{Answer, Http};
use crate::recipes;

/// See the module.
#[derive(Debug)]
pub(super) struct KvClient {
    pub(super) http: Http,
    consistency: &'static str,
    seen: u64,
    sessions: Sessions,
    // The session and the number of its last change.
    session: Option<(u64, u64)>,
}

/// What clients of one run share and do alike.
#[derive(Clone, Debug)]
pub(super) struct Sessions {
    /// The greatest version that any client was told of, if they tell each other.
    pub shared: Option<Arc<AtomicU64>>,
    /// Whether changes carry a session and a number, so that one sent twice is done once. Changes of several
    /// requests do not.
    pub numbered: bool,
}

impl KvClient {
    pub(super) fn new(http: Http, consistency: &'static str, sessions: Sessions) -> Self {
        KvClient { http, consistency, seen: 0, sessions, session: None }
    }

    /// How a read is asked for.
    pub(super) fn query(&self) -> String {
        match self.consistency {
            "session" => {
                let shared = self.sessions.shared.as_ref().map_or(0, |s| s.load(Ordering::SeqCst));
                format!("?consistency=session&token={}", self.seen.max(shared))
            }
            other => format!("?consistency={other}"),
        }
    }

    /// A request, whose answer may tell of a newer version than any before.
    pub(super) async fn request(
        &mut self,
        method: Method,
        path: &str,
        body: String,
    ) -> Result<Answer, String> {
        let answer = self.http.request(method, path, body).await?;
        if let (200, Ok(told)) = (answer.status, serde_json::from_slice::<Told>(&answer.body)) {
            self.seen = self.seen.max(told.version).max(told.applied);
            if let Some(shared) = &self.sessions.shared {
                shared.fetch_max(self.seen, Ordering::SeqCst);
            }
        }
        Ok(answer)
    }
}

/// What an answer says of versions, whatever else it says.
#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    version: u64,
    #[serde(default)]
    applied: u64,
}

#[derive(Deserialize)]
struct SessionReply {
    session: u64,
}

#[derive(Deserialize)]
struct ReadReply {
    value: Value,
    version: i64,
}

#[derive(Deserialize)]
struct WriteReply {
    version: i64,
}

#[derive(Deserialize)]
struct CasReply {
    ok: bool,
    version: i64,
}

#[derive(Deserialize)]
struct ErrorReply {
    error: String,
    definite: bool,
    message: String,
}

#[async_trait]
impl Client for KvClient {
    async fn invoke(&mut self, op: &Operation) -> Completion {
        match (op.on, &*op.f) {
            ("lock", _) => return lock::invoke(self, op).await,
            ("watch", _) => return watch::invoke(self, op).await,
            ("bank" | "skew", _) | ("queue", "dequeue") | ("counter", "read") => {
                return recipes::invoke(self, op).await;
            }
            _ => {}
        }
        let (method, path, body) = match self.request_for(op) {
            Ok(request) => request,
            Err(why) => return Completion::fail("not-asked", why),
        };
        let path = match self.numbered(op, &method, path).await {
            Ok(path) => path,
            Err(why) => return Completion::fail("no-session", why),
        };
        match self.request(method, &path, body).await {
            Ok(answer) => {
                let done = complete(op, &answer);
                if done.meta.as_ref().is_some_and(|m| m.row.as_deref() == Some("no_session")) {
                    // Forgotten: the next change opens another.
                    self.session = None;
                }
                done
            }
            Err(e) => Completion::unclear(op, "connection-broke", e),
        }
    }

    fn is_usable(&self) -> bool {
        self.http.is_usable()
    }

    fn seen(&self) -> Option<u64> {
        (self.seen > 0).then_some(self.seen)
    }

    fn resume(&mut self, seen: u64) {
        self.seen = self.seen.max(seen);
    }
}

impl KvClient {
    /// The path of a change with this client's session and the next number; a session is opened first if there
    /// is none. An error means that the change was not sent.
    async fn numbered(&mut self, op: &Operation, method: &Method, path: String) -> Result<String, String> {
        if !self.sessions.numbered || op.read_only || *method == Method::GET {
            return Ok(path);
        }
        let (session, seq) = match self.session {
            Some((session, seq)) => (session, seq + 1),
            None => {
                let answer = self.http.request(Method::POST, "/session", String::new()).await?;
                let opened: SessionReply =
                    serde_json::from_slice(&answer.body).map_err(|_| answer_text(&answer))?;
                (opened.session, 1)
            }
        };
        self.session = Some((session, seq));
        Ok(format!("{path}?session={session}&seq={seq}"))
    }

    fn request_for(&self, op: &Operation) -> Result<(Method, String, String), String> {
        let path = format!("/kv/{}{}", &op.on[..1], op.key);
        match (op.on, &*op.f) {
            ("set", "add") => {
                Ok((Method::POST, format!("{path}/append"), json!({ "item": op.value }).to_string()))
            }
            (_, "txn") => {
                let steps = steps(op).ok_or("a transaction is a list of [f, key, value]")?;
                let query = if op.read_only { self.query() } else { String::new() };
                Ok((Method::POST, format!("/txn{query}"), json!({ "then": steps }).to_string()))
            }
            ("counter", "add" | "increment") => {
                Ok((Method::POST, format!("{path}/add"), json!({ "amount": op.value }).to_string()))
            }
            ("ids", "generate") => {
                Ok((Method::POST, "/kv/ids/add".into(), json!({ "amount": 1 }).to_string()))
            }
            ("queue", "enqueue") => {
                Ok((Method::POST, format!("{path}/append"), json!({ "item": op.value }).to_string()))
            }
            (_, "read") => Ok((Method::GET, format!("{path}{}", self.query()), String::new())),
            ("register", "write") if op.value.is_nil() => Ok((Method::DELETE, path, String::new())),
            ("register", "write") => Ok((Method::PUT, path, json!({ "value": op.value }).to_string())),
            ("register", "cas") => {
                let (old, new) = op.value.as_pair().ok_or("a cas takes [old, new]")?;
                Ok((
                    Method::POST,
                    format!("{path}/cas"),
                    json!({ "expected": old, "value": new }).to_string(),
                ))
            }
            (on, f) => Err(format!("raftkv's client does not know `{f}` of a {on}")),
        }
    }
}

/// An answer other than 200.
pub(super) fn refused(op: &Operation, answer: &Answer) -> Completion {
    match serde_json::from_slice::<ErrorReply>(&answer.body) {
        Ok(e) if e.definite => Completion::fail(e.error, e.message),
        Ok(e) => Completion::unclear(op, e.error, e.message),
        Err(_) => Completion::unclear(op, "not-understood", answer_text(answer)),
    }
}

fn complete(op: &Operation, answer: &Answer) -> Completion {
    if answer.status != 200 {
        return refused(op, answer);
    }
    let parsed = match (op.on, &*op.f) {
        // A set that nobody added to is empty.
        ("set", "read") => serde_json::from_slice(&answer.body).map(|r: ReadReply| {
            let elements = if r.value.is_nil() { Value::list([]) } else { r.value };
            Completion::ok_at(elements, r.version)
        }),
        (_, "txn") => match transaction(op, &answer.body) {
            Some(done) => Ok(done),
            None => return Completion::unclear(op, "not-understood", answer_text(answer)),
        },
        (_, "read") => {
            serde_json::from_slice(&answer.body).map(|r: ReadReply| Completion::ok_at(r.value, r.version))
        }
        ("counter" | "ids", f) => serde_json::from_slice(&answer.body).map(|r: TxnReply| {
            let sum = r.results.into_iter().next().map(|step| step.value).unwrap_or_default();
            Completion::ok_at(if f == "add" { op.value.clone() } else { sum }, r.version)
        }),
        (_, "write" | "add" | "enqueue") => serde_json::from_slice(&answer.body)
            .map(|r: WriteReply| Completion::ok_at(op.value.clone(), r.version)),
        _ => serde_json::from_slice(&answer.body).map(|r: CasReply| {
            let reply = if r.ok { op.value.clone() } else { Value::str("mismatch") };
            Completion::ok_at(reply, r.version)
        }),
    };
    parsed.unwrap_or_else(|_| Completion::unclear(op, "not-understood", answer_text(answer)))
}

/// The steps of a transaction as the server takes them.
fn steps(op: &Operation) -> Option<Vec<serde_json::Value>> {
    let step = |micro: &Value| {
        let [f, key, value] = micro.as_list()? else { return None };
        let key = format!("{}{key}", &op.on[..1]);
        Some(match f.as_str()? {
            "r" => json!({ "op": "read", "key": key }),
            "w" => json!({ "op": "write", "key": key, "value": value }),
            "append" => json!({ "op": "append", "key": key, "item": value }),
            _ => return None,
        })
    };
    op.value.as_list()?.iter().map(step).collect()
}

#[derive(Deserialize)]
pub(super) struct TxnReply {
    pub results: Vec<StepReply>,
    pub version: i64,
}

#[derive(Deserialize)]
pub(super) struct StepReply {
    #[serde(default)]
    value: Value,
    /// Of a delete: whether there was something.
    pub existed: Option<bool>,
}

/// The transaction with what its reads saw.
fn transaction(op: &Operation, body: &[u8]) -> Option<Completion> {
    let reply: TxnReply = serde_json::from_slice(body).ok()?;
    let micros = op.value.as_list()?;
    if reply.results.len() != micros.len() {
        return None;
    }
    let filled = micros.iter().zip(reply.results).map(|(micro, result)| {
        let step = micro.as_list()?;
        let read = step[0].as_str() == Some("r");
        Some(if read { Value::list([step[0].clone(), step[1].clone(), result.value]) } else { micro.clone() })
    });
    Some(Completion::ok_at(filled.collect::<Option<Vec<_>>>()?, reply.version))
}

pub(super) fn answer_text(answer: &Answer) -> String {
    format!("HTTP {}: {}", answer.status, String::from_utf8_lossy(&answer.body))
}

#[cfg(test)]
mod tests {
    use squall_engine::Outcome;

    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, body: body.to_owned().into() }
    }

    fn op(f: &str, value: Value) -> Operation {
        Operation { read_only: f == "read", ..Operation::new(&f.into(), 1.into(), value) }
    }

    #[test]
    fn errors_become_fail_only_where_they_are_definite() {
        let unsure = answer(504, r#"{"error":"timeout","definite":false,"message":"m"}"#);
        let certain = answer(503, r#"{"error":"busy","definite":true,"message":"m"}"#);
        let garbage = answer(502, "<html>");
        let write = op("write", 3.into());
        assert_eq!(complete(&write, &unsure).outcome, Outcome::Info);
        assert_eq!(complete(&write, &certain).outcome, Outcome::Fail);
        assert_eq!(complete(&write, &garbage).outcome, Outcome::Info);
        assert_eq!(complete(&op("read", Value::Nil), &unsure).outcome, Outcome::Fail);
        let meta = complete(&write, &unsure).meta.unwrap();
        assert_eq!((meta.row.as_deref(), meta.error.as_deref()), (Some("timeout"), Some("m")));
    }

    #[test]
    fn a_mismatch_is_an_observation() {
        let cas = op("cas", Value::list([1.into(), 2.into()]));
        let mismatch = complete(&cas, &answer(200, r#"{"ok":false,"actual":9,"version":4}"#));
        assert_eq!(mismatch.outcome, Outcome::Ok(Value::str("mismatch")));
        let matched = complete(&cas, &answer(200, r#"{"ok":true,"version":5}"#));
        assert_eq!(matched.outcome, Outcome::Ok(cas.value.clone()));
        assert_eq!(matched.meta.unwrap().revision, Some(5));
    }

    #[test]
    fn sums_and_identifiers_are_what_the_store_says() {
        let body = r#"{"succeeded":true,"results":[{"value":12}],"version":9}"#;
        let outcome =
            |on, f: &str| complete(&Operation { on, ..op(f, 5.into()) }, &answer(200, body)).outcome;
        assert_eq!(outcome("counter", "add"), Outcome::Ok(5.into()));
        assert_eq!(outcome("counter", "increment"), Outcome::Ok(12.into()));
        assert_eq!(outcome("ids", "generate"), Outcome::Ok(12.into()));
    }

    #[test]
    fn absence_is_a_state() {
        let read =
            complete(&op("read", Value::Nil), &answer(200, r#"{"value":null,"version":0,"applied":3}"#));
        assert_eq!(read.outcome, Outcome::Ok(Value::Nil));
    }
}
