//! Changes of watched keys, and watching them: each slice is one question that waits for its answer.

use hyper::Method;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use squall_engine::{Completion, Operation};
use squall_history::Value;

use super::client::{KvClient, TxnReply, answer_text, refused};

/// Keys are below this.
const PREFIX: &str = "w/";

/// Does an operation on watched keys.
pub(super) async fn invoke(client: &mut KvClient, op: &Operation) -> Completion {
    let done = match &*op.f {
        "change" => change(client, op).await,
        "watch" => watch(client, op).await,
        f => Err(Completion::fail("not-asked", format!("raftkv's client does not know `{f}` of a watch"))),
    };
    done.unwrap_or_else(|completion| completion)
}

/// The answer is the version that the change made; nil if there was nothing to delete.
async fn change(client: &mut KvClient, op: &Operation) -> Result<Completion, Completion> {
    let body = change_request(op)
        .ok_or_else(|| Completion::fail("not-asked", "a change is a list of [key, value]"))?;
    let answer = client.request(Method::POST, "/txn", body).await;
    let answer = answer.map_err(|e| Completion::info("connection-broke", e))?;
    if answer.status != 200 {
        return Err(refused(op, &answer));
    }
    changed(&answer.body).ok_or_else(|| Completion::info("not-understood", answer_text(&answer)))
}

fn change_request(op: &Operation) -> Option<String> {
    let step = |write: &Value| {
        let (key, value) = write.as_pair()?;
        let key = format!("{PREFIX}{key}");
        Some(match value {
            Value::Nil => json!({ "op": "delete", "key": key }),
            value => json!({ "op": "write", "key": key, "value": value }),
        })
    };
    let steps: Vec<Json> = op.value.as_list()?.iter().map(step).collect::<Option<_>>()?;
    Some(json!({ "then": steps }).to_string())
}

fn changed(body: &[u8]) -> Option<Completion> {
    let reply: TxnReply = serde_json::from_slice(body).ok()?;
    let idle = reply.results.iter().all(|step| step.existed == Some(false));
    let answer = if idle { Value::Nil } else { reply.version.into() };
    Some(Completion::ok_at(answer, reply.version))
}

#[derive(Deserialize)]
struct WatchReply {
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct Event {
    key: String,
    value: Value,
    version: i64,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
    message: String,
}

async fn watch(client: &mut KvClient, op: &Operation) -> Result<Completion, Completion> {
    let bad = || Completion::fail("not-asked", "a watch takes [from, milliseconds, bookmarks]");
    // Bookmarks are a thing of streams; here every answer says from where to go on.
    let Some([from, wait, ..]) = op.value.as_list() else { return Err(bad()) };
    let (from, wait) = (from.as_int().ok_or_else(bad)?, wait.as_int().ok_or_else(bad)?);
    let path = format!("/watch?after={}&prefix={PREFIX}&timeout_ms={}", (from - 1).max(0), wait.max(0));
    // Not through the client's own request: `next` of an answer says nothing of what was read.
    let answer = client.http.request(Method::GET, &path, String::new()).await;
    let answer = answer.map_err(|e| Completion::fail("connection-broke", e))?;
    match answer.status {
        200 => told(&answer.body),
        410 => compacted(&answer.body),
        _ => return Err(refused(op, &answer)),
    }
    .ok_or_else(|| Completion::fail("not-understood", answer_text(&answer)))
}

/// A list of answers: the one that came, if anything happened.
fn told(body: &[u8]) -> Option<Completion> {
    let reply: WatchReply = serde_json::from_slice(body).ok()?;
    if reply.events.is_empty() {
        return Some(Completion::ok(Value::list([])));
    }
    let events = reply.events.into_iter().map(|event| {
        let key = serde_json::from_str::<Value>(event.key.strip_prefix(PREFIX)?).ok()?;
        Some(Value::list([event.version.into(), key, event.value]))
    });
    let events = events.collect::<Option<Vec<_>>>()?;
    Some(Completion::ok(Value::list([Value::list(events)])))
}

/// `["compacted", revision]`: from there on there is something.
fn compacted(body: &[u8]) -> Option<Completion> {
    let refusal: Refusal = serde_json::from_slice(body).ok()?;
    let after = refusal.message.split_whitespace().find_map(|word| word.parse::<i64>().ok());
    let after = after.filter(|_| refusal.error == "compacted")?;
    Some(Completion::ok(Value::list([Value::str("compacted"), (after + 1).into()])))
}

#[cfg(test)]
mod tests {
    use squall_engine::Outcome;

    use super::*;

    #[test]
    fn a_change_is_one_transaction() {
        let writes = Value::list([Value::list([1.into(), 7.into()]), Value::list([2.into(), Value::Nil])]);
        let op = Operation::new(&"change".into(), Value::Nil, writes).on("watch");
        let body: Json = serde_json::from_str(&change_request(&op).unwrap()).unwrap();
        assert_eq!(body["then"][0], json!({ "op": "write", "key": "w/1", "value": 7 }));
        assert_eq!(body["then"][1], json!({ "op": "delete", "key": "w/2" }));
        let answer = |body: &str| changed(body.as_bytes()).unwrap().outcome;
        let idle = r#"{"succeeded":true,"results":[{"existed":false}],"version":9}"#;
        assert_eq!(answer(idle), Outcome::Ok(Value::Nil));
        let wrote = r#"{"succeeded":true,"results":[{"version":9},{"existed":false}],"version":9}"#;
        assert_eq!(answer(wrote), Outcome::Ok(9.into()));
    }

    #[test]
    fn what_is_told_is_one_answer_and_being_late_is_one_too() {
        let body = r#"{"events":[{"key":"w/3","value":5,"version":8},{"key":"w/4","value":null,"version":9}],"next":9}"#;
        let event = |at: i64, key: i64, value: Value| Value::list([at.into(), key.into(), value]);
        let answer = Value::list([event(8, 3, 5.into()), event(9, 4, Value::Nil)]);
        assert_eq!(told(body.as_bytes()).unwrap().outcome, Outcome::Ok(Value::list([answer])));
        let nothing = r#"{"events":[],"next":9}"#;
        assert_eq!(told(nothing.as_bytes()).unwrap().outcome, Outcome::Ok(Value::list([])));
        let late = r#"{"error":"compacted","definite":true,"message":"changes are known after 41 only"}"#;
        let late = compacted(late.as_bytes()).unwrap().outcome;
        assert_eq!(late, Outcome::Ok(Value::list([Value::str("compacted"), 42.into()])));
    }
}
