//! How clusters end: asked, dropped, with their harness killed, two hundred times over, as an ordinary user.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use squall_cluster::{Cluster, Error, Exit, Program, Provider};
use squall_local::testing::{Need, Test};

use crate::network::n;
use crate::roles::WORD;
use crate::support::{Host, eventually, provider, role, spec, test};

pub fn tests() -> Vec<Test> {
    vec![
        test("shutting down leaves no process and no mount", shut_down),
        test("dropping a cluster takes it down too", dropped),
        test("killing the harness leaves nothing", harness_killed),
        test("killing the keeper takes its clusters down, and the next is made by another", keeper_killed),
        test("two hundred clusters leave no descriptor, thread or process", two_hundred),
        test("a cluster that cannot be made says why", cannot_be_made),
        test("what the machine lacks is found and named", probed),
        test("a machine that allows no namespaces is told so, and tests on it are ignored", no_namespaces),
        test("a machine with a covered /proc is told so", covered_proc),
        test("the measurements measure", measurements),
        Test::new("an ordinary user runs all of this", ordinary_user).needs(Need::Nodes).needs(Need::Root),
        Test::new("an ordinary user without TUN runs all of this", ordinary_user_without_tun)
            .needs(Need::Nodes)
            .needs(Need::Root),
    ]
}

/// Processes of this machine that belong to the cluster in `dir`: those whose environment names it. Nodes'
/// programs have it as their home, and the keeper of a harness that was given it in its environment.
fn processes(dir: &Path) -> Vec<String> {
    let mark = dir.as_os_str().to_str().unwrap();
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let names = entries.map(|entry| entry.file_name().into_string().unwrap());
    names
        .filter(|pid| pid.parse::<u32>().is_ok() && *pid != std::process::id().to_string())
        .filter(|pid| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            String::from_utf8_lossy(&environment).contains(mark)
        })
        .collect()
}

/// Mounts that this process sees and that name the folder.
fn mounts(dir: &Path) -> Vec<String> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    mounts.lines().filter(|line| line.contains(dir.to_str().unwrap())).map(str::to_owned).collect()
}

/// This machine's own network interfaces.
fn interfaces() -> String {
    std::fs::read_to_string("/proc/net/dev")
        .unwrap()
        .lines()
        .filter_map(|line| line.split(':').next())
        .collect()
}

async fn with_programs() -> Host {
    let host = Host::up(2).await;
    for node in &host.cluster.nodes {
        node.start(&role("spawner", &["spawner".into()])).await.unwrap();
    }
    assert!(processes(host.dir.path()).len() >= 2);
    host
}

async fn shut_down() {
    let before = interfaces();
    let Host { cluster, dir } = with_programs().await;
    cluster.shut_down().await.unwrap();
    assert_eq!(processes(dir.path()), [""; 0]);
    assert_eq!(mounts(dir.path()), [""; 0]);
    assert_eq!(interfaces(), before);
    assert!(dir.path().join("nodes/n1/spawner.log").exists(), "logs stay");
    dir.close().unwrap();
}

async fn dropped() {
    let Host { cluster, dir } = with_programs().await;
    drop(cluster);
    eventually("all processes are gone", || async { processes(dir.path()).is_empty() }).await;
}

/// The role of a harness that is about to be killed.
pub fn harness(dir: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut clusters: Vec<Cluster> = Vec::new();
        for name in ["a", "b"] {
            let spec = spec(&Path::new(dir).join(name), 3, 1);
            let cluster = provider().provision(&spec).await.unwrap();
            for node in &cluster.nodes {
                node.start(&role("spawner", &["spawner".into()])).await.unwrap();
            }
            clusters.push(cluster);
        }
        clusters[0].nodes[0].pause().await.unwrap();
        println!("ready");
        std::future::pending::<()>().await;
    });
}

async fn harness_killed() {
    let before = interfaces();
    let dir = tempfile::tempdir().unwrap();
    let mut harness = Command::new(std::env::current_exe().unwrap())
        .args([WORD, "harness", dir.path().to_str().unwrap()])
        .env("SQUALL_TEST_MARK", dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(harness.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    // Itself, its keeper, two clusters of an init, three nodes with programs, and the clients' host.
    assert!(processes(dir.path()).len() > 2 + 2 * (1 + 3 * 2 + 1));
    harness.kill().unwrap();
    harness.wait().unwrap();
    eventually("all processes are gone", || async { processes(dir.path()).is_empty() }).await;
    assert_eq!(mounts(dir.path()), [""; 0]);
    assert_eq!(interfaces(), before);
}

/// In a harness of its own: this one's keeper serves other tests.
async fn keeper_killed() {
    in_own_harness("orphan");
}

/// Runs a role of this binary to its end.
fn in_own_harness(role: &str) {
    let dir = tempfile::tempdir().unwrap();
    let own = std::env::current_exe().unwrap();
    let status = Command::new(own).args([WORD, role, dir.path().to_str().unwrap()]).status().unwrap();
    assert!(status.success());
}

/// The role of a harness whose keeper is killed.
pub fn orphan() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let Host { cluster, dir } = with_programs().await;
        let mut exits = cluster.nodes[1].exits();
        let keeper = held().into_iter().find(|held| held.name == "squall-keeper").unwrap().pid;
        assert!(Command::new("kill").args(["-9", &keeper]).status().unwrap().success());
        assert_eq!(exits.recv().await.unwrap().exit, Exit::Signal(9));
        eventually("all processes are gone", || async { processes(dir.path()).is_empty() }).await;
        let error = cluster.nodes[0].pause().await.unwrap_err();
        assert!(error.to_string().contains("n1 is gone"), "{error}");
        cluster.shut_down().await.unwrap();
        with_programs().await.down().await;
        assert_eq!(held().iter().filter(|held| held.name == "squall-keeper").count(), 1);
    });
}

/// A process and what it holds.
#[derive(Debug, PartialEq)]
struct Held {
    name: String,
    pid: String,
    descriptors: usize,
    threads: usize,
    children: usize,
}

/// What this process holds, and each of its children: its keeper.
fn held() -> Vec<Held> {
    let own = Held::of("self");
    let children = std::fs::read_dir("/proc/self/task").unwrap().flatten().flat_map(|task| {
        let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        children.split_whitespace().map(Held::of).collect::<Vec<_>>()
    });
    [own].into_iter().chain(children).collect()
}

impl Held {
    fn of(pid: &str) -> Held {
        let count = |path: &str| std::fs::read_dir(format!("/proc/{pid}/{path}")).map_or(0, Iterator::count);
        let text = |path: &str| std::fs::read_to_string(format!("/proc/{pid}/{path}")).unwrap_or_default();
        let below = |task: &str| text(&format!("task/{task}/children")).split_whitespace().count();
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
        let tasks: Vec<String> = tasks.map(|task| task.file_name().into_string().unwrap()).collect();
        // Threads of the async runtime come and go as it likes.
        let ours = tasks.iter().filter(|task| text(&format!("task/{task}/comm")).starts_with("squall"));
        Held {
            name: text("comm").trim().to_owned(),
            pid: pid.to_owned(),
            descriptors: count("fd"),
            threads: ours.count(),
            children: tasks.iter().map(|task| below(task)).sum(),
        }
    }
}

/// Runs in a harness of its own, where no other test opens or closes anything meanwhile.
async fn two_hundred() {
    in_own_harness("many");
}

/// The role of the harness of many clusters.
pub fn many(dir: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let round = async || {
            let cluster = provider().provision(&spec(Path::new(dir), 2, 1)).await.unwrap();
            cluster.nodes[0].start(&Program::new("p", ["sleep", "1000"])).await.unwrap();
            cluster.shut_down().await.unwrap();
        };
        round().await;
        // A thread that was joined shows for a moment longer.
        eventually("the first round's threads are gone", || async { held()[0].threads == 0 }).await;
        let before = held();
        assert!(before.iter().any(|held| held.name == "squall-keeper"), "{before:?}");
        for _ in 0..200 {
            round().await;
        }
        eventually("the last round's threads are gone", || async { held()[0].threads == 0 }).await;
        assert_eq!(held(), before);
    });
}

async fn cannot_be_made() {
    let dir = tempfile::tempdir().unwrap();
    let fails = async |spec| provider().provision(&spec).await.unwrap_err();
    assert!(matches!(fails(spec(dir.path(), 0, 1)).await, Error::Invalid(_)));
    assert!(matches!(fails(spec(dir.path(), 1000, 1)).await, Error::Invalid(_)));
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = fails(spec(&file.join("run"), 1, 1)).await.to_string();
    assert!(error.contains("making the nodes' folders in") && error.contains("Not a directory"), "{error}");
}

async fn probed() {
    let probes = provider().probe().await;
    for capability in ["nodes", "links", "link-quality"] {
        let probe = probes.iter().find(|probe| probe.capability.to_string() == capability).unwrap();
        assert!(probe.available && probe.remedies.is_empty(), "{probe:?}");
    }
    assert!(probes.iter().all(|probe| !probe.finding.is_empty()));
    let left = std::fs::read_dir(std::env::temp_dir()).unwrap().flatten();
    let own = format!("squall-probe-{}-", std::process::id());
    assert!(!left.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with(&own)));
}

/// The role that says what this machine allows.
pub fn doctor() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for probe in runtime.block_on(provider().probe()) {
        println!("{}: {} {}", probe.capability, probe.available, probe.finding);
        probe.remedies.iter().for_each(|remedy| println!("- {remedy}"));
    }
}

/// Runs a shell script in a user namespace of its own, in which it may spoil what it likes; `$0` is this
/// binary.
fn in_spoilt_machine(script: &str) -> std::process::Output {
    let own = std::env::current_exe().unwrap();
    let unshare = ["--user", "--map-root-user", "--mount", "sh", "-c", script];
    Command::new("unshare").args(unshare).arg(own).env_remove("SQUALL_REQUIRE").output().unwrap()
}

async fn no_namespaces() {
    let forbid = "echo 0 > /proc/sys/user/max_user_namespaces && exec";
    let output = in_spoilt_machine(&format!("{forbid} \"$0\" {WORD} doctor"));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.starts_with("nodes: false the cluster did not come up: making a user namespace"), "{text}");
    assert!(text.contains("user.max_user_namespaces is 0"), "{text}");
    assert!(text.contains("\n- sudo sysctl -w user.max_user_namespaces=10000"), "{text}");
    assert!(text.contains("\nlinks: false"), "{text}");

    let ignored = in_spoilt_machine(&format!("{forbid} \"$0\" 'a node is a host of its own'"));
    let text = String::from_utf8_lossy(&ignored.stdout);
    assert!(ignored.status.success() && text.contains("1 ignored"), "{text}");
    assert!(text.contains("ignored (nodes not available: the cluster did not come up"), "{text}");
    let forbid = format!("export SQUALL_REQUIRE=all; {forbid}");
    let required = in_spoilt_machine(&format!("{forbid} \"$0\" 'a node is a host of its own'"));
    assert!(!required.status.success());
    assert!(
        String::from_utf8_lossy(&required.stdout).contains("SQUALL_REQUIRE=all, but nodes not available")
    );
}

async fn covered_proc() {
    let output =
        in_spoilt_machine(&format!("mount --bind /dev/null /proc/version && exec \"$0\" {WORD} doctor"));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.starts_with("nodes: false the cluster did not come up: mounting /proc"), "{text}");
    assert!(text.contains("/proc are covered") || text.contains("covers parts of /proc"), "{text}");
    assert!(text.lines().nth(1).unwrap().starts_with("- "), "{text}");
}

async fn measurements() {
    use squall_local::bench::{self, Protocol};
    let host = Host::up(3).await;
    let (up, down) = bench::clusters(&provider(), &host.dir.path().join("more"), 2, 2).await.unwrap();
    assert_eq!((up.count(), down.count()), (2, 2));
    assert_eq!(bench::policy_flips(&host.cluster, 10).await.unwrap().count(), 20);
    assert!(host.cluster.links.as_ref().unwrap().policy(n(0), n(1)).is_clear());
    let (from, to) = (host.node(0), host.node(1));
    let nobody = bench::round_trips(from, to, Protocol::Tcp, 3).await.unwrap_err();
    assert!(nobody.to_string().contains("measuring on n1: exit code 1"), "{nobody}");
    bench::start_peer(to).await.unwrap();
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        let trips = bench::round_trips(from, to, protocol, 50).await.unwrap();
        assert_eq!(trips.count(), 50);
        assert!(trips.quantile(0.0) > Duration::from_micros(1), "no packet is that fast");
    }
    assert!(bench::tcp_throughput(from, to, Duration::from_millis(50)).await.unwrap() > 1e6);
    let delays = bench::delay_accuracy(&host.cluster, 0, 1, Duration::from_millis(20), 5).await.unwrap();
    assert!(delays.quantile(0.0) >= Duration::from_millis(20));
    assert!(host.cluster.links.as_ref().unwrap().policy(n(0), n(1)).is_clear());
    host.down().await;
}

fn ordinary_user() {
    as_ordinary_user("auto");
}

fn ordinary_user_without_tun() {
    as_ordinary_user("veth");
}

/// Runs this binary's tests again as a user without any rights, from a place that such a user can read.
fn as_ordinary_user(wires: &str) {
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("cluster-test");
    std::fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755)).unwrap();
    let nobody = 65_534;
    let output = Command::new(&copy)
        .args(["--skip", "ordinary user", "--skip", "two hundred"])
        .env("SQUALL_TEST_WIRES", wires)
        .env("TMPDIR", dir.path())
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env_remove("SQUALL_REQUIRE")
        .current_dir(dir.path())
        .uid(nobody)
        .gid(nobody)
        .output()
        .unwrap();
    let (text, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}\n{error}");
    assert!(text.contains("test kill leaves nothing, paused or not"), "{text}");
    assert!(!text.contains("ignored, nodes"), "{text}");
}
