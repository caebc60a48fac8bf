//! Faults of disks, seen by a program that writes, syncs and reads files on the victim, before and after it was
//! restarted. What is in a file is told as runs of equal bytes.

use std::sync::Arc;

use serde_json::{Value as Json, json};
use squall_cluster::Capability;

use super::stage::{Line, ProbeTarget, Stage};

const EIO: &str = "errno 5";
const ENOSPC: &str = "errno 28";
const ENOENT: &str = "errno 2";

/// The second node.
fn victim() -> Json {
    json!({ "targets": "one", "nodes": [1] })
}

/// Writes so many bytes and syncs them.
async fn keep(line: &mut Line, file: &str, byte: u8, count: usize) {
    assert_eq!(line.ask(&format!("write {file} 0 {byte} {count} sync")).await, "ok");
}

async fn reads(line: &mut Line, file: &str) -> String {
    line.ask(&format!("read {file}")).await
}

async fn power(stage: &mut Stage) {
    let mut line = stage.line(1).await;
    keep(&mut line, "kept", 1, 8192).await;
    assert_eq!(line.ask("write kept 4096 2 8192 no").await, "ok");
    assert_eq!(line.ask("write new 0 3 100 no").await, "ok");
    assert_eq!(
        (reads(&mut line, "kept").await.as_str(), reads(&mut line, "new").await.as_str()),
        ("1x4096 2x8192", "3x100")
    );
    stage.inject("power-loss", json!({}), victim()).await.end().await;
    let mut line = stage.line(1).await;
    assert_eq!(reads(&mut line, "kept").await, "1x8192", "what was synced, and no more");
    assert_eq!(reads(&mut line, "new").await, ENOENT);

    let files: Vec<String> = (0..8).map(|number| format!("torn{number}")).collect();
    for file in &files {
        keep(&mut line, file, 1, 8 * 4096).await;
        for at in 0..8 {
            assert_eq!(line.ask(&format!("write {file} {} 2 4096 no", at * 4096)).await, "ok");
        }
    }
    let over = json!({ "targets": "one", "nodes": [1], "sector_bytes": 512, "seed": 5 });
    stage.inject("torn-write", json!({}), over).await.end().await;
    let mut line = stage.line(1).await;
    let mut mixed = 0;
    for file in &files {
        let runs = reads(&mut line, file).await;
        let runs: Vec<(u8, usize)> = runs
            .split(' ')
            .map(|run| run.split_once('x').unwrap())
            .map(|(byte, count)| (byte.parse().unwrap(), count.parse().unwrap()))
            .collect();
        assert!(runs.iter().all(|(byte, count)| matches!(byte, 1 | 2) && count % 512 == 0), "{runs:?}");
        mixed += usize::from(runs.len() > 1);
    }
    assert!(mixed > 0, "of eight files not one has both old and new bytes");

    keep(&mut line, "promised", 1, 100).await;
    let on = stage.inject("lost-fsync", json!({ "files": "promised" }), victim()).await;
    keep(&mut line, "promised", 2, 100).await;
    assert_eq!(reads(&mut line, "promised").await, "2x100");
    on.end().await;
    assert_eq!(reads(&mut stage.line(1).await, "promised").await, "1x100", "the sync lied");
}

async fn calls(stage: &mut Stage) {
    let mut line = stage.line(1).await;
    keep(&mut line, "a", 1, 4096).await;
    keep(&mut line, "b", 1, 4096).await;
    let options = json!({ "share": 1.0, "files": "a", "calls": ["write", "read", "fsync"] });
    let on = stage.inject("disk-error", options, victim()).await;
    assert_eq!(line.ask("write a 0 2 10 no").await, EIO);
    assert_eq!(line.ask("sync a").await, EIO);
    assert_eq!(line.ask("write b 0 2 10 sync").await, "ok", "other files are left alone");
    on.end().await;
    assert_eq!(
        (line.ask("write a 0 2 10 sync").await.as_str(), reads(&mut line, "a").await.as_str()),
        ("ok", "2x10 1x4086")
    );

    let on = stage.inject("disk-full", json!({}), victim()).await;
    assert_eq!(line.ask("write a 4096 2 10 no").await, ENOSPC);
    assert_eq!(line.ask("write c 0 2 10 no").await, ENOSPC);
    assert_eq!(line.ask("write a 0 3 10 sync").await, "ok", "in place there is room");
    on.end().await;
    assert_eq!(line.ask("write c 0 2 10 sync").await, "ok");

    let slow = json!({ "delay": "300ms", "jitter": "0s" });
    let on = stage.inject("slow-disk", slow, victim()).await;
    let took: u64 = line.ask("sync a").await.parse().unwrap();
    assert!(took >= 300_000_000, "{took} ns");
    on.end().await;
}

async fn contents(stage: &mut Stage) {
    let mut line = stage.line(1).await;
    keep(&mut line, "block", 1, 4096).await;
    let on = stage.inject("stale-read", json!({ "share": 1.0, "files": "block" }), victim()).await;
    keep(&mut line, "block", 2, 4096).await;
    assert_eq!(reads(&mut line, "block").await, "1x4096", "as it was before");
    on.end().await;
    let mut line = stage.line(1).await;
    assert_eq!(reads(&mut line, "block").await, "2x4096");

    keep(&mut line, "flipped", 0, 4096).await;
    let on = stage.inject("bit-flip", json!({ "files": "flipped", "bits": 3 }), victim()).await;
    on.end().await;
    let mut line = stage.line(1).await;
    let runs = reads(&mut line, "flipped").await;
    let ones = runs
        .split(' ')
        .map(|run| run.split_once('x').unwrap())
        .map(|(byte, count)| byte.parse::<u8>().unwrap().count_ones() * count.parse::<u32>().unwrap());
    assert_eq!(ones.sum::<u32>(), 3, "{runs}");

    keep(&mut line, "cut", 1, 8192).await;
    let on = stage.inject("truncate", json!({ "files": "cut" }), victim()).await;
    let bytes = on.plan["bytes"].as_u64().unwrap();
    on.end().await;
    assert_eq!(reads(&mut stage.line(1).await, "cut").await, format!("1x{}", 8192 - bytes));
}

pub async fn disks() {
    let mut stage = Stage::up(Arc::new(ProbeTarget), &[Capability::Disk]).await;
    power(&mut stage).await;
    calls(&mut stage).await;
    contents(&mut stage).await;
    stage.down().await;
}
