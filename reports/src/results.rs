//! The documents: `squall run --format json` and a run's `results.json`. Their names are API.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use squall_checkers::{Anomaly, Valid, Verdict};

use crate::{Expected, Figures, RunOutcome};

/// What `squall run --format json` prints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// [`squall_history::SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The worst of the runs; a run that broke is `unknown`.
    pub valid: Valid,
    /// Why, in a sentence.
    pub reason: String,
    /// The campaign's folder.
    pub store: Option<String>,
    /// Every run, in order.
    pub runs: Vec<RunResult>,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// The run's name within its campaign.
    pub name: String,
    /// The target's registered name.
    pub target: String,
    /// What the target says of its version, or empty.
    pub target_version: String,
    /// The workload's registered name.
    pub workload: String,
    /// The seed.
    pub seed: u64,
    /// Measured by what was expected.
    pub outcome: RunOutcome,
    /// The worst of the checks, recovery left aside if it failed: that is liveness.
    pub valid: Valid,
    /// What the campaign expected.
    pub expected: Expected,
    /// Why, in a sentence.
    pub reason: String,
    /// How many operations there were.
    pub operations: Operations,
    /// Every check, by name.
    pub checks: BTreeMap<String, CheckResult>,
    /// Whether the cluster served again after healing.
    pub liveness: Liveness,
    /// Every injection, by its beginning.
    pub faults: Vec<FaultResult>,
    /// Things worth saying that change nothing.
    pub warnings: Vec<String>,
    /// Where the report is.
    pub report: Option<String>,
}

/// Operations by how far they came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operations {
    /// That were due.
    pub offered: u64,
    /// That a process was free for.
    pub started: u64,
    /// Ended `ok`.
    pub ok: u64,
    /// Ended `fail`.
    pub fail: u64,
    /// Ended `info`, or still open at the end of the log.
    pub info: u64,
}

/// One check, in short.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckResult {
    /// Its answer.
    pub valid: Valid,
    /// What it found.
    pub anomalies: Vec<Anomaly>,
}

/// What happened after healing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Liveness {
    /// Whether the cluster served again in time; null if that was not observed.
    pub recovered: Option<bool>,
    /// How long it took.
    pub recovery_seconds: Option<f64>,
}

/// One injection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaultResult {
    /// The fault's registered name.
    pub kind: String,
    /// The nodes that were harmed.
    pub nodes: Vec<String>,
    /// Seconds since the run began.
    pub start_seconds: f64,
    /// The same; null if the log ended first.
    pub end_seconds: Option<f64>,
    /// Whether it is proven to have taken effect; null if the log does not say.
    pub effective: Option<bool>,
    /// What was measured.
    pub evidence: BTreeMap<String, Json>,
}

/// A run's `results.json`: its result and every verdict in full.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// [`squall_history::SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The result, as it stands in the campaign's document.
    #[serde(flatten)]
    pub run: RunResult,
    /// What is compared between runs; absent from results that were written before it was kept.
    #[serde(default)]
    pub figures: Option<Figures>,
    /// Every verdict with its figures, reasons and warnings.
    pub verdicts: Vec<Verdict>,
}
