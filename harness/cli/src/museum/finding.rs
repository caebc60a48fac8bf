//! What came of one run: a small file in its folder.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use squall_checkers::Valid;
use squall_engine::Error;
use squall_engine::run::LOG_FILE;
use squall_history::runlog::read_log_file;
use squall_reports::{Expected, RunOutcome, RunResult};

use crate::run::store;

const FILE: &str = "finding.json";

/// See the module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Finding {
    /// The bug that the store carried.
    pub bug: String,
    /// The seed that the visitor chose.
    pub seed: u64,
    /// The resolved run: a finding of another plan says nothing about this one.
    pub plan: String,
    /// What clients did.
    pub workload: String,
    /// What was done to the cluster.
    pub faults: Vec<String>,
    /// Whether one of the expected anomalies was found.
    pub found: bool,
    /// How long clients acted, warm-up included: until the first anomaly, where the workload can be judged while
    /// it runs.
    pub seconds: f64,
    /// Every anomaly, by its type.
    pub anomalies: Vec<String>,
    /// What was done to the cluster until then, with the second of the main phase.
    #[serde(default)]
    pub harms: Vec<String>,
    /// Whether the run broke: it says nothing.
    pub broken: bool,
    /// Why, in a sentence.
    pub reason: String,
}

impl Finding {
    /// Where the run with this bug and seed is kept.
    pub(super) fn dir(root: &Path, bug: &str, seed: u64) -> PathBuf {
        root.join(bug).join(seed.to_string())
    }

    /// The finding in a run's folder, if there is a whole one.
    pub(super) fn read(dir: &Path) -> Option<Finding> {
        serde_json::from_slice(&std::fs::read(dir.join(FILE)).ok()?).ok()
    }

    /// Keeps it in its run's folder.
    pub(super) fn write(&self, dir: &Path) -> Result<(), Error> {
        let bytes = serde_json::to_vec_pretty(self)
            .map_err(|e| Error::Broken(format!("a finding cannot be written as JSON: {e}")))?;
        store::write(&dir.join(FILE), &bytes)
    }

    /// One line for people.
    pub(super) fn told(&self) -> String {
        let what = match (self.broken, self.found) {
            (true, _) => format!("broke: {}", self.reason),
            (false, true) => format!("found in {:.1} s: {}", self.seconds, self.reason),
            (false, false) => format!("not found in {:.1} s: {}", self.seconds, self.reason),
        };
        format!("{} seed {}: {what}", self.bug, self.seed)
    }

    /// What a run came to.
    pub(super) fn of(
        bug: &str,
        seed: u64,
        plan: String,
        faults: Vec<String>,
        dir: &Path,
        run: &RunResult,
    ) -> Finding {
        let mut anomalies: Vec<String> =
            run.checks.values().flat_map(|c| &c.anomalies).map(|a| a.kind.clone()).collect();
        anomalies.sort();
        anomalies.dedup();
        let wanted = match &run.expected {
            Expected::Invalid(kinds) => anomalies.iter().any(|a| kinds.contains(a)),
            // Who expects nothing in particular has found whatever is wrong.
            Expected::Valid => true,
        };
        Finding {
            bug: bug.to_owned(),
            seed,
            plan,
            workload: run.workload.clone(),
            faults,
            found: wanted && run.valid == Valid::No,
            seconds: run_seconds(dir).unwrap_or(0.0),
            anomalies,
            harms: run
                .faults
                .iter()
                .map(|f| format!("{:.1} s {} {}", f.start_seconds, f.kind, f.nodes.join(", ")))
                .collect(),
            broken: run.outcome == RunOutcome::Error,
            reason: run.reason.clone(),
        }
    }
}

/// While clients acted.
fn run_seconds(dir: &Path) -> Option<f64> {
    let (history, _) = read_log_file(&dir.join(LOG_FILE)).ok()?;
    let (from, to) = (history.phase_start("warm-up")?, history.phase_start("heal")?);
    Some(to.saturating_sub(from) as f64 / 1e9)
}
