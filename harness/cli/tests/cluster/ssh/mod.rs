//! Real hosts, stood in for by local nodes: each runs an OpenSSH server of its own over folders that are its own,
//! and squall itself runs in the clients' network, as a person's machine would.

mod lab;

use std::time::Duration;

use serde_json::Value as Json;

use lab::{Lab, UNMARKED, block_on};

use crate::support::{Done, finish, run, wait_until};

/// What is run on both providers: all but one line of it.
// The last cut is longer than an operation may take: before that a process that waits sends nothing that could be lost.
const CAMPAIGN: &str = "\
name: both
seed: 11
nodes: 3
rate: 300
warm_up: 1s
time_limit: 11s
op_timeout: 2s
workloads: register
faults: none
schedule:
  - {at: 500ms, fault: {partition: {shapes: [isolate-leader]}}, for: 2s}
  - {at: 3500ms, fault: kill, for: 1s}
  - {at: 5s, fault: pause, for: 1s}
  - {at: 6500ms, fault: {partition: {shapes: [client]}}, for: 3s}
";

fn assert_valid_with_evidence(done: &Done) {
    assert_eq!(done.code, Some(0), "{}\n{}", done.json, done.stderr);
    let run = &done.json["runs"][0];
    assert_eq!(run["checks"]["linearizable"]["valid"], Json::Bool(true), "{run}");
    let faults = run["faults"].as_array().expect("faults");
    let of = |kind: &'static str| faults.iter().filter(move |f| f["kind"] == kind);
    for kind in ["kill", "pause"] {
        assert!(of(kind).all(|f| f["effective"] == Json::Bool(true)), "{run}");
    }
    assert_eq!(of("partition").count(), 2, "{run}");
    for fault in of("partition") {
        let dropped = fault["evidence"]["packets_dropped"].as_u64();
        assert!(dropped.is_some_and(|packets| packets > 0), "{fault}");
    }
}

/// One file, but for one line, on nodes of this machine and on hosts.
pub fn one_campaign_on_both() {
    let lab = Lab::new();
    let local = lab.file("local.yaml", &format!("provider: local\n{CAMPAIGN}"));
    let remote =
        lab.file("remote.yaml", &format!("provider: {{ssh: {{inventory: hosts.yaml}}}}\n{CAMPAIGN}"));
    lab.inventory("hosts.yaml", 0..3, "");
    let done = finish(&mut run(&lab.path().join("local-store"), &[local.to_str().expect("a plain path")]));
    assert_valid_with_evidence(&done);
    let done = block_on(lab.run("ssh-store", &remote, &[]));
    assert_valid_with_evidence(&done);
    let dir = lab.path().join("ssh-store/latest/raftkv-register-none");
    for n in 1..=3 {
        let log =
            std::fs::read_to_string(dir.join(format!("nodes/n{n}/raftkv.log"))).expect("a log came back");
        assert!(!log.is_empty(), "n{n} wrote nothing");
    }
    block_on(lab.assert_clean());
    bits_flip(&lab);
    harness_that_dies(&lab);
    agent_that_dies(&lab);
    block_on(what_is_refused(&lab));
}

/// A campaign that cuts links for as long as it lasts.
fn long_cut(lab: &Lab) -> std::path::PathBuf {
    lab.inventory("quick.yaml", 0..3, "dead_man_seconds: 3\n");
    let text = "provider: {ssh: {inventory: quick.yaml}}\nseed: 3\nnodes: 3\nrate: 100\nwarm_up: 500ms\n\
                time_limit: 300s\nworkloads: register\nfaults: none\n\
                schedule: [{at: 100ms, fault: {partition: {shapes: [halves]}}, for: 250s}, \
                {at: 200ms, fault: {pause: {targets: [one]}}, for: 250s}]\n";
    lab.file("long.yaml", text)
}

/// The harness is stopped dead in the middle of its faults: the hosts undo everything by themselves.
fn harness_that_dies(lab: &Lab) {
    let campaign = long_cut(lab);
    for signal in [nix::sys::signal::Signal::SIGKILL, nix::sys::signal::Signal::SIGSTOP] {
        let harness = block_on(lab.start("dies", &campaign));
        wait_until("links are cut", || block_on(lab.rules(0)).contains(" drop"));
        wait_until("the store runs", || block_on(lab.programs(0)) > 0);
        // Killed, its connections end. Stopped, they stay, and nothing is heard on them.
        harness.signal(signal);
        for host in 0..3 {
            wait_until("the firewall is healed", || block_on(lab.rules(host)).is_empty());
            wait_until("programs are gone", || block_on(lab.programs(host)) == 0);
        }
        block_on(lab.end(harness));
        wait_until("agents are gone", || (0..3).all(|host| block_on(lab.agents(host)) == 0));
        block_on(lab.assert_clean());
    }
}

/// The agent of one host is killed: its guard heals the host, and the run breaks with a word about it.
fn agent_that_dies(lab: &Lab) {
    let campaign = long_cut(lab);
    let harness = block_on(lab.start("agent", &campaign));
    wait_until("links are cut", || block_on(lab.rules(0)).contains(" drop"));
    block_on(lab.on(0, &["pkill", "-9", "-f", "host-agent serve"]));
    wait_until("the guard has healed the firewall", || block_on(lab.rules(0)).is_empty());
    wait_until("the guard has ended programs", || block_on(lab.programs(0)) == 0);
    harness.signal(nix::sys::signal::Signal::SIGINT);
    let done = block_on(lab.wait(harness));
    assert!(done.stderr.contains("dead man's switch"), "{}", done.stderr);
    assert_eq!(done.code, Some(130), "interrupted: {}", done.stderr);
    wait_until("agents are gone", || (0..3).all(|host| block_on(lab.agents(host)) == 0));
    block_on(lab.assert_clean());
}

/// Everything that is wrong with a host is one clear error, and bounded in time.
async fn what_is_refused(lab: &Lab) {
    let campaign = |name: &str| {
        let text = format!("provider: {{ssh: {{inventory: {name}.yaml}}}}\nnodes: 1\nfaults: none\n");
        lab.file(&format!("{name}-campaign.yaml"), &text)
    };
    lab.inventory_with("unknown.yaml", 0..1, "", "known_hosts: /dev/null\n");
    lab.inventory_with("changed.yaml", 0..1, "", &format!("known_hosts: {}\n", lab.swapped_known_hosts()));
    lab.inventory_with("wrong-key.yaml", 0..1, "", &format!("key: {}\n", lab.other_key()));
    lab.inventory_with("unreachable.yaml", 0..1, "", "port: 2223\n");
    lab.inventory("not-disposable.yaml", UNMARKED..UNMARKED + 1, "");
    lab.inventory("too-few.yaml", 0..1, "");
    let few = "provider: {ssh: {inventory: too-few.yaml}}\nnodes: 2\nfaults: none\n";
    lab.file("too-few-campaign.yaml", few);
    let cases = [
        ("unknown", "is an unknown host"),
        ("changed", "is not the one in"),
        ("wrong-key", "does not let root in"),
        ("unreachable", "cannot be reached"),
        ("not-disposable", "does not carry /etc/squall-disposable"),
    ];
    for (name, expected) in cases {
        let begun = std::time::Instant::now();
        let done = lab.run(name, &campaign(name), &[]).await;
        assert_eq!(done.code, Some(255), "{name}: {}\n{}", done.json, done.stderr);
        assert!(done.stderr.contains(expected), "{name}: {}", done.stderr);
        // What is bounded is bounded by tries of ten seconds; only a failure takes longer.
        assert!(begun.elapsed() < Duration::from_secs(60), "{name} took {:?}", begun.elapsed());
    }
    let done = lab.run("too-few", &lab.path().join("too-few-campaign.yaml"), &[]).await;
    assert_eq!(done.code, Some(254), "{}\n{}", done.json, done.stderr);
    assert!(done.stderr.contains("the provider has 1 nodes"), "{}", done.stderr);
    // netem is not in every kernel; where it is missing, that is said before anything starts.
    lab.inventory("hosts.yaml", 0..3, "");
    let doctor = lab.doctor("{ssh: {inventory: HERE/hosts.yaml}}").await;
    assert_eq!(doctor.code, Some(0), "{}\n{}", doctor.json, doctor.stderr);
    let probe = |name: &str| {
        let probes = doctor.json["probes"].as_array().expect("probes");
        probes.iter().find(|p| p["capability"] == name).expect("it was probed")["available"]
            == Json::Bool(true)
    };
    assert!(probe("links") && probe("damage") && !probe("disk"), "{}", doctor.json);
    assert!(!probe("clock"), "no host in a user namespace may set the machine's clock");
    if !probe("link-quality") {
        let done =
            lab.run("delay", &lab.file("d.yaml", "provider: ssh\nnodes: 3\nfaults: delay\n"), &[]).await;
        assert_eq!(done.code, Some(254), "{}", done.stderr);
        assert!(done.stderr.contains("netem"), "{}", done.stderr);
    }
    // Through another host.
    let jump = format!("jump: {{address: {}, port: 2222}}\n", lab.address(UNMARKED));
    lab.inventory("jump.yaml", 0..2, &jump);
    let doctor = lab.doctor("{ssh: {inventory: HERE/jump.yaml}}").await;
    assert_eq!(doctor.code, Some(0), "{}\n{}", doctor.json, doctor.stderr);
    lab.assert_clean().await;
}

/// Files on a host's disk are damaged where they lie.
fn bits_flip(lab: &Lab) {
    let text = "provider: ssh\nseed: 2\nnodes: 3\nrate: 200\nwarm_up: 1s\ntime_limit: 4s\nworkloads: register\n\
                faults: none\nschedule: [{at: 1s, fault: {bit-flip: {bits: 3}}, for: 1s}]\n";
    let done = block_on(lab.run("bits", &lab.file("bits.yaml", text), &[]));
    assert_eq!(done.code, Some(0), "{}\n{}", done.json, done.stderr);
    let fault = &done.json["runs"][0]["faults"][0];
    assert!(fault["evidence"]["bytes_damaged"].as_u64().is_some_and(|bytes| bytes > 0), "{fault}");
    block_on(lab.assert_clean());
}
