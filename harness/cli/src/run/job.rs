//! One run of a campaign, ready to go: owns everything that it needs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use squall_cluster::Provider;
use squall_engine::{Progress, RunSpec, Stop};
use squall_history::{History, RunHeader};
use squall_reports::{Expected, Facts, RunResult};

use super::one::{self, Wanted};
use super::reproduce::command;
use super::watch::FOUND;
use super::{resume, store};
use crate::Registry;
use crate::campaign::{Expect, Liveness, RunPlan};
use crate::output::say;
use crate::stored::RESULTS;

/// See the module.
pub(crate) struct Job {
    /// Its name.
    pub name: String,
    spec: RunSpec,
    wanted: Wanted,
    provider: Arc<dyn Provider>,
}

impl Job {
    /// A run to be kept in `dir`, whose parent is there.
    pub(crate) fn new(
        registry: &Registry,
        plan: &RunPlan,
        stop_on_anomaly: bool,
        dir: PathBuf,
        provider: Arc<dyn Provider>,
    ) -> anyhow::Result<Job> {
        for warning in &plan.warnings {
            say(&format!("{}: {warning}", plan.name));
        }
        Ok(Job {
            name: plan.name.clone(),
            spec: plan.spec(registry, dir)?,
            wanted: Wanted {
                faults: plan.kinds(),
                checks: registry.checks().to_vec(),
                expected: expected(&plan.expect),
                liveness_is_warning: plan.liveness == Liveness::Warn,
                reproduce: Some(command(plan)),
                stop_on_anomaly,
                plan: serde_yaml::to_string(plan).context("the resolved run cannot be written as YAML")?,
            },
            provider,
        })
    }

    /// Runs it; whatever goes wrong becomes a result, which the store keeps if it can.
    pub(crate) async fn go(self, stop: Stop, progress: Progress) -> RunResult {
        let header = RunHeader {
            name: self.name,
            target: self.spec.target.name().to_owned(),
            workload: self.spec.workload.name().to_owned(),
            seed: self.spec.seed,
            ..RunHeader::default()
        };
        let (expected, dir) = (self.wanted.expected.clone(), self.spec.dir.clone());
        let ended = one::run(self.spec, &self.wanted, &*self.provider, stop.clone(), progress).await;
        // A run that was ended from outside says too little to be kept when its campaign goes on.
        if stop.reason().is_some_and(|why| why != FOUND) {
            resume::mark_interrupted(&dir);
        }
        ended.unwrap_or_else(|e| broken(header, expected, &e.to_string(), &dir))
    }
}

/// The result of a run of which nothing could be judged.
fn broken(header: RunHeader, expected: Expected, why: &str, dir: &Path) -> RunResult {
    let mut history = History::default();
    history.run = Some(Box::new(header));
    let facts = Facts { expected, error: Some(why.to_owned()), ..Facts::default() };
    let results = squall_reports::results(&history, &[], &facts);
    let kept = one::json(&results).and_then(|bytes| store::write(&dir.join(RESULTS), &bytes));
    // The store may be what is broken, which the result says already.
    drop(kept);
    results.run
}

/// What a campaign expects, in the reports' words.
pub(crate) fn expected(expect: &Expect) -> Expected {
    match expect {
        Expect::Valid => Expected::Valid,
        Expect::Invalid { anomalies, .. } => Expected::Invalid(anomalies.clone()),
    }
}
