//! Keys under leases: two requests for a grant, one for a read.

use hyper::Method;
use serde::Deserialize;
use serde_json::json;
use squall_engine::{Completion, Operation};

use super::client::failed;
use super::wire::{answer_text, base64, encode};
use crate::http::Http;

/// The gateway writes 64-bit numbers as strings.
#[derive(Deserialize)]
struct Granted {
    #[serde(rename = "ID")]
    id: String,
}

/// Where a lease's key is kept.
pub(super) fn key(op: &Operation) -> String {
    format!("e{}", op.key)
}

/// Grants a lease of so many seconds, and writes the key under it. The first request alone changes nothing that
/// anybody reads.
pub(super) async fn grant(http: &mut Http, op: &Operation) -> Completion {
    let asked = json!({ "TTL": op.value }).to_string();
    let granted = match http.request(Method::POST, "/v3/lease/grant", asked).await {
        Ok(answer) if answer.status == 200 => serde_json::from_slice::<Granted>(&answer.body),
        Ok(answer) => return failed(op, &answer),
        Err(e) => return Completion::unclear(op, "connection-broke", e),
    };
    let Ok(Granted { id }) = granted else {
        return Completion::unclear(op, "not-understood", "a lease without an ID");
    };
    let put = json!({ "key": base64(&key(op)), "value": encode(&op.value), "lease": id }).to_string();
    match http.request(Method::POST, "/v3/kv/put", put).await {
        Ok(answer) if answer.status == 200 => Completion::ok(op.value.clone()),
        Ok(answer) => Completion::unclear(op, "not-written", answer_text(&answer)),
        Err(e) => Completion::unclear(op, "connection-broke", e),
    }
}
