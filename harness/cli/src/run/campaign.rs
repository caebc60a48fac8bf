//! A campaign from its arguments to its exit code.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Context as _;
use squall_cluster::Provider;
use squall_engine::{Error, Progress, RunSpec, Stop};
use squall_history::{History, RunHeader};
use squall_local::LocalProvider;
use squall_reports::{Expected, Facts, RunOutcome, RunResult};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::live::Live;
use super::one::{self, Wanted};
use super::reproduce::command;
use super::signals::{INTERRUPTED, Signals};
use super::store::{self, Store};
use crate::args::{Format, RunArgs};
use crate::campaign::{Campaign, Expect, Liveness, ProviderName, RunPlan};
use crate::output::{print_json, say};
use crate::{Exit, Registry};

/// Runs a campaign.
pub fn run(registry: &Registry, args: &RunArgs) -> anyhow::Result<Exit> {
    let mut campaign = Campaign::load(args)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    runtime.block_on(async {
        let provider: Arc<dyn Provider> = match campaign.provider {
            ProviderName::Local => Arc::new(LocalProvider::new()),
        };
        // Once before anything is asked of the machine, so that a mistake is said with its place.
        campaign.resolve(registry)?;
        let dropped = campaign.fit_to(registry, &provider.probe().await)?;
        for d in &dropped {
            say(&format!("without the fault `{}`: {}", d.fault, d.why));
        }
        let plans = campaign.resolve(registry)?;
        let stop = Stop::default();
        let _signals = Signals::watch(stop.clone())?;
        let store = Store::create(&campaign.store, &campaign.name, &time_name())?;
        let jobs = plans
            .iter()
            .map(|plan| {
                let dir = store.dir.join(&plan.name);
                Job::new(registry, plan, args.stop_on_anomaly, dir, provider.clone())
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        let mut results = run_all(jobs, &campaign, args, &stop).await?;
        meet_shares(&plans, &mut results);
        let interrupted = stop.reason().as_deref() == Some(INTERRUPTED);
        conclude(&store, results, args, interrupted)
    })
}

/// One run, ready to go: owns everything that it needs.
pub(crate) struct Job {
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

    /// Runs it; whatever goes wrong becomes a result.
    pub(crate) async fn go(self, stop: Stop, progress: Progress) -> RunResult {
        let header = RunHeader {
            name: self.spec.name.clone(),
            target: self.spec.target.name().to_owned(),
            workload: self.spec.workload.name().to_owned(),
            seed: self.spec.seed,
            ..RunHeader::default()
        };
        let expected = self.wanted.expected.clone();
        match one::run(self.spec, &self.wanted, &*self.provider, stop, progress).await {
            Ok(result) => result,
            Err(e) => {
                let mut history = History::default();
                history.run = Some(Box::new(header));
                let facts = Facts { expected, error: Some(e.to_string()), ..Facts::default() };
                squall_reports::run_result(&history, &[], &facts)
            }
        }
    }
}

/// What a campaign expects, in the reports' words.
pub(crate) fn expected(expect: &Expect) -> Expected {
    match expect {
        Expect::Valid => Expected::Valid,
        Expect::Invalid { anomalies, .. } => Expected::Invalid(anomalies.clone()),
    }
}

/// Results in the order of the jobs; those that were never begun are left out.
async fn run_all(
    jobs: Vec<Job>,
    campaign: &Campaign,
    args: &RunArgs,
    stop: &Stop,
) -> anyhow::Result<Vec<RunResult>> {
    let room = Arc::new(Semaphore::new(campaign.parallel.max(1) as usize));
    let alone = campaign.parallel <= 1;
    let count = jobs.len();
    let mut running = JoinSet::new();
    let mut results: Vec<Option<RunResult>> = (0..count).map(|_| None).collect();
    let mut jobs = jobs.into_iter().enumerate();
    loop {
        while running.len() < campaign.parallel.max(1) as usize && !stop.is_stopped() {
            let Some((index, job)) = jobs.next() else { break };
            if count > 1 {
                say(&format!("[{}/{count}] {}", index + 1, job.spec.name));
            }
            let (stop, permit) = (Stop::following(stop), room.clone().acquire_owned().await?);
            running.spawn(async move {
                let _permit = permit;
                let progress = Progress::default();
                let live = alone.then(|| Live::start(progress.clone()));
                let result = job.go(stop, progress).await;
                drop(live);
                (index, result)
            });
        }
        let Some(ended) = running.join_next().await else { break };
        let (index, result) = ended.map_err(|e| Error::Broken(format!("a run's task ended: {e}")))?;
        say(&squall_reports::terminal::summary(&result));
        let bad = matches!(result.outcome, RunOutcome::Fail | RunOutcome::Error);
        results[index] = Some(result);
        if bad && args.fail_fast {
            stop.stop("a run failed, and --fail-fast was given");
        }
    }
    Ok(results.into_iter().flatten().collect())
}

/// Where an anomaly is expected in some of a combination's repeats only, those without it have done no wrong
/// as long as enough have it.
fn meet_shares(plans: &[RunPlan], results: &mut [RunResult]) {
    let plan_of = |name: &str| plans.iter().find(|p| p.name == name);
    let mut met = std::collections::BTreeMap::<String, u32>::new();
    for result in results.iter().filter(|r| r.outcome == RunOutcome::Pass) {
        if let Some(plan) = plan_of(&result.name) {
            *met.entry(plan.combination.clone()).or_default() += 1;
        }
    }
    for result in results.iter_mut() {
        let Some(plan) = plan_of(&result.name) else { continue };
        let Expect::Invalid { at_least: Some(share), .. } = &plan.expect else { continue };
        let found = met.get(&plan.combination).copied().unwrap_or(0);
        let merely_absent = result.outcome == RunOutcome::Fail && result.valid == squall_checkers::Valid::Yes;
        if merely_absent && found >= share.count {
            result.outcome = RunOutcome::Pass;
        }
    }
}

fn conclude(
    store: &Store,
    results: Vec<RunResult>,
    args: &RunArgs,
    interrupted: bool,
) -> anyhow::Result<Exit> {
    let outcomes: Vec<_> = results.iter().map(|r| r.outcome).collect();
    let document = squall_reports::document(Some(shown(&store.dir)), results);
    let mut bytes = serde_json::to_vec_pretty(&document)?;
    bytes.push(b'\n');
    store::write(&store.dir.join("results.json"), &bytes)?;
    if document.runs.len() > 1 {
        say(&document.reason);
    }
    match args.format {
        Format::Json => print_json(&document)?,
        Format::Human => {}
    }
    let exit = Exit::from_code(squall_reports::exit_code(outcomes, args.allow_unknown));
    Ok(if interrupted { Exit::Interrupted } else { exit })
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Such as `20260131T120000Z`: sorts by time, and is safe as a folder.
pub(super) fn time_name() -> String {
    let nanos = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64);
    let digits: String = squall_reports::text::date(nanos).chars().filter(char::is_ascii_digit).collect();
    let (day, time) = digits.split_at(8.min(digits.len()));
    format!("{day}T{time}Z")
}

/// The folder of a run that a person named: the run's own, or that of a campaign with a single run.
pub(crate) fn find_run(path: &Path) -> anyhow::Result<PathBuf> {
    let log = squall_engine::run::LOG_FILE;
    if path.join(log).is_file() {
        return Ok(path.to_owned());
    }
    let entries = std::fs::read_dir(path)
        .map_err(|e| crate::Refused::new(format!("{} is no run: {e}", path.display())))?;
    let mut runs: Vec<PathBuf> =
        entries.filter_map(Result::ok).map(|e| e.path()).filter(|p| p.join(log).is_file()).collect();
    runs.sort();
    match &*runs {
        [only] => Ok(only.clone()),
        [] => Err(crate::Refused::new(format!("{} holds no {log}: it is no run", path.display())).into()),
        several => {
            let names: Vec<_> = several.iter().map(|p| p.display().to_string()).collect();
            let text = format!("{} holds several runs; name one: {}", path.display(), names.join(", "));
            Err(crate::Refused::new(text).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_safe_folder_that_sorts() {
        let name = time_name();
        assert_eq!(name.len(), "20260131T120000Z".len(), "{name}");
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric()));
    }
}
