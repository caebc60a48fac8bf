//! Every workload on real clusters: valid where it should be, and what each of them finds.

use std::path::Path;

use serde_json::Value as Json;

use crate::support::{Done, finish, only_run, run, squall};

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

fn all_are_valid_on(target: &str, more: &[&str]) {
    let dir = store();
    let workloads = [&[ALL][..], more].concat().join(", ");
    let text = format!(
        "name: all\nseed: 9\nnodes: 3\nrate: 200\ntime_limit: 5s\nwarm_up: 0s\nparallel: 4\ntargets: [{target}]\n\
         workloads: [{workloads}]\nfaults: [none]\n"
    );
    let done = campaign(dir.path(), &text);
    assert_eq!(done.code, Some(0), "{}\n{}", done.json, done.stderr);
    assert_eq!(done.json["runs"].as_array().map(Vec::len), Some(13 + more.len()));
}

pub fn raftkv_keeps_every_promise() {
    all_are_valid_on("raftkv", &[]);
}

pub fn etcd_keeps_every_promise() {
    all_are_valid_on("etcd", &["watch", "replicas"]);
}

/// Watchers miss nothing while nodes are cut off, killed and defragmented. Where old revisions are compacted away,
/// versions before 3.4.33 and 3.5.15 may forget that a key was deleted (etcd issue 18089), and nothing else: a revision
/// is missed then, or torn where it changed other keys too.
pub fn etcd_watchers_are_told_everything() {
    let dir = store();
    let text = |kinds: &str| {
        format!(
            "name: watch\nseed: 5\nnodes: 3\nrate: 300\ntime_limit: 6s\nwarm_up: 1s\n\
             targets: [{{etcd: {{snapshot_count: 100}}}}]\nworkloads: [watch]\n\
             faults: [[partition, kill, {{maintenance: {{kinds: [{kinds}], every: 300ms}}}}]]\n\
             timing: {{on: 1s, off: 1s, min: 500ms, max: 2s}}\n"
        )
    };
    let compacting = store();
    let done = campaign(compacting.path(), &text("compact"));
    let run = &done.json["runs"][0];
    let forgets = is_before(run, 33, 15);
    assert!(done.code == Some(0) || forgets && done.code == Some(1), "{}\n{}", done.json, done.stderr);
    let anomalies = run["checks"]["watch"]["anomalies"].as_array().cloned().unwrap_or_default();
    let forgotten = |a: &Json| {
        let deletion = a["explanation"].as_str().is_some_and(|text| text.contains(" deleted key "));
        deletion && (a["type"] == "missed" || a["type"] == "torn")
    };
    assert!(anomalies.iter().all(forgotten), "{run}");
    let compacted = |f: &Json| f["kind"] == "maintenance" && f["effective"] == true;
    assert!(run["faults"].as_array().expect("faults").iter().any(compacted), "{run}");
    let done = campaign(dir.path(), &text("defragment"));
    assert_eq!(done.code, Some(0), "{}\n{}", done.json, done.stderr);
    let results =
        std::fs::read(only_run(&dir.path().join("store")).join("results.json")).expect("its results");
    let results: Json = serde_json::from_slice(&results).expect("JSON");
    let verdict = results["verdicts"].as_array().expect("verdicts").iter().find(|v| v["check"] == "watch");
    let told = verdict.expect("the check was made")["event_count"].as_u64();
    assert!(told > Some(100), "{results}");
    bookmarks_of_old_versions_lie();
    let text = "targets: [etcd]\nfaults: {maintenance: {kinds: [vacuum]}}\n";
    let refused = campaign(dir.path(), text);
    assert_eq!(refused.code, Some(254), "{}", refused.stderr);
    assert!(refused.stderr.contains("it knows: compact, defragment, snapshot"), "{}", refused.stderr);
}

/// Whether it was etcd before 3.4.`of_3_4` and, of the next line, before 3.5.`of_3_5`.
fn is_before(run: &Json, of_3_4: u32, of_3_5: u32) -> bool {
    let version = run["target_version"].as_str().unwrap_or("").split('.').flat_map(str::parse);
    let version: Vec<u32> = version.collect();
    version < vec![3, 4, of_3_4] || (vec![3, 5]..vec![3, 5, of_3_5]).contains(&version)
}

/// Before 3.4.25 and 3.5.8 a bookmark came before what it stands for.
fn bookmarks_of_old_versions_lie() {
    let dir = store();
    let text = "seed: 5\nnodes: 3\nrate: 300\ntime_limit: 3s\nwarm_up: 0s\ntargets: [etcd]\n\
                workloads: [{watch: {bookmarks: true, stay: 3}}]\n";
    let done = campaign(dir.path(), text);
    let run = &done.json["runs"][0];
    let lies = is_before(run, 25, 8);
    assert_eq!(done.code, Some(i32::from(lies)), "{}\n{}", done.json, done.stderr);
    let lie = |kind: &String| matches!(kind.as_str(), "late" | "before-its-start");
    assert!(kinds(run, "watch").iter().all(lie) && kinds(run, "watch").is_empty() != lies, "{run}");
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
        "5min",
        "--stop-on-anomaly",
        "--seed",
        "4",
    ];
    let done = finish(&mut run(dir.path(), &args));
    assert_eq!(done.code, Some(1), "{}\n{}", done.json, done.stderr);
    let run = &done.json["runs"][0];
    let kinds = kinds(run, "exclusion");
    // Whoever led and wakes may end leases that were renewed meanwhile.
    let ends = is_before(run, 31, 13);
    let known = |k: &String| k == "two-holders" || ends && k == "lease-cut-short";
    assert!(!kinds.is_empty() && kinds.iter().all(known), "{kinds:?}");
}

/// A mistake, and what shows it.
struct Mistake {
    target: &'static str,
    workload: &'static str,
    faults: &'static str,
    rate: &'static str,
    check: &'static str,
    anomaly: &'static str,
}

/// Followers of a healthy cluster are a tenth of a millisecond behind: too little to be seen for sure.
const LATE_FOLLOWERS: &str = "{delay: {targets: [all]}}";

/// Each mistake by the workload that is made for it. What is wrong all the time takes long to explain in a long
/// history.
const MISTAKES: [Mistake; 6] = [
    Mistake {
        target: "{raftkv: {bug: lost-update}}",
        workload: "counter",
        faults: "none",
        rate: "300",
        check: "counter",
        anomaly: "out-of-bounds",
    },
    Mistake {
        target: "{raftkv: {bug: counter-wraps}}",
        workload: "unique-ids",
        faults: "none",
        rate: "300",
        check: "unique-ids",
        anomaly: "duplicated",
    },
    Mistake {
        target: "{raftkv: {bug: write-skew}}",
        workload: "write-skew",
        faults: "none",
        rate: "600",
        check: "write-skew",
        anomaly: "G2",
    },
    Mistake {
        target: "{raftkv: {bug: txn-not-atomic}}",
        workload: "bank",
        faults: "none",
        rate: "300",
        check: "bank",
        anomaly: "wrong-total",
    },
    Mistake {
        target: "{raftkv: {bug: causal-token-ignored, reads: session}}",
        workload: "{session: {stay: 1}}",
        faults: LATE_FOLLOWERS,
        rate: "400",
        check: "rw-register",
        anomaly: "violation",
    },
    Mistake {
        target: "{raftkv: {reads: local}}",
        workload: "{session: {stay: 1, consistency: session-guarantees}}",
        faults: LATE_FOLLOWERS,
        rate: "400",
        check: "rw-register",
        anomaly: "violation",
    },
];

pub fn classic_mistakes_are_found() {
    for Mistake { target, workload, faults, rate, check, anomaly } in MISTAKES {
        let dir = store();
        let args = [
            "--target",
            target,
            "--workload",
            workload,
            "--faults",
            faults,
            "--nodes",
            "3",
            "--time-limit",
            "5s",
            "--rate",
            rate,
            "--seed",
            "7",
        ];
        let done = finish(&mut run(dir.path(), &args));
        assert_eq!(done.code, Some(1), "{target}: {}\n{}", done.json, done.stderr);
        let kinds = kinds(&done.json["runs"][0], check);
        assert!(kinds.iter().any(|k| k.contains(anomaly)), "{target}: {kinds:?}");
    }
}
