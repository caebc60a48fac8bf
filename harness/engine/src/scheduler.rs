//! The scheduler: each worker is a task that asks the generator, waits until the operation is due, and has
//! its client do it.
//!
//! Invariants: a process has one operation open at a time; after `info` it never acts again, its client is
//! dropped and a fresh process takes its place; an operation that was not sent for want of a connection is
//! `fail`. The task that makes the call reads the times of both ends (see the recorder).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use squall_cluster::ClientNet;
use squall_history::{Entry, EventKind, ProcessInfo};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::Error;
use crate::generator::{Context, Generator, Next};
use crate::operation::{Completion, Operation};
use crate::protocol::{Client, Layout, Target, Via};
use crate::recorder::Recorder;
use crate::seed::Seed;
use crate::stop::Stop;
use crate::timer::Timer;

/// A worker that found no connection pauses before its next operation: a refused connection costs nothing,
/// and unpaced load would spin on it.
const PAUSE_AFTER_NO_CONNECTION: Duration = Duration::from_millis(20);

/// A worker whose generator is pending asks again after this time even if nobody told it to.
const ASK_AGAIN: Duration = Duration::from_millis(5);

/// At the end of a phase, how many operations of one worker that were due but never started are counted.
const OVERDUE_MAX: u64 = 10_000_000;

/// Everything that workers share.
#[derive(Clone, Debug)]
pub struct Stage {
    /// Who is asked.
    pub target: Arc<dyn Target>,
    /// How nodes are reached.
    pub net: Arc<dyn ClientNet>,
    /// Where nodes are.
    pub layout: Arc<Layout>,
    /// Where events go.
    pub recorder: Recorder,
    /// Ends everything early.
    pub stop: Stop,
    /// Draws everything.
    pub seed: Seed,
    /// How long an operation may take.
    pub op_timeout: Duration,
}

/// A worker: the place that one process after another takes.
pub struct Worker {
    id: usize,
    process: u32,
    node: usize,
    index: u64,
    // Where its process is: elsewhere than at the worker's own node only if the workload moved it.
    at: usize,
    client: Option<Box<dyn Client>>,
    // What the process has seen, over all its connections.
    seen: Option<u64>,
    announced: bool,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").field("id", &self.id).field("process", &self.process).finish_non_exhaustive()
    }
}

impl Worker {
    /// Workers in order, spread evenly over the nodes.
    pub fn all(workers: usize, nodes: usize) -> Vec<Worker> {
        (0..workers)
            .map(|id| Worker {
                id,
                process: id as u32,
                node: id % nodes,
                index: 0,
                at: id % nodes,
                client: None,
                seen: None,
                announced: false,
            })
            .collect()
    }
}

/// What came of a phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Driven {
    /// Operations that were due.
    pub offered: u64,
    /// Operations that were invoked.
    pub started: u64,
}

type Shared = Arc<Mutex<Box<dyn Generator>>>;

/// Runs a generator with these workers until it is done for all of them, or until `until` (nanoseconds of
/// the run's clock; nothing due later is started), or until stopped.
pub async fn drive(
    stage: &Stage,
    generator: Box<dyn Generator>,
    workers: Vec<Worker>,
    until: Option<u64>,
) -> Result<(Vec<Worker>, Box<dyn Generator>, Driven), Error> {
    let listens = generator.listens();
    let generator: Shared = Arc::new(Mutex::new(generator));
    let told = Arc::new(Notify::new());
    let count = workers.len();
    let mut tasks = JoinSet::new();
    for worker in workers {
        let task = Task {
            stage: stage.clone(),
            generator: generator.clone(),
            told: told.clone(),
            listens,
            workers: count,
            until: until.unwrap_or(u64::MAX),
            timer: Timer::new()?,
        };
        tasks.spawn(task.run(worker));
    }
    let mut back = Vec::with_capacity(count);
    let mut driven = Driven::default();
    while let Some(joined) = tasks.join_next().await {
        let (worker, d) = joined.map_err(|e| Error::Broken(format!("a worker's task ended: {e}")))?;
        driven.offered += d.offered;
        driven.started += d.started;
        back.push(worker);
    }
    back.sort_by_key(|w| w.id);
    let generator = Arc::into_inner(generator)
        .ok_or_else(|| Error::Broken("a worker's task kept the generator".into()))?
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    Ok((back, generator, driven))
}

struct Task {
    stage: Stage,
    generator: Shared,
    told: Arc<Notify>,
    listens: bool,
    workers: usize,
    until: u64,
    timer: Timer,
}

impl Task {
    async fn run(mut self, mut worker: Worker) -> (Worker, Driven) {
        let mut driven = Driven::default();
        while !self.stage.stop.is_stopped() {
            let now = self.stage.recorder.clock().now();
            if now >= self.until {
                driven.offered += self.overdue(&mut worker);
                break;
            }
            match self.ask(&worker, now) {
                Next::Done => break,
                Next::Pending => self.wait().await,
                Next::Op(_, due) if due >= self.until => break,
                Next::Op(op, due) => {
                    if due > now && !self.sleep_until(due).await {
                        break;
                    }
                    worker.index += 1;
                    driven.offered += 1;
                    driven.started += 1;
                    self.perform(&mut worker, &op, due).await;
                    // A client that answers without ever waiting must not starve the others.
                    tokio::task::consume_budget().await;
                }
            }
        }
        // Others may wait at a barrier for this worker.
        self.told.notify_waiters();
        (worker, driven)
    }

    fn ask(&self, worker: &Worker, now: u64) -> Next {
        let mut ctx =
            Context::new(self.stage.seed, worker.id, self.workers, worker.process, worker.index, now);
        self.generator.lock().unwrap_or_else(PoisonError::into_inner).next(&mut ctx)
    }

    /// Operations that were due before the end, but that nobody was free for.
    fn overdue(&self, worker: &mut Worker) -> u64 {
        let mut count = 0;
        while count < OVERDUE_MAX {
            match self.ask(worker, self.until) {
                Next::Op(_, due) if due < self.until => {
                    worker.index += 1;
                    count += 1;
                }
                _ => break,
            }
        }
        count
    }

    async fn wait(&self) {
        tokio::select! {
            () = self.told.notified() => {}
            () = tokio::time::sleep(ASK_AGAIN) => {}
        }
    }

    /// False if stopped meanwhile.
    async fn sleep_until(&mut self, due: u64) -> bool {
        let at = self.stage.recorder.clock().instant(due);
        tokio::select! {
            () = self.timer.sleep_until(at) => true,
            () = self.stage.stop.stopped() => false,
        }
    }

    async fn perform(&self, worker: &mut Worker, op: &Operation, due: u64) {
        let recorder = &self.stage.recorder;
        self.announce(worker);
        let invoked = recorder.invoke(worker.id, worker.process, op, due);
        let deadline = tokio::time::Instant::now() + self.stage.op_timeout;
        if let Some(node) = op.node.filter(|node| *node != worker.at) {
            worker.at = node;
            worker.client = None;
        }
        let connected = worker.client.is_some() || self.connect(worker, deadline).await.is_ok();
        let completion = match &mut worker.client {
            Some(client) if connected => {
                match tokio::time::timeout_at(deadline, client.invoke(op)).await {
                    Ok(completion) => {
                        worker.seen = worker.seen.max(client.seen());
                        if !client.is_usable() {
                            worker.client = None;
                        }
                        completion
                    }
                    Err(_) => {
                        // The answer may still come: this connection can no longer be told apart from it.
                        worker.client = None;
                        Completion::unclear(op, "op-timeout", "no answer within op_timeout")
                    }
                }
            }
            _ => Completion::fail("no-connection", "nothing was sent: the node could not be connected to"),
        };
        let mut event = completion.event(op);
        if worker.at != worker.node {
            let node = self.stage.layout.nodes[worker.at].name.clone();
            event.2.get_or_insert_default().node = Some(node);
        }
        let retired = event.0 == EventKind::Info;
        let completed = recorder.complete(worker.id, &invoked, event);
        if retired {
            worker.process += self.workers as u32;
            worker.at = worker.node;
            worker.client = None;
            worker.seen = None;
            worker.announced = false;
        }
        if self.listens {
            let mut generator = self.generator.lock().unwrap_or_else(PoisonError::into_inner);
            generator.update(&completed);
            drop(generator);
            self.told.notify_waiters();
        }
        if !connected {
            tokio::time::sleep(PAUSE_AFTER_NO_CONNECTION).await;
        }
    }

    fn announce(&self, worker: &mut Worker) {
        if !std::mem::replace(&mut worker.announced, true) {
            let node = self.stage.layout.nodes[worker.node].name.clone();
            let (process, worker) = (worker.process, worker.id as u32);
            self.stage.recorder.note(|time| Entry::Process(ProcessInfo { time, process, worker, node }));
        }
    }

    async fn connect(&self, worker: &mut Worker, deadline: tokio::time::Instant) -> Result<(), Error> {
        let via = Via { net: &*self.stage.net, slot: worker.id, layout: &self.stage.layout };
        let open = self.stage.target.connect(worker.at, via);
        let mut client = tokio::time::timeout_at(deadline, open)
            .await
            .map_err(|_| Error::Target("the connection took longer than op_timeout".into()))??;
        if let Some(seen) = worker.seen {
            client.resume(seen);
        }
        worker.client = Some(client);
        Ok(())
    }
}

/// Closes the workers' clients, each bounded by `limit`.
pub async fn close(workers: Vec<Worker>, limit: Duration) {
    for worker in workers {
        if let Some(client) = worker.client {
            // A client that cannot say goodbye is dropped: its connection ends with it.
            let _ = tokio::time::timeout(limit, client.close()).await;
        }
    }
}
