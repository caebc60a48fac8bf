//! Raft KV by itself: how soon another leads, and what a million keys cost.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use squall_cluster::ProgramState;
use squall_engine::Error;

use super::cluster::{Running, SLOTS};
use super::peers::{Store, Talk, VALUE_BYTES, value};
use crate::bench::Row;

/// Leaders killed.
const KILLS: usize = 15;
const ELECTION_TIMEOUT_MS: f64 = 300.0;
const KEYS: u64 = 1_000_000;
const WRITERS: usize = 128;

/// Each row is given out as it is measured.
pub(in crate::bench) async fn rows(mut each: impl FnMut(Row) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let dir = tempfile::tempdir().map_err(|e| Error::io("a temporary folder", e))?;
    let running = Running::start("raftkv", &json!(null), 3, &dir.path().join("failover")).await?;
    let measured = failover(&running).await;
    running.cluster.shut_down().await?;
    for row in measured? {
        each(row)?;
    }
    let running = Running::start("raftkv", &json!(null), 3, &dir.path().join("million")).await?;
    let measured = million(&running, &mut each).await;
    running.cluster.shut_down().await?;
    measured
}

/// From the kill of the leader until one of the others has acknowledged a write.
async fn failover(running: &Running) -> Result<Vec<Row>, Error> {
    let mut millis = Vec::new();
    for kill in 0..KILLS {
        let leader = running.leader().await?;
        let mut others = Vec::new();
        for index in (0..3).filter(|&index| index != leader) {
            running.ready(index).await?;
            others.push(connect(running, index, 0).await?);
        }
        let mut talk = others.swap_remove(kill % 2);
        // Not in step with its heartbeats.
        tokio::time::sleep(Duration::from_millis(200 + 17 * kill as u64)).await;
        running.cluster.nodes[leader].kill().await?;
        let begun = Instant::now();
        while let Err(why) = talk.write("failover", &value(0, kill as u64)).await {
            if begun.elapsed() > Duration::from_secs(30) {
                return Err(Error::Target(format!("no new leader serves: {why}")));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        millis.push(begun.elapsed().as_secs_f64() * 1e3);
        running.start_node(leader).await?;
        running.ready(leader).await?;
    }
    millis.sort_unstable_by(f64::total_cmp);
    let reach = 1.5 * ELECTION_TIMEOUT_MS;
    let row = |label: &str, value: f64| Row {
        note: Some(format!("{KILLS} leaders killed, election timeout {ELECTION_TIMEOUT_MS:.0} ms")),
        ..Row::new(format!("raftkv/failover/{label}"), value, "ms").reach(reach)
    };
    Ok(vec![row("p50", millis[KILLS / 2]), row("max", millis[KILLS - 1])])
}

/// A million keys while one node is down: their memory, the restart of a node that has them, and how soon the
/// one that has none of them catches up.
async fn million(running: &Running, each: &mut impl FnMut(Row) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let leader = running.leader().await?;
    let (absent, other) = ((leader + 1) % 3, (leader + 2) % 3);
    running.cluster.nodes[absent].kill().await?;
    let begun = Instant::now();
    fill(running, leader).await?;
    let rate = KEYS as f64 / begun.elapsed().as_secs_f64();
    each(Row {
        note: Some(format!("{WRITERS} clients, two of three nodes up")),
        ..Row::new("raftkv/million-keys/filled", rate, "operations/s")
    })?;
    caught_up(running, other, leader).await?;
    let resident = resident_bytes(running, leader)?;
    each(Row {
        note: Some(format!("resident, the leader, {KEYS} keys with values of {VALUE_BYTES} bytes")),
        ..Row::new("raftkv/million-keys/memory", resident as f64 / 1e6, "MB").reach(600.0)
    })?;
    let begun = Instant::now();
    running.start_node(absent).await?;
    caught_up(running, absent, leader).await?;
    each(Row {
        note: Some(format!("a node {KEYS} entries behind, until it has applied what the leader has")),
        ..Row::new("raftkv/million-keys/catch-up", begun.elapsed().as_secs_f64(), "s").reach(10.0)
    })?;
    running.cluster.nodes[other].kill().await?;
    let begun = Instant::now();
    running.start_node(other).await?;
    caught_up(running, other, leader).await?;
    each(Row {
        note: Some("a node that has them, until it serves and has applied what the leader has".into()),
        ..Row::new("raftkv/million-keys/restart", begun.elapsed().as_secs_f64(), "s").reach(5.0)
    })?;
    Ok(())
}

async fn fill(running: &Running, leader: usize) -> Result<(), Error> {
    let mut tasks = Vec::new();
    for writer in 0..WRITERS {
        let mut talk = connect(running, leader, writer % SLOTS).await?;
        tasks.push(tokio::spawn(async move {
            for n in (writer as u64..KEYS).step_by(WRITERS) {
                // A full queue is answered as busy; nothing was done then.
                let mut tries = 0;
                while let Err(why) = talk.write(&format!("key-{n:07}"), &value(writer, n)).await {
                    tries += 1;
                    if tries > 100 {
                        return Err(Error::Target(format!("key {n} was not taken: {why}")));
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            Ok(())
        }));
    }
    for task in tasks {
        task.await.map_err(|e| Error::Broken(format!("a writer's task ended: {e}")))??;
    }
    Ok(())
}

async fn connect(running: &Running, index: usize, slot: usize) -> Result<Talk, Error> {
    let to = running.socket(index, Store::RaftKv.port());
    let stream = running.cluster.net.connect(slot, to).await;
    let stream = stream.map_err(|e| Error::io(format!("no connection to {to}"), e))?;
    Talk::over(Store::RaftKv, stream, to).await.map_err(Error::Target)
}

/// Waits until `index` has applied everything that the leader has.
async fn caught_up(running: &Running, index: usize, leader: usize) -> Result<(), Error> {
    let begun = Instant::now();
    let goal = applied(running, leader).await.ok_or_else(|| Error::Target("the leader is gone".into()))?;
    while applied(running, index).await.is_none_or(|applied| applied < goal) {
        if begun.elapsed() > Duration::from_secs(120) {
            return Err(Error::Target(format!("node {index} does not catch up")));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

async fn applied(running: &Running, index: usize) -> Option<u64> {
    let mut talk = connect(running, index, 0).await.ok()?;
    let status: Json = serde_json::from_slice(&talk.get("/status").await.ok()?).ok()?;
    status["applied"].as_u64()
}

/// Memory of a node's server that is in use.
pub(super) fn resident_bytes(running: &Running, index: usize) -> Result<u64, Error> {
    let ProgramState::Running { pid } = running.cluster.nodes[index].state("raftkv") else {
        return Err(Error::Target(format!("node {index} does not run")));
    };
    let path = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(Path::new(&path)).map_err(|e| Error::io(path, e))?;
    let line = text.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    let kib = line.and_then(|l| l.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| Error::Broken("the kernel does not tell VmRSS".into()))
}
