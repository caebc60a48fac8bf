//! Where a client program runs: on the clients' host of a cluster, or (to try one out) on this machine.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use squall_cluster::{Conversation, Node, ProgramState};
use squall_engine::Error;
use tokio::process::Child;
use tokio::sync::Mutex;

/// A client program as data.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Names its log.
    pub name: String,
    /// The executable and its arguments.
    pub argv: Vec<OsString>,
    /// Environment beside what the host sets.
    pub env: BTreeMap<String, String>,
    /// Where it runs.
    pub cwd: PathBuf,
}

impl Spec {
    /// As a person would write it.
    pub fn command(&self) -> String {
        let parts: Vec<_> = self.argv.iter().map(|a| a.to_string_lossy()).collect();
        parts.join(" ")
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub enum Host {
    /// A host in a cluster's clients' network.
    Cluster(Arc<dyn Node>),
    /// This machine; logs go to this folder.
    Machine(PathBuf),
}

/// How a program that was started can be ended and asked about.
#[derive(Debug)]
pub(super) enum Handle {
    Node(Arc<dyn Node>, String),
    Child(Mutex<Child>),
}

/// How long a program that closed its output may take to end before that is not waited for.
const LAST_BREATH: Duration = Duration::from_millis(500);

impl Host {
    pub(super) fn log(&self, name: &str) -> PathBuf {
        let dir = match self {
            Host::Cluster(node) => node.log_dir(),
            Host::Machine(dir) => dir,
        };
        dir.join(format!("{name}.log"))
    }

    pub(super) async fn start(&self, spec: &Spec) -> Result<(Conversation, Handle), Error> {
        match self {
            Host::Cluster(node) => {
                if matches!(node.state(&spec.name), ProgramState::Running { .. }) {
                    node.stop(&spec.name, Duration::ZERO).await?;
                }
                let program = squall_cluster::Program {
                    env: spec.env.clone(),
                    cwd: Some(spec.cwd.clone()),
                    ..squall_cluster::Program::new(&spec.name, spec.argv.iter().cloned())
                };
                let conversation = node.converse(&program).await?;
                Ok((conversation, Handle::Node(node.clone(), spec.name.clone())))
            }
            Host::Machine(_) => self.start_here(spec),
        }
    }

    fn start_here(&self, spec: &Spec) -> Result<(Conversation, Handle), Error> {
        let broken = |what: &str, e: std::io::Error| Error::io(format!("{what} for {}", spec.command()), e);
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log(&spec.name));
        let log = log.map_err(|e| broken("opening the log", e))?;
        let Some(executable) = spec.argv.first() else {
            return Err(Error::Config("the client's command is empty".into()));
        };
        let mut child = tokio::process::Command::new(executable)
            .args(&spec.argv[1..])
            .envs(&spec.env)
            .current_dir(&spec.cwd)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| Error::Missing(format!("the client `{}` cannot be started: {e}", spec.command())))?;
        let missing = || Error::Broken("a pipe that was asked for is not there".into());
        let stdin = child.stdin.take().ok_or_else(missing)?.into_owned_fd();
        let stdout = child.stdout.take().ok_or_else(missing)?.into_owned_fd();
        let conversation = Conversation {
            stdin: stdin.map_err(|e| broken("taking the pipe", e))?,
            stdout: stdout.map_err(|e| broken("taking the pipe", e))?,
        };
        Ok((conversation, Handle::Child(Mutex::new(child))))
    }
}

impl Handle {
    /// Ends the program, whatever it does.
    pub async fn end(&self) {
        // What cannot be ended now goes with its cluster, or with this process.
        match self {
            Handle::Node(node, name) => drop(node.stop(name, Duration::ZERO).await),
            Handle::Child(child) => drop(child.lock().await.kill().await),
        }
    }

    /// How it ended, for people; it has closed its output.
    pub async fn exit(&self) -> String {
        let begun = Instant::now();
        loop {
            let exit = match self {
                Handle::Node(node, name) => match node.state(name) {
                    ProgramState::Exited(exit) => Some(exit.to_string()),
                    ProgramState::Absent | ProgramState::Running { .. } => None,
                },
                Handle::Child(child) => {
                    child.lock().await.try_wait().ok().flatten().map(|status| status.to_string())
                }
            };
            match exit {
                Some(exit) => return format!("ended by itself ({exit})"),
                None if begun.elapsed() > LAST_BREATH => {
                    return "closed its standard output and goes on".to_owned();
                }
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }
}
