//! Guarded transactions on Raft KV: keys are read in one transaction, and written in one that names the version
//! of each.

use async_trait::async_trait;
use hyper::Method;
use serde::Deserialize;
use serde_json::json;
use squall_engine::{Completion, Operation};
use squall_history::Value;

use super::client::{KvClient, answer_text, refused};
use crate::recipes::{Change, Guarded, Held};

#[derive(Deserialize)]
struct TxnReply {
    succeeded: bool,
    results: Vec<StepReply>,
    version: i64,
}

#[derive(Deserialize)]
struct StepReply {
    #[serde(default)]
    value: Value,
    #[serde(default)]
    version: i64,
}

#[async_trait]
impl Guarded for KvClient {
    async fn look(&mut self, keys: &[String], weak: bool) -> Result<(Vec<Held>, i64), Completion> {
        let query = if weak { self.query() } else { String::new() };
        let steps: Vec<_> = keys.iter().map(|key| json!({ "op": "read", "key": key })).collect();
        let answer =
            self.request(Method::POST, &format!("/txn{query}"), json!({ "then": steps }).to_string()).await;
        let answer = answer.map_err(|e| Completion::fail("read-step", e))?;
        match serde_json::from_slice::<TxnReply>(&answer.body) {
            Ok(reply) if answer.status == 200 && reply.results.len() == keys.len() => {
                let held = reply.results.into_iter().map(|r| Held { value: r.value, version: r.version });
                Ok((held.collect(), reply.version))
            }
            _ => Err(Completion::fail("read-step", answer_text(&answer))),
        }
    }

    async fn commit(
        &mut self,
        op: &Operation,
        guards: &[(String, i64)],
        changes: &[Change],
    ) -> Result<Option<i64>, Completion> {
        let answer = self.request(Method::POST, "/txn", commit_request(guards, changes)).await;
        let answer = answer.map_err(|e| Completion::info("connection-broke", e))?;
        if answer.status != 200 {
            return Err(refused(op, &answer));
        }
        match serde_json::from_slice::<TxnReply>(&answer.body) {
            Ok(reply) => Ok(reply.succeeded.then_some(reply.version)),
            Err(_) => Err(Completion::info("not-understood", answer_text(&answer))),
        }
    }
}

fn commit_request(guards: &[(String, i64)], changes: &[Change]) -> String {
    let guards: Vec<_> =
        guards.iter().map(|(key, version)| json!({ "key": key, "version": version })).collect();
    let write = |c: &Change| json!({ "op": "write", "key": c.key, "value": c.value });
    let then: Vec<_> = changes.iter().map(write).collect();
    json!({ "guards": guards, "then": then }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_guarded_by_the_version_at_which_it_was_seen() {
        let changes = [Change { key: "a2".into(), value: 5.into() }];
        let text = commit_request(&[("a1".into(), 0), ("a2".into(), 9)], &changes);
        let body: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(body["guards"], json!([{ "key": "a1", "version": 0 }, { "key": "a2", "version": 9 }]));
        assert_eq!(body["then"], json!([{ "op": "write", "key": "a2", "value": 5 }]));
    }
}
