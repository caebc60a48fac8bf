//! Flags over files, and the built-in campaign.

use std::time::Duration;

use clap::Parser;
use squall_cluster::{Capability, Probe};

use super::fake::registry;
use crate::Exit;
use crate::args::{Cli, Command, RunArgs};
use crate::campaign::{Campaign, Concurrency, Rate, RunPlan, Shard};
use crate::run::command;

fn args(words: &[&str]) -> RunArgs {
    let all = ["squall", "run"].iter().chain(words);
    match Cli::try_parse_from(all).unwrap().command {
        Command::Run(args) => *args,
        other => panic!("{other:?}"),
    }
}

fn probe(capability: Capability, available: bool) -> Probe {
    let finding = "this kernel has none".to_owned();
    Probe { capability, available, finding, remedies: vec!["use another kernel".into()] }
}

#[test]
fn flags_count_more_than_the_file() {
    let mut campaign = Campaign::parse("x", "nodes: 7\nrate: 10\nfaults: [pause]\nwarm_up: 1s\n").unwrap();
    let given = args(&[
        "--target",
        "{etcd: {version: system}}",
        "--faults",
        "partition,kill",
        "--faults",
        "none",
        "--nodes",
        "3",
        "--concurrency",
        "4n",
        "--rate",
        "max",
        "--time-limit",
        "90s",
        "--op-timeout",
        "500ms",
        "--seed",
        "18446744073709551615",
        "--repeat",
        "2",
        "--store",
        "here",
        "--shard",
        "1/2",
    ]);
    campaign.override_by(&given).unwrap();
    assert_eq!(campaign.targets[0].options["version"], "system");
    let faults: Vec<Vec<&str>> =
        campaign.faults.iter().map(|s| s.iter().map(|f| f.name.as_str()).collect()).collect();
    assert_eq!(faults, [vec!["partition", "kill"], vec![]]);
    assert_eq!(
        (campaign.nodes, campaign.concurrency, campaign.rate),
        (3, Concurrency::PerNode(4), Rate(None))
    );
    assert_eq!((campaign.seed, campaign.repeat), (u64::MAX, 2));
    assert_eq!((campaign.time_limit, campaign.warm_up), (Duration::from_secs(90), Duration::from_secs(1)));
    assert_eq!(campaign.op_timeout(), Duration::from_millis(500));
    assert_eq!(campaign.shard, Some(Shard { part: 1, of: 2 }));
    assert_eq!(campaign.resolve(&registry()).unwrap().len(), 2);
}

#[test]
fn faults_of_a_flag_may_have_options() {
    let given = args(&["--faults", "partition, {clock: {max_offset: 60s, kinds: [jump]}}"]);
    let set = &given.faults[0].0;
    assert_eq!(set.len(), 2);
    assert_eq!(set[1].options["max_offset"], "60s");
}

#[test]
fn bad_flags_are_refused() {
    for words in [
        ["--faults", "none,kill"],
        ["--time-limit", "0s"],
        ["--target", "ectd"],
        ["--faults", "{clock: {max_offset: 60}}"],
    ] {
        let mut campaign = Campaign::built_in();
        let result = campaign.override_by(&args(&words)).map_err(crate::Refused::from);
        let result = result.and_then(|()| campaign.resolve(&registry()).map(drop));
        let refused = result.expect_err(words[1]);
        assert_eq!(Exit::of_error(&refused.into()), Exit::BadInput);
    }
    for words in [["--nodes", "0"], ["--concurrency", "n"], ["--rate", "-1"], ["--target", "a,b"]] {
        let all = ["squall", "run"].iter().chain(&words);
        assert!(Cli::try_parse_from(all).is_err(), "{words:?}");
    }
}

#[test]
fn the_built_in_campaign_drops_what_cannot_be_had_and_names_it() {
    let mut campaign = Campaign::built_in();
    let plan = campaign.resolve(&registry()).unwrap().remove(0);
    assert_eq!(plan.name, "raftkv-register-partition+clock");
    assert_eq!((plan.warm_up, plan.time_limit), (Duration::from_secs(2), Duration::from_secs(30)));
    let probes = [probe(Capability::Nodes, true), probe(Capability::Clock, false)];
    let dropped = campaign.fit_to(&registry(), &probes).unwrap();
    assert_eq!(dropped.len(), 1);
    assert_eq!(dropped[0].fault, "clock");
    assert!(dropped[0].why.contains("this kernel has none\n  to allow it: use another kernel"));
    assert_eq!(campaign.resolve(&registry()).unwrap()[0].name, "raftkv-register-partition");
}

#[test]
fn what_a_person_asked_for_is_refused_where_it_cannot_be_had() {
    let mut campaign = Campaign::built_in();
    campaign.override_by(&args(&["--faults", "clock"])).unwrap();
    let error = campaign.fit_to(&registry(), &[probe(Capability::Clock, false)]).unwrap_err();
    assert_eq!(Exit::of_error(&error), Exit::BadInput);
    let error = campaign.fit_to(&registry(), &[probe(Capability::Nodes, false)]).unwrap_err();
    assert_eq!(Exit::of_error(&error), Exit::Broken, "nothing can be provisioned here");
}

#[test]
fn the_built_in_campaign_drops_what_a_target_cannot_take() {
    let mut campaign = Campaign::built_in();
    campaign.override_by(&args(&["--target", "etcd"])).unwrap();
    let plan = campaign.resolve(&registry()).unwrap().remove(0);
    assert_eq!(plan.name, "etcd-register-partition");
    assert!(plan.warnings[0].contains("cannot take the fault `clock`"));
}

#[test]
fn all_is_every_fault_that_can_be_had_a_few_at_a_time() {
    let mut campaign = Campaign::built_in();
    campaign.override_by(&args(&["--faults", "all", "--target", "etcd"])).unwrap();
    let plan = campaign.resolve(&registry()).unwrap().remove(0);
    let (names, lanes) = (|p: &RunPlan| p.faults.iter().map(|f| f.name.clone()).collect::<Vec<_>>(), Some(4));
    assert_eq!((plan.name.as_str(), plan.lanes), ("etcd-register-all", lanes));
    // The fake refuses one, and lacks what the others act upon.
    let gone = ["clock", "topple", "membership", "upgrade", "maintenance", "restore"];
    let left: Vec<String> = registry().faults().iter().map(|k| k.name.to_owned()).collect();
    let left: Vec<String> = left.into_iter().filter(|n| !gone.contains(&n.as_str())).collect();
    assert_eq!(names(&plan), left);
    assert_eq!(plan.warnings.len(), gone.len(), "{:?}", plan.warnings);
    assert!(command(&plan).contains("--faults all "), "{}", command(&plan));
    // What the machine cannot do goes, too, and is named.
    campaign.spell_out(&registry(), None);
    let dropped = campaign.fit_to(&registry(), &[probe(Capability::Links, false)]).unwrap();
    assert!(dropped.iter().any(|d| d.fault == "partition"), "{dropped:?}");
    let plan = campaign.resolve(&registry()).unwrap().remove(0);
    assert!(!names(&plan).contains(&"partition".to_owned()));
    assert_eq!((plan.name.as_str(), plan.lanes), ("etcd-register-all", lanes));
    let text = "faults: [all, kill]\nexclude: [{faults: all}]\nlanes: 2\n";
    let plans = Campaign::parse("c", text).unwrap().resolve(&registry()).unwrap();
    assert_eq!(plans.iter().map(|p| &*p.name).collect::<Vec<_>>(), ["raftkv-register-kill"]);
}
