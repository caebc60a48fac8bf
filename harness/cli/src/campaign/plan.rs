//! One run, resolved: everything that the campaign decides about it.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use squall_engine::seed::Seed;
use squall_engine::{RunSpec, units};
use squall_nemesis::{Script, Storm, Together};

use super::{Cell, Expect, Liveness, ProviderChoice, Rate, StepPlan, Timing};
use crate::Registry;

/// One run of a campaign.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunPlan {
    /// Its name within the campaign, unique and safe as a folder; the same from night to night.
    pub name: String,
    /// The name of its combination: repeats share it.
    pub combination: String,
    /// Which repeat it is, from 0.
    pub repeat: u32,
    /// Its seed.
    pub seed: u64,
    /// Number of nodes.
    pub nodes: u32,
    /// Processes that act at a time.
    pub workers: u32,
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
    /// How long an operation may take.
    #[serde(with = "units::duration")]
    pub op_timeout: Duration,
    /// How nodes come to be.
    pub provider: ProviderChoice,
    /// The system under test.
    pub target: Cell,
    /// What clients do. Its `consistency` stands apart.
    pub workload: Cell,
    /// What acts together.
    pub faults: Vec<Cell>,
    /// When faults come and go.
    pub timing: Timing,
    /// What acts at fixed times or after events.
    #[serde(default)]
    pub schedule: Vec<StepPlan>,
    /// How many faults act at a time, each injection being of any of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lanes: Option<u32>,
    /// After how long whatever exits by itself is started again.
    #[serde(default, with = "units::duration::option")]
    pub watchdog: Option<Duration>,
    /// Whether to keep a packet capture of each node.
    #[serde(default)]
    pub pcap: bool,
    /// What it is judged by: the campaign's word, else the workload's, else what the target promises.
    pub consistency: String,
    /// What it is expected to show.
    pub expect: Expect,
    /// What a cluster that does not recover means.
    pub liveness: Liveness,
    /// What a person should know about how it was resolved, such as faults that were dropped.
    pub warnings: Vec<String>,
}

impl RunPlan {
    /// What the engine runs, to be kept in this folder. Everything is made afresh.
    pub fn spec(&self, registry: &Registry, dir: PathBuf) -> anyhow::Result<RunSpec> {
        let target = registry.make_target(&self.target.name, &self.target.options)?;
        let workload = registry.make_workload(&self.workload.name, &self.workload.options)?;
        let faults = self.faults.iter().map(|f| self.provider.make_fault(registry, f));
        let faults = faults.collect::<Result<Vec<_>, _>>()?;
        let steps = self
            .schedule
            .iter()
            .map(|s| s.build(&|f| self.provider.make_fault(registry, f)))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(RunSpec {
            name: self.name.clone(),
            dir,
            seed: self.seed,
            nodes: self.nodes as usize,
            workers: self.workers as usize,
            rate: self.rate.0,
            warm_up: self.warm_up,
            time_limit: self.time_limit,
            recovery_limit: self.recovery_limit,
            op_timeout: self.op_timeout,
            ready_limit: self.ready_limit,
            target,
            workload,
            nemesis: Box::new(Together(vec![
                Box::new(
                    Storm::new(Seed(self.seed), self.timing.into(), faults)
                        .roving(self.lanes.map(|n| n as usize)),
                ),
                Box::new(Script::new(Seed(self.seed), steps)),
            ])),
            consistency: self.consistency.clone(),
            options: self.options(),
            pcap: self.pcap,
            watchdog: self.watchdog,
        })
    }

    /// Names of every fault that the run is meant to have, each once. Where kinds are drawn, some may not come up.
    pub fn kinds(&self) -> Vec<String> {
        let mut kinds: Vec<String> = Vec::new();
        let sure = self.faults.iter().filter(|_| self.lanes.is_none());
        for cell in sure.chain(self.schedule.iter().flat_map(|s| &s.faults)) {
            if !kinds.contains(&cell.name) {
                kinds.push(cell.name.clone());
            }
        }
        kinds
    }

    /// What goes into the log's header beside what has a place of its own there.
    fn options(&self) -> Json {
        json!({
            "target": self.target.options,
            "workload": self.workload.options,
            "faults": self.faults,
            "kinds": self.kinds(),
            "timing": self.timing,
            "schedule": self.schedule,
            "rate": self.rate,
            "provider": self.provider,
            "machine": crate::run::machine(),
            "op_timeout_seconds": self.op_timeout.as_secs_f64(),
            "warm_up_seconds": self.warm_up.as_secs_f64(),
            "time_limit_seconds": self.time_limit.as_secs_f64(),
            "recovery_limit_seconds": self.recovery_limit.as_secs_f64(),
            "expected": crate::run::expected(&self.expect),
            "liveness": self.liveness,
            "reproduce": crate::run::command(self),
        })
    }
}
