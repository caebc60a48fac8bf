//! The harness dies, or is asked to end.

use std::path::Path;
use std::process::{Child, Stdio};

use serde_json::Value as Json;

use crate::support::{finish, lives, machine, only_run, run, squall, tree, wait_until};

/// A run in its main phase, with clients at work and a fault on its way.
fn started(store: &Path) -> Child {
    let args = ["--faults", "partition,clock", "--time-limit", "120s", "--seed", "5", "--nodes", "3"];
    let mut command = run(store, &args);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    wait_until("the run has recorded something", || {
        let latest = store.join("latest");
        let runs = std::fs::read_dir(latest).into_iter().flatten().filter_map(Result::ok);
        // A few flushes of a thousand operations a second.
        runs.map(|run| run.path().join("history.jsonl.zst"))
            .any(|log| log.metadata().is_ok_and(|meta| meta.len() > 40_000))
    });
    child
}

pub fn killed_harness_leaves_nothing() {
    let store = tempfile::tempdir().expect("a folder");
    let before = machine();
    let mut child = started(store.path());
    let processes = tree(child.id());
    assert!(processes.len() > 4, "the harness, its keeper and three nodes at least: {processes:?}");
    child.kill().expect("it runs");
    child.wait().expect("it was killed");
    wait_until("every process of the run is gone", || !processes.iter().any(|pid| lives(*pid)));
    assert_eq!(machine(), before, "interfaces and mounts");
    // What was recorded is judged; how the run would have gone on is not known.
    let dir = only_run(store.path());
    let done = finish(squall().arg("analyze").arg(&dir).args(["--format", "json"]));
    assert!(matches!(done.code, Some(0 | 2)), "{:?}: {}\n{}", done.code, done.json, done.stderr);
    let linearizable = &done.json["runs"][0]["checks"]["linearizable"]["valid"];
    assert_eq!(*linearizable, Json::Bool(true), "{}", done.json);
    cuts_never_convict(&dir);
    damage_is_refused(&dir);
}

/// A log cut at any byte is judged or refused, never found invalid.
fn cuts_never_convict(dir: &Path) {
    let log = std::fs::read(dir.join("history.jsonl.zst")).expect("the log");
    let cut_dir = tempfile::tempdir().expect("a folder");
    let cut = cut_dir.path().join("history.jsonl.zst");
    let mut judged = 0;
    for part in 1..=24 {
        // Uneven steps, so that cuts fall everywhere in frames.
        let at = (log.len() * part / 24).saturating_sub(part * 37 % 101);
        std::fs::write(&cut, &log[..at]).expect("a cut log");
        let done = finish(squall().arg("analyze").arg(cut_dir.path()).args(["--format", "json"]));
        match done.code {
            Some(0 | 2) => judged += 1,
            Some(254) => {}
            other => panic!("cut at {at} of {}: {other:?}\n{}\n{}", log.len(), done.json, done.stderr),
        }
        if done.code != Some(254) {
            let found = &done.json["runs"][0]["checks"]["linearizable"]["valid"];
            assert_eq!(*found, Json::Bool(true), "cut at {at}: {}", done.json);
        }
    }
    assert!(judged > 12, "only {judged} of 24 cuts left anything to judge");
}

/// A byte that was flipped in the middle, and a file that never was a log: refused, and left as they are.
fn damage_is_refused(dir: &Path) {
    let mut log = std::fs::read(dir.join("history.jsonl.zst")).expect("the log");
    let middle = log.len() / 2;
    log[middle] ^= 1;
    for (bytes, expected) in [(log.as_slice(), "frame"), (b"this is not a history at all".as_slice(), "log")]
    {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("history.jsonl.zst"), bytes).expect("a damaged log");
        let done = finish(squall().arg("analyze").arg(folder.path()));
        assert_eq!(done.code, Some(254), "{}", done.stderr);
        assert!(done.stderr.contains(expected), "{}", done.stderr);
        assert!(!folder.path().join("results.json").exists(), "nothing is written");
    }
}

/// A process of this tree with this name.
fn named(tree: &std::collections::BTreeSet<u32>, name: &str) -> Option<u32> {
    let is = |pid: &&u32| {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim_end() == name)
    };
    tree.iter().find(is).copied()
}

/// What holds the nodes dies under a run: the run says so and ends, and nothing is left.
pub fn killed_helpers_break_the_run() {
    for (name, reason) in [("squall-keeper", "is gone"), ("squall-node", "is gone")] {
        let store = tempfile::tempdir().expect("a folder");
        let before = machine();
        let child = started(store.path());
        let processes = tree(child.id());
        let victim = named(&processes, name).unwrap_or_else(|| panic!("there is no {name}"));
        let pid = nix::unistd::Pid::from_raw(i32::try_from(victim).expect("a process id"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).expect("it runs");
        let output = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(255), "{name}: {said}");
        assert!(said.contains(reason), "{name}: {said}");
        wait_until("every process of the run is gone", || !processes.iter().any(|pid| lives(*pid)));
        assert_eq!(machine(), before, "interfaces and mounts");
    }
}

pub fn interrupted_run_is_judged() {
    let store = tempfile::tempdir().expect("a folder");
    let child = started(store.path());
    let processes = tree(child.id());
    let pid = i32::try_from(child.id()).expect("a process id");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGINT)
        .expect("it runs");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130));
    let json: Json = serde_json::from_slice(&output.stdout).expect("one JSON document");
    assert_eq!(json["runs"][0]["checks"]["linearizable"]["valid"], Json::Bool(true), "{json}");
    assert!(only_run(store.path()).join("report.html").is_file());
    wait_until("every process of the run is gone", || !processes.iter().any(|pid| lives(*pid)));
}

/// Two runs; the first ends, the second is interrupted. Going on leaves the first as it is and runs the second again.
pub fn interrupted_campaign_is_resumed() {
    let store = tempfile::tempdir().expect("a folder");
    let file = store.path().join("campaign.yaml");
    let text = "name: two\nseed: 5\nnodes: 3\ntime_limit: 2s\nwarm_up: 500ms\nrate: 300\nfaults: [none, kill]\n\
                overrides: [{faults: kill, set: {time_limit: 15s}}]\n";
    std::fs::write(&file, text).expect("a campaign");
    let file = file.to_string_lossy().into_owned();
    let mut command = run(store.path(), &[&file]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the binary starts");
    let latest = store.path().join("latest");
    let (first, second) = (latest.join("raftkv-register-none"), latest.join("raftkv-register-kill"));
    wait_until("the second run has begun", || second.join("history.jsonl.zst").exists());
    let pid = i32::try_from(child.id()).expect("a process id");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGINT)
        .expect("it runs");
    assert_eq!(child.wait_with_output().expect("it ends").status.code(), Some(130));
    let night = std::fs::canonicalize(&latest).expect("a night");
    let kept = std::fs::read(first.join("results.json")).expect("the first run's results");
    let done = finish(&mut run(store.path(), &[&file, "--resume"]));
    assert_eq!(done.code, Some(0), "{}\n{}", done.json, done.stderr);
    assert_eq!(done.json["runs"].as_array().map(Vec::len), Some(2), "{}", done.json);
    assert_eq!(std::fs::canonicalize(&latest).expect("a night"), night, "in the same folder");
    assert_eq!(std::fs::read(first.join("results.json")).expect("results"), kept, "the first is left alone");
    assert!(night.join("interrupted/raftkv-register-kill/run.yaml").is_file(), "what was begun is kept");
    let page = std::fs::read_to_string(night.join("index.html")).expect("the campaign's page");
    assert!(page.contains("./raftkv-register-kill/report.html"), "the page leads to each report");
    // Another campaign is not mistaken for it.
    let done = finish(&mut run(store.path(), &[&file, "--resume", "--seed", "6"]));
    assert_eq!(done.code, Some(254), "{}", done.stderr);
    assert!(done.stderr.contains("the campaign was changed"), "{}", done.stderr);
}
