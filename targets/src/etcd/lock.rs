//! A lock on etcd as its users make one: a lease, a key that is created with that lease if it is absent, and
//! renewals. The lock is free when its key is deleted, or when nobody renewed the lease for its time to live.
//!
//! The revision that created the key is the fencing token: a write compares it in its own transaction.

use hyper::Method;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use squall_engine::{Completion, Operation};
use squall_history::Value;

use super::client::failed;
use super::wire::{RangeReply, TxnReply, answer_text, base64, encode, unbase64};
use crate::http::Http;

/// Does an operation on a lock.
pub(super) async fn invoke(http: &mut Http, op: &Operation) -> Completion {
    let done = match &*op.f {
        "acquire" => acquire(http, op).await,
        "renew" => renew(http, op).await,
        "release" => release(http, op).await,
        "write" => write(http, op).await,
        f => Err(Completion::fail("not-asked", format!("etcd's client does not know `{f}` of a lock"))),
    };
    done.unwrap_or_else(|completion| completion)
}

#[derive(Deserialize)]
struct LeaseReply {
    #[serde(rename = "ID", default)]
    id: String,
    /// Left out where it is 0: the lease has ended.
    #[serde(rename = "TTL", default)]
    ttl: String,
}

#[derive(Deserialize)]
struct KeepAliveReply {
    result: LeaseReply,
}

#[derive(Deserialize)]
struct Response {
    response_range: Option<RangeReply>,
}

/// The value is the time to live in milliseconds; etcd counts in seconds. `[token, lease]` if it was taken.
async fn acquire(http: &mut Http, op: &Operation) -> Result<Completion, Completion> {
    let millis = op.value.as_int().unwrap_or(2000);
    let grant = json!({ "TTL": (millis.max(1) as u64).div_ceil(1000).to_string() }).to_string();
    // A lease by itself locks nothing: until the transaction is sent, whatever goes wrong is a failure.
    let answer = http.request(Method::POST, "/v3/lease/grant", grant).await;
    let answer = answer.map_err(|e| Completion::fail("lease-step", e))?;
    let lease = serde_json::from_slice::<LeaseReply>(&answer.body).ok().and_then(|r| r.id.parse().ok());
    let lease: i64 = match (answer.status, lease) {
        (200, Some(id)) => id,
        _ => return Err(Completion::fail("lease-step", answer_text(&answer))),
    };
    let reply = txn(http, op, create(op, lease)).await?;
    if !reply.succeeded {
        return Err(Completion::fail("busy", "somebody else holds the lock"));
    }
    let token: i64 =
        reply.header.revision.parse().map_err(|_| Completion::info("not-understood", "no revision"))?;
    Ok(Completion::ok_at(Value::list([token.into(), lease.into()]), token))
}

async fn renew(http: &mut Http, op: &Operation) -> Result<Completion, Completion> {
    let body = json!({ "ID": op.value.as_int().unwrap_or_default().to_string() }).to_string();
    let answer = http.request(Method::POST, "/v3/lease/keepalive", body).await;
    let answer = answer.map_err(|e| Completion::unclear(op, "connection-broke", e))?;
    match serde_json::from_slice::<KeepAliveReply>(&answer.body) {
        Ok(KeepAliveReply { result }) if answer.status == 200 => {
            let lives = result.ttl.parse::<u64>().is_ok_and(|ttl| ttl > 0);
            Ok(Completion::ok(if lives { op.value.clone() } else { Value::str("lost") }))
        }
        _ => Err(Completion::unclear(op, "not-renewed", answer_text(&answer))),
    }
}

async fn release(http: &mut Http, op: &Operation) -> Result<Completion, Completion> {
    let token = op.value.as_pair().and_then(|(token, _)| token.as_int()).unwrap_or_default();
    let delete = json!({ "request_delete_range": { "key": base64(&name(op)) } });
    let body = json!({ "compare": [held(op, token)], "success": [delete] }).to_string();
    let reply = txn(http, op, body).await?;
    Ok(Completion::ok(Value::str(if reply.succeeded { "released" } else { "lost" })))
}

/// `[token, token of the write before]`, or `"refused"` where the lock is no longer held with this token.
async fn write(http: &mut Http, op: &Operation) -> Result<Completion, Completion> {
    let token = op.value.as_int().unwrap_or_default();
    let resource = base64(&format!("f{}", op.key));
    let read = json!({ "request_range": { "key": resource } });
    let put = json!({ "request_put": { "key": resource, "value": encode(&op.value) } });
    let body = json!({ "compare": [held(op, token)], "success": [read, put] }).to_string();
    let reply = txn(http, op, body).await?;
    if !reply.succeeded {
        return Ok(Completion::ok(Value::str("refused")));
    }
    let before = reply.responses.first().and_then(|r| r.response_range.as_ref()).and_then(|r| r.kvs.first());
    let before = before.and_then(|kv| serde_json::from_slice(&unbase64(&kv.value)?).ok()).unwrap_or_default();
    Ok(Completion::ok(Value::list([op.value.clone(), before])))
}

fn name(op: &Operation) -> String {
    format!("l{}", op.key)
}

fn create(op: &Operation, lease: i64) -> String {
    let key = base64(&name(op));
    let absent = json!({ "key": key, "target": "CREATE", "result": "EQUAL", "create_revision": "0" });
    let put = json!({ "request_put": { "key": key, "value": encode(&Value::Int(lease)), "lease": lease.to_string() } });
    json!({ "compare": [absent], "success": [put] }).to_string()
}

fn held(op: &Operation, token: i64) -> Json {
    json!({ "key": base64(&name(op)), "target": "CREATE", "result": "EQUAL", "create_revision": token.to_string() })
}

async fn txn(http: &mut Http, op: &Operation, body: String) -> Result<TxnReply<Response>, Completion> {
    let answer = http.request(Method::POST, "/v3/kv/txn", body).await;
    let answer = answer.map_err(|e| Completion::unclear(op, "connection-broke", e))?;
    if answer.status != 200 {
        // The transaction is not valid without its lease, and is refused as a whole.
        return Err(match answer_text(&answer) {
            text if text.contains("requested lease not found") => Completion::fail("no-lease", text),
            _ => failed(op, &answer),
        });
    }
    serde_json::from_slice(&answer.body)
        .map_err(|_| Completion::unclear(op, "not-understood", answer_text(&answer)))
}

#[cfg(test)]
mod tests {
    use super::*;

    // A misspelt field is ignored by the gateway, and would guard nothing.
    #[test]
    fn a_lock_is_created_with_its_lease_and_only_if_it_is_absent() {
        let op = Operation::new(&"acquire".into(), 7.into(), 2000.into()).on("lock");
        let body: Json = serde_json::from_str(&create(&op, 42)).unwrap();
        assert_eq!(
            body,
            json!({
                "compare": [{ "key": "bDc=", "target": "CREATE", "result": "EQUAL", "create_revision": "0" }],
                "success": [{ "request_put": { "key": "bDc=", "value": "NDI=", "lease": "42" } }],
            })
        );
        assert_eq!(
            held(&op, 9),
            json!({ "key": "bDc=", "target": "CREATE", "result": "EQUAL", "create_revision": "9" })
        );
    }

    #[test]
    fn a_lease_that_has_ended_answers_without_a_time_to_live() {
        let reply = |text: &str| serde_json::from_str::<KeepAliveReply>(text).unwrap().result;
        assert_eq!(reply(r#"{"result":{"header":{},"ID":"42","TTL":"2"}}"#).ttl, "2");
        assert_eq!(reply(r#"{"result":{"header":{},"ID":"42"}}"#).ttl, "");
    }
}
