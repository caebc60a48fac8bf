//! The campaigns in `examples/campaigns` find what they say that they find, and nothing else.

use std::path::Path;

use serde_json::Value as Json;
use squall_history::{History, Note};

use crate::support::{Done, finish, only_run, squall};

/// Runs one of them as it stands. It measures itself by its own `expect`.
fn example(store: &Path, name: &str) -> Done {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/campaigns").join(name);
    let done = finish(squall().arg("run").arg(&file).arg("--store").arg(store).args(["--format", "json"]));
    assert_eq!(done.code, Some(0), "{name}: {}\n{}", done.json, done.stderr);
    done
}

fn found(name: &str, anomaly: &str) {
    let store = tempfile::tempdir().expect("a folder");
    let done = example(store.path(), name);
    let checks = done.json["runs"][0]["checks"].as_object().cloned().unwrap_or_default();
    let anomalies = checks.values().flat_map(|c| c["anomalies"].as_array().cloned().unwrap_or_default());
    let kinds: Vec<Json> = anomalies.map(|a| a["type"].clone()).collect();
    assert!(kinds.iter().any(|kind| kind == anomaly), "{name}: {kinds:?}");
}

fn sound(name: &str) {
    let store = tempfile::tempdir().expect("a folder");
    let done = example(store.path(), name);
    let runs = done.json["runs"].as_array().cloned().unwrap_or_default();
    assert!(
        !runs.is_empty() && runs.iter().all(|run| run["valid"] == Json::Bool(true)),
        "{name}: {}",
        done.json
    );
}

pub fn raftkv_without_fsync() {
    found("raftkv-without-fsync.yaml", "nonlinearizable");
}

pub fn etcd_without_fsync() {
    found("etcd-without-fsync.yaml", "nonlinearizable");
}

pub fn power_loss() {
    sound("power-loss.yaml");
}

pub fn kill_then_power() {
    sound("kill-then-power.yaml");
}

pub fn lease_on_the_wall_clock() {
    found("lease-on-the-wall-clock.yaml", "nonlinearizable");
}

pub fn lease_on_the_monotonic_clock() {
    sound("lease-on-the-monotonic-clock.yaml");
}

pub fn etcd_lease() {
    found("etcd-lease.yaml", "outlived");
}

pub fn etcd_lease_revoked() {
    found("etcd-lease-revoked.yaml", "lease-cut-short");
}

pub fn etcd_lease_true_clock() {
    sound("etcd-lease-true-clock.yaml");
}

pub fn etcd_disk_faults() {
    sound("etcd-disk-faults.yaml");
}

pub fn etcd_flipped_bits() {
    let store = tempfile::tempdir().expect("a folder");
    example(store.path(), "etcd-flipped-bits.yaml");
    let log = only_run(store.path()).join("history.jsonl.zst");
    let history: History = squall_history::runlog::read_log_file(&log).expect("a whole log").0;
    // Which it is depends on where the bits fall: a sum that is wrong, or a record that cannot be read (its length, its
    // fields), on which etcd refuses to start.
    let words = ["crc mismatch", "\"level\":\"fatal\""];
    let noticed = |n: &Note| n.kind == "excused-panic" && words.iter().any(|word| n.text.contains(word));
    let noticed = history.notes.iter().any(noticed);
    assert!(noticed, "its own words: {:?}", history.notes.iter().map(|n| &n.text).collect::<Vec<_>>());
}
