//! etcd as squall starts and watches it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use hyper::Method;
use serde::Deserialize;
use serde_json::Value as Json;
use squall_cluster::Program;
use squall_engine::Error;
use squall_engine::protocol::{
    Client, Layout, LogPattern, Maintenance, Members, NodeStatus, Restore, Status, Target, Via, merged,
    options,
};

use super::client::EtcdClient;
use super::members::{initial_cluster, peer_url};
use super::wire::{StatusReply, answer_text, range};
use crate::http::{Answer, Http};
use crate::on_path::find_on_path;
use crate::recipes::is_known;

pub(super) const CLIENT_PORT: u16 = 2379;
pub(super) const PEER_PORT: u16 = 2380;

/// How reads are done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Reads {
    /// Through the leader's confirmation.
    #[default]
    Linearizable,
    /// From the node's own state: fast, and stale by design.
    Serializable,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    /// `system` for the one on the PATH, or the path of an executable.
    version: Option<String>,
    /// The path of an executable, in place of a version.
    binary: Option<String>,
    /// How reads are done.
    reads: Reads,
    /// Entries between snapshots.
    snapshot_count: Option<u64>,
    /// Do not flush the log: a mistake on purpose.
    unsafe_no_fsync: bool,
    /// More flags, as they stand.
    flags: Vec<String>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Etcd {
    options: Options,
    given: Json,
    binary: OnceLock<PathBuf>,
}

impl Etcd {
    pub(crate) fn build(given: &Json) -> Result<Arc<dyn Target>, Error> {
        let binary = OnceLock::new();
        let options: Options = options("etcd", given)?;
        if options.binary.is_some() && options.version.is_some() {
            let text = "etcd's `binary` names an executable, and `version` another: give one of them";
            return Err(Error::Config(text.into()));
        }
        Ok(Arc::new(Etcd { options, given: given.clone(), binary }))
    }

    /// Where an executable that was named lies.
    pub(super) fn beside(&self) -> Option<PathBuf> {
        self.options.binary.as_deref().or(self.options.version.as_deref().filter(|v| v.contains('/')))?;
        Some(self.find().ok()?.parent()?.to_owned())
    }

    fn find(&self) -> Result<PathBuf, Error> {
        if let Some(path) = &self.options.binary {
            return absolute(path);
        }
        match self.options.version.as_deref() {
            None | Some("system") => find_on_path("etcd").ok_or_else(|| {
                Error::Missing(
                    "etcd is not on the PATH; on Debian and Ubuntu: apt-get install etcd-server \
                     (or name an executable: targets: [{etcd: {version: /path/to/etcd}}])"
                        .into(),
                )
            }),
            Some(path) if path.contains('/') => absolute(path),
            Some(other) => Err(Error::Config(format!(
                "etcd's `version` is `system` or the path of an executable, not `{other}`"
            ))),
        }
    }
}

/// A port of a node, as etcd's flags want it.
pub(super) fn url(node: usize, port: u16, layout: &Layout) -> String {
    format!("http://{}", layout.socket(node, port))
}

fn absolute(path: &str) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(|e| Error::io(format!("the path of etcd, {path}"), e))
}

#[async_trait]
impl Target for Etcd {
    fn name(&self) -> &str {
        "etcd"
    }

    async fn prepare(&self) -> Result<String, Error> {
        let binary = self.find()?;
        let output = tokio::process::Command::new(&binary)
            .arg("--version")
            .output()
            .await
            .map_err(|e| Error::Missing(format!("{} cannot be run: {e}", binary.display())))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let version = text.lines().find_map(|l| l.strip_prefix("etcd Version: ")).ok_or_else(|| {
            Error::Missing(format!("{} --version does not say that it is etcd", binary.display()))
        })?;
        let version = version.trim().to_owned();
        self.binary.get_or_init(|| binary);
        Ok(version)
    }

    fn uses(&self) -> Vec<PathBuf> {
        self.binary.get().cloned().into_iter().collect()
    }

    fn programs(&self, node: usize, layout: &Layout) -> Vec<Program> {
        let me = &layout.nodes[node];
        let data = me.data_dir.join("etcd").to_string_lossy().into_owned();
        let (client, peer) = (url(node, CLIENT_PORT, layout), peer_url(node, layout));
        let members = initial_cluster(0..layout.nodes.len(), layout);
        let binary = self.binary.get().map_or_else(|| OsString::from("etcd"), |b| b.clone().into());
        let mut argv = vec![binary];
        let flags: [(&str, &str); 9] = [
            ("--name", &me.name),
            ("--data-dir", &data),
            ("--listen-client-urls", &client),
            ("--advertise-client-urls", &client),
            ("--listen-peer-urls", &peer),
            ("--initial-advertise-peer-urls", &peer),
            ("--initial-cluster", &members),
            ("--initial-cluster-state", "new"),
            ("--logger", "zap"),
        ];
        for (flag, value) in flags {
            argv.push(flag.into());
            argv.push(value.into());
        }
        if let Some(count) = self.options.snapshot_count {
            argv.push("--snapshot-count".into());
            argv.push(count.to_string().into());
        }
        if self.options.unsafe_no_fsync {
            argv.push("--unsafe-no-fsync".into());
        }
        argv.extend(self.options.flags.iter().map(OsString::from));
        vec![Program::new("etcd", argv)]
    }

    async fn ready(&self, node: usize, via: Via<'_>) -> Result<(), Error> {
        let mut http = Http::connect(node, CLIENT_PORT, via).await?;
        let answer = http.request(Method::POST, "/v3/kv/range", range("ready", false)).await;
        match answer.map_err(Error::Target)? {
            Answer { status: 200, .. } => Ok(()),
            answer => Err(Error::Target(answer_text(&answer))),
        }
    }

    async fn connect(&self, node: usize, via: Via<'_>) -> Result<Box<dyn Client>, Error> {
        let http = Http::connect(node, CLIENT_PORT, via).await?;
        Ok(Box::new(EtcdClient::new(http, self.options.reads == Reads::Serializable)))
    }

    fn supports(&self, f: &str) -> bool {
        const MORE: [&str; 5] =
            ["lease.grant", "lease.read", "watch.change", "watch.watch", "replica.digest"];
        MORE.contains(&f) || is_known(f)
    }

    /// "etcd ensures linearizability for all other operations by default"; serializable reads "may access stale
    /// data with respect to quorum" (API guarantees): a prefix of the order of changes, on another node an older
    /// one. So one client sees whole transactions in one order, and nothing is promised of its session.
    fn promises(&self) -> &str {
        match self.options.reads {
            Reads::Linearizable => "linearizable",
            Reads::Serializable => "serializable",
        }
    }

    fn status(&self) -> Option<&dyn Status> {
        Some(self)
    }

    fn members(&self) -> Option<&dyn Members> {
        Some(self)
    }

    fn maintenance(&self) -> Option<&dyn Maintenance> {
        Some(self)
    }

    fn restore(&self) -> Option<&dyn Restore> {
        Some(self)
    }

    fn upgraded(&self, options: &Json) -> Result<Option<Arc<dyn Target>>, Error> {
        Etcd::build(&merged(&self.given, options)).map(Some)
    }

    fn log_patterns(&self) -> Vec<LogPattern> {
        ["panic: ", "fatal error: ", "\"level\":\"panic\"", "\"level\":\"fatal\""].map(LogPattern::new).into()
    }
}

#[async_trait]
impl Status for Etcd {
    async fn status(&self, node: usize, via: Via<'_>) -> Result<NodeStatus, Error> {
        let mut http = Http::connect(node, CLIENT_PORT, via).await?;
        let answer = http.request(Method::POST, "/v3/maintenance/status", "{}").await;
        let answer = answer.map_err(Error::Target)?;
        let reply: StatusReply = serde_json::from_slice(&answer.body)
            .map_err(|e| Error::Target(format!("the status is not what it should be: {e}")))?;
        Ok(NodeStatus {
            leads: !reply.leader.is_empty() && reply.leader == reply.header.member_id,
            term: reply.raft_term.parse().unwrap_or(0),
            ..NodeStatus::default()
        })
    }
}
