//! What `check` and `run` print with `--format json`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::Value as Json;

use super::tidy::schema_of;

/// What `squall check --format json` prints for a file: a verdict, or why there is none.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[allow(dead_code, reason = "it only describes")]
enum Check {
    Answer(Box<Answer>),
    Unreadable(Unreadable),
}

/// A verdict on one file. A checker's own figures stand beside these.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "it only describes")]
struct Answer {
    /// Raised when a reader of the old form would misread.
    schema_version: u32,
    /// The file, as it was named.
    file: String,
    /// Not violated, violated, or could not be decided.
    valid: Valid,
    /// What it was judged by.
    model: String,
    /// What it was judged by.
    consistency: String,
    /// What the file turned out to be.
    format: String,
    /// Operations in the history.
    operations: u64,
    /// What decided.
    algorithm: Option<String>,
    /// Seconds that reading took.
    parse_seconds: f64,
    /// Seconds that judging took.
    check_seconds: f64,
    /// The most memory that the process held while it worked on this file.
    peak_bytes: u64,
    /// Things worth saying that change nothing.
    warnings: Vec<String>,
    /// What is wrong; empty unless invalid.
    anomalies: Vec<Anomaly>,
    /// Why: always if unknown.
    reason: Option<String>,
    /// Reads of nil that say nothing, by Knossos' convention.
    nil_reads_ignored: Option<u64>,
}

/// A file that could not be read as a history. It has no verdict.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[allow(dead_code, reason = "it only describes")]
struct Unreadable {
    /// Raised when a reader of the old form would misread.
    schema_version: u32,
    /// The file, as it was named.
    file: String,
    /// What is wrong, with its place.
    error: String,
}

/// One way in which a history breaks what it was judged by.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "it only describes")]
struct Anomaly {
    /// Its name, such as `nonlinearizable`, `G-single`, `lost`.
    #[schemars(rename = "type")]
    kind: String,
    /// Stable over runs: the same defect has the same signature.
    signature: String,
    /// For people; operations are named by index (`#12`).
    explanation: String,
    /// Indexes of the operations that prove it.
    operations: Vec<u32>,
    /// What a picture or a program needs beyond that.
    details: Option<BTreeMap<String, Json>>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
#[allow(dead_code, reason = "it only describes")]
enum Valid {
    Decided(bool),
    Unknown(Unknown),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[allow(dead_code, reason = "it only describes")]
enum Unknown {
    Unknown,
}

/// What `squall run --format json` prints, and what stands in a campaign's `results.json`.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "it only describes")]
struct Document {
    /// Raised when a reader of the old form would misread.
    schema_version: u32,
    /// The worst of the runs; a run that broke is `unknown`.
    valid: Valid,
    /// Why, in a sentence.
    reason: String,
    /// The campaign's folder.
    store: Option<String>,
    /// Every run, in order.
    runs: Vec<Run>,
}

/// One run.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "it only describes")]
struct Run {
    /// Its name within its campaign, the same from night to night.
    name: String,
    /// The target's name.
    target: String,
    /// What the target says of its version, or empty.
    target_version: String,
    /// The workload's name.
    workload: String,
    /// Its seed.
    seed: u64,
    /// Measured by what was expected.
    outcome: Outcome,
    /// The worst of the checks.
    valid: Valid,
    /// What the campaign expected: `valid`, or anomalies.
    expected: Expected,
    /// Why, in a sentence.
    reason: String,
    /// How many operations there were.
    operations: Operations,
    /// Every check, by name.
    checks: BTreeMap<String, CheckResult>,
    /// Whether the cluster served again after healing.
    liveness: Liveness,
    /// Every injection, by its beginning.
    faults: Vec<Fault>,
    /// Things worth saying that change nothing.
    warnings: Vec<String>,
    /// Where the report is.
    report: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[allow(dead_code, reason = "it only describes")]
enum Outcome {
    Pass,
    Fail,
    Unknown,
    Error,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[allow(dead_code, reason = "it only describes")]
enum Expected {
    Valid,
    Invalid(Vec<String>),
}

#[derive(JsonSchema)]
#[allow(dead_code, reason = "it only describes")]
struct Operations {
    /// That were due.
    offered: u64,
    /// That a process was free for.
    started: u64,
    /// That took effect.
    ok: u64,
    /// That certainly did not.
    fail: u64,
    /// Of which nobody knows.
    info: u64,
}

#[derive(JsonSchema)]
#[allow(dead_code, reason = "it only describes")]
struct CheckResult {
    /// Its answer.
    valid: Valid,
    /// What it found.
    anomalies: Vec<Anomaly>,
}

#[derive(JsonSchema)]
#[allow(dead_code, reason = "it only describes")]
struct Liveness {
    /// Whether the cluster served again in time; null if that was not observed.
    recovered: Option<bool>,
    /// How long it took.
    recovery_seconds: Option<f64>,
}

#[derive(JsonSchema)]
#[allow(dead_code, reason = "it only describes")]
struct Fault {
    /// The fault's name.
    kind: String,
    /// The nodes that were harmed.
    nodes: Vec<String>,
    /// Seconds since the run began.
    start_seconds: f64,
    /// The same; null if the run ended first.
    end_seconds: Option<f64>,
    /// Whether it is proven to have taken effect; null if nobody measured.
    effective: Option<bool>,
    /// What was measured.
    evidence: BTreeMap<String, Json>,
}

/// The schema of what `check` prints for a file.
pub fn check() -> Json {
    let mut schema = schema_of::<Check>();
    schema["title"] = "What `squall check --format json` prints for a file".into();
    schema
}

/// The schema of what `run` prints.
pub fn run() -> Json {
    let mut schema = schema_of::<Document>();
    schema["title"] = "What `squall run --format json` prints".into();
    schema
}
