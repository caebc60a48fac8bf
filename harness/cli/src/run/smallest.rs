//! A resolved run as a campaign file that a person can send to somebody.

use std::collections::BTreeSet;

use anyhow::Context as _;
use serde_json::{Map, Value as Json, json};
use squall_engine::units::format_duration;

use super::stored::Finding;
use crate::campaign::{Cell, RunPlan, StepPlan};

/// The file. It expects what was found, as often as it was found.
pub(crate) fn campaign(
    plan: &RunPlan,
    goal: &BTreeSet<Finding>,
    (found, times): (u32, u32),
) -> anyhow::Result<String> {
    let anomalies: BTreeSet<&String> = goal.iter().map(|(_, kind)| kind).collect();
    let mut expect = json!({ "invalid": anomalies });
    if found < times {
        // Not each time: so many tries as it took, and one that fails is enough.
        expect["at_least"] = format!("1 of {times}").into();
    }
    let mut workload = plan.workload.clone();
    if !workload.options.is_object() {
        workload.options = json!({});
    }
    workload.options["consistency"] = plan.consistency.clone().into();
    let file = json!({
        "name": "smallest",
        "seed": plan.seed,
        "nodes": plan.nodes,
        "concurrency": plan.workers,
        "rate": plan.rate,
        "warm_up": format_duration(plan.warm_up),
        "time_limit": format_duration(plan.time_limit),
        "op_timeout": format_duration(plan.op_timeout),
        "targets": [cell(&plan.target)],
        "workloads": [cell(&workload)],
        "schedule": plan.schedule.iter().map(step).collect::<Vec<_>>(),
        "expect": expect,
    });
    let mut file = file.as_object().cloned().unwrap_or_default();
    if plan.schedule.is_empty() {
        file.remove("schedule");
    }
    let yaml = serde_yaml::to_string(&file).context("a campaign cannot be written as YAML")?;
    Ok(format!("# The smallest campaign that was found to fail: in {found} of {times} tries.\n{yaml}"))
}

fn cell(cell: &Cell) -> Json {
    if cell.options.is_null() { cell.name.clone().into() } else { json!({ &cell.name: cell.options }) }
}

fn step(step: &StepPlan) -> Json {
    let mut map = Map::new();
    if let Some(at) = step.at {
        map.insert("at".into(), format_duration(at).into());
    }
    if let Some(after) = &step.after {
        map.insert("after".into(), serde_json::to_value(after).unwrap_or_default());
        map.insert("times".into(), step.times.into());
    }
    map.insert("fault".into(), step.faults.iter().map(cell).collect());
    map.insert("for".into(), format_duration(step.lasts).into());
    if !step.plan.is_empty() {
        map.insert("plan".into(), step.plan.clone().into());
    }
    map.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Registry;
    use crate::campaign::Campaign;

    #[test]
    fn what_is_written_is_read_back_as_the_same_run() {
        let text = "seed: 9\nnodes: 3\nconcurrency: 4\ntargets: [{raftkv: {unsafe_reads: true}}]\nworkloads: [{register: {keys: 2}}]\nschedule:\n  - {at: 1500ms, fault: {partition: {shapes: [isolate-leader]}}, for: 2s, plan: {outwards: true}}\n  - {after: {ok_operations: 7, delay: 20ms}, fault: kill, for: 1s, times: 2}\n";
        let registry = Registry::default();
        let plan = Campaign::parse("a", text).unwrap().resolve(&registry).unwrap().remove(0);
        let goal = [("linearizable".to_owned(), "nonlinearizable".to_owned())].into();
        let written = campaign(&plan, &goal, (3, 3)).unwrap();
        assert!(written.starts_with("# ") && written.contains("3 of 3"));
        let again = Campaign::parse("b", &written).unwrap().resolve(&registry).unwrap().remove(0);
        assert_eq!(
            (&again.schedule, &again.target, &again.workload),
            (&plan.schedule, &plan.target, &plan.workload)
        );
        assert_eq!((again.seed, again.nodes, again.workers), (plan.seed, plan.nodes, plan.workers));
        let sometimes = campaign(&plan, &goal, (1, 3)).unwrap();
        let plans = Campaign::parse("b", &sometimes).unwrap().resolve(&registry).unwrap();
        assert_eq!(plans.len(), 3, "{sometimes}");
    }
}
