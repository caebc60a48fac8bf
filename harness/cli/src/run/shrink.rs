//! `squall shrink`: the smallest campaign that still finds what a run found.
//!
//! The run's injections become a fixed schedule, and everything is made smaller in turn as long as the same
//! anomaly still appears: fewer faults, less time, fewer nodes, fewer clients, fewer keys, shorter faults. Real
//! clusters do not fail alike each time, so each candidate is tried several times, and is taken if it fails at
//! least half as often as the run itself.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use serde::Serialize;
use squall_history::SCHEMA_VERSION;

use super::again::Again;
use super::smaller::{Candidate, candidates};
use super::stored::{Finding, Stored};
use super::{smallest, store};
use crate::args::{Format, ShrinkArgs};
use crate::campaign::RunPlan;
use crate::output::{print_json, say};
use crate::{Exit, Refused, Registry};

#[derive(Serialize)]
struct Document {
    schema_version: u32,
    run: String,
    /// The campaign that was written; null if the failure did not come again.
    file: Option<String>,
    anomalies: Vec<String>,
    /// In how many of the last tries of what was written the failure came.
    found: u32,
    times: u32,
    /// Runs that it took.
    runs: u32,
    steps: usize,
    nodes: u32,
    workers: u32,
    time_limit_seconds: f64,
}

/// Shrinks a run.
pub fn shrink(registry: &Registry, args: &ShrinkArgs) -> anyhow::Result<Exit> {
    let stored = Stored::read(&args.run)?;
    let goal = stored.findings();
    if goal.is_empty() {
        let text = format!("{} found no anomaly: there is nothing to shrink", stored.dir.display());
        return Err(Refused::new(text).into());
    }
    let plan = RunPlan { schedule: stored.steps(false)?, faults: Vec::new(), ..stored.plan.clone() };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    runtime.block_on(async {
        let runs = Again::new(registry, &args.store, "shrink", &plan.provider)?;
        let until = Instant::now() + args.time_limit;
        Shrinking { registry, runs, goal, until, times: args.times, tried: 0 }.run(args, &stored, plan).await
    })
}

struct Shrinking<'a> {
    registry: &'a Registry,
    runs: Again<'a>,
    goal: BTreeSet<Finding>,
    until: Instant,
    times: u32,
    tried: u32,
}

impl Shrinking<'_> {
    async fn run(mut self, args: &ShrinkArgs, stored: &Stored, plan: RunPlan) -> anyhow::Result<Exit> {
        let first = self.attempt(&plan, None).await?;
        say(&format!("as it was, with {} faults: {} of {}", plan.schedule.len(), first.0, first.1));
        if first.0 == 0 {
            say("the failure did not come again: nothing was shrunk (try --times 10)");
            self.document(args, stored, None, &plan, first)?;
            return Ok(if self.runs.is_interrupted() { Exit::Interrupted } else { Exit::Unknown });
        }
        let (best, mut found) = self.reduce(plan, first).await?;
        if !self.runs.is_interrupted() {
            // What is written says how often it fails, not how often something larger did.
            found = self.attempt(&best, None).await?;
        }
        let file = args.output.clone().unwrap_or_else(|| stored.dir.join("smallest.yaml"));
        let text = smallest::campaign(&best, &self.goal, found)?;
        store::write(&file, text.as_bytes())?;
        say(&format!("{} of {}: written to {}", found.0, found.1, file.display()));
        self.document(args, stored, Some(&file), &best, found)?;
        Ok(if self.runs.is_interrupted() { Exit::Interrupted } else { Exit::Valid })
    }

    /// Makes it smaller until nothing helps or time is up.
    async fn reduce(
        &mut self,
        mut best: RunPlan,
        first: (u32, u32),
    ) -> anyhow::Result<(RunPlan, (u32, u32))> {
        let mut found = first;
        let enough = first.0.div_ceil(2);
        'again: loop {
            for Candidate { what, plan } in candidates(&best, self.registry) {
                if Instant::now() >= self.until || self.runs.is_interrupted() {
                    say("time is up");
                    break 'again;
                }
                let tried = self.attempt(&plan, Some(enough)).await?;
                let taken = tried.0 >= enough;
                say(&format!("{what}: {} of {}{}", tried.0, tried.1, if taken { ", taken" } else { "" }));
                if taken {
                    (best, found) = (plan, tried);
                    continue 'again;
                }
            }
            break;
        }
        Ok((best, found))
    }

    async fn attempt(&mut self, plan: &RunPlan, enough: Option<u32>) -> anyhow::Result<(u32, u32)> {
        let tried = self.runs.tries(plan, &self.goal, self.times, enough).await?;
        self.tried += tried.1;
        Ok(tried)
    }

    fn document(
        &self,
        args: &ShrinkArgs,
        stored: &Stored,
        file: Option<&Path>,
        plan: &RunPlan,
        (found, times): (u32, u32),
    ) -> anyhow::Result<()> {
        if args.format != Format::Json {
            return Ok(());
        }
        let anomalies: BTreeSet<String> = self.goal.iter().map(|(_, kind)| kind.clone()).collect();
        print_json(&Document {
            schema_version: SCHEMA_VERSION,
            run: stored.dir.to_string_lossy().into_owned(),
            file: file.map(|file| file.to_string_lossy().into_owned()),
            anomalies: anomalies.into_iter().collect(),
            found,
            times,
            runs: self.tried,
            steps: plan.schedule.len(),
            nodes: plan.nodes,
            workers: plan.workers,
            time_limit_seconds: plan.time_limit.as_secs_f64(),
        })?;
        Ok(())
    }
}
