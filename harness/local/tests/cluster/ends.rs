//! How clusters end: asked, dropped, with their harness killed, two hundred times over, as an ordinary user.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use squall_cluster::{Cluster, Error, Program, Provider};
use squall_local::testing::{Need, Test};

use crate::roles::WORD;
use crate::support::{Host, eventually, provider, role, spec, test};

pub fn tests() -> Vec<Test> {
    vec![
        test("shutting down leaves no process and no mount", shut_down),
        test("dropping a cluster takes it down too", dropped),
        test("killing the harness leaves nothing", harness_killed),
        test("two hundred clusters leave no descriptor, thread or process", two_hundred),
        test("a cluster that cannot be made says why", cannot_be_made),
        test("what the machine lacks is found and named", probed),
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

/// Open descriptors, threads and children of this process, and of its keeper.
fn held() -> Vec<(String, usize)> {
    let count = |path: String| std::fs::read_dir(path).unwrap().count();
    let mut held = vec![("descriptors".to_owned(), count("/proc/self/fd".into()))];
    for task in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
        let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace() {
            let name = std::fs::read_to_string(format!("/proc/{child}/comm")).unwrap_or_default();
            held.push((name.trim().to_owned(), count(format!("/proc/{child}/fd"))));
            let below =
                std::fs::read_to_string(format!("/proc/{child}/task/{child}/children")).unwrap_or_default();
            held.push(("children of ".to_owned() + name.trim(), below.split_whitespace().count()));
        }
    }
    held
}

/// Runs in a harness of its own, where no other test opens or closes anything meanwhile.
async fn two_hundred() {
    let dir = tempfile::tempdir().unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .args([WORD, "many", dir.path().to_str().unwrap()])
        .status()
        .unwrap();
    assert!(status.success());
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
        let before = held();
        assert!(before.iter().any(|(name, _)| name == "squall-keeper"), "{before:?}");
        for _ in 0..200 {
            round().await;
        }
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
