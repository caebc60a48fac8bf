//! Locks of Raft KV: a lease, a lock taken with it, and a fence that a transaction can ask for.

use hyper::Method;
use serde::Deserialize;
use serde_json::json;
use squall_engine::{Completion, Operation};
use squall_history::Value;

use super::client::{KvClient, answer_text, refused};

#[derive(Deserialize)]
struct LeaseReply {
    lease: i64,
}

#[derive(Deserialize)]
struct LockReply {
    ok: bool,
    token: i64,
}

#[derive(Deserialize)]
struct UnlockReply {
    held: bool,
}

#[derive(Deserialize)]
struct TxnReply {
    succeeded: bool,
    results: Vec<StepReply>,
}

#[derive(Deserialize)]
struct StepReply {
    #[serde(default)]
    value: Value,
}

/// Does an operation on a lock.
pub(super) async fn invoke(client: &mut KvClient, op: &Operation) -> Completion {
    let done = match &*op.f {
        "acquire" => acquire(client, op).await,
        "renew" => renew(client, op).await,
        "release" => release(client, op).await,
        "write" => write(client, op).await,
        f => Err(Completion::fail("not-asked", format!("raftkv's client does not know `{f}` of a lock"))),
    };
    done.unwrap_or_else(|completion| completion)
}

/// The value is the time to live in milliseconds. `[token, lease]` if it was taken.
async fn acquire(client: &mut KvClient, op: &Operation) -> Result<Completion, Completion> {
    let body = json!({ "ttl_ms": op.value.as_int().unwrap_or(2000) }).to_string();
    // A lease by itself locks nothing: until the lock is asked for, whatever goes wrong is a failure.
    let answer = client.http.request(Method::POST, "/lease", body).await;
    let answer = answer.map_err(|e| Completion::fail("lease-step", e))?;
    let Ok(LeaseReply { lease }) = serde_json::from_slice(&answer.body) else {
        return Err(Completion::fail("lease-step", answer_text(&answer)));
    };
    let body = json!({ "lease": lease }).to_string();
    let reply: LockReply = ask(client, op, Method::POST, &format!("/lock/l{}", op.key), body).await?;
    if !reply.ok {
        return Err(Completion::fail("busy", "somebody else holds the lock"));
    }
    Ok(Completion::ok_at(Value::list([reply.token.into(), lease.into()]), reply.token))
}

async fn renew(client: &mut KvClient, op: &Operation) -> Result<Completion, Completion> {
    let path = format!("/lease/{}/keepalive", op.value);
    match ask::<LeaseReply>(client, op, Method::POST, &path, String::new()).await {
        Ok(_) => Ok(Completion::ok(op.value.clone())),
        Err(e) if is(&e, "no_lease") => Ok(Completion::ok(Value::str("lost"))),
        Err(e) => Err(e),
    }
}

async fn release(client: &mut KvClient, op: &Operation) -> Result<Completion, Completion> {
    let token = op.value.as_pair().map(|(token, _)| token.clone()).unwrap_or_default();
    let path = format!("/lock/l{}?token={token}", op.key);
    let reply: UnlockReply = ask(client, op, Method::DELETE, &path, String::new()).await?;
    Ok(Completion::ok(Value::str(if reply.held { "released" } else { "lost" })))
}

/// `[token, token of the write before]`, or `"refused"` where the lock is no longer held with this token.
async fn write(client: &mut KvClient, op: &Operation) -> Result<Completion, Completion> {
    let reply: TxnReply = ask(client, op, Method::POST, "/txn", fenced(op)).await?;
    if !reply.succeeded {
        return Ok(Completion::ok(Value::str("refused")));
    }
    let before = reply.results.into_iter().next().map(|step| step.value).unwrap_or_default();
    Ok(Completion::ok(Value::list([op.value.clone(), before])))
}

fn fenced(op: &Operation) -> String {
    let resource = format!("f{}", op.key);
    json!({
        "guards": [{ "lock": format!("l{}", op.key), "token": op.value }],
        "then": [
            { "op": "read", "key": resource },
            { "op": "write", "key": resource, "value": op.value },
        ],
    })
    .to_string()
}

fn is(completion: &Completion, row: &str) -> bool {
    completion.meta.as_ref().and_then(|m| m.row.as_deref()) == Some(row)
}

async fn ask<T: serde::de::DeserializeOwned>(
    client: &mut KvClient,
    op: &Operation,
    method: Method,
    path: &str,
    body: String,
) -> Result<T, Completion> {
    let answer = client.http.request(method, path, body).await;
    let answer = answer.map_err(|e| Completion::unclear(op, "connection-broke", e))?;
    if answer.status != 200 {
        return Err(refused(op, &answer));
    }
    serde_json::from_slice(&answer.body)
        .map_err(|_| Completion::unclear(op, "not-understood", answer_text(&answer)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fenced_write_names_its_lock_and_token() {
        let op = Operation::new(&"write".into(), 3.into(), 17.into()).on("lock");
        let body: serde_json::Value = serde_json::from_str(&fenced(&op)).unwrap();
        assert_eq!(body["guards"], json!([{ "lock": "l3", "token": 17 }]));
        assert_eq!(body["then"][1], json!({ "op": "write", "key": "f3", "value": 17 }));
    }
}
