//! A campaign from its arguments to its exit code.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Context as _;
use squall_cluster::Provider;
use squall_engine::{Error, Progress, Stop};
use squall_reports::{RunOutcome, RunResult};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::conclude::conclude;
use super::job::Job;
use super::live::Live;
use super::resume::{self, Roll};
use super::signals::{INTERRUPTED, Signals};
use super::store::{self, Store};
use super::{one, retention};
use crate::args::RunArgs;
use crate::campaign::{Campaign, Expect, Keep, RunPlan, bearable};
use crate::output::say;
use crate::{Exit, Registry, stored};

/// Runs a campaign.
pub fn run(registry: &Registry, args: &RunArgs) -> anyhow::Result<Exit> {
    let mut campaign = Campaign::load(args)?;
    let resumed = if args.resume { Some(resume::newest(&campaign)?) } else { None };
    if let Some((_, roll)) = resumed.as_ref().filter(|_| campaign.seed_drawn) {
        campaign.seed = roll.seed;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    runtime.block_on(async {
        // Once before anything is asked of the machine, so that a mistake is said with its place.
        campaign.resolve(registry)?;
        let provider = campaign.make_provider()?;
        campaign.spell_out(registry, Some(&*provider));
        campaign.refuse_by(registry, &*provider)?;
        let dropped = campaign.fit_to(registry, &provider.probe().await)?;
        for d in &dropped {
            say(&format!("without the fault `{}`: {}", d.fault, d.why));
        }
        let plans = campaign.resolve(registry)?;
        bearable(&*provider, &plans, campaign.parallel)?;
        let stop = Stop::default();
        let _signals = Signals::watch(stop.clone())?;
        let night = open(&campaign, &plans, resumed)?;
        make_room(&campaign, &night)?;
        let steps = plans
            .iter()
            .map(|plan| Step::new(registry, plan, &campaign, args.resume, &night, provider.clone()))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let mut results = run_all(steps, &campaign, &night, args, &stop).await?;
        meet_shares(&plans, &mut results, &night)?;
        if campaign.keep == Keep::Failures {
            for result in results.iter_mut().filter(|r| r.outcome == RunOutcome::Pass) {
                retention::strip_passed(&night.join(&result.name))?;
                result.report = None;
            }
        }
        make_room(&campaign, &night)?;
        let interrupted = stop.reason().as_deref() == Some(INTERRUPTED);
        conclude(&night, results, args, interrupted)
    })
}

/// The folder of this campaign: a new one, or that which is gone on with.
fn open(campaign: &Campaign, plans: &[RunPlan], resumed: Option<(PathBuf, Roll)>) -> anyhow::Result<PathBuf> {
    let now = Roll::of(campaign, plans);
    if let Some((night, roll)) = resumed {
        roll.same(&night, &now)?;
        say(&format!("going on with {}", night.display()));
        return Ok(night);
    }
    let store = Store::create(&campaign.store, &campaign.name, &time_name())?;
    now.write(&store.dir)?;
    Ok(store.dir)
}

/// Keeps the store within its limit, and says what that took.
fn make_room(campaign: &Campaign, night: &Path) -> Result<(), Error> {
    let Some(limit) = campaign.store_limit else { return Ok(()) };
    let (stripped, held) = retention::fit(&campaign.store, limit, night)?;
    if stripped > 0 {
        say(&format!("the store is full: {stripped} old runs keep their results only"));
    }
    if held > limit {
        say(&format!("the store holds {held} bytes, more than its limit of {limit}: this campaign is kept"));
    }
    Ok(())
}

/// A run of the campaign: to be done, or done before it was interrupted.
enum Step {
    Ended(Box<RunResult>),
    Todo(Box<Job>),
}

impl Step {
    fn new(
        registry: &Registry,
        plan: &RunPlan,
        campaign: &Campaign,
        resume: bool,
        night: &Path,
        provider: Arc<dyn Provider>,
    ) -> anyhow::Result<Step> {
        if resume {
            if let Some(result) = resume::ended(&night.join(&plan.name)) {
                return Ok(Step::Ended(Box::new(result)));
            }
            resume::set_aside(night, &plan.name)?;
        }
        let dir = night.join(&plan.name);
        Job::new(registry, plan, campaign.stop_on_anomaly, dir, provider).map(Box::new).map(Step::Todo)
    }
}

/// Results in the order of the steps; those that were never begun are left out.
async fn run_all(
    steps: Vec<Step>,
    campaign: &Campaign,
    night: &Path,
    args: &RunArgs,
    stop: &Stop,
) -> anyhow::Result<Vec<RunResult>> {
    let room = Arc::new(Semaphore::new(campaign.parallel.max(1) as usize));
    let alone = campaign.parallel <= 1;
    let count = steps.len();
    let mut running = JoinSet::new();
    let mut results: Vec<Option<RunResult>> = (0..count).map(|_| None).collect();
    let mut jobs = Vec::new();
    for (index, step) in steps.into_iter().enumerate() {
        match step {
            Step::Ended(result) => results[index] = Some(*result),
            Step::Todo(job) => jobs.push((index, job)),
        }
    }
    let mut jobs = jobs.into_iter();
    loop {
        while running.len() < campaign.parallel.max(1) as usize && !stop.is_stopped() {
            let Some((index, job)) = jobs.next() else { break };
            if count > 1 {
                say(&format!("[{}/{count}] {}", index + 1, job.name));
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
        if campaign.keep == Keep::Failures && result.outcome == RunOutcome::Pass {
            retention::strip_passed(&night.join(&result.name))?;
        }
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
fn meet_shares(plans: &[RunPlan], results: &mut [RunResult], night: &Path) -> Result<(), Error> {
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
            let dir = night.join(&result.name);
            if let Some(mut stored) = stored::results(&dir) {
                stored.run.outcome = RunOutcome::Pass;
                store::write(&dir.join(stored::RESULTS), &one::json(&stored)?)?;
            }
        }
    }
    Ok(())
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
