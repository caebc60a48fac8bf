//! Whole runs and their verdicts.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt as _;

use serde_json::Value as Json;

use crate::support::{Done, finish, only_run, run};

const NOBODY: u32 = 65534;

fn store() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn took_effect(done: &Done, kind: &str) -> bool {
    let faults = done.json["runs"][0]["faults"].as_array().cloned().unwrap_or_default();
    faults.iter().any(|f| f["kind"] == kind && f["effective"] == Json::Bool(true))
}

fn assert_valid(done: &Done) {
    assert_eq!(done.code, Some(0), "{}\n{}", done.json, done.stderr);
    assert_eq!(done.json["valid"], Json::Bool(true));
    let run = &done.json["runs"][0];
    assert_eq!(run["checks"]["linearizable"]["valid"], Json::Bool(true), "{run}");
    assert!(run["operations"]["ok"].as_u64().unwrap_or(0) > 100, "{run}");
}

pub fn raftkv_is_valid() {
    let store = store();
    let done =
        finish(&mut run(store.path(), &["--faults", "partition,kill", "--time-limit", "8s", "--seed", "11"]));
    assert_valid(&done);
    assert!(took_effect(&done, "partition") && took_effect(&done, "kill"), "{}", done.json);
    let dir = only_run(store.path());
    for file in ["run.yaml", "history.jsonl.zst", "results.json", "report.html"] {
        assert!(dir.join(file).is_file(), "{file}");
    }
}

pub fn etcd_is_valid() {
    let store = store();
    let args = ["--target", "etcd", "--faults", "partition,kill", "--time-limit", "10s", "--seed", "11"];
    let done = finish(&mut run(store.path(), &args));
    assert_valid(&done);
    assert!(took_effect(&done, "partition"), "{}", done.json);
}

pub fn unsafe_reads_are_found() {
    let store = store();
    let args = [
        "--target",
        "{raftkv: {unsafe_reads: true}}",
        "--faults",
        "{partition: {shapes: [halves, isolate-leader]}}",
        "--time-limit",
        "10s",
        "--seed",
        "5",
    ];
    let done = finish(&mut run(store.path(), &args));
    assert_eq!(done.code, Some(1), "{}\n{}", done.json, done.stderr);
    assert_eq!(done.json["valid"], Json::Bool(false));
    let anomaly = &done.json["runs"][0]["checks"]["linearizable"]["anomalies"][0];
    assert_eq!(anomaly["type"], "nonlinearizable");
    let operations = anomaly["operations"].as_array().expect("operations");
    assert!(!operations.is_empty());
    let explanation = anomaly["explanation"].as_str().expect("an explanation");
    let report = std::fs::read_to_string(only_run(store.path()).join("report.html")).expect("the report");
    assert!(report.contains("Messages between nodes around the anomaly"), "who told whom is drawn");
    assert!(report.contains("never arrived"), "and what the cut kept");
    let named = operations.iter().any(|op| explanation.contains(&format!("#{op}")));
    assert!(named, "the explanation names none of {operations:?}: {explanation}");
}

/// Every way in which a link can be bad, all at once in turn: the store survives, and each is proven.
pub fn bad_links_are_survived() {
    let store = store();
    let faults = "{delay: {mean: 20ms}},loss,duplicate,reorder,corrupt,{bandwidth: {rate: 200kB}},reset";
    let args = ["--faults", faults, "--time-limit", "12s", "--nodes", "3", "--rate", "300", "--seed", "21"];
    let done = finish(&mut run(store.path(), &args));
    assert_valid(&done);
    for kind in ["delay", "loss", "duplicate", "reorder", "corrupt", "bandwidth", "reset"] {
        assert!(took_effect(&done, kind), "{kind}: {}", done.json);
    }
}

/// A store that flushes what it acknowledges survives a loss of power of every node at once.
pub fn power_loss_is_survived() {
    let store = store();
    let args = ["--faults", "power-loss,{slow-disk: {targets: [all]}}", "--time-limit", "8s", "--seed", "2"];
    let done = finish(&mut run(store.path(), &args));
    assert_valid(&done);
    assert!(took_effect(&done, "power-loss") && took_effect(&done, "slow-disk"), "{}", done.json);
    // Which every system must bear, on any number of nodes.
    assert!(!done.stderr.contains("more than a minority"), "{}", done.stderr);
}

/// One that does not loses what it acknowledged.
pub fn a_store_without_fsync_is_found_out() {
    let store = store();
    let args = [
        "--target",
        "{raftkv: {no_fsync: true}}",
        "--faults",
        "{power-loss: {targets: [all]}}",
        "--time-limit",
        "1h",
        "--stop-on-anomaly",
    ];
    let done = finish(&mut run(store.path(), &args));
    assert_eq!(done.code, Some(1), "{}\n{}", done.json, done.stderr);
    // Terms are as little flushed as writes, and whichever is seen to be lost first ends the run.
    let checks = &done.json["runs"][0]["checks"];
    assert!(["linearizable", "terms"].iter().any(|c| checks[c]["valid"] == Json::Bool(false)), "{checks}");
}

/// The time limit is far beyond what a test may take: only ending early ends it.
pub fn anomalies_can_end_a_run() {
    let store = store();
    let args = [
        "--target",
        "{raftkv: {unsafe_reads: true}}",
        "--faults",
        "{partition: {shapes: [halves, isolate-leader]}}",
        "--time-limit",
        "1h",
        "--stop-on-anomaly",
    ];
    let done = finish(&mut run(store.path(), &args));
    assert_eq!(done.code, Some(1), "{}\n{}", done.json, done.stderr);
    assert_eq!(done.json["runs"][0]["checks"]["linearizable"]["valid"], Json::Bool(false));
}

pub fn transactions_and_sets_are_valid() {
    for workload in ["append", "set"] {
        let store = store();
        let args = [
            "--workload",
            workload,
            "--faults",
            "partition",
            "--time-limit",
            "5s",
            "--rate",
            "400",
            "--seed",
            "7",
        ];
        let done = finish(&mut run(store.path(), &args));
        assert_eq!(done.code, Some(0), "{workload}: {}\n{}", done.json, done.stderr);
    }
}

/// The same as somebody who is not root: no device node, no privilege.
pub fn ordinary_user() {
    let dir = store();
    // The build's own folder may be closed to others.
    let binary = dir.path().join("squall");
    std::fs::copy(env!("CARGO_BIN_EXE_squall"), &binary).expect("the binary can be copied");
    for path in [dir.path(), &binary] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).expect("own files");
    }
    let store = dir.path().join("store");
    std::fs::create_dir(&store).expect("a folder");
    std::os::unix::fs::chown(&store, Some(NOBODY), Some(NOBODY)).expect("root may");
    let run = |name: &str, args: &[&str]| {
        let mut command = std::process::Command::new(&binary);
        command.uid(NOBODY).gid(NOBODY).env_clear().env("PATH", "/usr/bin:/bin").current_dir(&store);
        command.arg("run").arg("--store").arg(store.join(name)).args(["--format", "json"]).args(args);
        finish(&mut command)
    };
    let done = run("raftkv", &["--faults", "partition,kill,clock", "--time-limit", "6s", "--seed", "3"]);
    assert_valid(&done);
    assert!(took_effect(&done, "partition"), "{}", done.json);
    let done = run(
        "etcd",
        &["--target", "etcd", "--faults", "partition,pause", "--time-limit", "6s", "--seed", "7"],
    );
    assert_valid(&done);
    let unsafe_reads =
        ["--target", "{raftkv: {unsafe_reads: true}}", "--time-limit", "1h", "--stop-on-anomaly"];
    let done = run("unsafe", &[&unsafe_reads[..], &["--faults", "{partition: {shapes: [halves]}}"]].concat());
    assert_eq!(done.code, Some(1), "{}\n{}", done.json, done.stderr);
}
