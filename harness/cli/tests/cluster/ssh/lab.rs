//! Hosts to log in to: local nodes with sshd, and where squall runs.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use squall_cluster::{Capability, Cluster, ClusterSpec, Exit, Node, Output, Program, ProgramState, Provider};
use squall_local::LocalProvider;

use crate::support::{Done, wait_until};

/// The host that does not carry the mark: the last of four.
pub const UNMARKED: usize = 3;
const HOSTS: usize = 4;

/// A host: folders of its own over the machine's, the mark, and sshd in the foreground.
const HOST: &str = r#"set -e
mkdir -p /run/own /run/sshd
for d in etc var root; do
  mkdir -p /run/own/$d/upper /run/own/$d/work
  mount -t overlay overlay -o lowerdir=/$d,upperdir=/run/own/$d/upper,workdir=/run/own/$d/work /$d
done
test "$2" = plain || touch /etc/squall-disposable
exec /usr/sbin/sshd -D -e -f "$1/sshd_config" -h "$1/host-$3"
"#;

const SSHD: &str = "Port 2222\nListenAddress 0.0.0.0\nAuthorizedKeysFile HERE/authorized_keys\nPermitRootLogin yes\n\
                    StrictModes no\nUsePAM no\nPidFile none\nPasswordAuthentication no\nMaxStartups 100\n";

/// One runtime for everything that a lab does: its channels live in it.
pub fn block_on<F: Future>(future: F) -> F::Output {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(2).enable_all().build().expect("a runtime needs no more than threads")
    });
    runtime.block_on(future)
}

/// See the module.
pub struct Lab {
    dir: tempfile::TempDir,
    cluster: Option<Cluster>,
    addresses: Vec<IpAddr>,
}

impl Lab {
    pub fn new() -> Lab {
        let dir = tempfile::tempdir().expect("a folder");
        let cluster = block_on(async {
            let spec = ClusterSpec {
                nodes: HOSTS,
                clients: 1,
                seed: 1,
                dir: dir.path().to_owned(),
                needs: [Capability::Nodes].into(),
                pcap: false,
                visible: vec![PathBuf::from(env!("CARGO_BIN_EXE_squall"))],
            };
            LocalProvider::new().provision(&spec).await.expect("a local cluster")
        });
        let addresses = cluster.nodes.iter().map(|n| n.address()).collect();
        let lab = Lab { dir, cluster: Some(cluster), addresses };
        lab.make_keys();
        lab.file("host.sh", HOST);
        lab.file("sshd_config", &SSHD.replace("HERE", &lab.shown()));
        block_on(lab.start_sshd());
        lab
    }

    fn make_keys(&self) {
        let names = (0..HOSTS).map(|n| format!("host-{n}")).chain(["id".to_owned(), "other".to_owned()]);
        for name in names {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(self.path().join(name))
                .status()
                .expect("ssh-keygen can be started");
            assert!(made.success());
        }
        std::fs::copy(self.path().join("id.pub"), self.path().join("authorized_keys")).expect("it was made");
        self.known_hosts("known_hosts", |n| n);
    }

    /// What the hosts' keys are believed to be: that of `of(n)` for each.
    fn known_hosts(&self, file: &str, of: impl Fn(usize) -> usize) -> String {
        let line = |n: usize| {
            let key =
                std::fs::read_to_string(self.path().join(format!("host-{}.pub", of(n)))).expect("a key");
            let key = key.split(' ').take(2).collect::<Vec<_>>().join(" ");
            format!("[{}]:2222 {key}\n", self.addresses[n])
        };
        let text: String = (0..HOSTS).map(line).collect();
        self.file(file, &text).to_string_lossy().into_owned()
    }

    pub fn swapped_known_hosts(&self) -> String {
        self.known_hosts("swapped", |n| (n + 1) % HOSTS)
    }

    pub fn other_key(&self) -> String {
        self.path().join("other").to_string_lossy().into_owned()
    }

    async fn start_sshd(&self) {
        for n in 0..HOSTS {
            let kind = if n == UNMARKED { "plain" } else { "disposable" };
            let script = format!("{}/host.sh", self.shown());
            let argv = ["unshare", "-m", "sh", &script, &self.shown(), kind, &n.to_string()];
            let sshd = Program::new("sshd", argv);
            self.node(n).start(&sshd).await.expect("sshd starts");
        }
        for n in 0..HOSTS {
            let to = SocketAddr::new(self.addresses[n], 2222);
            let mut tries = 0;
            while self.cluster().net.connect(0, to).await.is_err() {
                tries += 1;
                let log =
                    std::fs::read_to_string(self.node(n).log_dir().join("sshd.log")).unwrap_or_default();
                assert!(tries < 3000, "no sshd on host {n}: {log}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    fn cluster(&self) -> &Cluster {
        self.cluster.as_ref().expect("it is there until the lab is dropped")
    }

    fn node(&self, n: usize) -> &dyn Node {
        &*self.cluster().nodes[n]
    }

    fn here(&self) -> &dyn Node {
        self.cluster().client_host.as_deref().expect("the local provider has one")
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    fn shown(&self) -> String {
        self.path().to_string_lossy().into_owned()
    }

    pub fn address(&self, n: usize) -> IpAddr {
        self.addresses[n]
    }

    /// Writes a file into the lab's folder, which hosts and squall see.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, text).expect("a file can be written");
        path
    }

    /// An inventory of these hosts, with more lines.
    pub fn inventory(&self, name: &str, hosts: Range<usize>, more: &str) {
        self.inventory_with(name, hosts, more, "");
    }

    /// The same with lines in place of those that have their keys.
    pub fn inventory_with(&self, name: &str, hosts: Range<usize>, more: &str, instead: &str) {
        let mut text = String::from(more);
        for line in ["port: 2222\n", "key: id\n", "known_hosts: known_hosts\n"] {
            let key = line.split(':').next().unwrap_or_default();
            if !instead.starts_with(&format!("{key}:")) {
                text.push_str(line);
            }
        }
        text.push_str(instead);
        text.push_str("hosts:\n");
        for n in hosts {
            text.push_str(&format!("- {{address: {}}}\n", self.addresses[n]));
        }
        self.file(name, &text);
    }

    fn squall(&self, name: &str, args: &[&str]) -> Program {
        let mut program = Program::new(name, [env!("CARGO_BIN_EXE_squall")]);
        program.argv.extend(args.iter().map(Into::into));
        program.cwd = Some(self.path().to_owned());
        program
    }

    fn args<'a>(&self, store: &'a str, campaign: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let mut args = vec!["run", campaign, "--store", store, "--format", "json"];
        args.extend(more);
        args
    }

    /// `squall run` on the machine from which hosts are reached.
    pub async fn run(&self, store: &str, campaign: &Path, more: &[&str]) -> Done {
        let campaign = campaign.to_string_lossy();
        let program = self.squall("squall", &self.args(store, &campaign, more));
        done(self.here().run(&program, Duration::from_secs(240)).await.expect("squall ends"))
    }

    /// `squall doctor` there.
    pub async fn doctor(&self, provider: &str) -> Done {
        let provider = provider.replace("HERE", &self.shown());
        let program = self.squall("doctor", &["doctor", "--provider", &provider, "--format", "json"]);
        done(self.here().run(&program, Duration::from_secs(120)).await.expect("squall ends"))
    }

    /// `squall run` there, left to itself; its output goes to its log.
    pub async fn start(&self, store: &str, campaign: &Path) -> Harness {
        let campaign = campaign.to_string_lossy();
        let program = self.squall("harness", &self.args(store, &campaign, &[]));
        let log = self.here().log_dir().join("harness.log");
        let _ = std::fs::remove_file(&log);
        self.here().start(&program).await.expect("squall starts");
        let mut pid = 0;
        wait_until("the harness has a number", || {
            if let ProgramState::Running { pid: outer } = self.here().state("harness") {
                pid = outer;
            }
            pid != 0
        });
        Harness { pid, log }
    }

    /// Waits for its end.
    pub async fn wait(&self, harness: Harness) -> Done {
        let mut exit = None;
        for _ in 0..6000 {
            if let ProgramState::Exited(ended) = self.here().state("harness") {
                exit = Some(ended);
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let exit = exit.expect("squall ends");
        let said = std::fs::read(&harness.log).expect("a log");
        done(Output { exit, stdout: Vec::new(), stderr: said })
    }

    /// Ends whatever is left of it.
    pub async fn end(&self, _harness: Harness) {
        self.here().kill().await.expect("it can be killed");
    }

    /// Runs a command on a host, and says what it printed.
    pub async fn on(&self, n: usize, argv: &[&str]) -> String {
        let program = Program::new("look", argv);
        let output = self.node(n).run(&program, Duration::from_secs(60)).await.expect("it ends");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The firewall's table of a host, if squall has left one.
    pub async fn rules(&self, n: usize) -> String {
        self.on(n, &["nft", "list", "ruleset"]).await
    }

    async fn count(&self, n: usize, pattern: &str) -> usize {
        self.on(n, &["pgrep", "-fc", pattern]).await.trim().parse().unwrap_or(0)
    }

    /// Processes of the store on a host.
    pub async fn programs(&self, n: usize) -> usize {
        self.count(n, "raftkv serve").await
    }

    pub async fn agents(&self, n: usize) -> usize {
        self.count(n, "host-agent (serve|guard)").await
    }

    /// Nothing of a run is left on any host.
    pub async fn assert_clean(&self) {
        for n in 0..HOSTS {
            assert_eq!(self.rules(n).await, "", "host {n}");
            assert_eq!((self.programs(n).await, self.agents(n).await), (0, 0), "host {n}");
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(cluster) = self.cluster.take() {
            let down = block_on(cluster.shut_down());
            if !std::thread::panicking() {
                down.expect("the lab goes down");
            }
        }
    }
}

/// A squall that was left to itself.
pub struct Harness {
    pid: u32,
    log: PathBuf,
}

impl Harness {
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid as i32), signal).expect("it runs");
    }
}

fn done(output: Output) -> Done {
    let code = match output.exit {
        Exit::Code(code) => Some(code),
        Exit::Signal(_) => None,
    };
    let json = serde_json::from_slice(&output.stdout).unwrap_or_default();
    Done { code, json, stderr: String::from_utf8_lossy(&output.stderr).into_owned() }
}
