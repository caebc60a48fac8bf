//! A method for each request.

use std::fmt::Write as _;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::connection::Client;
use super::error::ClientError;
use super::types::*;

type Answered<T> = Result<T, ClientError>;

#[derive(Deserialize)]
struct VersionAnswer {
    version: u64,
}

#[derive(Deserialize)]
struct LeaseAnswer {
    lease: u64,
}

#[derive(Deserialize)]
struct ExistedAnswer {
    existed: bool,
}

#[derive(Deserialize)]
struct HeldAnswer {
    held: bool,
}

#[derive(Deserialize)]
struct CompactAnswer {
    complete_after: u64,
}

impl Client {
    /// The value of `key`; null if it is absent.
    pub async fn get(&mut self, key: &str, consistency: Consistency) -> Answered<Found> {
        self.ask("GET", &format!("/kv/{}?{}", encoded(key), consistency.query()), None).await
    }

    /// Sets `key` to `value`, anything but null; gives the version.
    pub async fn put(&mut self, key: &str, value: &Value) -> Answered<u64> {
        let body = json!({ "value": value });
        let answer: VersionAnswer = self.ask("PUT", &format!("/kv/{}", encoded(key)), Some(body)).await?;
        Ok(answer.version)
    }

    /// Sets `key` to `value` if it holds `expected`; null there means absence.
    pub async fn cas(&mut self, key: &str, expected: &Value, value: &Value) -> Answered<Cas> {
        let body = json!({ "expected": expected, "value": value });
        self.ask("POST", &format!("/kv/{}/cas", encoded(key)), Some(body)).await
    }

    pub async fn delete(&mut self, key: &str) -> Answered<Deleted> {
        self.ask("DELETE", &format!("/kv/{}", encoded(key)), None).await
    }

    pub async fn range(&mut self, query: &RangeQuery, consistency: Consistency) -> Answered<Range> {
        let mut path = format!("/range?start={}&{}", encoded(&query.start), consistency.query());
        if let Some(end) = &query.end {
            path += &format!("&end={}", encoded(end));
        }
        if let Some(limit) = query.limit {
            path += &format!("&limit={limit}");
        }
        self.ask("GET", &path, None).await
    }

    /// Appends to the list at `key`; absent counts as empty.
    pub async fn append(&mut self, key: &str, item: &Value) -> Answered<TxnAnswer> {
        let body = json!({ "item": item });
        self.ask("POST", &format!("/kv/{}/append", encoded(key)), Some(body)).await
    }

    /// Adds to the integer at `key`; absent counts as 0.
    pub async fn add(&mut self, key: &str, amount: i64) -> Answered<TxnAnswer> {
        let body = json!({ "amount": amount });
        self.ask("POST", &format!("/kv/{}/add", encoded(key)), Some(body)).await
    }

    /// Guards, then steps: `{"guards": […], "then": […], "else": […]}`, as the interface has it.
    pub async fn txn(&mut self, txn: &Value) -> Answered<TxnAnswer> {
        self.ask("POST", "/txn", Some(txn.clone())).await
    }

    /// A lease that ends when nobody renews it for so long; gives its number.
    pub async fn grant(&mut self, ttl_millis: u64) -> Answered<u64> {
        let answer: LeaseAnswer = self.ask("POST", "/lease", Some(json!({ "ttl_ms": ttl_millis }))).await?;
        Ok(answer.lease)
    }

    pub async fn keep_alive(&mut self, lease: u64) -> Answered<()> {
        self.ask::<LeaseAnswer>("POST", &format!("/lease/{lease}/keepalive"), None).await.map(drop)
    }

    /// Ends a lease and frees its locks; false if it had ended already.
    pub async fn revoke(&mut self, lease: u64) -> Answered<bool> {
        let answer: ExistedAnswer = self.ask("DELETE", &format!("/lease/{lease}"), None).await?;
        Ok(answer.existed)
    }

    /// Takes a lock for a lease, if it is free or the lease holds it.
    pub async fn lock(&mut self, name: &str, lease: u64) -> Answered<Locked> {
        self.ask("POST", &format!("/lock/{}", encoded(name)), Some(json!({ "lease": lease }))).await
    }

    /// Gives a lock back; false if it was not held with this token.
    pub async fn unlock(&mut self, name: &str, token: u64) -> Answered<bool> {
        let path = format!("/lock/{}?token={token}", encoded(name));
        let answer: HeldAnswer = self.ask("DELETE", &path, None).await?;
        Ok(answer.held)
    }

    /// Changes after index `after` to keys that begin with `prefix`; waits up to `timeout_millis` for the first.
    pub async fn watch(&mut self, after: u64, prefix: &str, timeout_millis: u64) -> Answered<Changes> {
        let prefix = encoded(prefix);
        self.ask("GET", &format!("/watch?after={after}&prefix={prefix}&timeout_ms={timeout_millis}"), None)
            .await
    }

    /// Forgets changes up to `through` for watches; gives the index after which they are complete.
    pub async fn compact(&mut self, through: u64) -> Answered<u64> {
        let answer: CompactAnswer = self.ask("POST", "/compact", Some(json!({ "through": through }))).await?;
        Ok(answer.complete_after)
    }

    pub async fn status(&mut self) -> Answered<Status> {
        self.ask("GET", "/status", None).await
    }

    pub async fn hash(&mut self) -> Answered<Hash> {
        self.ask("GET", "/hash", None).await
    }

    /// In the Prometheus text format.
    pub async fn metrics(&mut self) -> Answered<String> {
        let text = self.request("GET", "/metrics", "").await?;
        String::from_utf8(text.to_vec()).map_err(|e| self.unreadable(e.to_string()))
    }

    /// A new node that follows the log without a vote. Only the leader takes changes of members.
    pub async fn add_learner(&mut self, id: &str, address: &str) -> Answered<Members> {
        let body = json!({ "add_learner": { "id": id, "address": address } });
        self.ask("POST", "/members", Some(body)).await
    }

    /// Gives a learner that has caught up a vote.
    pub async fn promote(&mut self, id: &str) -> Answered<Members> {
        self.ask("POST", "/members", Some(json!({ "promote": { "id": id } }))).await
    }

    pub async fn remove_member(&mut self, id: &str) -> Answered<Members> {
        self.ask("POST", "/members", Some(json!({ "remove": { "id": id } }))).await
    }

    /// Begins to hand the office to `id`; who leads in the end is in the status.
    pub async fn transfer(&mut self, id: &str) -> Answered<Status> {
        self.ask("POST", "/leader", Some(json!({ "transfer_to": id }))).await
    }

    async fn ask<T: DeserializeOwned>(
        &mut self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Answered<T> {
        let body = body.map_or(String::new(), |body| body.to_string());
        let answer = self.request(method, path, body).await?;
        serde_json::from_slice(&answer).map_err(|e| self.unreadable(e.to_string()))
    }
}

/// Percent-encoded, whatever its characters.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            write!(out, "%{byte:02X}").expect("strings take anything");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn keys_are_encoded_whatever_they_hold() {
        assert_eq!(super::encoded("a/b é?#%&=+\u{0}"), "a%2Fb%20%C3%A9%3F%23%25%26%3D%2B%00");
        assert_eq!(super::encoded("plain-1.2_3~"), "plain-1.2_3~");
    }
}
