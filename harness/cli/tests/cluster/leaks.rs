//! Many runs in a row, in one process, leave what was there before. `SQUALL_LEAK_RUNS=200` for a thorough look.

use std::path::Path;
use std::time::Duration;

use crate::support::{lives, machine, squall, tree};

/// Of a process: its open descriptors and its threads; none if it is gone.
fn held(pid: u32) -> Option<(usize, usize)> {
    let count = |what: &str| std::fs::read_dir(format!("/proc/{pid}/{what}")).ok().map(Iterator::count);
    Some((count("fd")?, count("task")?))
}

/// The least that a process held while `run` went by. Between two runs it holds no cluster.
fn least(pid: u32, over: impl Fn() -> bool) -> (usize, usize, usize) {
    let mut least = (usize::MAX, usize::MAX, usize::MAX);
    while lives(pid) && !over() {
        if let Some((fds, threads)) = held(pid) {
            least = (least.0.min(fds), least.1.min(threads), least.2.min(tree(pid).len()));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    least
}

fn finished(store: &Path) -> usize {
    let Ok(runs) = std::fs::read_dir(store.join("latest")) else { return 0 };
    runs.filter_map(Result::ok).filter(|run| run.path().join("report.html").exists()).count()
}

pub fn many_runs_leave_nothing() {
    let runs: usize = std::env::var("SQUALL_LEAK_RUNS").ok().and_then(|n| n.parse().ok()).unwrap_or(6);
    let dir = tempfile::tempdir().expect("a folder");
    let store = dir.path().join("store");
    let file = dir.path().join("campaign.yaml");
    let text = format!(
        "seed: 1\nnodes: 3\nrate: 200\nwarm_up: 200ms\ntime_limit: 2s\nrepeat: {runs}\nfaults: [[partition, kill, pause, clock, power-loss, cpu]]\ntiming: {{on: 500ms, off: 500ms}}\n"
    );
    std::fs::write(&file, text).expect("a file");
    let before = machine();
    let mut child = squall()
        .arg("run")
        .arg(&file)
        .arg("--store")
        .arg(&store)
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the binary can be started");
    let pid = child.id();
    // The first run warms up what lasts: threads, the keeper.
    least(pid, || finished(&store) >= 1);
    let early = least(pid, || finished(&store) > runs / 2);
    let late = least(pid, || finished(&store) >= runs);
    let code = child.wait().expect("it ends").code();
    assert!(matches!(code, Some(0 | 2)), "{code:?}: a run of two seconds may prove too little, no more");
    println!("least descriptors, threads, processes: early {early:?}, late {late:?}, {runs} runs");
    // Idle threads of the runtime's pool live for ten seconds: as many as one run needs may be there at any time.
    assert!(late.0 <= early.0 + 2 && late.1 <= early.1 + 8 && late.2 <= early.2, "{early:?} → {late:?}");
    let (interfaces, mounts) = machine();
    assert_eq!(before.0, interfaces);
    assert_eq!(before.1.lines().count(), mounts.lines().count(), "{mounts}");
}
