//! Real server processes on loopback: this test binary starts itself as servers, and as `ctl`.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Not a test: what a child process runs. Alone it does nothing.
#[test]
fn server_process() {
    if let Ok(args) = std::env::var("RAFTKV_TEST_SERVER") {
        let args: Vec<String> = serde_json::from_str(&args).unwrap();
        std::process::exit(squall_raftkv::cli::run(args.into_iter().map(Into::into)));
    }
}

pub struct Cluster {
    pub dir: tempfile::TempDir,
    pub peers: String,
    pub clients: Vec<String>,
    pub nodes: Vec<Option<Child>>,
    pub options: Vec<String>,
    /// No file of a node that is started from now on may grow beyond so many KiB.
    pub limit_files: Option<u32>,
}

/// A loopback address for each node, of this process and this call alone. Fixed ports below the ephemeral
/// range: there a client's connection could take a node's port, or even meet itself.
fn hosts(count: usize) -> Vec<String> {
    static CLUSTERS: AtomicU32 = AtomicU32::new(0);
    let (pid, cluster) = (std::process::id(), CLUSTERS.fetch_add(1, Ordering::Relaxed));
    assert!(cluster < 25 && count <= 9);
    let (a, b) = (1 + pid / 250 % 250, pid % 250);
    (1..=count as u32).map(|node| format!("127.{a}.{b}.{}", cluster * 10 + node)).collect()
}

/// `limit_files`: no file may grow beyond so many KiB.
pub fn spawn(args: &[String], log: &Path, limit_files: Option<u32>) -> Child {
    let stderr = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
    let mut command = match limit_files {
        None => Command::new(std::env::current_exe().unwrap()),
        Some(kib) => {
            // Ignored, the signal leaves the write itself to fail. The shell counts blocks of 512 bytes.
            let limit = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", kib * 2);
            let mut shell = Command::new("sh");
            shell.args(["-c", &limit]).arg(std::env::current_exe().unwrap());
            shell
        }
    };
    command
        .args(["--exact", "cluster::server_process", "--nocapture"])
        .env("RAFTKV_TEST_SERVER", serde_json::to_string(args).unwrap())
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn()
        .unwrap()
}

impl Cluster {
    pub fn start(count: usize) -> Cluster {
        Cluster::start_with(count, &[])
    }

    pub fn start_with(count: usize, options: &[&str]) -> Cluster {
        let hosts = hosts(count);
        let peers: Vec<_> =
            hosts.iter().enumerate().map(|(i, host)| format!("n{}={host}:7001", i + 1)).collect();
        let mut cluster = Cluster {
            dir: tempfile::tempdir().unwrap(),
            peers: peers.join(","),
            clients: hosts.iter().map(|host| format!("{host}:7000")).collect(),
            nodes: (0..count).map(|_| None).collect(),
            options: options.iter().map(|o| o.to_string()).collect(),
            limit_files: None,
        };
        for node in 0..count {
            cluster.start_node(node);
        }
        cluster
    }

    pub fn args(&self, node: usize) -> Vec<String> {
        let id = format!("n{}", node + 1);
        let data = self.dir.path().join(&id).display().to_string();
        let args = ["serve", "--id", &id, "--peers", &self.peers, "--client-addr", &self.clients[node]];
        let options = self.options.iter().map(String::as_str);
        args.into_iter().chain(["--data-dir", &data]).chain(options).map(Into::into).collect()
    }

    pub fn log(&self, node: usize) -> PathBuf {
        self.dir.path().join(format!("n{}.log", node + 1))
    }

    pub fn start_node(&mut self, node: usize) {
        self.nodes[node] = Some(spawn(&self.args(node), &self.log(node), self.limit_files));
    }

    pub fn kill(&mut self, node: usize) {
        let child = self.nodes[node].as_mut().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub fn kill_all(&mut self) {
        for child in self.nodes.iter_mut().flatten() {
            child.kill().unwrap();
        }
        for child in self.nodes.iter_mut().flatten() {
            child.wait().unwrap();
        }
    }

    pub fn call(
        &self,
        node: usize,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> std::io::Result<(u16, Value)> {
        call(&self.clients[node], method, path, &body.map_or(String::new(), |b| b.to_string()))
    }

    /// `squall raftkv ctl` against these nodes: its exit code and what it printed.
    pub fn ctl(&self, nodes: &[usize], words: &[&str]) -> (i32, String) {
        let endpoints: Vec<&str> = nodes.iter().map(|&node| self.clients[node].as_str()).collect();
        let args = ["ctl", "--endpoints", &endpoints.join(","), "--format", "json"];
        let args: Vec<&str> = args.into_iter().chain(words.iter().copied()).collect();
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "cluster::server_process", "--nocapture"])
            .env("RAFTKV_TEST_SERVER", serde_json::to_string(&args).unwrap())
            .output()
            .unwrap();
        let out = String::from_utf8(output.stdout).unwrap();
        // What the test runner says before its one test is not the program's.
        let own = out.lines().filter(|l| !l.is_empty() && !l.starts_with("running 1 test"));
        let own = own.map(|l| l.trim_start_matches("test cluster::server_process ... "));
        (output.status.code().unwrap(), own.collect::<Vec<_>>().join("\n"))
    }

    /// The node that leads, as `node` sees it.
    pub fn leader(&self, node: usize) -> usize {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let leader = self.insist(node, "GET", "/status", None)["leader"].clone();
            if let Some(at) = (0..self.nodes.len()).find(|i| leader == json!(format!("n{}", i + 1))) {
                return at;
            }
            assert!(Instant::now() < deadline, "no leader");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends a signal to a node's process.
    pub fn signal(&self, node: usize, name: &str) {
        let pid = self.nodes[node].as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    /// Until it succeeds. Only for requests that may be repeated.
    pub fn insist(&self, node: usize, method: &str, path: &str, body: Option<Value>) -> Value {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let answer = self.call(node, method, path, body.clone());
            if let Ok((200, value)) = answer {
                return value;
            }
            assert!(Instant::now() < deadline, "{method} {path} at n{}: {answer:?}", node + 1);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.kill_all();
        if std::thread::panicking() {
            for node in 0..self.nodes.len() {
                eprintln!("{}", std::fs::read_to_string(self.log(node)).unwrap_or_default());
            }
        }
    }
}

/// One HTTP request on a connection of its own.
pub fn call(addr: &str, method: &str, path: &str, body: &str) -> std::io::Result<(u16, Value)> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let length = body.len();
    let text = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(text.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let bad = || std::io::Error::other(format!("not an answer: {answer:?}"));
    let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or_else(bad)?;
    let body = answer.split_once("\r\n\r\n").ok_or_else(bad)?.1;
    Ok((status, serde_json::from_str(body).map_err(|_| bad())?))
}
