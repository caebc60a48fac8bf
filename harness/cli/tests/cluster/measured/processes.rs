//! Faults of processes, seen in the machine's own process table, by a neighbour that talks to the victim, by what the
//! victim notes itself, and by what it is given.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use squall_cluster::Capability;

use super::stage::{Line, ProbeTarget, Stage, eventually};
use crate::support::lives;

/// The second node.
fn victim() -> serde_json::Value {
    json!({ "targets": "one", "nodes": [1] })
}

/// What a neighbour hears of the victim when it connects anew.
async fn heard(stage: &Stage) -> String {
    stage.line(0).await.ask(&format!("dial victim {}", stage.place(1))).await
}

/// The state of a process as the kernel shows it: `S`, `R`, `T`, …
fn state(pid: u32) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1.chars().next().unwrap()
}

async fn kills(stage: &mut Stage) {
    let pid = stage.pid(1).unwrap();
    let on = stage.inject("kill", json!({}), victim()).await;
    assert!(!lives(pid), "the machine's process table has it no more");
    assert_eq!(heard(stage).await, "refused");
    on.end().await;
    eventually("it serves again", || async { heard(stage).await == "answered" }).await;
    assert_eq!((stage.said(1, "up").len(), stage.said(1, "asked").len()), (2, 0), "nobody asked it to end");

    let on = stage.inject("stop", json!({}), victim()).await;
    assert_eq!(stage.said(1, "asked").len(), 1, "it was asked, and ended");
    assert_eq!(heard(stage).await, "refused");
    on.end().await;
    eventually("it serves again", || async { heard(stage).await == "answered" }).await;

    let pids: Vec<u32> = (0..3).map(|node| stage.pid(node).unwrap()).collect();
    let on = stage.inject("restart-all", json!({}), json!({})).await;
    assert!(pids.iter().all(|pid| !lives(*pid)), "all at once");
    on.end().await;
    for node in 0..3 {
        eventually("it serves again", || async { stage.serves(node).await }).await;
    }

    let ups = stage.said(1, "up").len();
    let over = json!({ "targets": "one", "nodes": [1], "lives": [1.0] });
    let on = stage.inject("crash-loop", json!({ "life": "200ms" }), over).await;
    eventually("it has come up three times more", || async { stage.said(1, "up").len() >= ups + 3 }).await;
    on.end().await;
    assert_eq!(stage.said(1, "asked").len(), 1, "it crashed each time");
    eventually("it serves again", || async { heard(stage).await == "answered" }).await;
}

async fn pauses(stage: &mut Stage) {
    let pid = stage.pid(1).unwrap();
    let mut neighbour = stage.line(0).await;
    assert_eq!(neighbour.ask(&format!("dial paused {}", stage.place(1))).await, "answered");
    let on = stage.inject("pause", json!({}), victim()).await;
    assert_eq!(state(pid), 'T');
    assert_eq!(neighbour.ask("talk paused").await, "silent");
    on.end().await;
    assert_ne!(state(pid), 'T');
    eventually("it answers again", || async { heard(stage).await == "answered" }).await;
    assert_eq!(stage.pid(1), Some(pid), "the same process");
}

async fn rolls(stage: &mut Stage) {
    let before: Vec<_> = (0..3).map(|n| (stage.said(n, "asked").len(), stage.said(n, "up").len())).collect();
    let on = stage.inject("rolling-restart", json!({}), json!({})).await;
    eventually("all have come up again", || async {
        (0..3).all(|n| stage.said(n, "up").len() > before[n].1)
    })
    .await;
    on.end().await;
    let mut down: Vec<(u64, u64)> =
        (0..3).map(|n| (stage.said(n, "asked")[before[n].0], stage.said(n, "up")[before[n].1])).collect();
    down.sort_unstable();
    // Each was asked to end after the one before had come up.
    assert!(down.iter().all(|(asked, up)| asked < up), "{down:?}");
    assert!(down.windows(2).all(|pair| pair[0].1 < pair[1].0), "{down:?}");
    for node in 0..3 {
        eventually("every node serves", || async { stage.serves(node).await }).await;
    }
}

/// How often of a hundred times the kernel showed a process stopped.
async fn stopped(pid: u32) -> usize {
    let mut stopped = 0;
    for _ in 0..100 {
        stopped += usize::from(state(pid) == 'T');
        // Not in step with whoever stops and continues it.
        tokio::time::sleep(Duration::from_millis(7)).await;
    }
    stopped
}

async fn shares(stage: &mut Stage) {
    let mut spinning = tokio::task::JoinSet::<()>::new();
    for node in [1, 2] {
        let mut line = stage.line(node).await;
        spinning.spawn(async move {
            loop {
                line.ask("spin").await;
            }
        });
    }
    let on = stage.inject("cpu", json!({ "share": 0.1 }), victim()).await;
    // Nine of ten where signals are never late; of one that is left alone none.
    let seen = stopped(stage.pid(1).unwrap()).await;
    assert!(seen > 20, "stopped {seen} times of a hundred");
    assert_eq!(stopped(stage.pid(2).unwrap()).await, 0, "its neighbour is left alone");
    let mut line = stage.line(1).await;
    let spins = async |line: &mut Line| line.ask("spins").await.parse::<u64>().unwrap();
    let before = spins(&mut line).await;
    eventually("it comes on all the same", || async { spins(&mut stage.line(1).await).await > before }).await;
    on.end().await;
    assert_eq!(stopped(stage.pid(1).unwrap()).await, 0);
    spinning.shutdown().await;

    // A line that is open already: a new one needs a thread, which needs memory.
    let mut line = stage.line(1).await;
    assert_eq!(line.ask("hoard 256").await, "given");
    let on = stage.inject("memory", json!({ "room": "32MiB" }), victim()).await;
    assert_eq!(line.ask("hoard 256").await, "refused");
    assert_eq!(stage.line(2).await.ask("hoard 256").await, "given", "its neighbour has what it had");
    on.end().await;
    assert_eq!(line.ask("hoard 256").await, "given");
}

pub async fn processes() {
    let needs = [Capability::CpuLimit, Capability::MemoryLimit];
    let mut stage = Stage::up(Arc::new(ProbeTarget), &needs).await;
    kills(&mut stage).await;
    pauses(&mut stage).await;
    rolls(&mut stage).await;
    shares(&mut stage).await;
    stage.down().await;
}
