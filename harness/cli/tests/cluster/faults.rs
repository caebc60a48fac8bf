//! Every kind of fault on live clusters, each in its turn by a timeline, and what the log says of it beside the
//! fault's own word.

use std::path::Path;

use serde_json::Value as Json;
use squall_history::{FaultPhase, History};

use crate::support::{Done, finish, only_run, squall};

/// Runs a campaign's text.
fn campaign(store: &Path, text: &str) -> Done {
    let file = store.join("campaign.yaml");
    std::fs::write(&file, text).expect("a file");
    let mut command = squall();
    finish(command.arg("run").arg(&file).arg("--store").arg(store.join("store")).args(["--format", "json"]))
}

fn history(store: &Path) -> History {
    let log = only_run(&store.join("store")).join("history.jsonl.zst");
    squall_history::runlog::read_log_file(&log).expect("a whole log").0
}

fn evidence(done: &Done, kind: &str) -> Json {
    let faults = done.json["runs"][0]["faults"].as_array().cloned().unwrap_or_default();
    let of_kind = faults.into_iter().find(|f| f["kind"] == kind).unwrap_or_default();
    assert_eq!(of_kind["effective"], Json::Bool(true), "{kind}: {of_kind}\n{}", done.stderr);
    of_kind["evidence"].clone()
}

fn assert_valid(done: &Done) {
    assert_eq!(done.code, Some(0), "{}\n{}", done.json, done.stderr);
}

/// What a run does to its faults is asked, not how much it gets done: on a busy machine that may prove too little.
fn assert_not_invalid(done: &Done) {
    assert!(matches!(done.code, Some(0 | 2)), "{}\n{}", done.json, done.stderr);
    let checks = done.json["runs"][0]["checks"].as_object().cloned().unwrap_or_default();
    assert!(!checks.is_empty() && checks.values().all(|c| c["valid"] != Json::Bool(false)), "{checks:?}");
}

/// When an injection was on.
fn window(history: &History, kind: &str) -> (u64, u64) {
    let at = |phase| history.faults.iter().find(|f| f.kind == kind && f.phase == phase).map(|f| f.time);
    (at(FaultPhase::Begin).expect("it began"), at(FaultPhase::End).expect("it ended"))
}

/// Programs whose end the kernel told within a window, by how: a signal, or an exit code.
fn exits(history: &History, (from, to): (u64, u64), how: &str) -> usize {
    let slack = 100_000_000;
    let within = |time: u64| time + 6_000_000_000 >= from && time <= to + slack;
    let notes = history.notes.iter().filter(|n| n.kind == "exit" && within(n.time));
    notes.filter(|n| n.data.contains_key(how)).count()
}

pub fn processes_and_links() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = "seed: 8\nnodes: 3\nrate: 200\nwarm_up: 500ms\ntime_limit: 13s\nschedule:
  - {at: 200ms, fault: {stop: {targets: [one]}}, for: 800ms}
  - {at: 2s, fault: {crash-loop: {targets: [one], life: 300ms}}, for: 1500ms}
  - {at: 4s, fault: {cpu: {targets: [one], share: 0.2}}, for: 1s}
  - {at: 5500ms, fault: {memory: {targets: [one], room: 8MiB}}, for: 500ms}
  - {at: 6500ms, fault: {half-open: {targets: [leader]}}, for: 1s}
  - {at: 8s, fault: {flap: {targets: [leader], period: 200ms}}, for: 2s}
  - {at: 10500ms, fault: rolling-restart, for: 2s}\n";
    let done = campaign(dir.path(), text);
    assert_valid(&done);
    assert_eq!(evidence(&done, "stop")["had_to_be_killed"], 0);
    assert!(evidence(&done, "crash-loop")["crashes"].as_u64() >= Some(2));
    assert!(evidence(&done, "memory")["nodes_limited"] == 1);
    assert!(evidence(&done, "flap")["times_down"].as_u64() >= Some(2));
    assert!(evidence(&done, "rolling-restart")["nodes_restarted"].as_u64() >= Some(1));
    for kind in ["cpu", "half-open"] {
        evidence(&done, kind);
    }
    let history = history(dir.path());
    assert!(exits(&history, window(&history, "crash-loop"), "signal") >= 2, "the kernel saw them killed");
    // What the fabric counted is no proof that it is over: the run goes on to be valid, with every node serving.
    assert_eq!(done.json["runs"][0]["liveness"]["recovered"], Json::Bool(true));
}

pub fn disks() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = "seed: 8\nnodes: 5\nrate: 200\nwarm_up: 500ms\ntime_limit: 10s\nschedule:
  - {at: 200ms, fault: {disk-error: {share: 1.0}}, for: 1s, plan: {targets: one, nodes: [0]}}
  - {at: 2s, fault: disk-full, for: 1s, plan: {targets: one, nodes: [1]}}
  - {at: 3500ms, fault: {stale-read: {share: 1.0}}, for: 1s, plan: {targets: one, nodes: [0]}}
  - {at: 6500ms, fault: {bit-flip: {files: '**/*.wal', bits: 20}}, for: 200ms, plan: {targets: one, nodes: [0]}}
  - {at: 7500ms, fault: {truncate: {files: '**/*.wal'}}, for: 200ms, plan: {targets: one, nodes: [1]}}
  - {at: 8500ms, fault: lost-fsync, for: 200ms, plan: {targets: one, nodes: [2]}}
  - {at: 9s, fault: membership, for: 200ms, plan: {targets: one, nodes: [3]}}\n";
    let done = campaign(dir.path(), text);
    assert!(done.json["runs"][0]["checks"]["linearizable"]["valid"] == Json::Bool(true), "{}", done.json);
    assert_eq!(evidence(&done, "disk-error")["nodes_that_gave_up"], 1);
    evidence(&done, "disk-full");
    // A log that is only appended to has few blocks that are overwritten, so whether one reads stale is chance here;
    // `measured` overwrites some and sees them.
    assert_eq!(evidence(&done, "bit-flip")["bytes_damaged"], 20);
    evidence(&done, "truncate");
    let history = history(dir.path());
    let excused = |n: &&squall_history::Note| n.kind == "exit" && n.data["excused"] == Json::Bool(true);
    let gave_up = history.notes.iter().filter(excused).any(|n| n.data["expected"] == Json::Bool(false));
    assert!(gave_up, "a program that met a failing disk gave up, and is excused");
    // Two of five disks are spoilt by then: a third would be more than a minority.
    let last = history.faults.iter().find(|f| f.kind == "lost-fsync").expect("it was planned");
    assert!(last.nodes.is_empty() && last.description.contains("harmed nobody"), "{last:?}");
    // Nor may a healthy node go: what is left would have a majority only with a spoilt one.
    let kept = history.faults.iter().find(|f| f.kind == "membership").expect("it was planned");
    assert!(kept.description.contains("changed nothing"), "{kept:?}");
}

pub fn members_and_upgrades() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = "seed: 8\nnodes: 3\nrate: 200\nwarm_up: 500ms\ntime_limit: 15s\nschedule:
  - {at: 500ms, fault: {membership: {targets: [one]}}, for: 500ms}
  - {at: 4s, fault: {membership: {kinds: [rejoin], targets: [leader]}}, for: 500ms}
  - {at: 7s, fault: {membership: {kinds: [demote], targets: [one]}}, for: 1s}
  - {at: 10s, fault: {membership: {kinds: [shrink]}}, for: 200ms}
  - {at: 12500ms, fault: {upgrade: {to: {heartbeat: 40ms}}}, for: 2500ms}\n";
    let done = campaign(dir.path(), text);
    assert_valid(&done);
    assert_eq!(evidence(&done, "membership")["standing"], "member");
    assert!(evidence(&done, "upgrade")["nodes_upgraded"].as_u64() >= Some(1));
    let history = history(dir.path());
    let all = history.faults.iter().filter(|f| f.kind == "membership" && f.effective == Some(true));
    let all: Vec<_> = all.collect();
    assert_eq!(all.len(), 4, "{all:?}");
    assert_eq!(all[2].evidence["standing"], "member", "it has its vote back");
    assert!(all[3].evidence["back"].as_u64() >= Some(1), "{:?}", all[3]);
}

pub fn etcd_members() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = "seed: 8\nnodes: 3\nrate: 200\nwarm_up: 500ms\ntime_limit: 6s\ntargets: [etcd]\nschedule:
  - {at: 500ms, fault: {membership: {targets: [leader]}}, for: 500ms}\n";
    let done = campaign(dir.path(), text);
    assert_valid(&done);
    assert_eq!(evidence(&done, "membership")["standing"], "member");
    let refused = campaign(dir.path(), "targets: [etcd]\nfaults: {membership: {kinds: [rejoin]}}\n");
    assert_eq!(refused.code, Some(254), "{}", refused.stderr);
    assert!(refused.stderr.contains("cannot come back with its data"), "{}", refused.stderr);
}

/// A random walk is read by the target; of three faults each run of a swarm has what its seed leaves it.
pub fn clocks_and_swarms() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = "seed: 8\nnodes: 3\nrate: 200\nwarm_up: 500ms\ntime_limit: 4s\nschedule:
  - {at: 500ms, fault: {clock: {kinds: [walk], targets: [all]}}, for: 3s, plan: {step_seconds: 0.5, period_seconds: 0.1, walk: 3}}\n";
    let done = campaign(dir.path(), text);
    assert_not_invalid(&done);
    let walked = evidence(&done, "clock");
    let offset = |node: &str| walked[node]["offset_seconds"].as_f64().expect("an offset");
    // A walk of one node is not that of another, and thirty steps lead somewhere.
    assert!(offset("n1") != offset("n2") && offset("n1") != 0.0, "{walked}");

    let dir = tempfile::tempdir().expect("a folder");
    let text = "seed: 8\nnodes: 3\nrate: 200\nwarm_up: 200ms\ntime_limit: 3s\nrepeat: 5\nswarm: true\nfaults: [[partition, pause, delay]]\n";
    let done = campaign(dir.path(), text);
    let runs = done.json["runs"].as_array().cloned().unwrap_or_default();
    let kinds = |run: &Json| -> std::collections::BTreeSet<String> {
        let faults = run["faults"].as_array().cloned().unwrap_or_default();
        faults.iter().filter_map(|f| f["kind"].as_str().map(str::to_owned)).collect()
    };
    let sets: std::collections::BTreeSet<_> = runs.iter().map(kinds).collect();
    assert!(runs.len() == 5 && sets.len() > 1, "every run had the same faults: {sets:?}");
}

/// A server that a spoilt disk ended is up again long before the fault ends, because a watchdog started it.
pub fn watchdog() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = "seed: 8\nnodes: 3\nrate: 200\nwarm_up: 500ms\ntime_limit: 7s\nwatchdog: 200ms\nschedule:
  - {at: 500ms, fault: {disk-error: {share: 1.0}}, for: 5s, plan: {targets: one, nodes: [0]}}\n";
    let done = campaign(dir.path(), text);
    assert_not_invalid(&done);
    let history = history(dir.path());
    let ended = |n: &&squall_history::Note| n.kind == "exit" && n.data["expected"] == Json::Bool(false);
    let exits: Vec<u64> = history.notes.iter().filter(ended).map(|n| n.time).collect();
    let (from, to) = window(&history, "disk-error");
    // Whoever ends twice while the fault is on was started in between, and not by the fault.
    assert!(exits.iter().filter(|time| (from..to).contains(time)).count() >= 2, "{exits:?}");
}

/// Every fault has a page with its evidence, its limits and an example that is a campaign, and the summary leads there.
pub fn pages() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let read = |name: &str| {
        let path = docs.join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    };
    let summary = read("SUMMARY.md");
    let registry = squall::Registry::default();
    assert!(registry.faults().len() > 20, "all of them are there");
    for fault in registry.faults() {
        let (name, file) = (fault.name, format!("faults/{}.md", fault.name));
        assert!(summary.contains(&format!("({file})")), "docs/SUMMARY.md does not lead to {file}");
        let page = read(&file);
        for part in ["**Evidence", "**Limits.**"] {
            assert!(page.contains(part), "{file} has no {part}");
        }
        let blocks = page.split("```yaml\n").skip(1);
        let examples: Vec<&str> = blocks.map(|b| b.split("```").next().unwrap_or_default()).collect();
        assert!(examples.iter().any(|text| text.contains(name)), "{file} has no example");
        for text in examples {
            let parsed = squall::campaign::Campaign::parse(&file, text);
            let resolved = parsed.map(|campaign| campaign.resolve(&registry).map(|plans| plans.len()));
            assert!(matches!(resolved, Ok(Ok(1..))), "{file}: {resolved:?}");
        }
    }
}

pub fn triggers() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = "seed: 8\nnodes: 3\nrate: 300\nwarm_up: 500ms\ntime_limit: 8s\nschedule:
  - {at: 1s, fault: {kill: {targets: [leader]}}, for: 1s}
  - {after: {event: leader-change, delay: 300ms}, fault: {pause: {targets: [leader]}}, for: 500ms}
  - {after: {ok_operations: 100}, fault: {delay: {mean: 5ms}}, for: 500ms}
  - {after: {log: serving clients}, fault: {loss: {targets: [all]}}, for: 500ms}
  - {after: {log: became leader}, fault: {half-open: {targets: [all]}}, on: writer, for: 300ms}
  - {at: 3500ms, every: 1s, fault: {duplicate: {targets: [all]}}, for: 200ms}
  - {at: 4s, fault: {topple: {reigns: [300ms]}}, for: 4s}\n";
    let done = campaign(dir.path(), text);
    let history = history(dir.path());
    let begun = |kind: &str| -> Vec<&squall_history::Fault> {
        history.faults.iter().filter(|f| f.kind == kind && f.phase == FaultPhase::Begin).collect()
    };
    assert_eq!(begun("duplicate").len(), 5, "it comes back every second");
    assert!(evidence(&done, "topple")["leaders_cut_off"].as_u64() >= Some(1));
    // Aimed at all, it struck the one that wrote the line.
    let struck = begun("half-open");
    let [elected] = &*struck[0].nodes else { panic!("{struck:?}") };
    let leads = |n: &&squall_history::Note| n.kind == "leader" && n.node.as_ref() == Some(elected);
    assert!(history.notes.iter().any(|n| leads(&n)), "{elected} was never seen to lead");
    let kill = window(&history, "kill");
    let killed = exits(&history, kill, "signal");
    assert!(killed >= 1, "{}", done.json);
    let leader = history.notes.iter().find(|n| n.kind == "leader" && n.time > kill.0).expect("a new leader");
    let (paused, _) = window(&history, "pause");
    assert!(
        paused >= leader.time + 200_000_000,
        "after the new leader, with its delay: {paused} {}",
        leader.time
    );
    let main = history.phase_start("main").expect("a main phase");
    let (delayed, _) = window(&history, "delay");
    let ok = history.ops().filter(|op| op.outcome == squall_history::Outcome::Ok);
    let before = ok.filter(|op| (main..delayed).contains(&op.end)).count();
    assert!(before >= 100, "{before}");
}

/// What replays finds again what was found; what shrinks is smaller, and still finds it.
pub fn again_and_smaller() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = "seed: 5\nnodes: 5\nwarm_up: 1s\ntime_limit: 7s\ntargets: [{raftkv: {bug: lease-clock, read: lease}}]\nworkloads: [{register: {keys: 2}}]\nschedule:
  - {at: 1s, fault: {clock: {kinds: [jump], targets: [leader]}}, for: 5s, plan: {offset_seconds: -20}}
  - {at: 1200ms, fault: {partition: {shapes: [isolate-leader]}}, for: 4s}
  - {at: 6s, fault: {pause: {targets: [one]}}, for: 500ms}\n";
    let done = campaign(dir.path(), text);
    assert_eq!(done.code, Some(1), "{}\n{}", done.json, done.stderr);
    let run = only_run(&dir.path().join("store")).canonicalize().expect("a run");
    let json = |command: &str, more: &[&str]| {
        let mut asked = squall();
        asked.arg(command).arg(&run).arg("--store").arg(dir.path().join("more")).args(["--format", "json"]);
        finish(asked.args(more))
    };
    // By role, not by name: another node may lead this time.
    let again = json("replay", &["--times", "2"]);
    assert!(again.json["again"].as_u64() >= Some(1) && again.code == Some(1), "{}", again.stderr);
    assert!(again.stderr.contains("of 2: nonlinearizable"), "{}", again.stderr);
    // Twice each: a smaller one that fails may miss its moment once. Time enough on a busy machine, too.
    let shrunk = json("shrink", &["--times", "2", "--time-limit", "60s"]);
    assert_eq!(shrunk.code, Some(0), "{}", shrunk.stderr);
    assert!(shrunk.json["steps"].as_u64() < Some(3), "{}", shrunk.json);
    let file = run.join("smallest.yaml");
    let text = std::fs::read_to_string(&file).expect("it is written");
    assert!(text.contains("schedule:") && text.contains("invalid:"), "{text}");
}
