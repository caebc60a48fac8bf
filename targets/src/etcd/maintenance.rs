//! What operators do to etcd while it serves: compact its history, defragment a node's file, save a snapshot.

use async_trait::async_trait;
use http_body_util::BodyExt as _;
use hyper::Method;
use serde::Deserialize;
use serde_json::json;
use squall_engine::Error;
use squall_engine::protocol::{Maintenance, Via};

use super::members::post;
use super::target::{CLIENT_PORT, Etcd};
use super::wire::{RangeReply, range, unbase64};
use crate::http::Http;

/// Revisions that a compaction leaves: who watches is not far behind, but may be.
const KEPT: i64 = 20;
/// etcd's file consists of pages, and a saved snapshot of the file and a SHA-256 of it.
const PAGE: usize = 512;
const SHA_256: usize = 32;

#[async_trait]
impl Maintenance for Etcd {
    fn kinds(&self) -> Vec<String> {
        ["compact", "defragment", "snapshot"].map(str::to_owned).into()
    }

    async fn maintain(&self, kind: &str, node: usize, via: Via<'_>) -> Result<String, Error> {
        match kind {
            "compact" => compact(node, via).await,
            "defragment" => {
                post(node, "/v3/maintenance/defragment", json!({}), via).await?;
                Ok("the node's file was written anew".to_owned())
            }
            "snapshot" => {
                let bytes = read_snapshot(node, via).await?.len();
                Ok(format!("a snapshot of {bytes} bytes was read"))
            }
            other => Err(Error::Config(format!("etcd cannot be asked to `{other}`"))),
        }
    }
}

/// Everything but the last revisions, on disk before it is answered.
async fn compact(node: usize, via: Via<'_>) -> Result<String, Error> {
    let now =
        post(node, "/v3/kv/range", serde_json::from_str(&range("ready", false)).unwrap_or_default(), via)
            .await?;
    let now: RangeReply = serde_json::from_slice(&now)
        .map_err(|e| Error::Target(format!("the answer to a read is not what it should be: {e}")))?;
    let revision = now.header.revision.parse().unwrap_or(0) - KEPT;
    if revision < 1 {
        return Err(Error::Target(format!("there are no more than {KEPT} revisions yet")));
    }
    let ask = json!({ "revision": revision.to_string(), "physical": true });
    post(node, "/v3/kv/compaction", ask, via).await?;
    Ok(format!("everything before revision {revision} was compacted"))
}

/// A part of a snapshot, as the gateway has it.
#[derive(Deserialize)]
struct Line {
    result: Option<Part>,
}

#[derive(Deserialize)]
struct Part {
    /// Left out where it is empty.
    #[serde(default)]
    blob: String,
}

/// Reads a whole snapshot. That it is whole shows by its size, and by where it ends.
pub(super) async fn read_snapshot(node: usize, via: Via<'_>) -> Result<Vec<u8>, Error> {
    let mut http = Http::connect(node, CLIENT_PORT, via).await?;
    let (status, mut body) =
        http.stream(Method::POST, "/v3/maintenance/snapshot", "{}").await.map_err(Error::Target)?;
    if status != 200 {
        return Err(Error::Target(format!("HTTP {status}")));
    }
    let (mut text, mut bytes) = (Vec::new(), Vec::new());
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|e| Error::Target(format!("the snapshot broke off after {} bytes: {e}", bytes.len())))?;
        text.extend(frame.into_data().unwrap_or_default());
        while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = text.drain(..=end).collect();
            let part = part(&line).ok_or_else(|| {
                let said = String::from_utf8_lossy(&line[..line.len().min(200)]).into_owned();
                Error::Target(format!("the snapshot broke off after {} bytes: {said}", bytes.len()))
            })?;
            bytes.extend(part);
        }
    }
    if bytes.len() % PAGE != SHA_256 {
        let size = bytes.len();
        return Err(Error::Target(format!("a snapshot of {size} bytes is not whole pages and a checksum")));
    }
    Ok(bytes)
}

fn part(line: &[u8]) -> Option<Vec<u8>> {
    let line: Line = serde_json::from_slice(line).ok()?;
    unbase64(&line.result?.blob)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_snapshot_are_counted_and_errors_are_none() {
        assert_eq!(part(br#"{"result":{"remaining_bytes":"7","blob":"AAAA"}}"#), Some(vec![0; 3]));
        assert_eq!(part(br#"{"result":{"remaining_bytes":"0"}}"#), Some(Vec::new()));
        assert_eq!(part(br#"{"error":{"code":14,"message":"etcdserver: server stopped"}}"#), None);
    }
}
