//! Guarded transactions on etcd, as careful users write them: keys are read at one revision, and written in one
//! transaction that compares the revision of each.

use async_trait::async_trait;
use hyper::Method;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use squall_engine::{Completion, Operation};

use super::client::{EtcdClient, failed};
use super::wire::{ChangeReply, RangeReply, TxnReply, answer_text, base64, encode, unbase64};
use crate::http::Answer;
use crate::recipes::{Change, Guarded, Held};

#[async_trait]
impl Guarded for EtcdClient {
    async fn look(&mut self, keys: &[String], weak: bool) -> Result<(Vec<Held>, i64), Completion> {
        let request = look_request(keys, weak && self.serializable);
        // Nothing was written yet, whatever went wrong.
        let answer = self.http.request(Method::POST, "/v3/kv/txn", request).await;
        let answer = answer.map_err(|e| Completion::fail("read-step", e))?;
        looked(keys, &answer).ok_or_else(|| Completion::fail("read-step", answer_text(&answer)))
    }

    async fn commit(
        &mut self,
        op: &Operation,
        guards: &[(String, i64)],
        changes: &[Change],
    ) -> Result<Option<i64>, Completion> {
        let request = commit_request(guards, changes);
        let answer = self.http.request(Method::POST, "/v3/kv/txn", request).await;
        let answer = answer.map_err(|e| Completion::info("connection-broke", e))?;
        if answer.status != 200 {
            return Err(failed(op, &answer));
        }
        match serde_json::from_slice::<ChangeReply>(&answer.body) {
            Ok(reply) if reply.succeeded => Ok(Some(reply.header.revision.parse().unwrap_or(0))),
            Ok(_) => Ok(None),
            Err(_) => Err(Completion::info("not-understood", answer_text(&answer))),
        }
    }
}

fn look_request(keys: &[String], serializable: bool) -> String {
    let range =
        |key: &String| json!({ "request_range": { "key": base64(key), "serializable": serializable } });
    json!({ "success": keys.iter().map(range).collect::<Vec<_>>() }).to_string()
}

#[derive(Deserialize)]
struct Response {
    response_range: RangeReply,
}

fn looked(keys: &[String], answer: &Answer) -> Option<(Vec<Held>, i64)> {
    if answer.status != 200 {
        return None;
    }
    let reply: TxnReply<Response> = serde_json::from_slice(&answer.body).ok()?;
    if reply.responses.len() != keys.len() {
        return None;
    }
    let held = |response: &Response| match response.response_range.kvs.first() {
        None => Some(Held::default()),
        Some(kv) => Some(Held {
            value: serde_json::from_slice(&unbase64(&kv.value)?).ok()?,
            version: kv.mod_revision.parse().ok()?,
        }),
    };
    Some((reply.responses.iter().map(held).collect::<Option<_>>()?, reply.header.revision.parse().ok()?))
}

fn commit_request(guards: &[(String, i64)], changes: &[Change]) -> String {
    let guard = |(key, revision): &(String, i64)| json!({ "key": base64(key), "target": "MOD", "result": "EQUAL", "mod_revision": revision.to_string() });
    let put = |c: &Change| json!({ "request_put": { "key": base64(&c.key), "value": encode(&c.value) } });
    let compare: Vec<Json> = guards.iter().map(guard).collect();
    let success: Vec<Json> = changes.iter().map(put).collect();
    json!({ "compare": compare, "success": success }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_guarded_by_the_revision_at_which_it_was_seen() {
        let keys = ["a1".to_owned(), "a2".to_owned()];
        let read: Json = serde_json::from_str(&look_request(&keys, true)).unwrap();
        assert_eq!(read["success"][1]["request_range"], json!({ "key": "YTI=", "serializable": true }));
        // Key a1 is absent; a2 holds [5] at revision 9.
        let body = r#"{"header":{"revision":"12"},"responses":[
            {"response_range":{"header":{"revision":"12"}}},
            {"response_range":{"kvs":[{"key":"YTI=","value":"WzVd","mod_revision":"9"}]}}]}"#;
        let (held, revision) = looked(&keys, &Answer { status: 200, body: body.into() }).unwrap();
        assert_eq!(revision, 12);
        assert_eq!(held[0], Held::default());
        let five = squall_history::Value::list([5.into()]);
        assert_eq!(held[1], Held { value: five.clone(), version: 9 });
        let guards = [("a1".to_owned(), 0), ("a2".to_owned(), 9)];
        let changes = [Change { key: "a2".into(), value: five }];
        let write: Json = serde_json::from_str(&commit_request(&guards, &changes)).unwrap();
        assert_eq!(
            write["compare"],
            json!([
                { "key": "YTE=", "target": "MOD", "result": "EQUAL", "mod_revision": "0" },
                { "key": "YTI=", "target": "MOD", "result": "EQUAL", "mod_revision": "9" },
            ])
        );
        assert_eq!(write["success"], json!([{ "request_put": { "key": "YTI=", "value": "WzVd" } }]));
    }
}
