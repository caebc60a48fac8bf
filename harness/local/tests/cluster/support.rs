//! What the tests share: a cluster in a folder of its own, programs that are this binary in a role.

use std::ffi::OsString;
use std::future::Future;
use std::path::Path;
use std::time::{Duration, Instant};

use squall_cluster::{Cluster, ClusterSpec, Endpoint, LinkPolicy, Node, Output, Program, Provider};
use squall_local::testing::{Need, Test};
use squall_local::{LocalProvider, Wires};
use tempfile::TempDir;

/// How long anything may take before a test gives up. Generous: nothing is measured by it.
pub const LIMIT: Duration = Duration::from_secs(60);

/// A cluster and the folder it lives in.
pub struct Host {
    pub cluster: Cluster,
    pub dir: TempDir,
}

/// The kind of wires to test with: `SQUALL_TEST_WIRES=tun|veth`, or what the provider chooses.
pub fn provider() -> LocalProvider {
    let wires = match std::env::var("SQUALL_TEST_WIRES").as_deref() {
        Ok("tun") => Wires::Tun,
        Ok("veth") => Wires::Veth,
        _ => Wires::Auto,
    };
    LocalProvider::new().with_wires(wires)
}

pub fn spec(dir: &Path, nodes: usize, seed: u64) -> ClusterSpec {
    ClusterSpec {
        nodes,
        clients: 4,
        seed,
        dir: dir.to_owned(),
        needs: [].into(),
        pcap: false,
        visible: Vec::new(),
    }
}

impl Host {
    pub async fn up(nodes: usize) -> Host {
        Host::seeded(nodes, 1).await
    }

    pub async fn seeded(nodes: usize, seed: u64) -> Host {
        let dir = tempfile::tempdir().unwrap();
        let cluster = provider().provision(&spec(dir.path(), nodes, seed)).await.unwrap();
        Host { cluster, dir }
    }

    pub fn node(&self, index: usize) -> &dyn Node {
        self.cluster.nodes[index].as_ref()
    }

    pub async fn link(&self, from: Endpoint, to: Endpoint, policy: LinkPolicy) {
        self.cluster.links.as_ref().unwrap().apply(&[(from, to, policy)]).await.unwrap();
    }

    pub async fn down(self) {
        self.cluster.shut_down().await.unwrap();
    }

    /// Starts an echo server on a node and waits until it says that it listens.
    pub async fn echo(&self, index: usize, port: u16) {
        let node = self.node(index);
        let name = format!("echo{port}");
        node.start(&role(&name, &["echo".into(), port.to_string()])).await.unwrap();
        eventually("the echo server listens", || async {
            std::fs::read_to_string(node.log_dir().join(format!("{name}.log"))).unwrap().contains("ready")
        })
        .await;
    }
}

/// This binary in a role.
pub fn role(name: &str, words: &[String]) -> Program {
    let own = std::env::current_exe().unwrap();
    let mut argv: Vec<OsString> = vec![own.into(), crate::roles::WORD.into()];
    argv.extend(words.iter().map(OsString::from));
    Program::new(name, argv)
}

/// Runs this binary in a role to its end and gives what it printed.
pub async fn ask(node: &dyn Node, words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    text(&node.run(&role("role", &words), LIMIT).await.unwrap())
}

/// Runs a shell command to its end and gives what it printed.
pub async fn shell(node: &dyn Node, command: &str) -> String {
    text(&node.run(&Program::new("sh", ["sh", "-c", command]), LIMIT).await.unwrap())
}

fn text(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.exit, squall_cluster::Exit::Code(0), "{error}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Waits until something is so.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut so: impl FnMut() -> F) {
    let start = Instant::now();
    while !so().await {
        assert!(start.elapsed() < LIMIT, "it never came about that {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A test that needs local clusters.
pub fn test<F: Future<Output = ()> + 'static>(name: &str, run: impl FnOnce() -> F + Send + 'static) -> Test {
    Test::asynchronous(name, run).needs(Need::Nodes)
}
