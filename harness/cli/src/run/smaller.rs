//! Candidates that are smaller than a run, the most promising first. Pure: nothing is tried here.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::Registry;
use crate::campaign::{RunPlan, StepPlan};

/// A smaller run, and in what it is smaller.
#[derive(Debug)]
pub(crate) struct Candidate {
    /// For people.
    pub what: String,
    /// The run.
    pub plan: RunPlan,
}

/// No fault is made shorter than this, and no run ends sooner after its last fault.
const SHORTEST: Duration = Duration::from_millis(500);
/// Anomalies show within this time after the last fault, or hardly at all.
const TAIL: Duration = Duration::from_secs(2);

/// All that can be built and that this registry takes.
pub(crate) fn candidates(plan: &RunPlan, registry: &Registry) -> Vec<Candidate> {
    let mut all = Vec::new();
    fewer_faults(plan, &mut all);
    less_time(plan, &mut all);
    fewer_nodes(plan, &mut all);
    fewer_clients(plan, &mut all);
    fewer_keys(plan, &mut all);
    shorter_faults(plan, &mut all);
    let works = |c: &Candidate| {
        let spec = c.plan.spec(registry, PathBuf::new());
        spec.is_ok_and(|spec| squall_engine::run::check(&spec).is_ok())
    };
    all.retain(|c| works(c));
    all
}

fn put(all: &mut Vec<Candidate>, what: String, plan: RunPlan) {
    all.push(Candidate { what, plan });
}

/// Without a half, a quarter, … of the faults (Zeller and Hildebrandt's delta debugging, 2002).
fn fewer_faults(plan: &RunPlan, all: &mut Vec<Candidate>) {
    let count = plan.schedule.len();
    let mut chunk = count.div_ceil(2);
    while chunk > 0 {
        for from in (0..count).step_by(chunk) {
            let gone = from..(from + chunk).min(count);
            let mut schedule = plan.schedule.clone();
            let kinds: Vec<String> =
                schedule.drain(gone).flat_map(|step| step.faults).map(|cell| cell.name).collect();
            put(all, format!("without {}", kinds.join(", ")), RunPlan { schedule, ..plan.clone() });
        }
        chunk /= 2;
    }
}

fn less_time(plan: &RunPlan, all: &mut Vec<Candidate>) {
    let last = plan.schedule.iter().map(|s| s.at.unwrap_or_default() + s.lasts).max().unwrap_or_default();
    let limit = (last + TAIL).min(plan.time_limit);
    if limit < plan.time_limit {
        let what = format!("a main phase of {:.1} s", limit.as_secs_f64());
        put(all, what, RunPlan { time_limit: limit, ..plan.clone() });
    }
    // The first fault comes at once: what is before it changes nothing, most of the time.
    let first = plan.schedule.iter().filter_map(|s| s.at).min().unwrap_or_default();
    if first > 2 * SHORTEST {
        let earlier = first - SHORTEST;
        let moved = |s: &StepPlan| StepPlan { at: s.at.map(|at| at - earlier), ..s.clone() };
        let schedule = plan.schedule.iter().map(moved).collect();
        let time_limit = plan.time_limit.saturating_sub(earlier).max(SHORTEST);
        let what = format!("{:.1} s earlier", earlier.as_secs_f64());
        put(all, what, RunPlan { schedule, time_limit, ..plan.clone() });
    }
    let warm_up = Duration::from_secs(1);
    if plan.warm_up > warm_up {
        put(all, "a warm-up of 1 s".into(), RunPlan { warm_up, ..plan.clone() });
    }
}

fn fewer_nodes(plan: &RunPlan, all: &mut Vec<Candidate>) {
    for nodes in [1, 3, 5, 7].into_iter().filter(|n| *n < plan.nodes) {
        let schedule: Option<Vec<StepPlan>> =
            plan.schedule.iter().map(|s| fitted(s, nodes as usize)).collect();
        if let Some(schedule) = schedule {
            let workers = plan.workers.min((plan.workers * nodes / plan.nodes).max(2));
            put(all, format!("{nodes} nodes"), RunPlan { nodes, workers, schedule, ..plan.clone() });
        }
    }
}

/// A step for fewer nodes: those that are not there are left out, and no step may be left with none.
fn fitted(step: &StepPlan, nodes: usize) -> Option<StepPlan> {
    let mut step = step.clone();
    for name in ["nodes", "order", "exact"] {
        if let Some(Json::Array(places)) = step.plan.get_mut(name) {
            places.retain(|place| place.as_u64().is_some_and(|place| place < nodes as u64));
            if places.is_empty() {
                return None;
            }
            if let (Some(minority), "nodes") = (step.plan.get("targets"), name)
                && minority == "minority"
            {
                let most = (nodes.saturating_sub(1) / 2).max(1);
                step.plan["nodes"].as_array_mut()?.truncate(most);
            }
        }
    }
    // Of a partition: how many of `order` are on its first side. Some must be on the other.
    if let Some(size) = step.plan.get("size").and_then(Json::as_u64) {
        let most = (nodes as u64).saturating_sub(1).max(1);
        step.plan.insert("size".into(), size.min(most).into());
        let whole = matches!(step.plan.get("shape").and_then(Json::as_str), Some("majority-ring" | "bridge"));
        if whole || nodes < 2 {
            return None;
        }
    }
    Some(step)
}

fn fewer_clients(plan: &RunPlan, all: &mut Vec<Candidate>) {
    let workers = plan.workers / 2;
    if workers >= 2 {
        put(all, format!("{workers} clients"), RunPlan { workers, ..plan.clone() });
    }
}

/// Many workloads have an option `keys`; those that have not refuse it, and the candidate is left out.
fn fewer_keys(plan: &RunPlan, all: &mut Vec<Candidate>) {
    let now = plan.workload.options["keys"].as_u64();
    for keys in [1, 2, 4].into_iter().filter(|keys| now.is_none_or(|now| *keys < now)) {
        let mut workload = plan.workload.clone();
        if !workload.options.is_object() {
            workload.options = json!({});
        }
        workload.options["keys"] = keys.into();
        let what = if keys == 1 { "1 key".to_owned() } else { format!("{keys} keys") };
        put(all, what, RunPlan { workload, ..plan.clone() });
    }
}

fn shorter_faults(plan: &RunPlan, all: &mut Vec<Candidate>) {
    for (place, step) in plan.schedule.iter().enumerate() {
        let lasts = (step.lasts / 2).max(SHORTEST);
        if lasts < step.lasts {
            let mut schedule = plan.schedule.clone();
            schedule[place].lasts = lasts;
            let what = format!("`{}` for {:.1} s", step.faults[0].name, lasts.as_secs_f64());
            put(all, what, RunPlan { schedule, ..plan.clone() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::Campaign;

    fn plan(text: &str) -> RunPlan {
        Campaign::parse("c", text).unwrap().resolve(&Registry::default()).unwrap().remove(0)
    }

    const FIVE: &str = "nodes: 5\nschedule:\n  - {at: 4s, fault: kill, for: 3s, plan: {targets: one, nodes: [4]}}\n  - {at: 6s, fault: pause, for: 2s, plan: {targets: minority, nodes: [0, 1]}}\n";

    #[test]
    fn everything_gets_smaller_one_thing_at_a_time() {
        let plan = plan(FIVE);
        let said: Vec<String> = candidates(&plan, &Registry::default()).into_iter().map(|c| c.what).collect();
        // A plan that names the fifth node does not fit three.
        for what in [
            "without kill",
            "without pause",
            "a main phase of 10.0 s",
            "3.5 s earlier",
            "5 clients",
            "1 key",
            "`kill` for 1.5 s",
        ] {
            assert!(said.iter().any(|s| s == what), "{what} is not among {said:?}");
        }
        assert!(!said.iter().any(|s| s.contains("nodes")), "{said:?}");
    }

    #[test]
    fn a_minority_stays_a_minority_of_fewer_nodes() {
        let mut plan = plan(FIVE);
        plan.schedule.remove(0);
        let all = candidates(&plan, &Registry::default());
        let three = all.iter().find(|c| c.what == "3 nodes").unwrap();
        assert_eq!(three.plan.schedule[0].plan["nodes"], json!([0]));
        assert_eq!(three.plan.workers, 6);
    }

    #[test]
    fn shrinking_comes_to_an_end() {
        let mut plan = plan(FIVE);
        let registry = Registry::default();
        let mut rounds = 0;
        while let Some(smaller) = candidates(&plan, &registry).into_iter().next() {
            plan = smaller.plan;
            rounds += 1;
            assert!(rounds < 100);
        }
        assert_eq!((plan.nodes, plan.workers, plan.schedule.len()), (1, 2, 0));
    }
}
