//! Machines that lack a device: what can be done without it is done, and what cannot is refused before anything starts.

use std::path::Path;
use std::process::Command;

use serde_json::Value as Json;

use crate::support::{Done, finish, only_run};

/// Runs the binary in a mount namespace of its own whose `/dev` has the plainest devices only.
fn without_devices(store: &Path, args: &str) -> Done {
    let script = "set -e; dev=$(mktemp -d); mount -t tmpfs none $dev
        for name in null zero full random urandom tty; do touch $dev/$name; mount --bind /dev/$name $dev/$name; done
        mkdir $dev/shm; ln -s /proc/self/fd $dev/fd; mount --rbind $dev /dev; rmdir $dev 2>/dev/null || true; exec ";
    let binary = env!("CARGO_BIN_EXE_squall");
    let store = store.display();
    let run = format!("{script} {binary} run --store {store} --format json {args}");
    finish(Command::new("unshare").args(["--user", "--map-root-user", "--mount", "sh", "-c", &run]))
}

pub fn without_devices_is_less() {
    let dir = tempfile::tempdir().expect("a folder");
    let store = dir.path().join("store");
    let done = without_devices(&store, "--faults power-loss --time-limit 1s");
    assert_eq!(done.code, Some(254), "{}\n{}", done.json, done.stderr);
    assert!(done.stderr.contains("/dev/fuse cannot be opened"), "{}", done.stderr);
    assert!(done.stderr.contains("chmod 0666 /dev/fuse"), "and what to do: {}", done.stderr);
    let begun = std::fs::read_dir(&store).into_iter().flatten().flatten();
    assert!(!begun.into_iter().any(|night| night.path().join("history.jsonl.zst").exists()));

    // Without TUN packets travel over veth pairs.
    let store = dir.path().join("more");
    let args = "--faults partition --nodes 3 --time-limit 4s --seed 7";
    let done = without_devices(&store, args);
    assert!(matches!(done.code, Some(0 | 2)), "{}\n{}", done.json, done.stderr);
    let run = &done.json["runs"][0];
    assert_eq!(run["checks"]["linearizable"]["valid"], Json::Bool(true), "{run}");
    assert_eq!(run["faults"][0]["effective"], Json::Bool(true), "{run}");
    assert!(only_run(&store).join("report.html").is_file());
}
