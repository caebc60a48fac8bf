//! What a node's own state comes to at a revision.
//!
//! etcd's `HashKV` would say it, but the gateway has its path for another hash, of the whole file. So the digest is made
//! here, of everything that a serializable read at that revision tells: keys, values, revisions and versions.

use hyper::Method;
use serde_json::json;
use squall_engine::{Completion, Operation};
use squall_history::Value;

use super::client::failed;
use super::wire::{WholeKv, answer_text, range};
use crate::http::{Answer, Http};

/// `[digest, 0]` at a revision; nil where the node has no such revision. A linearizable read comes first: what was
/// acknowledged before it, the node has by then.
pub(super) async fn digest(http: &mut Http, op: &Operation) -> Completion {
    let caught_up = http.request(Method::POST, "/v3/kv/range", range("ready", false)).await;
    match caught_up {
        Ok(Answer { status: 200, .. }) => {}
        Ok(answer) => return failed(op, &answer),
        Err(e) => return Completion::fail("connection-broke", e),
    }
    match http.request(Method::POST, "/v3/kv/range", request(op)).await {
        Ok(answer) => said(op, &answer),
        Err(e) => Completion::fail("connection-broke", e),
    }
}

/// Every key: from the empty one, which is written as a zero byte, on.
fn request(op: &Operation) -> String {
    let revision = op.value.as_int().unwrap_or_default().to_string();
    json!({ "key": "AA==", "range_end": "AA==", "revision": revision, "serializable": true }).to_string()
}

fn said(op: &Operation, answer: &Answer) -> Completion {
    let text = answer_text(answer);
    if answer.status != 200 && text.contains("required revision is a future revision") {
        return Completion::ok(Value::list([Value::Nil, 0.into()]));
    }
    if answer.status != 200 {
        return failed(op, answer);
    }
    match serde_json::from_slice::<WholeKv>(&answer.body) {
        Ok(reply) => {
            let mut sum = Fnv::default();
            for kv in &reply.kvs {
                for part in [&kv.key, &kv.value, &kv.create_revision, &kv.mod_revision, &kv.version] {
                    sum.add(part.as_bytes());
                }
            }
            Completion::ok(Value::list([Value::str(format!("{:016x}", sum.0)), 0.into()]))
        }
        Err(_) => Completion::fail("not-understood", text),
    }
}

/// FNV-1a with 64 bits: the same on every machine, and nobody here makes collisions on purpose.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    /// A part, and where it ends.
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes.iter().chain(&[0]) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value as Json;
    use squall_engine::Outcome;

    use super::*;

    fn op() -> Operation {
        Operation::read(&"digest".into(), 0.into(), 9.into()).on("replica")
    }

    #[test]
    fn a_node_is_asked_for_everything_that_it_holds_itself() {
        let body: Json = serde_json::from_str(&request(&op())).unwrap();
        assert_eq!(
            body,
            json!({ "key": "AA==", "range_end": "AA==", "revision": "9", "serializable": true })
        );
    }

    #[test]
    fn whatever_differs_differs_in_the_digest() {
        let outcome = |status, body: String| said(&op(), &Answer { status, body: body.into() }).outcome;
        let held = |version: &str, value: &str| {
            outcome(
                200,
                format!(
                    r#"{{"header":{{"revision":"12"}},"kvs":[{{"key":"YQ==","create_revision":"2","mod_revision":"4","version":"{version}","value":"{value}"}}]}}"#
                ),
            )
        };
        assert_eq!(held("2", "MQ=="), held("2", "MQ=="));
        assert_ne!(held("2", "MQ=="), held("3", "MQ=="));
        assert_ne!(held("2", "MQ=="), held("2", "Mg=="));
        assert!(matches!(held("2", "MQ=="), Outcome::Ok(_)));
        let ahead = r#"{"code":11,"message":"etcdserver: mvcc: required revision is a future revision"}"#;
        assert_eq!(outcome(400, ahead.into()), Outcome::Ok(Value::list([Value::Nil, 0.into()])));
        let compacted = r#"{"code":11,"message":"etcdserver: mvcc: required revision has been compacted"}"#;
        assert_eq!(outcome(400, compacted.into()), Outcome::Fail);
        assert_eq!(outcome(503, r#"{"code":14,"message":"etcdserver: no leader"}"#.into()), Outcome::Fail);
    }
}
