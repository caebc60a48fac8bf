//! Golden scripts: small clusters moved by hand, text in, text out.
//!
//! A script in `tests/golden` is a series of blocks: commands, a line `----`, what they print, an empty line.
//! `UPDATE_GOLDEN=1` rewrites the expectations. Commands:
//!
//! - `cluster n1 n2 n3`: a new cluster; `bug NAME` before it gives it one;
//! - `tick n1`: time passes until the node's deadline, and only this node notices; `wait 400ms`: nobody does;
//! - `propose n1 k=v`, `read n1 k`, `lease-read n1 k`: a client of this node;
//! - `persist n1`: its oldest write becomes durable; `crash n1`, `start n1`;
//! - `snapshot n1`: its log forgets everything that is applied;
//! - `transfer n1 n2`; `join n4`: a new node without members; `members n1 n2 n3 learners n4`: n1 is
//!   asked for these voters and learners;
//! - `batch 0`: nodes started from now on send at most so many bytes of entries, or one entry, at once;
//! - `deliver n1 n2 [all]`, `drop n1 n2`: the oldest message (or all) on this wire;
//! - `cut n1 n2`, `heal`: what `run` may deliver; `run`: everything moves until nothing is left to move;
//! - `status [n1]`, `wires`.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::Path;

use squall_raftkv::bugs::Bug;
use squall_raftkv::kv::{Answer, Command};
use squall_raftkv::raft::{Entry, Input, Membership, Message, NodeId, Payload, Proposed, ReadOutcome};
use squall_raftkv::sim::{Cluster, Happening, Wire};

#[test]
fn scripts_print_what_they_always_printed() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    let mut wrong = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let printed = run_script(&text);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&file, &printed).unwrap();
        } else if printed != text {
            let at = printed.lines().zip(text.lines()).position(|(a, b)| a != b).unwrap_or(0);
            let (a, b) = (printed.lines().nth(at), text.lines().nth(at));
            wrong.push(format!("{}:{}\n  expected {b:?}\n  printed  {a:?}", file.display(), at + 1));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The script with its outputs replaced by what its commands print.
fn run_script(text: &str) -> String {
    let mut script = Script::default();
    let mut out = String::new();
    for block in text.trim_end().split("\n\n") {
        let commands: Vec<&str> = block.lines().take_while(|l| *l != "----").collect();
        for command in &commands {
            writeln!(out, "{command}").unwrap();
        }
        if commands.iter().any(|c| !c.starts_with('#')) {
            writeln!(out, "----").unwrap();
            for command in commands.into_iter().filter(|c| !c.starts_with('#')) {
                script.command(command, &mut out);
            }
        }
        out.push('\n');
    }
    out.trim_end().to_owned() + "\n"
}

#[derive(Default)]
struct Script {
    bug: Option<Bug>,
    cluster: Option<Cluster>,
    cut: HashSet<(NodeId, NodeId)>,
    next: u64,
    keys: Vec<String>,
}

impl Script {
    fn command(&mut self, line: &str, out: &mut String) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let node = |at: usize| -> NodeId { words[at].parse().unwrap_or_else(|e| panic!("{line}: {e}")) };
        match words[0] {
            "bug" => return self.bug = Some(words[1].parse().unwrap()),
            "cluster" => {
                let ids: Vec<NodeId> = (1..words.len()).map(node).collect();
                self.cut.clear();
                self.cluster = Some(Cluster::new(&ids, 1, self.bug));
                return;
            }
            _ => {}
        }
        let cluster = self.cluster.as_mut().expect("a script begins with `cluster`");
        match words[0] {
            "tick" => {
                cluster.now = cluster.now.max(cluster.core(node(1)).map_or(0, |c| c.deadline()));
                cluster.input(node(1), Input::Tick);
            }
            "wait" => cluster.now += words[1].strip_suffix("ms").unwrap().parse::<u64>().unwrap() * 1000,
            "propose" => {
                let (key, value) = words[2].split_once('=').unwrap();
                self.next += 1;
                self.keys.push(key.to_owned());
                let command = Command::Write { key: key.into(), value: value.into() };
                cluster.propose(node(1), self.next, command, None);
            }
            "read" | "lease-read" => {
                self.next += 1;
                self.keys.push(words[2].to_owned());
                cluster.input(node(1), Input::Read { id: self.next, lease: words[0] == "lease-read" });
            }
            "persist" => assert!(cluster.persist(node(1)), "{line}: nothing waits"),
            "crash" => cluster.crash(node(1), 0),
            "start" => cluster.start(node(1)),
            "transfer" => cluster.input(node(1), Input::Transfer { to: node(2) }),
            "members" => {
                let at = words.iter().position(|w| *w == "learners").unwrap_or(words.len());
                let mut membership = Membership::of((2..at).map(node));
                membership.learners.extend((at + 1..words.len()).map(node));
                self.next += 1;
                self.keys.push(String::new());
                cluster.input(node(1), Input::ChangeMembership { id: self.next, membership });
            }
            "join" => cluster.join(node(1)),
            "snapshot" => cluster.snapshot(node(1), 0),
            "batch" => cluster.max_append_bytes = words[1].parse().unwrap(),
            "deliver" | "drop" => {
                let all = words.get(3) == Some(&"all");
                let mut found = false;
                while let Some(at) = cluster.wires.iter().position(|w| (w.from, w.to) == (node(1), node(2))) {
                    found = true;
                    if words[0] == "drop" {
                        cluster.wires.remove(at);
                    } else {
                        let wire = cluster.deliver(at);
                        writeln!(out, "{}", describe_wire(&wire)).unwrap();
                    }
                    if !all {
                        break;
                    }
                }
                assert!(found, "{line}: no message is on this wire");
            }
            "cut" => self.cut.extend([(node(1), node(2)), (node(2), node(1))]),
            "heal" => self.cut.clear(),
            "run" => run(cluster, &self.cut),
            "status" => {
                let ids: Vec<NodeId> =
                    if words.len() > 1 { vec![node(1)] } else { cluster.nodes.keys().copied().collect() };
                for id in ids {
                    writeln!(out, "{}", describe_node(cluster, id)).unwrap();
                }
            }
            "wires" => {
                for wire in &cluster.wires {
                    writeln!(out, "{}", describe_wire(wire)).unwrap();
                }
            }
            other => panic!("unknown command {other:?}"),
        }
        for (id, happening) in std::mem::take(&mut cluster.happenings) {
            if let Some(text) = describe(cluster, id, &happening, &self.keys) {
                writeln!(out, "{id} {text}").unwrap();
            }
        }
        for breach in cluster.invariants.breaches() {
            writeln!(out, "BREACH {breach}").unwrap();
        }
    }
}

/// Moves everything until nothing is left. Messages over cut wires are lost.
fn run(cluster: &mut Cluster, cut: &HashSet<(NodeId, NodeId)>) {
    for _ in 0..10_000 {
        let ids: Vec<NodeId> = cluster.nodes.keys().copied().collect();
        let persisted = ids.into_iter().filter(|&id| cluster.persist(id)).count();
        cluster.wires.retain(|w| !cut.contains(&(w.from, w.to)));
        if !cluster.wires.is_empty() {
            cluster.deliver(0);
        } else if persisted == 0 {
            return;
        }
    }
    panic!("it never comes to rest");
}

fn describe_node(cluster: &Cluster, id: NodeId) -> String {
    let disk = &cluster.nodes[&id].disk;
    let Some(core) = cluster.core(id) else {
        return format!("{id} down disk={}", describe_entries(&disk.entries));
    };
    let vote = core.hard_state().vote.map_or("-".into(), |v| v.to_string());
    let leader = core.leader().map_or("-".into(), |v| v.to_string());
    let log = core.log().slice(core.log().base_index() + 1, usize::MAX);
    format!(
        "{id} {} term={} vote={vote} leader={leader} commit={} log={}",
        core.role().as_str(),
        core.term(),
        core.commit(),
        describe_entries(&log)
    )
}

/// `index.term`, and what it writes.
fn describe_entries(entries: &[Entry]) -> String {
    let one = |e: &Entry| {
        let what = match &e.payload {
            Payload::Noop => "noop".into(),
            Payload::Command(data) => {
                match postcard::from_bytes::<squall_raftkv::kv::Request>(data).unwrap().command {
                    Command::Write { key, value } => format!("{key}={value}"),
                    other => format!("{other:?}"),
                }
            }
            Payload::Membership(m) => format!("voters={:?},learners={:?}", m.voters, m.learners),
        };
        format!("{}.{}:{what}", e.index, e.term)
    };
    format!("[{}]", entries.iter().map(one).collect::<Vec<_>>().join(" "))
}

fn describe_wire(wire: &Wire) -> String {
    let Wire { from, to, message } = wire;
    let text = match message {
        Message::Append { term, prev_index, prev_term, entries, commit } => {
            let entries = describe_entries(entries);
            format!("Append term={term} prev={prev_index}.{prev_term} commit={commit} {entries}")
        }
        Message::Snapshot { term, meta, offset, data, last } => {
            let (at, bytes) = (format!("{}.{}", meta.index, meta.term), data.len());
            format!("Snapshot term={term} of={at} offset={offset} bytes={bytes} last={last}")
        }
        other => format!("{other:?}"),
    };
    format!("{from}->{to} {text}")
}

fn describe(cluster: &Cluster, id: NodeId, happening: &Happening, keys: &[String]) -> Option<String> {
    Some(match happening {
        Happening::Role(change) => format!("is {} in term {}", change.role.as_str(), change.term),
        Happening::Proposed(_, Proposed::Ok(_)) => return None,
        Happening::Proposed(_, Proposed::Err(refusal)) => format!("refused the proposal: {refusal:?}"),
        Happening::Applied(entry, Some(done)) if matches!(done.1, Answer::Written { .. }) => {
            format!("applied {}", describe_entries(std::slice::from_ref(entry)))
        }
        Happening::Applied(..) => return None,
        Happening::Read(n, ReadOutcome::Ready) => {
            let key = &keys[*n as usize - 1];
            let found = cluster.nodes[&id].store.get(key);
            format!("read {key}={}", found.map_or("nothing", |v| v.value.as_ref()))
        }
        Happening::Read(_, outcome) => format!("failed the read: {outcome:?}"),
    })
}
