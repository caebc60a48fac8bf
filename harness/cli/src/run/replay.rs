//! `squall replay`: a stored run again, with its seed and its schedule.

use anyhow::Context as _;
use serde::Serialize;
use squall_history::SCHEMA_VERSION;

use super::again::Again;
use super::stored::{Stored, findings};
use crate::args::{Format, ReplayArgs};
use crate::campaign::RunPlan;
use crate::output::{print_json, say};
use crate::{Exit, Registry};

#[derive(Serialize)]
struct Document {
    schema_version: u32,
    run: String,
    /// Types of anomalies that the run had found; what is counted where there are none is the verdict.
    anomalies: Vec<String>,
    again: u32,
    times: u32,
    store: String,
    runs: Vec<squall_reports::RunResult>,
}

/// Runs it again.
pub fn replay(registry: &Registry, args: &ReplayArgs) -> anyhow::Result<Exit> {
    let stored = Stored::read(&args.run)?;
    let mut plan = stored.plan.clone();
    if args.exact {
        plan.schedule = stored.steps(true)?;
        plan.faults = Vec::new();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    runtime.block_on(repeat(registry, args, &stored, &plan))
}

async fn repeat(
    registry: &Registry,
    args: &ReplayArgs,
    stored: &Stored,
    plan: &RunPlan,
) -> anyhow::Result<Exit> {
    // Once before anything is started, so that what cannot work is said first.
    plan.spec(registry, std::path::PathBuf::new())?;
    let mut runs = Again::new(registry, &args.store, "replay", &plan.provider)?;
    let goal = stored.findings();
    let (mut again, mut results) = (0, Vec::new());
    for _ in 0..args.times {
        let result = runs.once(plan, false).await?;
        say(&squall_reports::terminal::summary(&result));
        again += u32::from(match goal.is_empty() {
            true => result.valid == stored.result.valid,
            false => !findings(&result).is_disjoint(&goal),
        });
        results.push(result);
        if runs.is_interrupted() {
            break;
        }
    }
    let times = results.len() as u32;
    let kinds: Vec<String> = goal.into_iter().map(|(_, kind)| kind).collect();
    let what = if kinds.is_empty() { "the same verdict".to_owned() } else { kinds.join(", ") };
    say(&format!("{again} of {times}: {what}"));
    let exit = Exit::from_code(squall_reports::exit_code(
        results.iter().map(|r| r.outcome).collect::<Vec<_>>(),
        false,
    ));
    if args.format == Format::Json {
        print_json(&Document {
            schema_version: SCHEMA_VERSION,
            run: stored.dir.to_string_lossy().into_owned(),
            anomalies: kinds,
            again,
            times,
            store: runs.store.dir.to_string_lossy().into_owned(),
            runs: results,
        })?;
    }
    Ok(if runs.is_interrupted() { Exit::Interrupted } else { exit })
}
