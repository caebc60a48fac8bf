//! Changes of members, leaders and versions of Raft KV, seen by what every node answers over its own interface and by
//! the command line that the kernel shows of its process; and what etcd was asked to do, seen by what it then refuses.

use std::sync::Arc;

use serde_json::{Value as Json, json};
use squall_engine::protocol::Target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::stage::{Stage, eventually};

/// Ports for clients.
const RAFTKV: u16 = 7000;
const ETCD: u16 = 2379;

/// What a node answers over HTTP, and its status; nothing if it cannot be asked.
async fn answer(stage: &Stage, node: usize, port: u16, path: &str, body: Option<Json>) -> (u16, Json) {
    let to = stage.deployment.layout.socket(node, port);
    let asked = async {
        let via = stage.deployment.via();
        let mut stream = via.net.connect(via.slot, to).await?;
        let (method, body) = body.map_or(("GET", String::new()), |body| ("POST", body.to_string()));
        // Without chunks, and closed at the end.
        let head = format!("{method} {path} HTTP/1.0\r\nHost: it\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all((head + &body).as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = asked.await.unwrap_or_default();
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status, serde_json::from_str(body).unwrap_or_default())
}

/// The names of those that vote, as a node says.
async fn members(stage: &Stage, node: usize) -> Vec<String> {
    let (_, status) = answer(stage, node, RAFTKV, "/status", None).await;
    serde_json::from_value(status["members"].clone()).unwrap_or_default()
}

/// Who leads, as a node says.
async fn leader(stage: &Stage, node: usize) -> Option<String> {
    let (_, status) = answer(stage, node, RAFTKV, "/status", None).await;
    status["leader"].as_str().map(str::to_owned)
}

/// How a node's program was started, as the kernel shows it.
fn command_line(stage: &Stage, node: usize) -> String {
    let Some(pid) = stage.pid(node) else { return String::new() };
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ")
}

pub async fn members_leaders_and_versions() {
    let kinds = squall_targets::targets();
    let kind = kinds.iter().find(|kind| kind.name == "raftkv").unwrap();
    let target: Arc<dyn Target> = (kind.build)(&Json::Null).unwrap();
    let mut stage = Stage::up(target, &[]).await;
    assert_eq!(members(&stage, 0).await.len(), 3);

    let over = json!({ "targets": "one", "nodes": [1] });
    let on = stage.inject("membership", json!({}), over).await;
    for node in [0, 2] {
        eventually("the others say that two are left", || async {
            members(&stage, node).await == ["n1", "n3"]
        })
        .await;
    }
    on.end().await;
    for node in 0..3 {
        eventually("every node says that it votes again", || async {
            members(&stage, node).await.contains(&"n2".to_owned())
        })
        .await;
    }

    let before = leader(&stage, 0).await.expect("every node serves");
    let old = before[1..].parse::<usize>().expect("nodes are n1, n2, n3") - 1;
    // As a run does.
    let watching = squall_engine::watch_nodes(stage.deployment.clone());
    let on = stage.inject("topple", json!({}), json!({})).await;
    let other = (old + 1) % 3;
    eventually("the others have another leader", || async {
        leader(&stage, other).await.is_some_and(|name| name != before)
    })
    .await;
    on.end().await;
    drop(watching);
    eventually("all have the same leader again", || async {
        let first = leader(&stage, 0).await;
        first.is_some() && leader(&stage, 1).await == first && leader(&stage, 2).await == first
    })
    .await;

    assert!((0..3).all(|node| !command_line(&stage, node).contains("--heartbeat")));
    let on = stage.inject("upgrade", json!({ "to": { "heartbeat": "40ms" } }), json!({})).await;
    eventually("every node runs with the new option", || async {
        (0..3).all(|node| command_line(&stage, node).contains("--heartbeat 40ms"))
    })
    .await;
    on.end().await;
    for node in 0..3 {
        eventually("every node serves", || async { stage.serves(node).await }).await;
    }
    stage.down().await;
}

pub async fn operations_on_etcd() {
    let kinds = squall_targets::targets();
    let kind = kinds.iter().find(|kind| kind.name == "etcd").unwrap();
    let target: Arc<dyn Target> = (kind.build)(&Json::Null).unwrap();
    target.prepare().await.unwrap();
    let mut stage = Stage::up(target, &[]).await;
    let key = json!("a2V5");
    for _ in 0..40 {
        let put = json!({ "key": key, "value": key });
        assert_eq!(answer(&stage, 0, ETCD, "/v3/kv/put", Some(put)).await.0, 200);
    }
    let old = json!({ "key": key, "revision": "10", "serializable": true });
    let (status, body) = answer(&stage, 2, ETCD, "/v3/kv/range", Some(old.clone())).await;
    assert!(status == 200 && body["kvs"].is_array(), "{body}");
    let on = stage.inject("maintenance", json!({ "kinds": ["compact"] }), json!({})).await;
    eventually("an old revision is refused", || async {
        let (_, body) = answer(&stage, 2, ETCD, "/v3/kv/range", Some(old.clone())).await;
        body.to_string().contains("compacted")
    })
    .await;
    on.end().await;

    let put = |key: &str| json!({ "key": key, "value": "dg==" });
    let (kept, lost) = ("a2VwdA==", "bG9zdA==");
    assert_eq!(answer(&stage, 0, ETCD, "/v3/kv/put", Some(put(kept))).await.0, 200);
    let on = stage.inject("restore", json!({}), json!({ "targets": "one", "nodes": [0] })).await;
    let (_, before) = answer(&stage, 0, ETCD, "/v3/kv/put", Some(put(lost))).await;
    on.end().await;
    for node in 0..3 {
        eventually("every node serves what was saved, and nothing else", || async {
            let read = |key: &str| json!({ "key": key, "serializable": true });
            let (_, there) = answer(&stage, node, ETCD, "/v3/kv/range", Some(read(kept))).await;
            let (status, gone) = answer(&stage, node, ETCD, "/v3/kv/range", Some(read(lost))).await;
            there["count"] == "1" && status == 200 && gone["count"].is_null()
        })
        .await;
        let (_, now) = answer(&stage, node, ETCD, "/v3/kv/range", Some(json!({ "key": kept }))).await;
        let revision =
            |answer: &Json| answer["header"]["revision"].as_str().and_then(|r| r.parse::<i64>().ok());
        assert!(revision(&now).is_some() && revision(&now) < revision(&before), "{before} {now}");
    }
    stage.down().await;
}
