//! Fixed timelines and triggers: each step says when it begins, what it does and for how long.
//!
//! A step at a time may come back every so often. A step that waits for a line in a log may strike the very node
//! that wrote it: by then it may be known to nobody else who votes or leads.
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
use crate::victims::EXACT;

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
    /// So long after the main phase began, and then every so often, if it says how often.
    At(Duration, Option<Duration>),
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
    /// Whether it strikes the node in whose log the text was, whomever its faults are aimed at.
    pub on_writer: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Script {
    seed: Seed,
    steps: Vec<Step>,
}

/// Numbers of injections of a script begin here: those of a storm are beside them, from 0.
const FIRST_ID: u32 = 1_000_000;
/// A step that comes back every so often comes no more often than this.
const TIMES_MAX: u32 = 100_000;

impl When {
    fn comes_back(&self) -> bool {
        matches!(self, When::At(_, Some(_)))
    }
}

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
            let times = if step.when.comes_back() { TIMES_MAX } else { step.times.max(1) };
            next += times * step.faults.len() as u32;
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
        let times = match step.when {
            When::At(_, None) => 1,
            When::At(_, Some(_)) => TIMES_MAX,
            When::After(..) => step.times,
        };
        for turn in 0..times {
            let mut writer = None;
            let begin = match &step.when {
                When::At(at, every) => self.from + (*at + every.unwrap_or_default() * turn).as_nanos() as u64,
                When::After(event, delay) => {
                    let Some(seen) = self.happens(event).await else { return Ok(()) };
                    writer = seen.filter(|_| step.on_writer);
                    clock.now() + delay.as_nanos() as u64
                }
            };
            // What lasts longer than its period leaves out the turns that it covers.
            let missed = step.when.comes_back() && turn > 0 && begin < clock.now();
            if missed {
                continue;
            }
            if begin >= self.until || !self.sleep_until(begin).await {
                return Ok(());
            }
            self.inject(&step, first + turn * step.faults.len() as u32, begin, writer).await?;
        }
        Ok(())
    }

    /// All faults of a step, begun and ended together.
    async fn inject(&self, step: &Step, first: u32, begin: u64, on: Option<usize>) -> Result<(), Error> {
        let end = begin + step.lasts.as_nanos() as u64;
        let mut together = JoinSet::new();
        for (place, fault) in step.faults.iter().enumerate() {
            let id = first + place as u32;
            let mut plan = fault.plan(&mut self.seed.fault(u64::from(id)), self.deployment.nodes.len());
            plan.extend(step.plan.clone());
            if let Some(node) = on {
                plan.insert(EXACT.into(), vec![node].into());
            }
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

    /// Waits for an event; nothing if the main phase ends first. With a text in a log comes the node that wrote it.
    async fn happens(&self, event: &Event) -> Option<Option<usize>> {
        let deployment = &self.deployment;
        let leader = deployment.leader.now();
        let ok = deployment.recorder.tally().ok.load(Relaxed);
        let mut logs = Logs::default();
        if let Event::Log(_) = event {
            logs.skip(deployment);
        }
        while deployment.recorder.clock().now() < self.until {
            let (seen, again) = match event {
                Event::LeaderChange => {
                    let now = deployment.leader.now();
                    ((now.is_some() && now != leader).then_some(None), Duration::from_millis(10))
                }
                Event::OkOperations(count) => {
                    let now = deployment.recorder.tally().ok.load(Relaxed);
                    ((now.saturating_sub(ok) >= *count).then_some(None), Duration::from_millis(2))
                }
                Event::Log(text) => (logs.writer(deployment, text).map(Some), LOOK_EVERY),
            };
            if seen.is_some() {
                return seen;
            }
            if !self.sleep_until(deployment.recorder.clock().now() + again.as_nanos() as u64).await {
                return None;
            }
        }
        None
    }
}

/// How far each log has been read.
#[derive(Debug, Default)]
struct Logs(BTreeMap<PathBuf, u64>);

/// A look at a log takes in no more: what is longer is taken in by the next.
const LOOK_BYTES_MAX: u64 = 1 << 20;
/// Between two looks at the logs.
const LOOK_EVERY: Duration = Duration::from_millis(10);

impl Logs {
    /// Passes over what stands there already: that is not waited for.
    fn skip(&mut self, deployment: &Deployment) {
        for path in (0..deployment.nodes.len()).flat_map(|node| logs(deployment, node)) {
            let size = std::fs::metadata(&path).map_or(0, |m| m.len());
            self.0.insert(path, size);
        }
    }

    /// The first node that wrote this text since the last look. Every log is looked at.
    fn writer(&mut self, deployment: &Deployment, text: &str) -> Option<usize> {
        let mut writer = None;
        for node in 0..deployment.nodes.len() {
            for path in logs(deployment, node) {
                if self.news(path).contains(text) {
                    writer = writer.or(Some(node));
                }
            }
        }
        writer
    }

    /// What was written since the last look. A log that cannot be read has no news.
    fn news(&mut self, path: PathBuf) -> String {
        let mut news = Vec::new();
        let Ok(mut file) = std::fs::File::open(&path) else { return String::new() };
        let size = file.metadata().map_or(0, |m| m.len());
        let seen = self.0.entry(path).or_default();
        if size > *seen && file.seek(SeekFrom::Start(*seen)).is_ok() {
            file.take(LOOK_BYTES_MAX).read_to_end(&mut news).unwrap_or(0);
            // A line that is half written is read again, whole.
            let whole = news.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            news.truncate(whole);
            *seen += whole as u64;
        }
        String::from_utf8_lossy(&news).into_owned()
    }
}

/// All logs of a node.
fn logs(deployment: &Deployment, node: usize) -> Vec<PathBuf> {
    let Ok(folder) = std::fs::read_dir(deployment.nodes[node].log_dir()) else { return Vec::new() };
    let paths = folder.filter_map(Result::ok).map(|entry| entry.path());
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
