//! Nodes that stop in order, restart one after the other, or crash again and again.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use squall_cluster::{Capability, Exit};
use squall_engine::protocol::{Evidence, Fault, Injected};
use squall_engine::seed::Rng;
use squall_engine::{Deployment, Error, Injection, Stop, units};

use crate::background::{Background, sleep};
use crate::registry::Validate;
use crate::victims::{EVERY_KIND, Victims, aimed, field, names, plan, resolve, seconds};

/// How long a program may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(5);
/// How long a restarted node may take to serve before the next one is restarted all the same.
pub(crate) const READY_LIMIT: Duration = Duration::from_secs(10);
/// How long one question whether it serves may take.
const ASK_LIMIT: Duration = Duration::from_secs(1);
/// Between two of them.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// Asks programs to end (SIGTERM); they are started again when the fault ends.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GracefulStop {
    targets: Vec<Victims>,
    #[serde(with = "units::duration")]
    grace: Duration,
}

/// Restarts every node, one after the other, each once the one before serves again.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RollingRestart {
    #[serde(with = "units::duration")]
    grace: Duration,
}

/// Starts programs and kills them soon after, again and again.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CrashLoop {
    targets: Vec<Victims>,
    /// The longest that a program lives.
    #[serde(with = "units::duration")]
    life: Duration,
}

impl Default for GracefulStop {
    fn default() -> Self {
        GracefulStop { targets: EVERY_KIND.to_vec(), grace: GRACE }
    }
}

impl Default for RollingRestart {
    fn default() -> Self {
        RollingRestart { grace: GRACE }
    }
}

impl Default for CrashLoop {
    fn default() -> Self {
        let targets = vec![Victims::One, Victims::Minority, Victims::Leader];
        CrashLoop { targets, life: Duration::from_secs(1) }
    }
}

impl Validate for GracefulStop {
    fn validate(&self) -> Result<(), Error> {
        aimed(&self.targets, "stop")
    }
}

impl Validate for RollingRestart {}

impl Validate for CrashLoop {
    fn validate(&self) -> Result<(), Error> {
        if self.life < Duration::from_millis(10) {
            return Err(Error::Config("the `life` of a `crash-loop` is 10ms or longer".into()));
        }
        aimed(&self.targets, "crash-loop")
    }
}

fn processes() -> BTreeSet<Capability> {
    [Capability::Nodes].into()
}

#[async_trait]
impl Fault for GracefulStop {
    fn name(&self) -> &str {
        "stop"
    }

    fn seen_by(&self) -> &'static str {
        "the kernel"
    }

    fn needs(&self) -> BTreeSet<Capability> {
        processes()
    }

    fn plan(&self, rng: &mut Rng, nodes: usize) -> Map<String, Json> {
        let mut drawn = Map::new();
        plan(rng, nodes, &self.targets, &mut drawn);
        drawn.insert("grace_seconds".into(), self.grace.as_secs_f64().into());
        drawn
    }

    async fn begin(&self, plan: &Map<String, Json>, on: &Injection) -> Result<Box<dyn Injected>, Error> {
        let deployment = &on.deployment;
        let nodes = resolve(plan, deployment)?;
        let grace = seconds(plan, "grace_seconds")?;
        let mut ends = Vec::new();
        for &node in &nodes {
            ends.extend(deployment.hold_down_gently(on.id, node, grace).await?);
        }
        let description = format!("stopped {}", names(deployment, &nodes));
        Ok(Box::new(Stopped { nodes, description, ends }))
    }
}

struct Stopped {
    nodes: Vec<usize>,
    description: String,
    ends: Vec<Exit>,
}

#[async_trait]
impl Injected for Stopped {
    fn nodes(&self) -> Vec<usize> {
        self.nodes.clone()
    }

    fn description(&self) -> String {
        self.description.clone()
    }

    async fn end(self: Box<Self>, on: &Injection) -> Result<Evidence, Error> {
        let gone = self.nodes.iter().all(|&node| on.deployment.running(node) == 0);
        for &node in &self.nodes {
            on.deployment.let_up(on.id, node).await?;
        }
        let killed = self.ends.iter().filter(|exit| **exit == Exit::Signal(9)).count();
        let mut measured = Map::new();
        measured.insert("programs_ended".into(), self.ends.len().into());
        measured.insert("had_to_be_killed".into(), killed.into());
        measured.insert("gone".into(), gone.into());
        let description = format!("{} programs ended, {killed} of them only by SIGKILL", self.ends.len());
        Ok(Evidence { effective: !self.ends.is_empty() && gone, description, measured })
    }
}

/// Waits until a node serves, or until it has had its time, gave up, or somebody says stop.
pub(crate) async fn serves(deployment: &Deployment, node: usize, limit: Duration, stop: &Stop) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < limit && deployment.running(node) > 0 {
        let asked = deployment.target.ready(node, deployment.via());
        if matches!(tokio::time::timeout(ASK_LIMIT, asked).await, Ok(Ok(()))) {
            return true;
        }
        if !sleep(stop, ASK_EVERY).await {
            return false;
        }
    }
    false
}

#[async_trait]
impl Fault for RollingRestart {
    fn name(&self) -> &str {
        "rolling-restart"
    }

    fn seen_by(&self) -> &'static str {
        "the kernel and the target"
    }

    fn needs(&self) -> BTreeSet<Capability> {
        processes()
    }

    fn plan(&self, rng: &mut Rng, nodes: usize) -> Map<String, Json> {
        let mut drawn = Map::new();
        plan(rng, nodes, &[Victims::All], &mut drawn);
        drawn.insert("grace_seconds".into(), self.grace.as_secs_f64().into());
        drawn
    }

    async fn begin(&self, plan: &Map<String, Json>, on: &Injection) -> Result<Box<dyn Injected>, Error> {
        let nodes = resolve(plan, &on.deployment)?;
        let grace = seconds(plan, "grace_seconds")?;
        let order: Vec<_> = nodes.iter().map(|n| on.deployment.name(*n)).collect();
        let description = format!("restarts one after the other: {}", order.join(", "));
        let (on, these) = (on.clone(), nodes.clone());
        Ok(Background::start(nodes, description, |stop| async move {
            let (mut ended, mut restarted, mut served) = (0, 0, 0);
            for node in these {
                if stop.is_stopped() {
                    break;
                }
                ended += on.deployment.hold_down_gently(on.id, node, grace).await?.len();
                restarted += usize::from(on.deployment.let_up(on.id, node).await?);
                served += usize::from(serves(&on.deployment, node, READY_LIMIT, &stop).await);
            }
            Ok(Evidence {
                effective: ended > 0 && restarted > 0,
                description: format!("{restarted} nodes restarted, of which {served} served again"),
                measured: counts([
                    ("programs_ended", ended),
                    ("nodes_restarted", restarted),
                    ("served_again", served),
                ]),
            })
        }))
    }
}

/// Counts as evidence.
pub(crate) fn counts<const N: usize>(all: [(&str, usize); N]) -> Map<String, Json> {
    all.into_iter().map(|(name, count)| (name.to_owned(), count.into())).collect()
}

#[async_trait]
impl Fault for CrashLoop {
    fn name(&self) -> &str {
        "crash-loop"
    }

    fn seen_by(&self) -> &'static str {
        "the kernel"
    }

    fn needs(&self) -> BTreeSet<Capability> {
        processes()
    }

    fn plan(&self, rng: &mut Rng, nodes: usize) -> Map<String, Json> {
        let mut drawn = Map::new();
        plan(rng, nodes, &self.targets, &mut drawn);
        drawn.insert("life_seconds".into(), self.life.as_secs_f64().into());
        // A run of lives, used in turn: what happens between them depends on the run, their lengths do not.
        let lives: Vec<f64> = (0..8).map(|_| rng.unit()).collect();
        drawn.insert("lives".into(), lives.into());
        drawn
    }

    async fn begin(&self, plan: &Map<String, Json>, on: &Injection) -> Result<Box<dyn Injected>, Error> {
        let nodes = resolve(plan, &on.deployment)?;
        let life = seconds(plan, "life_seconds")?;
        let lives: Vec<f64> = field(plan, "lives")?;
        if lives.is_empty() || lives.iter().any(|share| !(0.0..=1.0).contains(share)) {
            return Err(Error::Config("`lives` of a planned crash-loop are shares from 0 to 1".into()));
        }
        let description = format!("crashes again and again: {}", names(&on.deployment, &nodes));
        let (on, these) = (on.clone(), nodes.clone());
        Ok(Background::start(nodes, description, move |stop| async move {
            let (mut crashes, mut starts) = (0, 0);
            for share in lives.iter().cycle() {
                for &node in &these {
                    crashes += usize::from(on.deployment.hold_down(on.id, node).await? > 0);
                    starts += usize::from(on.deployment.let_up(on.id, node).await?);
                }
                if !sleep(&stop, life.mul_f64(*share).max(Duration::from_millis(5))).await {
                    break;
                }
            }
            Ok(Evidence {
                effective: crashes > 0,
                description: format!("{crashes} crashes, {starts} starts"),
                measured: counts([("crashes", crashes), ("starts", starts)]),
            })
        }))
    }
}
