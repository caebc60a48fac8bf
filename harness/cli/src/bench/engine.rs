//! How many operations a second the engine drives through a client that does nothing, recorded and flushed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use squall_cluster::{ClientNet, Program};
use squall_engine::generator::{Limit, draw};
use squall_engine::protocol::{Client, Layout, NodeLayout, Target, Via};
use squall_engine::recorder::{Recorder, RunClock};
use squall_engine::scheduler::{Stage, Worker, drive};
use squall_engine::seed::Seed;
use squall_engine::{Completion, Error, Operation, Stop};
use squall_history::Value;

use super::Row;

const OPERATIONS: u64 = 2_000_000;

/// A target whose clients answer at once.
#[derive(Debug)]
struct Noop;

#[derive(Debug)]
struct NoopClient;

#[derive(Debug)]
struct NoNet;

#[async_trait]
impl Target for Noop {
    fn name(&self) -> &str {
        "noop"
    }
    async fn prepare(&self) -> Result<String, Error> {
        Ok(String::new())
    }
    fn programs(&self, _node: usize, _layout: &Layout) -> Vec<Program> {
        Vec::new()
    }
    async fn ready(&self, _node: usize, _via: Via<'_>) -> Result<(), Error> {
        Ok(())
    }
    async fn connect(&self, _node: usize, _via: Via<'_>) -> Result<Box<dyn Client>, Error> {
        Ok(Box::new(NoopClient))
    }
    fn supports(&self, _f: &str) -> bool {
        true
    }
    fn promises(&self) -> &str {
        "linearizable"
    }
}

#[async_trait]
impl Client for NoopClient {
    async fn invoke(&mut self, op: &Operation) -> Completion {
        Completion::ok(op.value.clone())
    }
}

#[async_trait]
impl ClientNet for NoNet {
    async fn connect(
        &self,
        _slot: usize,
        to: std::net::SocketAddr,
    ) -> std::io::Result<tokio::net::TcpStream> {
        Err(std::io::Error::new(std::io::ErrorKind::Unsupported, format!("{to} is not there")))
    }
}

/// One row for each number of workers.
pub(super) async fn rows() -> Result<Vec<Row>, Error> {
    let mut rows = Vec::new();
    for workers in [10, 100] {
        let (rate, bytes) = measure(workers).await?;
        rows.push(Row {
            name: format!("engine/noop/{workers}-workers"),
            value: rate,
            unit: "operations/s",
            reach: Some(500_000.0),
            peer: Some("Jepsen 112,000 to 131,000, nothing written".into()),
            note: Some(format!("{OPERATIONS} operations, log {} MB", bytes / 1_000_000)),
        });
    }
    Ok(rows)
}

async fn measure(workers: usize) -> Result<(f64, u64), Error> {
    let dir = tempfile::tempdir().map_err(|e| Error::io("a temporary folder", e))?;
    let clock = RunClock::start();
    let (recorder, writing) = Recorder::start(clock, workers, &dir.path().join("log"), None)?;
    let nodes = (1..=5)
        .map(|n| NodeLayout {
            name: format!("n{n}"),
            address: std::net::Ipv4Addr::LOCALHOST.into(),
            data_dir: dir.path().to_owned(),
        })
        .collect();
    let stage = Stage {
        target: Arc::new(Noop),
        net: Arc::new(NoNet),
        layout: Arc::new(Layout { nodes }),
        recorder,
        stop: Stop::default(),
        seed: Seed(1),
        op_timeout: Duration::from_secs(2),
    };
    let f: Arc<str> = "write".into();
    let source = draw(move |ctx| {
        let key = ctx.rng.below(8) as i64;
        Operation::new(&f, key.into(), Value::Int(ctx.index as i64))
    });
    let begun = Instant::now();
    let generator = Box::new(Limit::new(OPERATIONS, Box::new(source)));
    let (_, _, driven) = drive(&stage, generator, Worker::all(workers, 5), None).await?;
    // Until the last byte is on its way to the disk: what is not written was not recorded.
    let bytes = writing.finish()?;
    Ok((driven.started as f64 / begun.elapsed().as_secs_f64(), bytes))
}
