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
