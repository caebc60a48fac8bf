//! Bad campaigns and the exact text of their refusal, kept as one golden file.

use std::fmt::Write;

use super::fake::registry;
use crate::campaign::Campaign;

const BAD: &[(&str, &str)] = &[
    ("an unknown key", "name: x\ntime-limit: 30s\n"),
    ("an unknown key far from every other", "earthquake: yes\n"),
    ("an unknown key within a key", "timing: {on: 5s, of: 5s}\n"),
    ("a key twice", "nodes: 5\nseed: 1\nnodes: 3\n"),
    ("a duration without a unit", "time_limit: 30\n"),
    ("a duration with a wrong unit", "time_limit: 30sec\n"),
    ("a duration of the wrong kind", "time_limit: [30s]\n"),
    ("no time at all", "time_limit: 0s\n"),
    ("too many nodes", "nodes: 1000\n"),
    ("a fraction of a node", "nodes: 2.5\n"),
    ("no processes", "concurrency: 0n\n"),
    ("a strange rate", "rate: fast\n"),
    ("a rate of nothing", "rate: 0\n"),
    ("a negative seed", "seed: -1\n"),
    ("an unknown target", "targets:\n  - raftkv\n  - {ectd: {version: '3.5'}}\n"),
    ("an unknown workload", "workloads: [registr]\n"),
    ("an unknown fault", "faults: [none, [kill, partitoin]]\n"),
    ("an unknown option of a target", "targets:\n  - etcd:\n      version: '3.5'\n      snapshots: 3\n"),
    ("a wrong option of a fault", "faults:\n  - clock: {max_offset: 60}\n"),
    ("options that are no map", "targets: [{etcd: 3.5}]\n"),
    ("two names in one entry", "targets:\n  - etcd:\n    raftkv:\n"),
    ("a fault twice", "faults: [[kill, kill]]\n"),
    ("none with another fault", "faults: [[none, kill]]\n"),
    ("all with another fault", "faults: [kill, [all, kill]]\n"),
    ("all with options", "faults: [{all: {targets: [one]}}]\n"),
    ("a fault that the target cannot take", "targets: [etcd]\nfaults: [partition, [kill, clock]]\n"),
    ("a function that the target cannot do", "workloads: [append]\n"),
    ("a consistency that cannot be judged", "workloads: [{register: {consistency: eventual}}]\n"),
    ("the same combination twice", "targets: [raftkv, raftkv]\n"),
    ("everything excluded", "exclude: [{target: raftkv}]\n"),
    ("an exclusion of everything", "exclude: [{}]\n"),
    ("an expectation that is none", "expect: vaild\n"),
    ("an expectation without anomalies", "expect: {at_least: 1 of 5}\n"),
    ("more found than run", "expect: {invalid: [lost], at_least: 6 of 5}\n"),
    ("repeats that disagree", "repeat: 3\nexpect: {invalid: [lost], at_least: 1 of 5}\n"),
    ("a name that leaves the store", "name: ../../etc\n"),
    ("the store's own name", "name: latest\n"),
    ("a provider that is not there", "provider: locl\n"),
    ("a list where a map belongs", "- raftkv\n- etcd\n"),
    ("an empty file", ""),
    ("a broken list", "targets: [raftkv\nnodes: 3\n"),
    ("a tab", "timing:\n\ton: 5s\n"),
    ("an empty list", "targets: []\n"),
    ("nothing after a key", "seed:\n"),
    ("two documents", "nodes: 3\n---\nnodes: 5\n"),
    ("an override of everything", "overrides: {set: {rate: 1}}\n"),
    ("an override of nothing", "overrides: [{target: etcd}]\n"),
    ("an override that cannot be", "overrides: [{target: etcd, set: {seed: 3}}]\n"),
    (
        "an override with another number of repeats",
        "repeat: 2\noverrides: {target: etcd, set: {expect: {invalid: [lost], at_least: 1 of 3}}}\n",
    ),
    ("a size without a unit", "store_limit: 20\n"),
    ("a step that never begins", "schedule: [{fault: kill, for: 3s}]\n"),
    ("a step that begins twice", "schedule: [{at: 1s, after: {ok_operations: 5}, fault: kill, for: 3s}]\n"),
    ("a step without an end", "schedule: [{at: 1s, fault: kill}]\n"),
    (
        "a step that waits for nothing known",
        "schedule:\n  - {after: {event: full-moon}, fault: kill, for: 3s}\n",
    ),
    (
        "a step that waits for two things",
        "schedule: [{after: {log: x, ok_operations: 5}, fault: kill, for: 3s}]\n",
    ),
    ("an event that comes back", "schedule: [{after: {log: x}, every: 5s, fault: kill, for: 3s}]\n"),
    ("a writer of nothing", "schedule: [{after: {ok_operations: 5}, on: writer, fault: kill, for: 3s}]\n"),
    ("an unknown fault in a step", "schedule: [{at: 1s, fault: [kill, pauze], for: 3s}]\n"),
    ("a step of nothing", "schedule: [{at: 1s, fault: none, for: 3s}]\n"),
    ("a step of all", "schedule: [{at: 1s, fault: all, for: 3s}]\n"),
    ("a swarm that is neither on nor off", "swarm: perhaps\n"),
    ("an unknown liveness", "liveness: warning\n"),
];

#[test]
fn every_bad_campaign_is_refused_with_its_place() {
    let mut golden = String::new();
    for (what, text) in BAD {
        let refused = match Campaign::parse("campaign.yaml", text) {
            Err(complaint) => complaint.to_string(),
            Ok(campaign) => match campaign.resolve(&registry()) {
                Err(refused) => refused.to_string(),
                Ok(plans) => panic!("{what}: was taken, as {} runs", plans.len()),
            },
        };
        writeln!(golden, "## {what}\n{refused}\n").unwrap();
    }
    insta::assert_snapshot!(golden);
}

#[test]
fn an_alias_that_grows_without_end_is_refused() {
    let mut text = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (this, last) in "bcdefghij".chars().zip("abcdefghi".chars()) {
        let list = vec![format!("*{last}"); 10].join(", ");
        text.push_str(&format!("{this}: &{this} [{list}]\n"));
    }
    let complaint = Campaign::parse("campaign.yaml", &text).unwrap_err();
    assert!(complaint.to_string().starts_with("campaign.yaml"), "{complaint}");
}
