//! A visit: which runs are still to be made, and making them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use clap::Parser as _;
use clap::error::ErrorKind;
use squall_cluster::Provider;
use squall_engine::{Error, Progress, Stop};
use squall_local::LocalProvider;
use tokio::task::JoinSet;

use super::args::MuseumArgs;
use super::exhibit::Exhibit;
use super::finding::Finding;
use super::score::Score;
use crate::args::Format;
use crate::campaign::RunPlan;
use crate::output::{print, print_json, say};
use crate::run::{INTERRUPTED, Job, Signals};
use crate::{Exit, Refused, Registry};

/// Runs the command, given what follows `museum`.
pub fn museum(registry: &Registry, args: impl IntoIterator<Item = OsString>) -> anyhow::Result<Exit> {
    let words = [OsString::from("squall raftkv museum")].into_iter().chain(args);
    let args = match MuseumArgs::try_parse_from(words) {
        Ok(args) => args,
        Err(e) if matches!(e.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            print(&e.render().to_string())?;
            return Ok(Exit::Valid);
        }
        Err(e) => return Err(Refused::new(e.render().to_string().trim_end().to_owned()).into()),
    };
    let exhibits = match args.blind {
        true => Exhibit::blind(&args.bug)?,
        false => Exhibit::load(args.file.as_deref(), &args.bug)?,
    };
    let visits = visits(registry, &exhibits, &args)?;
    let interrupted = if args.score { false } else { make(registry, &visits, &args)? };
    let told = |visit: &Visit| visit.finding().map(|f| Finding { faults: visit.faults(), ..f });
    let findings: Vec<Finding> = visits.iter().filter_map(told).collect();
    let bugs: Vec<&str> = exhibits.iter().map(|e| e.bug.as_str()).collect();
    let score = Score::of(&bugs, &findings);
    match args.format {
        Format::Human => print(&score.table())?,
        Format::Json => print_json(&score)?,
    }
    Ok(if interrupted { Exit::Interrupted } else { score.exit() })
}

/// One run of one exhibit.
struct Visit {
    bug: String,
    seed: u64,
    plan: RunPlan,
    /// The resolved run as text: a finding belongs to exactly this.
    text: String,
    dir: PathBuf,
}

impl Visit {
    fn finding(&self) -> Option<Finding> {
        // A run that broke says nothing, so it is made again.
        Finding::read(&self.dir).filter(|f| f.plan == self.text)
    }

    /// What is done to the cluster, by chance or by a schedule.
    fn faults(&self) -> Vec<String> {
        match self.plan.lanes {
            Some(lanes) => vec![format!("any of {}, {lanes} at a time", self.plan.faults.len())],
            None => self.plan.kinds(),
        }
    }

    fn is_done(&self) -> bool {
        self.finding().is_some_and(|f| !f.broken)
    }
}

/// Seed by seed over all bugs, so that a visit cut short has seen some of everything.
fn visits(registry: &Registry, exhibits: &[Exhibit], args: &MuseumArgs) -> anyhow::Result<Vec<Visit>> {
    let mut visits = Vec::new();
    let store = if args.blind { args.store.join("blind") } else { args.store.clone() };
    for seed in args.first_seed..args.first_seed.saturating_add(args.seeds) {
        for exhibit in exhibits {
            let plan = exhibit.plan(registry, seed)?;
            let text = serde_yaml::to_string(&plan).context("the resolved run cannot be written as YAML")?;
            let dir = Finding::dir(&store, &exhibit.bug, seed);
            visits.push(Visit { bug: exhibit.bug.clone(), seed, plan, text, dir });
        }
    }
    let mut index = 0..;
    visits.retain(|_| {
        let at = index.next().unwrap_or(0);
        args.shard.is_none_or(|shard| shard.has(at))
    });
    Ok(visits)
}

/// Makes the runs that are missing. True if a person ended it.
fn make(registry: &Registry, visits: &[Visit], args: &MuseumArgs) -> anyhow::Result<bool> {
    let missing: Vec<&Visit> = visits.iter().filter(|v| !v.is_done()).collect();
    if missing.len() < visits.len() {
        say(&format!(
            "{} of {} runs are in {} already",
            visits.len() - missing.len(),
            visits.len(),
            args.store.display()
        ));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    runtime.block_on(async {
        let provider: Arc<dyn Provider> = Arc::new(LocalProvider::new());
        let stop = Stop::default();
        let _signals = Signals::watch(stop.clone())?;
        let mut running = JoinSet::new();
        let (count, mut waiting) = (missing.len(), missing.into_iter().enumerate());
        loop {
            while running.len() < args.parallel as usize && !stop.is_stopped() {
                let Some((at, visit)) = waiting.next() else { break };
                clear(&args.store, &visit.dir)?;
                let job = Job::new(registry, &visit.plan, true, visit.dir.clone(), provider.clone())?;
                let Visit { bug, seed, text, dir, .. } = visit;
                let (bug, seed, text, dir) = (bug.clone(), *seed, text.clone(), dir.clone());
                let faults = visit.faults();
                let stop = Stop::following(&stop);
                running.spawn(async move {
                    let result = job.go(stop.clone(), Progress::default()).await;
                    let whole = stop.reason().as_deref() != Some(INTERRUPTED);
                    (at, whole, Finding::of(&bug, seed, text, faults, &dir, &result), dir)
                });
            }
            let Some(ended) = running.join_next().await else { break };
            let (at, whole, finding, dir) =
                ended.map_err(|e| Error::Broken(format!("a run's task ended: {e}")))?;
            if whole {
                // What never began has no folder.
                std::fs::create_dir_all(&dir).with_context(|| format!("{} cannot be made", dir.display()))?;
                finding.write(&dir)?;
            }
            say(&format!("[{}/{count}] {}", at + 1, finding.told()));
        }
        Ok(stop.reason().as_deref() == Some(INTERRUPTED))
    })
}

/// Makes room for a run: what an interrupted one left there is removed, anything else is not ours to remove.
fn clear(root: &Path, dir: &Path) -> anyhow::Result<()> {
    if dir.exists() {
        let ours = dir.join("run.yaml").exists() || dir.join("finding.json").exists() || is_empty(dir);
        if !ours || !dir.starts_with(root) {
            return Err(
                Refused::new(format!("{} is there and is no run of the museum", dir.display())).into()
            );
        }
        std::fs::remove_dir_all(dir).with_context(|| format!("{} cannot be removed", dir.display()))?;
    }
    let parent = dir.parent().unwrap_or(root);
    std::fs::create_dir_all(parent).with_context(|| format!("{} cannot be made", parent.display()))
}

fn is_empty(dir: &Path) -> bool {
    std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none())
}
