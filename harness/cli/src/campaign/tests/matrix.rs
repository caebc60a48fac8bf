//! The matrix, its names and its seeds.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use super::fake::registry;
use crate::campaign::{AtLeast, Campaign, Expect, Liveness, RunPlan, Shard};

const NIGHTLY: &str = "
name: nightly
seed: 7
nodes: 5
time_limit: 60s
concurrency: 2n
rate: 1000
targets: [raftkv, {etcd: {version: system, snapshot_count: 100}}]
workloads: [register, {register: {keys: 3, consistency: serializable}}]
faults: [none, partition, [partition, kill], {clock: {max_offset: 60s}}]
exclude: [{target: etcd, faults: clock}]
repeat: 3
parallel: 1
expect: valid
";

fn resolve(text: &str) -> Vec<RunPlan> {
    Campaign::parse("campaign.yaml", text).unwrap().resolve(&registry()).unwrap()
}

#[test]
fn every_combination_is_a_run_but_what_is_excluded() {
    let plans = resolve(NIGHTLY);
    assert_eq!(plans.len(), (2 * 2 * 4 - 2) * 3);
    let names: BTreeSet<&str> = plans.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names.len(), plans.len());
    assert!(plans.iter().all(|p| p.target.name != "etcd" || p.faults.iter().all(|f| f.name != "clock")));
    let plan = plans
        .iter()
        .find(|p| p.name == "raftkv-register.consistency=serializable,keys=3-partition+kill-r2")
        .unwrap();
    assert_eq!((plan.nodes, plan.workers, plan.rate.0, plan.repeat), (5, 10, Some(1000.0), 1));
    assert_eq!(plan.workload.options, json!({"keys": 3}));
    assert_eq!(plan.consistency, "serializable");
    assert_eq!(plan.combination, "raftkv-register.consistency=serializable,keys=3-partition+kill");
    let other = plans.iter().find(|p| p.name == "raftkv-register-none-r1").unwrap();
    assert_eq!(other.consistency, "linearizable", "what the target promises");
}

#[test]
fn names_and_seeds_are_the_same_every_time_and_everywhere() {
    assert_eq!(resolve(NIGHTLY), resolve(NIGHTLY));
    let of = |plans: &[RunPlan]| plans.iter().map(|p| (p.name.clone(), p.seed)).collect::<BTreeSet<_>>();
    let all = of(&resolve(NIGHTLY));
    // A run keeps its name and seed when others come and go, and when it is another machine's.
    let fewer = NIGHTLY.replace("faults: [none, partition, ", "faults: [partition, ");
    assert!(of(&resolve(&fewer)).is_subset(&all));
    let mut sharded = BTreeSet::new();
    for part in 1..=4 {
        let mut campaign = Campaign::parse("campaign.yaml", NIGHTLY).unwrap();
        campaign.shard = Some(Shard { part, of: 4 });
        let mine = of(&campaign.resolve(&registry()).unwrap());
        assert!(mine.is_disjoint(&sharded));
        sharded.extend(mine);
    }
    assert_eq!(sharded, all);
    assert_ne!(of(&resolve(&NIGHTLY.replace("seed: 7", "seed: 8"))), all);
}

#[test]
fn targets_meet_the_same_storms_and_repeats_do_not() {
    let plans = resolve("seed: 3\ntargets: [raftkv, etcd]\nfaults: [kill, pause]\nrepeat: 2\n");
    let seed = |name: &str| plans.iter().find(|p| p.name == name).unwrap().seed;
    assert_eq!(seed("raftkv-register-kill-r1"), seed("etcd-register-kill-r1"));
    assert_ne!(seed("raftkv-register-kill-r1"), seed("raftkv-register-kill-r2"));
    assert_ne!(seed("raftkv-register-kill-r1"), seed("raftkv-register-pause-r1"));
}

#[test]
fn some_combinations_have_settings_of_their_own() {
    let text = "seed: 3\ntargets: [raftkv, etcd]\nfaults: [none, kill]\nnodes: 5\nrate: 100\noverrides:\n\
                - {target: etcd, set: {rate: 50, nodes: 3}}\n\
                - {faults: kill, set: {time_limit: 7s, expect: {invalid: [lost]}}}\n\
                - {target: etcd, faults: kill, set: {rate: max, concurrency: 4}}\n";
    let plans = resolve(text);
    let of = |name: &str| {
        let p = plans.iter().find(|p| p.name == name).unwrap();
        (p.nodes, p.workers, p.rate.0, p.time_limit.as_secs(), p.expect != Expect::Valid)
    };
    assert_eq!(of("raftkv-register-none"), (5, 10, Some(100.0), 60, false));
    assert_eq!(of("etcd-register-none"), (3, 6, Some(50.0), 60, false));
    assert_eq!(of("raftkv-register-kill"), (5, 10, Some(100.0), 7, true));
    assert_eq!(of("etcd-register-kill"), (3, 4, None, 7, true));
}

#[test]
fn a_single_run_uses_the_seed_as_it_is() {
    let plans = resolve("seed: 3\nfaults: [kill]\n");
    assert_eq!(plans.len(), 1);
    assert_eq!((plans[0].seed, plans[0].name.as_str()), (3, "raftkv-register-kill"));
}

#[test]
fn what_is_not_said_has_the_documented_default() {
    let plan = &resolve("targets: raftkv\n")[0];
    let seconds = Duration::from_secs;
    assert_eq!((plan.time_limit, plan.warm_up), (seconds(60), seconds(5)));
    assert_eq!((plan.recovery_limit, plan.op_timeout), (seconds(60), seconds(2)));
    assert_eq!((plan.timing.on, plan.timing.off, plan.timing.max), (seconds(5), seconds(5), seconds(20)));
    assert_eq!((plan.nodes, plan.workers), (5, 10));
    assert_eq!((&plan.expect, plan.liveness), (&Expect::Valid, Liveness::Fail));
    assert!(plan.faults.is_empty());
    let seeds: BTreeSet<u64> = (0..20).map(|_| Campaign::parse("x", "nodes: 3\n").unwrap().seed).collect();
    assert!(seeds.len() > 15, "a seed that is not given is drawn");
}

#[test]
fn at_least_sets_the_repeats() {
    let plans = resolve("expect: {invalid: [G-single, lost], at_least: 1 of 5}\nliveness: warn\n");
    assert_eq!(plans.len(), 5);
    let at_least = Some(AtLeast { count: 1, of: 5 });
    let anomalies = vec!["G-single".to_owned(), "lost".to_owned()];
    assert!(plans.iter().all(|p| p.expect == Expect::Invalid { anomalies: anomalies.clone(), at_least }));
    assert!(plans.iter().all(|p| p.liveness == Liveness::Warn));
}

#[test]
fn a_plan_makes_what_the_engine_runs() {
    let plan = &resolve("seed: 9\nfaults: [[partition, kill]]\n")[0];
    let spec = plan.spec(&registry(), "somewhere".into()).unwrap();
    assert_eq!((spec.seed, spec.nodes, spec.workers, spec.rate), (9, 5, 10, Some(1000.0)));
    assert_eq!(spec.nemesis.needs().len(), 2);
    assert_eq!(spec.options["faults"][1]["name"], "kill");
}

/// `replay` and `shrink` read what `run` has written.
#[test]
fn a_resolved_run_is_read_back_from_its_file() {
    let text = "nodes: 3\nrate: max\nwatchdog: 1s\nfaults: [[kill, {clock: {kinds: [jump]}}]]\nschedule:\n  - {at: 1s, fault: kill, for: 2s, plan: {nodes: [1]}}\n  - {after: {event: leader-change, delay: 5ms}, fault: kill, for: 1s}\n  - {after: {log: text}, fault: kill, for: 1s, on: writer}\n  - {at: 1s, every: 2s, fault: kill, for: 1s}\nlanes: 2\nexpect: {invalid: [lost], at_least: 1 of 2}\n";
    for text in [text, "nodes: 5\n"] {
        let plans = Campaign::parse("c", text).unwrap().resolve(&crate::Registry::default()).unwrap();
        let written = serde_yaml::to_string(&plans[0]).unwrap();
        let read: crate::campaign::RunPlan =
            serde_yaml::from_str(&written).unwrap_or_else(|e| panic!("{e}\n{written}"));
        assert_eq!(read, plans[0], "{written}");
    }
}
