//! A long run at a low rate: whether memory stays where it is.

use std::time::{Duration, Instant};

use serde_json::json;
use squall_engine::Error;

use super::alone::resident_bytes;
use super::cluster::{Running, SLOTS};
use super::peers::{Store, Talk, value};
use crate::bench::Row;

const CLIENTS: usize = 8;
/// Keys written over and over.
const KEYS: u64 = 20_000;
const PAUSE: Duration = Duration::from_millis(20);

/// The memory of three nodes over `lasting`: after its first tenth, at the end, and the most.
pub(in crate::bench) async fn soak(lasting: Duration) -> Result<Vec<Row>, Error> {
    let dir = tempfile::tempdir().map_err(|e| Error::io("a temporary folder", e))?;
    // Snapshots come every 20,000 entries, so that many fall into the time.
    let options = json!({"snapshot_entries": 20_000});
    let running = Running::start("raftkv", &options, 3, dir.path()).await?;
    let measured = watch(&running, lasting).await;
    running.cluster.shut_down().await?;
    measured
}

async fn watch(running: &Running, lasting: Duration) -> Result<Vec<Row>, Error> {
    let until = Instant::now() + lasting;
    let mut tasks = Vec::new();
    for client in 0..CLIENTS {
        let to = running.socket(client % 3, Store::RaftKv.port());
        let stream = running.cluster.net.connect(client % SLOTS, to).await;
        let stream = stream.map_err(|e| Error::io(format!("no connection to {to}"), e))?;
        let talk = Talk::over(Store::RaftKv, stream, to).await.map_err(Error::Target)?;
        tasks.push(tokio::spawn(work(talk, client, until)));
    }
    let mut samples: Vec<[f64; 3]> = Vec::new();
    while Instant::now() < until {
        let mut sample = [0.0; 3];
        for (index, megabytes) in sample.iter_mut().enumerate() {
            *megabytes = resident_bytes(running, index)? as f64 / 1e6;
        }
        samples.push(sample);
        tokio::time::sleep(lasting.div_f64(200.0).min(Duration::from_secs(10))).await;
    }
    let (mut done, mut failed) = (0, 0);
    for task in tasks {
        let (ok, errors) = task.await.map_err(|e| Error::Broken(format!("a client's task ended: {e}")))?;
        done += ok;
        failed += errors;
    }
    let (settled, last) = (&samples[samples.len() / 10], &samples[samples.len() - 1]);
    let largest = |of: &[f64; 3]| of.iter().copied().fold(0.0, f64::max);
    let growth = (0..3).map(|n| last[n] - settled[n]).fold(f64::MIN, f64::max);
    let peak = samples.iter().map(largest).fold(0.0, f64::max);
    let note = format!("{:.0} minutes, {done} requests, {failed} failed", lasting.as_secs_f64() / 60.0);
    let row = |name: &str, value: f64| Row {
        note: Some(note.clone()),
        ..Row::new(format!("raftkv/soak/{name}"), value, "MB")
    };
    Ok(vec![
        row("settled", largest(settled)),
        row("end", largest(last)),
        row("peak", peak),
        row("growth", growth).reach(10.0),
    ])
}

/// A write, a read of it, a rest.
async fn work(mut talk: Talk, client: usize, until: Instant) -> (u64, u64) {
    let (mut done, mut failed, mut n) = (0, 0, 0);
    while Instant::now() < until {
        n += 1;
        let key = format!("soak-{:05}", (n * CLIENTS as u64 + client as u64) % KEYS);
        let result = match talk.write(&key, &value(client, n)).await {
            Ok(()) => talk.read(&key).await,
            Err(why) => Err(why),
        };
        match result {
            Ok(()) => done += 2,
            Err(_) => failed += 1,
        }
        tokio::time::sleep(PAUSE).await;
    }
    (done, failed)
}
