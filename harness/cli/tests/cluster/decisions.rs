//! What the seed decides is decided alike, however the runs themselves went.

use std::collections::BTreeMap;
use std::path::Path;

use squall_history::{FaultPhase, History, Value};

use crate::support::{finish, only_run, run};

/// Operations by worker, in order, without what a cas expects: that depends on the run. So do the final reads,
/// which go to whoever is free, and of keys that the run had.
fn operations(history: &History) -> BTreeMap<u32, Vec<(String, Value, Value)>> {
    let worker_of: BTreeMap<u32, u32> = history.processes.iter().map(|p| (p.process, p.worker)).collect();
    let mut decided = BTreeMap::<u32, Vec<_>>::new();
    let healed = history.phase_start("heal").expect("a whole run");
    for op in history.ops().filter(|op| op.start < healed) {
        let value = match (op.f, op.input.as_pair()) {
            ("cas", Some((_, new))) => new.clone(),
            _ => op.input.clone(),
        };
        decided.entry(worker_of[&op.process]).or_default().push((op.f.to_owned(), op.key.clone(), value));
    }
    decided
}

/// Plans by fault.
fn faults(history: &History) -> BTreeMap<u32, (String, serde_json::Value)> {
    let begun = history.faults.iter().filter(|f| f.phase == FaultPhase::Begin);
    begun.map(|f| (f.id, (f.kind.clone(), f.detail.clone()))).collect()
}

fn history(dir: &Path) -> History {
    let args = ["--faults", "partition,kill", "--time-limit", "6s", "--seed", "42", "--nodes", "3"];
    let done = finish(&mut run(dir, &args));
    assert_eq!(done.code, Some(0), "{}\n{}", done.json, done.stderr);
    let log = only_run(dir).join("history.jsonl.zst");
    squall_history::runlog::read_log_file(&log).expect("a whole log").0
}

pub fn one_seed_decides_alike_twice() {
    let dirs = [tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder")];
    let [a, b] = dirs.each_ref().map(|dir| history(dir.path()));
    let (ops_a, ops_b) = (operations(&a), operations(&b));
    assert_eq!(ops_a.len(), 6, "two processes a node");
    let mut compared = 0;
    for (worker, mine) in &ops_a {
        let theirs = &ops_b[worker];
        let both = mine.len().min(theirs.len());
        let apart = (0..both).find(|&i| mine[i] != theirs[i]);
        assert_eq!(apart, None, "worker {worker}: {:?}", apart.map(|i| (&mine[i], &theirs[i])));
        compared += both;
    }
    assert!(compared > 1000, "only {compared} operations were in both runs");
    let (faults_a, faults_b) = (faults(&a), faults(&b));
    let both: Vec<_> = faults_a.keys().filter(|id| faults_b.contains_key(id)).collect();
    assert!(!both.is_empty());
    for id in both {
        assert_eq!(faults_a[id], faults_b[id], "fault {id}");
    }
}
