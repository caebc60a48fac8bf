//! Fixed timelines and triggers: each step says when it begins, what it does and for how long.
//!
//! A step that waits for an event is armed when the main phase begins, and again after each time that it was
//! carried out. An event that never comes leaves its step out, and the run's checks then say that the fault was
//! never injected. What a fault does within a step follows from the seed and the step's place, unless the step
//! says it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value as Json};
use squall_cluster::Capability;
use squall_engine::protocol::{Fault, Nemesis, Target};
use squall_engine::seed::Seed;
use squall_engine::{Deployment, Error};
use tokio::task::JoinSet;

use crate::inject::{Planned, perform};
use crate::storm::fits;

/// What a step waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Another node leads, or the same one in a later term.
    LeaderChange,
    /// So many more operations were ok.
    OkOperations(u64),
    /// This text is written to a log of any node.
    Log(String),
}

/// When a step begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// So long after the main phase began.
    At(Duration),
    /// So long after an event.
    After(Event, Duration),
}

/// One step. Its faults act together.
#[derive(Clone, Debug)]
pub struct Step {
    /// When it begins.
    pub when: When,
    /// What it does.
    pub faults: Vec<Arc<dyn Fault>>,
    /// For how long.
    pub lasts: Duration,
    /// How often, where it waits for an event.
    pub times: u32,
    /// Parts of what would be drawn otherwise, such as `nodes`.
    pub plan: Map<String, Json>,
}

/// See the module.
#[derive(Debug)]
pub struct Script {
    seed: Seed,
    steps: Vec<Step>,
}

/// Numbers of injections of a script begin here: those of a storm are beside them, from 0.
const FIRST_ID: u32 = 1_000_000;

impl Script {
    /// These steps, each by itself.
    pub fn new(seed: Seed, steps: Vec<Step>) -> Self {
        Script { seed, steps }
    }

    /// Each step with the number of its first injection.
    fn numbered(&self) -> Vec<(Step, u32)> {
        let mut next = FIRST_ID;
        let number = |step: &Step| {
            let first = next;
            next += step.times.max(1) * step.faults.len() as u32;
            (step.clone(), first)
        };
        self.steps.iter().map(number).collect()
    }
}

#[async_trait]
impl Nemesis for Script {
    fn needs(&self) -> BTreeSet<Capability> {
        self.steps.iter().flat_map(|s| &s.faults).flat_map(|f| f.needs()).collect()
    }

    fn fits(&self, target: &dyn Target) -> Result<(), Error> {
        let leader = |s: &Step| matches!(s.when, When::After(Event::LeaderChange, _));
        if self.steps.iter().any(leader) && target.status().is_none() {
            let target = target.name();
            return Err(Error::Config(format!(
                "`leader-change` needs to know who leads, which `{target}` cannot say"
            )));
        }
        self.steps.iter().flat_map(|s| &s.faults).try_for_each(|fault| fits(&**fault, target))
    }

    async fn run(self: Box<Self>, deployment: Arc<Deployment>, until: u64) -> Result<(), Error> {
        let from = deployment.recorder.clock().now();
        let mut steps = JoinSet::new();
        for (step, id) in self.numbered() {
            let turn = Turn { seed: self.seed, deployment: deployment.clone(), from, until };
            steps.spawn(async move { turn.run(step, id).await });
        }
        join_all(steps, &deployment).await
    }
}

/// Waits for all; at the first failure the others are told to stop.
async fn join_all(mut tasks: JoinSet<Result<(), Error>>, deployment: &Arc<Deployment>) -> Result<(), Error> {
    let mut result = Ok(());
    while let Some(ended) = tasks.join_next().await {
        let ended = ended.unwrap_or_else(|e| Err(Error::Broken(format!("a nemesis task ended: {e}"))));
        if ended.is_err() && result.is_ok() {
            deployment.stop.stop("a fault could not be applied");
            result = ended;
        }
    }
    result
}

/// A step being carried out.
struct Turn {
    seed: Seed,
    deployment: Arc<Deployment>,
    from: u64,
    until: u64,
}

impl Turn {
    async fn run(&self, step: Step, first: u32) -> Result<(), Error> {
        let clock = self.deployment.recorder.clock();
        let times = if matches!(step.when, When::At(_)) { 1 } else { step.times };
        for turn in 0..times {
            let begin = match &step.when {
                When::At(at) => self.from + at.as_nanos() as u64,
                When::After(event, delay) => {
                    if !self.happens(event).await {
                        return Ok(());
                    }
                    clock.now() + delay.as_nanos() as u64
                }
            };
            if begin >= self.until || !self.sleep_until(begin).await {
                return Ok(());
            }
            self.inject(&step, first + turn * step.faults.len() as u32, begin).await?;
        }
        Ok(())
    }

    /// All faults of a step, begun and ended together.
    async fn inject(&self, step: &Step, first: u32, begin: u64) -> Result<(), Error> {
        let end = begin + step.lasts.as_nanos() as u64;
        let mut together = JoinSet::new();
        for (place, fault) in step.faults.iter().enumerate() {
            let id = first + place as u32;
            let mut plan = fault.plan(&mut self.seed.fault(u64::from(id)), self.deployment.nodes.len());
            plan.extend(step.plan.clone());
            let planned = Planned { id, begin: begin - self.from, end: end - self.from, plan };
            let (fault, deployment, until) = (fault.clone(), self.deployment.clone(), self.until);
            together.spawn(async move {
                let clock = deployment.recorder.clock();
                let over = async {
                    tokio::select! {
                        () = tokio::time::sleep_until(clock.instant(end.min(until)).into()) => {}
                        () = deployment.stop.stopped() => {}
                    }
                };
                perform(&*fault, &planned, over, &deployment).await
            });
        }
        join_all(together, &self.deployment).await
    }

    /// False if stopped meanwhile.
    async fn sleep_until(&self, at: u64) -> bool {
        let clock = self.deployment.recorder.clock();
        tokio::select! {
            () = tokio::time::sleep_until(clock.instant(at.min(self.until)).into()) => true,
            () = self.deployment.stop.stopped() => false,
        }
    }

    /// Waits for an event; false if the main phase ends first.
    async fn happens(&self, event: &Event) -> bool {
        let deployment = &self.deployment;
        let leader = deployment.leader.now();
        let ok = deployment.recorder.tally().ok.load(Relaxed);
        let mut logs = Logs::default();
        if let Event::Log(_) = event {
            logs.skip(deployment);
        }
        while deployment.recorder.clock().now() < self.until {
            let (so, again) = match event {
                Event::LeaderChange => {
                    let now = deployment.leader.now();
                    (now.is_some() && now != leader, Duration::from_millis(10))
                }
                Event::OkOperations(count) => {
                    let now = deployment.recorder.tally().ok.load(Relaxed);
                    (now.saturating_sub(ok) >= *count, Duration::from_millis(2))
                }
                Event::Log(text) => (logs.news(deployment).contains(text), Duration::from_millis(20)),
            };
            if so {
                return true;
            }
            if !self.sleep_until(deployment.recorder.clock().now() + again.as_nanos() as u64).await {
                return false;
            }
        }
        false
    }
}

/// How far each log has been read.
#[derive(Debug, Default)]
struct Logs(BTreeMap<PathBuf, u64>);

/// A look at a log takes in no more: what is longer is taken in by the next.
const LOOK_BYTES_MAX: u64 = 1 << 20;

impl Logs {
    /// Passes over what stands there already: that is not waited for.
    fn skip(&mut self, deployment: &Deployment) {
        for path in logs(deployment) {
            let size = std::fs::metadata(&path).map_or(0, |m| m.len());
            self.0.insert(path, size);
        }
    }

    /// What was written since the last look. A log that cannot be read has no news.
    fn news(&mut self, deployment: &Deployment) -> String {
        let mut news = Vec::new();
        for path in logs(deployment) {
            let Ok(mut file) = std::fs::File::open(&path) else { continue };
            let size = file.metadata().map_or(0, |m| m.len());
            let seen = self.0.entry(path).or_default();
            if size > *seen && file.seek(SeekFrom::Start(*seen)).is_ok() {
                let read = file.take(LOOK_BYTES_MAX).read_to_end(&mut news).unwrap_or(0);
                *seen += read as u64;
                // A line that is half written is read again, whole.
                let rest = news.iter().rev().take_while(|byte| **byte != b'\n').count();
                *seen -= (rest as u64).min(read as u64);
            }
        }
        String::from_utf8_lossy(&news).into_owned()
    }
}

/// All logs of all nodes.
fn logs(deployment: &Deployment) -> Vec<PathBuf> {
    let folders = deployment.nodes.iter().filter_map(|node| std::fs::read_dir(node.log_dir()).ok());
    let paths = folders.flatten().filter_map(Result::ok).map(|entry| entry.path());
    paths.filter(|path| path.extension().is_some_and(|e| e == "log")).collect()
}

/// Several nemeses at once.
#[derive(Debug)]
pub struct Together(
    /// All of them.
    pub Vec<Box<dyn Nemesis>>,
);

#[async_trait]
impl Nemesis for Together {
    fn needs(&self) -> BTreeSet<Capability> {
        self.0.iter().flat_map(|n| n.needs()).collect()
    }

    fn fits(&self, target: &dyn Target) -> Result<(), Error> {
        self.0.iter().try_for_each(|n| n.fits(target))
    }

    async fn run(self: Box<Self>, deployment: Arc<Deployment>, until: u64) -> Result<(), Error> {
        let mut all = JoinSet::new();
        for nemesis in self.0 {
            all.spawn(nemesis.run(deployment.clone(), until));
        }
        join_all(all, &deployment).await
    }
}
