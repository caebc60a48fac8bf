//! What a campaign is, with the defaults of everything that it does not say.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use squall_cluster::Provider;
use squall_engine::units;

use super::complaint::Source;
use super::{Cell, Concurrency, Expect, Override, ProviderChoice, Rate, Select, Shard, StepPlan};
use crate::Refused;

/// A campaign: every target with every workload under every set of faults, each so many times.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Campaign {
    /// Its name: a folder of the store.
    pub name: String,
    /// The seed from which every run's seed follows.
    pub seed: u64,
    /// Nodes of each cluster.
    pub nodes: u32,
    /// Processes that act at a time.
    pub concurrency: Concurrency,
    /// Operations a second.
    pub rate: Rate,
    /// Before faults begin.
    #[serde(with = "units::duration")]
    pub warm_up: Duration,
    /// The main phase.
    #[serde(with = "units::duration")]
    pub time_limit: Duration,
    /// How long the cluster may take to serve again after healing.
    #[serde(with = "units::duration")]
    pub recovery_limit: Duration,
    /// How long the cluster may take to serve after it was started.
    #[serde(with = "units::duration")]
    pub ready_limit: Duration,
    /// How long an operation may take; if not said, what suits the provider.
    #[serde(with = "units::duration::option")]
    pub op_timeout: Option<Duration>,
    /// How nodes come to be.
    pub provider: ProviderChoice,
    /// Systems under test.
    pub targets: Vec<Cell>,
    /// What clients do.
    pub workloads: Vec<Cell>,
    /// Alternatives, each of which is a set of faults that act together; empty for none.
    pub faults: Vec<Vec<Cell>>,
    /// When faults come and go.
    pub timing: Timing,
    /// Faults at fixed times or after events, beside those of `faults`.
    pub schedule: Vec<StepPlan>,
    /// Whether each run draws which of its faults act, and how densely.
    pub swarm: bool,
    /// How many faults of a set act at a time, each injection being of any of them; every kind by itself if nothing.
    pub lanes: Option<u32>,
    /// After how long whatever exits by itself is started again; never if not said.
    #[serde(with = "units::duration::option")]
    pub watchdog: Option<Duration>,
    /// Whether to keep a packet capture of each node.
    pub pcap: bool,
    /// Whether a run ends as soon as a check finds an anomaly.
    pub stop_on_anomaly: bool,
    /// Combinations that are left out.
    pub exclude: Vec<Select>,
    /// Settings that some combinations have for themselves.
    pub overrides: Vec<Override>,
    /// How often each combination runs.
    pub repeat: u32,
    /// Runs at once.
    pub parallel: u32,
    /// What every run is expected to show.
    pub expect: Expect,
    /// What a cluster that does not recover means.
    pub liveness: Liveness,
    /// The folder that keeps runs.
    pub store: PathBuf,
    /// What of a run is kept.
    pub keep: Keep,
    /// Bytes that the store may hold: old runs lose what is large then.
    pub store_limit: Option<u64>,
    /// Whether the file says how many nodes there are.
    #[serde(skip)]
    pub nodes_said: bool,
    /// Whether nobody chose the seed.
    #[serde(skip)]
    pub seed_drawn: bool,
    /// Which part of the campaign this machine runs.
    #[serde(skip)]
    pub shard: Option<Shard>,
    /// Faults that cannot be had are dropped and named instead of being refused: in the built-in campaign.
    #[serde(skip)]
    pub faults_may_drop: bool,
    /// The text that it was read from, for complaints.
    #[serde(skip)]
    pub source: Option<Arc<Source>>,
}

/// When faults come and go: on for a while and off for a while, on average.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// Mean time on.
    #[serde(with = "units::duration")]
    pub on: Duration,
    /// Mean time off.
    #[serde(with = "units::duration")]
    pub off: Duration,
    /// No time on is shorter: two election time-outs, or nobody would notice.
    #[serde(with = "units::duration")]
    pub min: Duration,
    /// No time on or off is longer.
    #[serde(with = "units::duration")]
    pub max: Duration,
}

/// What of a run is kept once it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// Everything.
    All,
    /// Of runs that passed, their results and their plan only.
    Failures,
}

/// What a cluster that does not recover after healing means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Liveness {
    /// The run fails.
    Fail,
    /// It is a warning.
    Warn,
}

impl Default for Timing {
    fn default() -> Self {
        let squall_nemesis::Timing { on, off, min, max } = squall_nemesis::Timing::default();
        Timing { on, off, min, max }
    }
}

impl From<Timing> for squall_nemesis::Timing {
    fn from(Timing { on, off, min, max }: Timing) -> Self {
        squall_nemesis::Timing { on, off, min, max }
    }
}

impl Default for Campaign {
    /// What a file that says nothing means: a calm run of the built-in target. The seed is random.
    fn default() -> Self {
        Campaign {
            name: "campaign".to_owned(),
            seed: draw_seed(),
            nodes: 5,
            concurrency: Concurrency::PerNode(2),
            rate: Rate(Some(1000.0)),
            warm_up: Duration::from_secs(5),
            time_limit: Duration::from_secs(60),
            recovery_limit: Duration::from_secs(60),
            ready_limit: Duration::from_secs(30),
            op_timeout: None,
            provider: ProviderChoice::default(),
            targets: vec![Cell::named("raftkv")],
            workloads: vec![Cell::named("register")],
            faults: vec![Vec::new()],
            timing: Timing::default(),
            schedule: Vec::new(),
            swarm: false,
            lanes: None,
            watchdog: None,
            pcap: false,
            stop_on_anomaly: false,
            exclude: Vec::new(),
            overrides: Vec::new(),
            repeat: 1,
            parallel: 1,
            expect: Expect::Valid,
            liveness: Liveness::Fail,
            store: PathBuf::from("store"),
            keep: Keep::All,
            store_limit: None,
            nodes_said: false,
            seed_drawn: true,
            shard: None,
            faults_may_drop: false,
            source: None,
        }
    }
}

impl Campaign {
    /// Makes the provider of its nodes.
    pub fn make_provider(&self) -> Result<Arc<dyn Provider>, Refused> {
        self.provider.make().map_err(|c| c.within(self.source.as_ref()).into())
    }

    /// How long an operation may take.
    pub fn op_timeout(&self) -> Duration {
        self.op_timeout.unwrap_or(self.provider.kind().op_timeout)
    }
}

/// A seed that nobody chose: short enough to be read out over a telephone.
fn draw_seed() -> u64 {
    // The standard library seeds its hash maps from the operating system.
    RandomState::new().build_hasher().finish() & 0xffff_ffff
}
