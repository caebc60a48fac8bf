//! Changes of members and versions of Raft KV, seen by what every node answers over its own interface and by the
//! command line that the kernel shows of its process.

use std::sync::Arc;

use serde_json::{Value as Json, json};
use squall_engine::protocol::Target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::stage::{Stage, eventually};

/// Raft KV's port for clients.
const PORT: u16 = 7000;

/// The names of those that vote, as a node says over HTTP; empty if it cannot be asked.
async fn members(stage: &Stage, node: usize) -> Vec<String> {
    let to = stage.deployment.layout.socket(node, PORT);
    let asked = async {
        let via = stage.deployment.via();
        let mut stream = via.net.connect(via.slot, to).await?;
        stream.write_all(b"GET /status HTTP/1.1\r\nHost: it\r\nConnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = asked.await.unwrap_or_default();
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let status: Json = serde_json::from_str(body).unwrap_or_default();
    serde_json::from_value(status["members"].clone()).unwrap_or_default()
}

/// How a node's program was started, as the kernel shows it.
fn command_line(stage: &Stage, node: usize) -> String {
    let Some(pid) = stage.pid(node) else { return String::new() };
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ")
}

pub async fn members_and_versions() {
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
