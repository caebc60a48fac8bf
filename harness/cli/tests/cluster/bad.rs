//! Bad input: one clear message, the right exit code, nothing running, nothing overwritten.

use std::os::unix::fs::PermissionsExt;

use crate::support::{finish, only_run, run, squall};

/// The lines that say what is wrong, which must be few.
fn complaint(stderr: &str) -> &str {
    let text = stderr.trim();
    assert!(text.lines().count() <= 12, "one clear message, not:\n{text}");
    text
}

pub fn missing_etcd() {
    let store = tempfile::tempdir().expect("a folder");
    let done = finish(run(store.path(), &["--target", "etcd", "--faults", "none"]).env("PATH", "/nowhere"));
    assert_eq!(done.code, Some(255), "{}", done.stderr);
    assert!(done.stderr.contains("apt-get install etcd-server"), "{}", done.stderr);
}

pub fn target_that_exits() {
    let store = tempfile::tempdir().expect("a folder");
    let fake = store.path().join("etcd");
    std::fs::write(&fake, "#!/bin/sh\n[ \"$1\" = --version ] && echo 'etcd Version: 9' && exit 0\necho 'no luck today' >&2\nexit 3\n")
        .expect("a script");
    std::fs::set_permissions(&fake, PermissionsExt::from_mode(0o755)).expect("own file");
    let target = format!("{{etcd: {{version: {}}}}}", fake.display());
    let done = finish(&mut run(&store.path().join("store"), &["--target", &target, "--faults", "none"]));
    assert_eq!(done.code, Some(255), "{}", done.stderr);
    assert!(done.stderr.contains("ended while starting (exit code 3)"), "{}", done.stderr);
    assert!(done.stderr.contains("no luck today"), "what its log says: {}", done.stderr);
}

pub fn never_ready() {
    let dir = tempfile::tempdir().expect("a folder");
    let fake = dir.path().join("etcd");
    let script = "#!/bin/sh\n[ \"$1\" = --version ] && echo 'etcd Version: 9' && exit 0\nexec sleep 600\n";
    std::fs::write(&fake, script).expect("a script");
    std::fs::set_permissions(&fake, PermissionsExt::from_mode(0o755)).expect("own file");
    let file = dir.path().join("campaign.yaml");
    let text = format!("targets: [{{etcd: {{version: {}}}}}]\nnodes: 1\nready_limit: 2s\n", fake.display());
    std::fs::write(&file, text).expect("a file");
    let store = dir.path().join("store");
    let done = finish(squall().arg("run").arg(&file).arg("--store").arg(&store));
    assert_eq!(done.code, Some(255), "{}", done.stderr);
    assert!(done.stderr.contains("node n1 did not become ready within 2 s"), "{}", done.stderr);
}

pub fn unwritable_store() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("file");
    std::fs::write(&file, "mine").expect("a file");
    let done = finish(&mut run(&file, &["--faults", "none", "--time-limit", "1s"]));
    assert_eq!(done.code, Some(255), "{}", done.stderr);
    assert!(complaint(&done.stderr).contains("cannot be written"), "{}", done.stderr);
    assert_eq!(std::fs::read(&file).expect("still there"), b"mine");
}

pub fn store_is_not_overwritten() {
    let store = tempfile::tempdir().expect("a folder");
    let args = ["--faults", "none", "--time-limit", "1s", "--nodes", "1", "--seed", "1"];
    finish(&mut run(store.path(), &args));
    let first = std::fs::canonicalize(only_run(store.path())).expect("a run");
    let log = std::fs::read(first.join("history.jsonl.zst")).expect("a log");
    finish(&mut run(store.path(), &args));
    let second = std::fs::canonicalize(only_run(store.path())).expect("a run");
    assert_ne!(first, second);
    assert_eq!(std::fs::read(first.join("history.jsonl.zst")).expect("still there"), log);
}

pub fn bad_campaigns() {
    let dir = tempfile::tempdir().expect("a folder");
    let cases = [
        ("nodez: 5\n", "nodez"),
        ("time_limit: 30\n", "unit"),
        ("targets: [ectd]\n", "etcd"),
        ("faults: [{partition: {shapes: [sideways]}}]\n", "sideways"),
        ("workloads: [{register: {keys: 0}}]\n", "keys"),
    ];
    for (text, expected) in cases {
        let file = dir.path().join("campaign.yaml");
        std::fs::write(&file, text).expect("a file");
        let store = dir.path().join("store");
        let done = finish(squall().arg("run").arg(&file).arg("--store").arg(&store));
        assert_eq!(done.code, Some(254), "{text}: {}", done.stderr);
        let said = complaint(&done.stderr);
        assert!(said.contains(expected), "{text}: {said}");
        assert!(said.contains("campaign.yaml:1:") && said.contains('^'), "the place, with a caret: {said}");
        assert!(!store.exists(), "nothing was started");
    }
}

/// A disk that is full half-way: one clear error, in time, and what was recorded until then can be judged.
pub fn a_disk_that_fills_up() {
    let dir = tempfile::tempdir().expect("a folder");
    let script = "mount -t tmpfs -o size=38m small \"$1\" && shift && \"$@\"; code=$?; \
                  cp -r small/. kept; exit $code";
    std::fs::create_dir(dir.path().join("small")).expect("a folder");
    std::fs::create_dir(dir.path().join("kept")).expect("a folder");
    let mut command = std::process::Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, "sh", "small", env!("CARGO_BIN_EXE_squall"), "run"]);
    command.args([
        "--store",
        "small/store",
        "--nodes",
        "1",
        "--faults",
        "none",
        "--rate",
        "max",
        "--seed",
        "1",
    ]);
    command.args(["--time-limit", "5min"]);
    let done = finish(command.current_dir(dir.path()));
    assert_eq!(done.code, Some(255), "{}", done.stderr);
    assert!(!done.stderr.contains("panicked"), "{}", done.stderr);
    let told = ["nearly full", "No space left"].iter().any(|text| done.stderr.contains(text));
    assert!(told, "it says what is wrong: {}", done.stderr);
    let runs = dir.path().join("kept/store/built-in");
    let night =
        std::fs::read_dir(runs).expect("kept").filter_map(Result::ok).next().expect("a campaign").path();
    let run = std::fs::read_dir(night).expect("kept").filter_map(Result::ok).find(|e| e.path().is_dir());
    let analyzed = finish(squall().arg("analyze").arg(run.expect("a run").path()).args(["--format", "json"]));
    let operations = analyzed.json["runs"][0]["operations"]["ok"].as_u64();
    assert!(operations > Some(100), "{:?}: {}", analyzed.code, analyzed.stderr);
}

/// A run in a folder whose name every quoting goes wrong with.
pub fn a_path_with_spaces_and_more() {
    let dir = tempfile::Builder::new().prefix("a störe'\" \u{5e93} $(x) ").tempdir().expect("a folder");
    let store = dir.path().join("the störe");
    let args = ["--faults", "{pause: {targets: [one]}}", "--time-limit", "3s", "--nodes", "3", "--seed", "4"];
    let done = finish(&mut run(&store, &args));
    assert!(matches!(done.code, Some(0 | 2)), "{}", done.stderr);
    let folder = only_run(&store);
    for command in ["analyze", "verify"] {
        let done = finish(squall().arg(command).arg(&folder));
        assert!(matches!(done.code, Some(0 | 2)), "{command}: {}", done.stderr);
    }
    let page = std::fs::read_to_string(store.join("latest/index.html")).expect("the campaign's page");
    assert!(page.contains("report.html"), "with a link to the report");
}
