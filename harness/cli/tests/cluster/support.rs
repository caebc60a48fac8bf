//! Running the binary and looking at what it did.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

/// The binary under test.
pub fn squall() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_squall"));
    // A person's environment must not change what a test means.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SQUALL_") {
            command.env_remove(name);
        }
    }
    command
}

/// `squall run` into this store.
pub fn run(store: &Path, args: &[&str]) -> Command {
    let mut command = squall();
    command.arg("run").arg("--store").arg(store).args(["--format", "json"]).args(args);
    command
}

/// What came of a finished command.
pub struct Done {
    pub code: Option<i32>,
    pub json: Json,
    pub stderr: String,
}

pub fn finish(command: &mut Command) -> Done {
    let output: Output = command.output().expect("the binary can be started");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let json = serde_json::from_slice(&output.stdout).unwrap_or(Json::Null);
    Done { code: output.status.code(), json, stderr }
}

/// The folder of the only run of a store.
pub fn only_run(store: &Path) -> std::path::PathBuf {
    let runs: Vec<_> = std::fs::read_dir(store.join("latest"))
        .expect("the store has a latest campaign")
        .map(|entry| entry.expect("it can be read").path())
        .filter(|path| path.is_dir())
        .collect();
    assert_eq!(runs.len(), 1, "{runs:?}");
    runs[0].clone()
}

/// A process and everything that descends from it.
pub fn tree(root: u32) -> BTreeSet<u32> {
    let mut parents = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("there is a /proc").filter_map(Result::ok) {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        // The name in brackets may hold anything; what follows its last bracket does not.
        let Some((_, rest)) = stat.rsplit_once(')') else { continue };
        if let Some(parent) = rest.split_whitespace().nth(1).and_then(|p| p.parse().ok()) {
            parents.push((pid, parent));
        }
    }
    let mut found = BTreeSet::from([root]);
    loop {
        let more: Vec<u32> = parents
            .iter()
            .filter(|(pid, parent)| found.contains(parent) && !found.contains(pid))
            .map(|p| p.0)
            .collect();
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}

/// Names of this machine's interfaces, and its mounts.
pub fn machine() -> (BTreeSet<String>, String) {
    let interfaces = std::fs::read_dir("/sys/class/net")
        .expect("there is a /sys")
        .filter_map(Result::ok)
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    (interfaces, std::fs::read_to_string("/proc/self/mountinfo").expect("there is a /proc"))
}

/// Waits until something holds. The limit is generous: only a failure takes that long.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(60), "waited a minute for: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether a process is there and not merely waiting to be reaped.
pub fn lives(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| stat.rsplit_once(')').map(|(_, rest)| !rest.trim_start().starts_with('Z')))
        .unwrap_or(false)
}
