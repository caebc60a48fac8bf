//! Every workload on real clusters: valid where it should be, and what each of them finds.

use std::path::Path;

use serde_json::Value as Json;

use crate::support::{Done, finish, run, squall};

fn store() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// Runs a campaign from its text.
fn campaign(dir: &Path, text: &str) -> Done {
    let file = dir.join("campaign.yaml");
    std::fs::write(&file, text).expect("own folder");
    let mut command = squall();
    command.arg("run").arg(&file).arg("--store").arg(dir.join("store")).args(["--format", "json"]);
    finish(&mut command)
}

fn kinds(run: &Json, check: &str) -> Vec<String> {
    let anomalies = run["checks"][check]["anomalies"].as_array().cloned().unwrap_or_default();
    anomalies.iter().filter_map(|a| a["type"].as_str()).map(str::to_owned).collect()
}

const ALL: &str = "queue, counter, unique-ids, {lock: {fenced: true, ttl: 1s, hold_min: 500ms, hold_max: 1s}}, wr, internal, bank, long-fork, \
                   causal, causal-reverse, session, monotonic, write-skew";

fn all_are_valid_on(target: &str) {
    let dir = store();
    let text = format!(
        "name: all\nseed: 9\nnodes: 3\nrate: 200\ntime_limit: 3s\nwarm_up: 0s\nparallel: 5\ntargets: [{target}]\n\
         workloads: [{ALL}]\nfaults: [none]\n"
    );
    let done = campaign(dir.path(), &text);
    assert_eq!(done.code, Some(0), "{}\n{}", done.json, done.stderr);
    assert_eq!(done.json["runs"].as_array().map(Vec::len), Some(13));
}

pub fn raftkv_keeps_every_promise() {
    all_are_valid_on("raftkv");
}

pub fn etcd_keeps_every_promise() {
    all_are_valid_on("etcd");
}

/// It ends at the first anomaly, long before its time: only finding it ends it.
pub fn two_holders_are_found() {
    let dir = store();
    let faults = "{pause: {targets: [one]}}";
    let args = [
        "--workload",
        "lock",
        "--target",
        "etcd",
        "--faults",
        faults,
        "--nodes",
        "3",
        "--time-limit",
        "5m",
        "--stop-on-anomaly",
        "--seed",
        "4",
    ];
    let done = finish(&mut run(dir.path(), &args));
    assert_eq!(done.code, Some(1), "{}\n{}", done.json, done.stderr);
    let kinds = kinds(&done.json["runs"][0], "exclusion");
    assert!(!kinds.is_empty() && kinds.iter().all(|k| k == "two-holders"), "{kinds:?}");
}

/// Each mistake by the workload that is made for it: (target, workload, check, anomaly).
const MISTAKES: [(&str, &str, &str, &str); 6] = [
    ("{raftkv: {bug: lost-update}}", "counter", "counter", "out-of-bounds"),
    ("{raftkv: {bug: counter-wraps}}", "unique-ids", "unique-ids", "duplicated"),
    ("{raftkv: {bug: write-skew}}", "write-skew", "write-skew", "G2"),
    ("{raftkv: {bug: txn-not-atomic}}", "bank", "bank", "wrong-total"),
    ("{raftkv: {bug: causal-token-ignored, reads: session}}", "session", "rw-register", "violation"),
    ("{raftkv: {reads: local}}", "{session: {consistency: session-guarantees}}", "rw-register", "violation"),
];

pub fn classic_mistakes_are_found() {
    for (target, workload, check, anomaly) in MISTAKES {
        let dir = store();
        let args = [
            "--target",
            target,
            "--workload",
            workload,
            "--faults",
            "none",
            "--nodes",
            "3",
            "--time-limit",
            "4s",
            "--seed",
            "7",
        ];
        let done = finish(&mut run(dir.path(), &args));
        assert_eq!(done.code, Some(1), "{target}: {}\n{}", done.json, done.stderr);
        let kinds = kinds(&done.json["runs"][0], check);
        assert!(kinds.iter().any(|k| k.contains(anomaly)), "{target}: {kinds:?}");
    }
}
