//! A cluster that squall did not start: three servers on addresses of the loopback, started by a script of the test,
//! handled by the commands of its file, and still there when squall has gone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use crate::support::{finish, lives, squall, wait_until};

/// Three servers, ended when the test ends, however it ends.
struct Servers {
    dir: tempfile::TempDir,
}

const NODES: [&str; 3] = ["a", "b", "c"];

impl Servers {
    fn start() -> Self {
        let servers =
            Servers { dir: tempfile::Builder::new().prefix("ein Ort ").tempdir().expect("a folder") };
        // Addresses that nobody else's test has: the ports are the same everywhere.
        let [x, y] = (std::process::id() as u16).to_be_bytes();
        let address = |node: usize| format!("127.{}.{y}.{}", 100 + x % 100, node + 1);
        let peers: Vec<_> =
            NODES.iter().enumerate().map(|(i, n)| format!("{n}={}:7001", address(i))).collect();
        let mut script = format!("cd \"$(dirname \"$0\")\"\nP={}\ncase $1 in\n", peers.join(","));
        for (index, node) in NODES.iter().enumerate() {
            script.push_str(&format!("{node}) A={};;\n", address(index)));
        }
        script.push_str(&format!(
            "esac\n'{}' raftkv serve --id $1 --peers $P --client-addr $A:7000 --data-dir $1.data >> $1.out 2>&1 &\n\
             echo $! > $1.pid\n",
            env!("CARGO_BIN_EXE_squall")
        ));
        servers.write("start", &script);
        // What has ended and was not reaped by anybody does not run.
        servers.write("state", "grep -q \"^State:.[$2]\" /proc/$(cat \"$(dirname \"$0\")/$1.pid\")/status\n");
        let nodes = |index| format!("  - {{name: {}, address: {}}}\n", NODES[index], address(index));
        servers.write(
            "cluster.yaml",
            &format!(
                "nodes:\n{}{}{}{}",
                nodes(0),
                nodes(1),
                nodes(2),
                r#"
version: whatever runs there
reset: |
  for n in a b c; do
    kill -9 $(cat $n.pid); while sh ./state $n RSDT; do sleep 0.02; done; rm -rf $n.data; sh start $n
  done
heal: for n in a b c; do kill -CONT $(cat $n.pid); done
programs:
  kill: kill -9 $(cat {node}.pid)
  start: sh {dir}/start {node}
  running: sh ./state {node} RSDT
  pause: kill -STOP $(cat {node}.pid)
  resume: kill -CONT $(cat {node}.pid)
  paused: sh ./state {node} T
logs:
  server: {follow: "tail -n +1 -F {node}.out"}
  again: {fetch: "cat {node}.out; echo {seconds} seconds"}
faults:
  own-nap:
    targets: [minority]
    begin: kill -STOP $(cat {node}.pid)
    prove: sh ./state {node} T && echo {node} at {address} sleeps
    end: kill -CONT $(cat {node}.pid)
  own-nothing:
    begin: echo {nodes} of {nodes},{others} for {seconds} s
    prove: echo nothing to be seen; exit 7
    end: "true"
"#
            ),
        );
        for node in NODES {
            let started = std::process::Command::new("sh").arg(servers.file("start")).arg(node).status();
            assert!(started.expect("a shell").success());
        }
        servers
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.file(name), text).expect("a file");
    }

    fn pids(&self) -> Vec<u32> {
        let read =
            |node| std::fs::read_to_string(self.file(&format!("{node}.pid"))).ok()?.trim().parse().ok();
        NODES.into_iter().filter_map(read).collect()
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for pid in self.pids() {
            let pid = nix::unistd::Pid::from_raw(pid as i32);
            // One that is gone already is fine.
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
        }
    }
}

fn campaign(servers: &Servers, text: &str) -> crate::support::Done {
    servers.write("campaign.yaml", &format!("provider: {{attach: cluster.yaml}}\n{text}"));
    let (file, store) = (servers.file("campaign.yaml"), servers.file("store"));
    finish(squall().arg("run").arg(&file).arg("--store").arg(&store).args(["--format", "json"]))
}

fn faults(run: &Json) -> BTreeMap<String, Vec<Json>> {
    let mut by_kind = BTreeMap::<String, Vec<Json>>::new();
    for fault in run["faults"].as_array().cloned().unwrap_or_default() {
        by_kind.entry(fault["kind"].as_str().unwrap_or_default().to_owned()).or_default().push(fault);
    }
    by_kind
}

/// Judged as elsewhere, harmed by its owner's commands, and left running.
pub fn a_running_cluster_is_judged_and_left_running() {
    let servers = Servers::start();
    let text = "seed: 11\nfaults: [kill, pause, own-nap, own-nothing]\nwarm_up: 500ms\ntime_limit: 4s\n\
                timing: {on: 700ms, off: 600ms}\nrate: 300\n";
    let done = campaign(&servers, text);
    let runs = done.json["runs"].as_array().cloned().unwrap_or_default();
    assert_eq!(runs.len(), 4, "{}\n{}", done.json, done.stderr);
    for (run, kind) in runs.iter().zip(["kill", "pause", "own-nap"]) {
        assert_eq!(run["outcome"], "pass", "{run}\n{}", done.stderr);
        assert_eq!(run["target_version"], "whatever runs there");
        assert!(faults(run)[kind].iter().any(|f| f["effective"] == true), "{run}");
    }
    let nap = &faults(&runs[2])["own-nap"][0];
    let printed = nap["evidence"]["proofs"][0]["printed"].as_str().unwrap_or_default();
    assert!(printed.contains(" at 127.") && printed.contains("sleeps"), "its own words: {nap}");
    // What is not proven is not believed: a run that was to have that fault says nothing.
    assert_eq!((done.code, &runs[3]["outcome"]), (Some(2), &Json::from("unknown")), "{}", done.stderr);
    let nothing = &faults(&runs[3])["own-nothing"][0];
    assert_eq!(nothing["effective"], false);
    assert_eq!(nothing["evidence"]["proofs"][0]["ended_with"], "exit code 7", "{nothing}");
    let run = servers.file("store/latest").join(runs[0]["name"].as_str().expect("a name"));
    for node in NODES {
        let log = |name: &str| std::fs::read_to_string(run.join("nodes").join(node).join(name));
        assert!(!log("server.log").expect("it was followed").is_empty());
        assert!(log("again.log").expect("it was fetched").ends_with(" seconds\n"));
    }
    let pids = servers.pids();
    assert!(pids.iter().all(|pid| lives(*pid)), "squall leaves what it found: {pids:?}");
    drop(servers);
    wait_until("the test's servers end by their pids", || !pids.iter().any(|pid| lives(*pid)));
}

fn refused(dir: &Path, cluster: &str, text: &str, why: &str) {
    std::fs::write(dir.join("cluster.yaml"), cluster).expect("a file");
    std::fs::write(dir.join("campaign.yaml"), format!("provider: {{attach: cluster.yaml}}\n{text}"))
        .expect("a file");
    let store = dir.join("store");
    let done = finish(squall().arg("run").arg(dir.join("campaign.yaml")).arg("--store").arg(&store));
    assert_eq!(done.code, Some(254), "{text}: {}", done.stderr);
    assert!(done.stderr.contains(why), "{text}: {}", done.stderr);
    assert!(!store.exists(), "nothing was started");
}

/// Before anything starts, and with the reason.
pub fn what_a_running_cluster_cannot_bear_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    let nodes = "nodes: [{name: a, address: 127.0.0.2}, {name: b, address: 127.0.0.3}]\n";
    let empty = &format!("{nodes}starts_empty: true\n");
    refused(dir, empty, "faults: [partition]\n", "describe it under `faults` of the cluster file");
    refused(dir, empty, "faults: [partition]\n", "campaign.yaml:2:");
    refused(dir, empty, "faults: [kill]\n", "no command `kill` under `programs`");
    refused(dir, empty, "faults: [membership]\n", "starts other programs on nodes");
    refused(dir, empty, "faults: [own-x]\n", "no fault is named `own-x`");
    refused(dir, empty, "nodes: 5\n", "has 2 nodes, but the run");
    refused(dir, empty, "repeat: 2\n", "the cluster file has no `reset`");
    refused(dir, empty, "parallel: 2\n", "`parallel` must be 1");
    let known = &format!("{empty}faults: {{partiton: {{begin: x, end: y}}}}\n");
    refused(dir, known, "", "begins with `own-`");
    refused(dir, "nodes: [{name: a}]\n", "", "address");
    std::fs::remove_file(dir.join("cluster.yaml")).expect("own file");
    let text = "provider: {attach: cluster.yaml}\n";
    std::fs::write(dir.join("campaign.yaml"), text).expect("a file");
    let done = finish(squall().arg("run").arg(dir.join("campaign.yaml")));
    assert_eq!(done.code, Some(254));
    assert!(done.stderr.contains("cluster.yaml cannot be read"), "{}", done.stderr);
}
