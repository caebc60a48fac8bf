//! Changes of watched keys, and watching them: one stream of answers for as long as the connection lasts and its
//! process goes on where it was, cut into slices.
//!
//! A slice waits for something to be told, up to its limit, and then takes what comes at once. A stream that is
//! open takes the whole connection, which ends with it. What etcd answers when a watch begins before what is
//! compacted (`canceled`, with `compact_revision`) is an answer; whatever else ends a stream is a failure.

use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::Method;
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use squall_engine::{Completion, Operation};
use squall_history::Value;
use tokio::time::Instant;

use super::client::failed;
use super::wire::{Header, Kv, TxnReply, answer_text, base64, encode, unbase64};
use crate::http::Http;

/// Keys are below this.
const PREFIX: &str = "w/";
/// The byte after the prefix's last.
const PREFIX_END: &str = "w0";
/// Once something was told, how much longer a slice waits for more.
const LINGER: Duration = Duration::from_millis(10);
/// Events of a slice, at most, rounded up to a whole answer.
const EVENTS_MAX: usize = 2000;

/// A watch that is open.
#[derive(Debug)]
pub(super) struct Stream {
    body: Incoming,
    read: Vec<u8>,
    /// The first revision that was not told yet.
    next: i64,
}

/// Does an operation on watched keys.
pub(super) async fn invoke(http: &mut Http, stream: &mut Option<Stream>, op: &Operation) -> Completion {
    let done = match &*op.f {
        "change" => change(http, op).await,
        "watch" => watch(http, stream, op).await,
        f => Err(Completion::fail("not-asked", format!("etcd's client does not know `{f}` of a watch"))),
    };
    done.unwrap_or_else(|completion| completion)
}

#[derive(Deserialize)]
struct Response {
    response_delete_range: Option<Deleted>,
}

/// The gateway leaves out what is 0.
#[derive(Deserialize)]
struct Deleted {
    #[serde(default)]
    deleted: String,
}

async fn change(http: &mut Http, op: &Operation) -> Result<Completion, Completion> {
    let body = change_request(op)
        .ok_or_else(|| Completion::fail("not-asked", "a change is a list of [key, value]"))?;
    let answer = http.request(Method::POST, "/v3/kv/txn", body).await;
    let answer = answer.map_err(|e| Completion::info("connection-broke", e))?;
    if answer.status != 200 {
        return Err(failed(op, &answer));
    }
    changed(&answer.body).ok_or_else(|| Completion::info("not-understood", answer_text(&answer)))
}

fn change_request(op: &Operation) -> Option<String> {
    let one = |write: &Value| {
        let (key, value) = write.as_pair()?;
        let key = base64(&format!("{PREFIX}{key}"));
        Some(match value {
            Value::Nil => json!({ "request_delete_range": { "key": key } }),
            value => json!({ "request_put": { "key": key, "value": encode(value) } }),
        })
    };
    let steps: Vec<Json> = op.value.as_list()?.iter().map(one).collect::<Option<_>>()?;
    Some(json!({ "success": steps }).to_string())
}

/// The revision that it made; nil if there was nothing to delete.
fn changed(body: &[u8]) -> Option<Completion> {
    let reply: TxnReply<Response> = serde_json::from_slice(body).ok()?;
    let revision: i64 = reply.header.revision.parse().ok()?;
    let idle = |r: &Response| r.response_delete_range.as_ref().is_some_and(|d| d.deleted != "1");
    let answer = if reply.responses.iter().all(idle) { Value::Nil } else { revision.into() };
    Some(Completion::ok_at(answer, revision))
}

async fn watch(
    http: &mut Http,
    stream: &mut Option<Stream>,
    op: &Operation,
) -> Result<Completion, Completion> {
    let bad = || Completion::fail("not-asked", "a watch takes [from, milliseconds, bookmarks]");
    let [from, wait, bookmarks] = op.value.as_list().ok_or_else(bad)? else { return Err(bad()) };
    let (from, wait) = (from.as_int().ok_or_else(bad)?, wait.as_int().ok_or_else(bad)?);
    let bookmarks = bookmarks.as_bool().ok_or_else(bad)?;
    let until = Instant::now() + Duration::from_millis(wait.max(0) as u64);
    // A stream that is elsewhere, or that breaks on the way, is of no further use.
    let mut open = match stream.take() {
        Some(open) if open.next == from => open,
        Some(_) => return Err(Completion::fail("elsewhere", "the connection watches from another revision")),
        None => Stream::open(http, from, bookmarks).await?,
    };
    match open.slice(until).await? {
        Slice::Told(answers) => {
            *stream = Some(open);
            Ok(Completion::ok(Value::list(answers)))
        }
        Slice::Compacted(at) => Ok(Completion::ok(Value::list([Value::str("compacted"), at.into()]))),
    }
}

/// What came of a slice.
enum Slice {
    Told(Vec<Value>),
    /// What it asked for is compacted; from here on there is something.
    Compacted(i64),
}

/// What a stream begins with: what is watched, and perhaps the wish to be told how far it is.
fn watch_request(from: i64, bookmark: bool) -> String {
    let (key, range_end) = (base64(PREFIX), base64(PREFIX_END));
    let create =
        json!({ "key": key, "range_end": range_end, "start_revision": from.to_string(), "prev_kv": true });
    let mut request = json!({ "create_request": create }).to_string();
    if bookmark {
        request += &json!({ "progress_request": {} }).to_string();
    }
    request
}

impl Stream {
    async fn open(http: &mut Http, from: i64, bookmark: bool) -> Result<Stream, Completion> {
        let opened = http.stream(Method::POST, "/v3/watch", watch_request(from, bookmark)).await;
        match opened.map_err(|e| Completion::fail("connection-broke", e))? {
            (200, body) => Ok(Stream { body, read: Vec::new(), next: from }),
            (status, _) => Err(Completion::fail("not-watched", format!("HTTP {status}"))),
        }
    }

    async fn slice(&mut self, until: Instant) -> Result<Slice, Completion> {
        let (mut answers, mut events, mut until) = (Vec::new(), 0, until);
        while events < EVENTS_MAX {
            let line = match tokio::time::timeout_at(until, self.line()).await {
                Ok(Ok(line)) => line,
                Err(_) => break,
                // What was told before the stream ended was told; that it ended is seen next time.
                Ok(Err(_)) if !answers.is_empty() => break,
                Ok(Err(why)) => return Err(Completion::fail("stream-ended", why)),
            };
            let text = || String::from_utf8_lossy(&line).into_owned();
            match answer(&line) {
                Some(Answered::Nothing) => {}
                Some(Answered::Told(told)) => {
                    self.next = self.next.max(told.last + 1);
                    events += told.events.len();
                    answers.push(Value::list(told.events));
                    until = until.min(Instant::now() + LINGER);
                }
                Some(Answered::Compacted(at)) => return Ok(Slice::Compacted(at)),
                Some(Answered::Ended(why)) => return Err(Completion::fail("canceled", why)),
                None => return Err(Completion::fail("not-understood", text())),
            }
        }
        Ok(Slice::Told(answers))
    }

    /// The next line, whole. What was read of it is kept if nobody waits for the rest.
    async fn line(&mut self) -> Result<Vec<u8>, String> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let rest = self.read.split_off(end + 1);
                return Ok(std::mem::replace(&mut self.read, rest));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => self.read.extend(frame.into_data().unwrap_or_default()),
                Some(Err(e)) => return Err(e.to_string()),
                None => return Err("the stream of answers ended".to_owned()),
            }
        }
    }
}

#[derive(Deserialize)]
struct Line {
    result: Option<WatchReply>,
    error: Option<Json>,
}

/// The gateway leaves out what is false, 0 or empty.
#[derive(Deserialize, Default)]
#[serde(default)]
struct WatchReply {
    header: Header,
    created: bool,
    canceled: bool,
    compact_revision: String,
    cancel_reason: String,
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct Event {
    /// Left out of a put.
    #[serde(default, rename = "type")]
    kind: String,
    kv: Kv,
    prev_kv: Option<Kv>,
}

/// What an answer of a stream says.
enum Answered {
    /// That the watch began.
    Nothing,
    Told(Events),
    Compacted(i64),
    Ended(String),
}

struct Events {
    events: Vec<Value>,
    last: i64,
}

fn answer(line: &[u8]) -> Option<Answered> {
    let line: Line = serde_json::from_slice(line).ok()?;
    let Some(reply) = line.result else {
        return Some(Answered::Ended(line.error?.to_string()));
    };
    if reply.canceled {
        return Some(match reply.compact_revision.parse() {
            Ok(at) if at > 0 => Answered::Compacted(at),
            _ => Answered::Ended(reply.cancel_reason),
        });
    }
    if reply.created {
        return Some(Answered::Nothing);
    }
    if reply.events.is_empty() {
        let last: i64 = reply.header.revision.parse().ok()?;
        return Some(Answered::Told(Events { events: vec![Value::list([last.into()])], last }));
    }
    let events: Vec<(i64, Value)> = reply.events.iter().map(event).collect::<Option<_>>()?;
    let last = events.iter().map(|(at, _)| *at).max()?;
    Some(Answered::Told(Events { events: events.into_iter().map(|(_, event)| event).collect(), last }))
}

/// `[revision, key, value, value before]`.
fn event(event: &Event) -> Option<(i64, Value)> {
    let at: i64 = event.kv.mod_revision.parse().ok()?;
    let key = String::from_utf8(unbase64(&event.kv.key)?).ok()?;
    let key = serde_json::from_str::<Value>(key.strip_prefix(PREFIX)?).ok()?;
    let held = |kv: &Kv| serde_json::from_slice::<Value>(&unbase64(&kv.value)?).ok();
    let value = if event.kind == "DELETE" { Value::Nil } else { held(&event.kv)? };
    let before = match &event.prev_kv {
        Some(kv) => held(kv)?,
        None => Value::Nil,
    };
    Some((at, Value::list([at.into(), key, value, before])))
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
