//! A run of the store as something to do again: how it was resolved, what it found, what was injected.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value as Json};
use squall_checkers::Valid;
use squall_engine::run::LOG_FILE;
use squall_history::runlog::read_log_file;
use squall_history::{FaultPhase, History};
use squall_reports::{Results, RunResult};

use super::campaign::find_run;
use crate::Refused;
use crate::campaign::{Cell, RunPlan, StepPlan};

/// See the module.
#[derive(Debug)]
pub(crate) struct Stored {
    /// Its folder.
    pub dir: PathBuf,
    /// What it was.
    pub plan: RunPlan,
    /// What came of it.
    pub result: RunResult,
}

/// A check and the type of an anomaly that it found: what makes two failures the same.
pub(crate) type Finding = (String, String);

impl Stored {
    /// Reads a run's folder.
    pub fn read(path: &std::path::Path) -> anyhow::Result<Stored> {
        // Its own path: `latest` will point elsewhere once more runs are made.
        let dir = find_run(path)?;
        let dir = dir.canonicalize().unwrap_or(dir);
        let read = |name: &str| {
            let file = dir.join(name);
            std::fs::read_to_string(&file)
                .map_err(|e| Refused::new(format!("{} cannot be read: {e}", file.display())))
        };
        let broken = |name: &str, e: String| Refused::new(format!("{}: {e}", dir.join(name).display()));
        let plan: RunPlan =
            serde_yaml::from_str(&read("run.yaml")?).map_err(|e| broken("run.yaml", e.to_string()))?;
        let results: Results = serde_json::from_str(&read("results.json")?)
            .map_err(|e| broken("results.json", e.to_string()))?;
        Ok(Stored { plan, result: results.run, dir })
    }

    /// What was injected, as a schedule. `exact`: on the very nodes, whatever their roles will be.
    pub fn steps(&self, exact: bool) -> anyhow::Result<Vec<StepPlan>> {
        let log = self.dir.join(LOG_FILE);
        let (history, _) =
            read_log_file(&log).map_err(|e| Refused::new(format!("{}: {e}", log.display())))?;
        let cells: Vec<&Cell> =
            self.plan.faults.iter().chain(self.plan.schedule.iter().flat_map(|s| &s.faults)).collect();
        let begun = history.faults.iter().filter(|f| f.phase == FaultPhase::Begin);
        let mut steps = Vec::new();
        for fault in begun {
            let Some(cell) = cells.iter().find(|cell| cell.name == fault.kind) else { continue };
            steps.push(step(cell, fault, exact.then_some(&history))?);
        }
        steps.sort_by_key(|step| step.at);
        Ok(steps)
    }

    /// What it found.
    pub fn findings(&self) -> BTreeSet<Finding> {
        findings(&self.result)
    }
}

fn step(cell: &Cell, fault: &squall_history::Fault, exact: Option<&History>) -> anyhow::Result<StepPlan> {
    let nanos = |name: &str| {
        let missing = || Refused::new(format!("the log does not say `{name}` of a `{}`", fault.kind));
        fault.detail[name].as_u64().ok_or_else(missing)
    };
    let (begin, end) = (nanos("planned_begin_nanos")?, nanos("planned_end_nanos")?);
    let mut plan: Map<String, Json> = fault.detail["plan"].as_object().cloned().unwrap_or_default();
    if let Some(header) = exact.and_then(|history| history.run.as_deref()) {
        let place = |name: &String| header.nodes.iter().position(|node| node.name == *name);
        let nodes: Vec<usize> = fault.nodes.iter().filter_map(place).collect();
        plan.insert("exact".into(), nodes.into());
    }
    let cell = Cell { at: None, options_at: Vec::new(), ..(*cell).clone() };
    Ok(StepPlan {
        at: Some(millis(begin)),
        every: None,
        after: None,
        faults: vec![cell],
        lasts: millis(end.saturating_sub(begin)).max(Duration::from_millis(1)),
        times: 1,
        plan,
        on: None,
    })
}

/// Nobody writes nanoseconds into a file.
fn millis(nanos: u64) -> Duration {
    Duration::from_millis(nanos / 1_000_000)
}

/// What a result says that was found, by checks that found something.
pub(crate) fn findings(result: &RunResult) -> BTreeSet<Finding> {
    let failed = result.checks.iter().filter(|(_, check)| check.valid == Valid::No);
    failed.flat_map(|(name, check)| check.anomalies.iter().map(|a| (name.clone(), a.kind.clone()))).collect()
}
