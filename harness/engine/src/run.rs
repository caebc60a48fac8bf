//! The life of a run, from preparing the target to its stored history.
//!
//! prepare → provision → start → ready → warm-up → main (with faults) → heal → recovered → final → end.
//! Whatever happens on the way, the cluster is taken down and the log is closed. Judging is not done here:
//! it works on the log alone, so that a stored run can be judged again.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use squall_cluster::{Capability, Cluster, ClusterSpec, Provider};
use squall_history::{Entry, Note, Phase};
use tokio::task::JoinSet;

use crate::deployment::Deployment;
use crate::generator::Rate;
use crate::notes::{header, keep_messages, note_exit};
use crate::progress::{Progress, Watched};
use crate::protocol::{Layout, Nemesis, NodeLayout, Setting, Target, Workload};
use crate::recorder::{Recorder, RunClock, Watcher, Writing};
use crate::room::Room;
use crate::scheduler::{Driven, Stage, Worker, close, drive};
use crate::seed::Seed;
use crate::stop::Stop;
use crate::{Error, logscan, monitor, ready};

/// Everything about a run, resolved.
#[derive(Debug)]
pub struct RunSpec {
    /// Its name within its campaign.
    pub name: String,
    /// Its folder in the store. It exists, and holds no history yet.
    pub dir: PathBuf,
    /// Its seed.
    pub seed: u64,
    /// Number of nodes.
    pub nodes: usize,
    /// Processes that act at a time.
    pub workers: usize,
    /// Operations a second, all processes together; `None` for as fast as answers come.
    pub rate: Option<f64>,
    /// How long clients act before faults begin.
    pub warm_up: Duration,
    /// How long the main phase lasts.
    pub time_limit: Duration,
    /// How long the cluster may take to serve again after healing.
    pub recovery_limit: Duration,
    /// How long an operation may take.
    pub op_timeout: Duration,
    /// How long the cluster may take to serve after it was started.
    pub ready_limit: Duration,
    /// The system under test.
    pub target: Arc<dyn Target>,
    /// What clients do.
    pub workload: Arc<dyn Workload>,
    /// What harms the cluster.
    pub nemesis: Box<dyn Nemesis>,
    /// What the run will be judged by.
    pub consistency: String,
    /// Everything else worth keeping in the log's header.
    pub options: Json,
    /// Whether to keep packet captures.
    pub pcap: bool,
    /// After how long whatever exits by itself is started again; never if not said. Such exits are excused.
    pub watchdog: Option<Duration>,
}

/// What came of a run, beside its log.
#[derive(Clone, Debug)]
pub struct Finished {
    /// What the target said of its version.
    pub target_version: String,
    /// Operations of warm-up and main phase.
    pub driven: Driven,
    /// Seconds from healing until every node served, if they did within the limit.
    pub recovery_seconds: Option<f64>,
    /// Why the run ended early, if it did.
    pub stopped: Option<String>,
}

/// How long a node whose data was spoilt may take to find that out.
const SPOILT_LIMIT: Duration = Duration::from_secs(5);

/// The run log's name in a run's folder.
pub const LOG_FILE: &str = "history.jsonl.zst";

/// Refuses what cannot work, before anything starts.
pub fn check(spec: &RunSpec) -> Result<(), Error> {
    for f in spec.workload.functions() {
        if !spec.target.supports(f) {
            return Err(Error::Config(format!(
                "the workload `{}` needs `{f}`, which the target `{}` cannot do",
                spec.workload.name(),
                spec.target.name()
            )));
        }
    }
    if spec.nodes == 0 || spec.workers == 0 {
        return Err(Error::Config("a run needs at least one node and one process".into()));
    }
    spec.workload.checks(&spec.consistency)?;
    spec.nemesis.fits(&*spec.target)
}

/// Runs it. An error means that the harness, the provisioning or the target's set-up broke; what the target
/// does wrong later is in the log, for the checks.
pub async fn run(
    spec: RunSpec,
    provider: &dyn Provider,
    stop: Stop,
    progress: Progress,
    watcher: Option<Watcher>,
) -> Result<Finished, Error> {
    check(&spec)?;
    progress.phase("prepare");
    let found = provider.found();
    let version = match &found {
        None => spec.target.prepare().await?,
        Some(found) => {
            spec.target.prepare_clients().await?;
            found.version.clone().unwrap_or_else(|| "unknown".to_owned())
        }
    };
    progress.phase("provision");
    let mut needs = spec.nemesis.needs();
    needs.insert(Capability::Nodes);
    let cluster = provider
        .provision(&ClusterSpec {
            nodes: spec.nodes,
            clients: spec.workers + 1,
            seed: Seed(spec.seed).network(),
            dir: spec.dir.clone(),
            needs,
            pcap: spec.pcap,
            visible: spec.target.uses(),
        })
        .await?;
    let live = Live::start(spec, &cluster, (version, found.is_some()), stop, progress.clone(), watcher);
    let result = match live {
        Ok(live) => live.finish().await,
        Err(e) => Err(e),
    };
    progress.phase("shut down");
    let down = cluster.shut_down().await;
    let finished = result?;
    down?;
    Ok(finished)
}

/// A run whose cluster exists.
struct Live {
    spec: RunSpec,
    version: String,
    deployment: Arc<Deployment>,
    writing: Writing,
    progress: Progress,
    background: JoinSet<()>,
    // Whether it ran before: then nothing is started, and nothing ended.
    found: bool,
    // Whether the cluster has served: an exit before that is a failed start, not the target's misbehaviour.
    served: Arc<AtomicBool>,
    room: Room,
}

impl Live {
    fn start(
        spec: RunSpec,
        cluster: &Cluster,
        (version, found): (String, bool),
        stop: Stop,
        progress: Progress,
        watcher: Option<Watcher>,
    ) -> Result<Live, Error> {
        let layout = Arc::new(Layout {
            nodes: cluster
                .nodes
                .iter()
                .map(|n| NodeLayout {
                    name: n.name().to_owned(),
                    address: n.address(),
                    data_dir: n.data_dir().to_owned(),
                })
                .collect(),
        });
        let clock = RunClock::start();
        let (recorder, writing) = Recorder::start(clock, spec.workers, &spec.dir.join(LOG_FILE), watcher)?;
        let header = header(&spec, &layout, &version);
        recorder.note(|_| Entry::Run(Box::new(header)));
        let deployment = Deployment::new(
            cluster.nodes.clone(),
            cluster.net.clone(),
            cluster.links.clone(),
            layout,
            spec.target.clone(),
            spec.workers,
            recorder.clone(),
            stop,
        );
        let deployment = Arc::new(deployment.with_client_host(cluster.client_host.clone()));
        progress.set(|w| {
            w.recorder = Some(recorder);
            w.deployment = Some(deployment.clone());
        });
        Ok(Live {
            spec,
            version,
            deployment,
            writing,
            progress,
            background: JoinSet::new(),
            found,
            served: Arc::default(),
            room: Room::default(),
        })
    }

    async fn finish(mut self) -> Result<Finished, Error> {
        let lived = self.live().await;
        // Whatever came of it, or gave up first: for want of room it was not carried through.
        let lived = self.room.trouble().map_or(lived, |full| Err(Error::Broken(full)));
        self.background.abort_all();
        for node in &self.deployment.nodes {
            if !self.found {
                // What cannot be killed now goes with its namespace.
                let _ = node.kill().await;
            }
            if let Err(e) = node.gather_logs().await {
                self.note("warning", format!("the logs of {} were not gathered: {e}", node.name()));
            }
        }
        if let Err(e) = &lived {
            self.note("warning", format!("the run broke: {e}"));
            if self.found {
                // Nobody throws this cluster away, so it is not left harmed either.
                let _ = self.deployment.heal().await;
            }
        }
        self.scan_logs()?;
        if let Err(e) = keep_messages(&self.deployment, &self.spec.dir) {
            self.note("warning", format!("the messages between nodes were not kept: {e}"));
        }
        self.phase("end");
        self.progress.set(|w| *w = Watched::default());
        let (driven, recovery_seconds) = match lived {
            Ok(lived) => lived,
            Err(e) => {
                self.writing.finish()?;
                return Err(e);
            }
        };
        self.writing.finish()?;
        Ok(Finished {
            target_version: self.version,
            driven,
            recovery_seconds,
            stopped: self.deployment.stop.reason(),
        })
    }

    async fn live(&mut self) -> Result<(Driven, Option<f64>), Error> {
        self.phase("setup");
        self.watch_exits();
        let names = self.deployment.layout.names();
        let stop = self.deployment.stop.clone();
        self.background.spawn(self.room.clone().watch(self.spec.dir.clone(), names, stop));
        if self.found {
            self.spec.target.take_up(&self.deployment).await?;
        } else {
            for node in 0..self.deployment.nodes.len() {
                self.spec.target.bring_up(node, &self.deployment).await?;
            }
            self.spec.target.bootstrap(&self.deployment).await?;
        }
        ready::wait(&self.deployment, self.spec.op_timeout, self.spec.ready_limit).await?;
        self.served.store(true, Ordering::Relaxed);
        self.background.spawn({
            let mut tasks = monitor::watch_nodes(self.deployment.clone());
            async move { while tasks.join_next().await.is_some() {} }
        });
        let workers = self.set_up_workload().await?;
        let (workers, driven) = self.drive_main(workers).await?;
        self.phase("heal");
        let healed = Instant::now();
        self.deployment.heal().await?;
        let recovery_seconds = self.wait_until_recovered(healed).await;
        let workers = if recovery_seconds.is_some() && !self.deployment.stop.is_stopped() {
            self.phase("final");
            self.drive_final(workers).await?
        } else {
            workers
        };
        close(workers, Duration::from_millis(200)).await;
        // Final reads may have shown it, too.
        self.trouble()?;
        Ok((driven, recovery_seconds))
    }

    /// What makes the run worthless, whatever was seen.
    fn trouble(&self) -> Result<(), Error> {
        self.spec.target.trouble().map_or(Ok(()), |trouble| Err(Error::Target(trouble)))
    }

    fn stage(&self) -> Stage {
        Stage {
            target: self.spec.target.clone(),
            net: self.deployment.net.clone(),
            layout: self.deployment.layout.clone(),
            recorder: self.deployment.recorder.clone(),
            stop: self.deployment.stop.clone(),
            seed: Seed(self.spec.seed),
            op_timeout: self.spec.op_timeout,
        }
    }

    fn setting(&self) -> Setting {
        Setting { seed: Seed(self.spec.seed), workers: self.spec.workers, nodes: self.spec.nodes }
    }

    async fn set_up_workload(&self) -> Result<Vec<Worker>, Error> {
        let mut client = self.spec.target.connect(0, self.deployment.via()).await?;
        tokio::time::timeout(self.spec.ready_limit, client.setup())
            .await
            .map_err(|_| Error::Target("the workload's set-up did not end in time".into()))??;
        client.close().await;
        Ok(Worker::all(self.spec.workers, self.spec.nodes))
    }

    /// Warm-up and main phase: clients act throughout, faults in the main phase only.
    async fn drive_main(&mut self, workers: Vec<Worker>) -> Result<(Vec<Worker>, Driven), Error> {
        self.phase("warm-up");
        let clock = self.deployment.recorder.clock();
        let main_from = clock.now() + self.spec.warm_up.as_nanos() as u64;
        let until = main_from + self.spec.time_limit.as_nanos() as u64;
        let mut generator = self.spec.workload.generator(&self.setting());
        if let Some(rate) = self.spec.rate {
            generator = Box::new(Rate::new(rate, clock.now(), generator));
        }
        let nemesis = std::mem::replace(&mut self.spec.nemesis, Box::new(Calm));
        let deployment = self.deployment.clone();
        let faults = async {
            let stop = deployment.stop.clone();
            tokio::select! {
                () = tokio::time::sleep_until(clock.instant(main_from).into()) => {}
                () = stop.stopped() => return Ok(()),
            }
            self.phase("main");
            let harmed = nemesis.run(deployment.clone(), until).await;
            if let Err(e) = &harmed {
                stop.stop(&format!("a fault could not be applied: {e}"));
            }
            harmed
        };
        let stage = self.stage();
        let (driven, harmed) = tokio::join!(drive(&stage, generator, workers, Some(until)), faults);
        harmed?;
        let (workers, _, driven) = driven?;
        self.trouble()?;
        self.note_data(
            "offered",
            format!("{} operations were due, {} were started", driven.offered, driven.started),
            [("offered", driven.offered.into()), ("started", driven.started.into())],
        );
        if self.deployment.recorder.has_failed() {
            return Err(Error::Broken("the run log can no longer be written (is the disk full?)".into()));
        }
        Ok((workers, driven))
    }

    async fn drive_final(&self, workers: Vec<Worker>) -> Result<Vec<Worker>, Error> {
        let Some(generator) = self.spec.workload.finish(&self.setting()) else {
            return Ok(workers);
        };
        let limit = self.spec.recovery_limit.max(Duration::from_secs(10)).as_nanos() as u64;
        let until = self.deployment.recorder.clock().now() + limit;
        let (workers, _, _) = drive(&self.stage(), generator, workers, Some(until)).await?;
        Ok(workers)
    }

    async fn wait_until_recovered(&self, healed: Instant) -> Option<f64> {
        let mut last = vec![String::new(); self.deployment.nodes.len()];
        let interrupted = self.deployment.stop.is_stopped();
        loop {
            let tired = healed.elapsed() > SPOILT_LIMIT;
            let waiting = ready::ask_all(&self.deployment, self.spec.op_timeout, tired, &mut last).await;
            let seconds = healed.elapsed().as_secs_f64();
            if waiting.is_empty() {
                self.note_recovery(true, seconds, "every node serves again".into());
                self.phase("recovered");
                return Some(seconds);
            }
            if healed.elapsed() > self.spec.recovery_limit {
                let who: Vec<_> =
                    waiting.iter().map(|&n| format!("{}: {}", self.deployment.name(n), last[n])).collect();
                self.note_recovery(
                    false,
                    seconds,
                    format!("not every node serves again: {}", who.join("; ")),
                );
                return None;
            }
            if interrupted {
                // Nobody waits for a cluster that is about to be thrown away.
                return None;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn watch_exits(&mut self) {
        for (index, node) in self.deployment.nodes.iter().enumerate() {
            let mut exits = node.exits();
            let (deployment, watchdog) = (self.deployment.clone(), self.spec.watchdog);
            let name = node.name().to_owned();
            let served = self.served.clone();
            self.background.spawn(async move {
                while let Ok(event) = exits.recv().await {
                    let serves = served.load(Ordering::Relaxed);
                    let excused = !serves || watchdog.is_some() || deployment.excuses.now(index);
                    note_exit(&deployment.recorder, &name, &event, excused);
                    // With the node itself gone there is nothing to go on with: healing will say the same.
                    if let Err(gone) = deployment.nodes[index].is_paused().await {
                        deployment.stop.stop(&format!("a node was lost: {gone}"));
                    }
                    if let Some(after) = watchdog.filter(|_| serves && !event.expected) {
                        tokio::time::sleep(after).await;
                        // If it cannot be started, it stays down, as its exit says already.
                        let _ = deployment.revive(index).await;
                    }
                }
            });
        }
    }

    fn scan_logs(&self) -> Result<(), Error> {
        let patterns = self.spec.target.log_patterns();
        for node in &self.deployment.nodes {
            let time = self.deployment.recorder.clock().now();
            let notes = match logscan::scan(node.name(), node.log_dir(), &patterns, time) {
                Ok(notes) => notes,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                Err(e) => return Err(Error::io(format!("the logs of {} cannot be read", node.name()), e)),
            };
            for mut note in notes {
                if self.deployment.excuses.ever(node.index()) {
                    note.kind = "excused-panic".into();
                }
                self.deployment.recorder.note(|time| Entry::Note(Box::new(Note { time, ..note })));
            }
        }
        Ok(())
    }

    fn phase(&self, name: &str) {
        self.progress.phase(name);
        let name = name.to_owned();
        self.deployment.recorder.note(|time| Entry::Phase(Phase { time, name }));
    }

    fn note(&self, kind: &str, text: String) {
        self.note_data(kind, text, []);
    }

    fn note_data<const N: usize>(&self, kind: &str, text: String, data: [(&str, Json); N]) {
        let data = data.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        let kind = kind.to_owned();
        self.deployment
            .recorder
            .note(|time| Entry::Note(Box::new(Note { time, kind, node: None, text, data })));
    }

    fn note_recovery(&self, recovered: bool, seconds: f64, text: String) {
        self.note_data("recovery", text, [("recovered", recovered.into()), ("seconds", seconds.into())]);
    }
}

/// Stands in for a nemesis that has been handed over.
#[derive(Debug)]
struct Calm;

#[async_trait::async_trait]
impl Nemesis for Calm {
    fn needs(&self) -> std::collections::BTreeSet<Capability> {
        std::collections::BTreeSet::new()
    }

    fn fits(&self, _target: &dyn Target) -> Result<(), Error> {
        Ok(())
    }

    async fn run(self: Box<Self>, _deployment: Arc<Deployment>, _until: u64) -> Result<(), Error> {
        Ok(())
    }
}
