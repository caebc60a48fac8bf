//! One run from its specification to its stored results.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use squall_checkers::Check;
use squall_cluster::Provider;
use squall_engine::protocol::Workload;
use squall_engine::run::LOG_FILE;
use squall_engine::{Error, Progress, RunSpec, Stop};
use squall_history::runlog::read_log_file;
use squall_reports::{Expected, Facts, RunResult};

use super::judge::judge;
use super::{logs, messages, store, watch};

/// How long judging may take before what is left counts as undecided.
const JUDGE_LIMIT: Duration = Duration::from_secs(300);

/// What is asked of a run beside its specification.
#[derive(Clone)]
pub(crate) struct Wanted {
    /// Kinds of fault that it is meant to have.
    pub faults: Vec<String>,
    /// Checks beside those of the workload.
    pub checks: Vec<Arc<dyn Check>>,
    /// What it is expected to show.
    pub expected: Expected,
    /// Whether a cluster that does not recover only gives a warning.
    pub liveness_is_warning: bool,
    /// The command that does the same again.
    pub reproduce: Option<String>,
    /// Whether it ends at the first anomaly, where its workload can be judged while it runs.
    pub stop_on_anomaly: bool,
    /// The resolved run as YAML, kept beside its results.
    pub plan: String,
}

/// Runs, judges, stores. An error means that nothing could be judged at all: a run that broke half-way is
/// judged as far as its log goes, and says that it broke.
pub(crate) async fn run(
    spec: RunSpec,
    wanted: &Wanted,
    provider: &dyn Provider,
    stop: Stop,
    progress: Progress,
) -> Result<RunResult, Error> {
    let dir = spec.dir.clone();
    let workload = spec.workload.clone();
    std::fs::create_dir(&dir).map_err(|e| Error::io(format!("{} cannot be created", dir.display()), e))?;
    store::write(&dir.join("run.yaml"), wanted.plan.as_bytes())?;
    let watcher =
        wanted.stop_on_anomaly.then(|| watch::watcher(workload.live(&spec.consistency), stop.clone()));
    let ended = squall_engine::run(spec, provider, stop, progress, watcher).await;
    let error = match ended {
        Ok(_) => None,
        // Nothing was started: there is no run to speak of.
        Err(e @ (Error::Config(_) | Error::Missing(_))) => return Err(e),
        Err(e) if !dir.join(LOG_FILE).exists() => return Err(e),
        Err(e) => Some(e.to_string()),
    };
    let wanted = wanted.clone();
    let judged = tokio::task::spawn_blocking(move || conclude(&dir, &*workload, &wanted, None, error)).await;
    judged.map_err(|e| Error::Broken(format!("judging ended: {e}")))?
}

/// Reads a run's log, judges it, and writes `results.json`, `certificate.json` and `report.html`.
pub(crate) fn conclude(
    dir: &Path,
    workload: &dyn Workload,
    wanted: &Wanted,
    consistency: Option<&str>,
    error: Option<String>,
) -> Result<RunResult, Error> {
    let log = dir.join(LOG_FILE);
    let (history, skipped) =
        read_log_file(&log).map_err(|e| Error::Config(format!("{}: {e}", log.display())))?;
    let stored = history.run.as_ref().map_or("linearizable", |r| &r.consistency);
    let judged = judge(&history, workload, consistency.unwrap_or(stored), wanted, JUDGE_LIMIT)?;
    let report = dir.join("report.html");
    let facts = Facts {
        expected: wanted.expected.clone(),
        liveness_is_warning: wanted.liveness_is_warning,
        error: error.or(judged.broken),
        skipped,
        report: Some(report.to_string_lossy().into_owned()),
        reproduce: wanted.reproduce.clone(),
        messages: messages::around(dir, &history, &judged.verdicts),
        logs: history.run.as_deref().map_or_else(Vec::new, |header| logs::lines(dir, header)),
    };
    let results = squall_reports::results(&history, &judged.verdicts, &facts);
    store::write(&dir.join("results.json"), &json(&results)?)?;
    if let Some(certificate) = judged.verdicts.iter().find_map(|v| v.certificate.as_ref()) {
        store::write(&dir.join("certificate.json"), &json(certificate)?)?;
    }
    let page = squall_reports::report(&history, &judged.verdicts, &results.run, &facts);
    store::write(&report, page.as_bytes())?;
    Ok(results.run)
}

/// A document of the store as text.
pub(super) fn json(value: &impl serde::Serialize) -> Result<Vec<u8>, Error> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|e| Error::Broken(format!("results cannot be written as JSON: {e}")))?;
    bytes.push(b'\n');
    Ok(bytes)
}
