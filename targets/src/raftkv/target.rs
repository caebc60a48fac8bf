//! Raft KV as squall starts and watches it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use hyper::Method;
use serde::Deserialize;
use serde_json::Value as Json;
use squall_cluster::Program;
use squall_engine::protocol::{Client, Layout, Members, NodeStatus, Status, Target, Via, merged, options};
use squall_engine::seed::Seed;
use squall_engine::{Error, units};

use super::client::{KvClient, Sessions};
use crate::http::{Answer, Http};
use crate::recipes::is_known;

pub(super) const CLIENT_PORT: u16 = 7000;
pub(super) const PEER_PORT: u16 = 7001;

/// How reads are done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Reads {
    /// The leader confirms by a round of heartbeats that it still leads.
    #[default]
    #[serde(alias = "linearizable")]
    ReadIndex,
    /// The leader answers by itself while its lease holds.
    Lease,
    /// Any node that has everything that this client has seen.
    Session,
    /// Whatever the node has applied.
    Local,
    /// Of three clients one reads by index, one by lease, and one as sessions that tell each other what they saw.
    Mixed,
}

impl Reads {
    /// The server's word for it.
    fn consistency(self) -> &'static str {
        match self {
            Reads::ReadIndex => "linearizable",
            Reads::Lease => "lease",
            Reads::Session => "session",
            Reads::Local => "local",
            Reads::Mixed => "mixed",
        }
    }
}

/// Who numbers changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "`sessions` is `true`, `false`, or `mixed`: one client in four")]
enum Numbered {
    All(bool),
    Some(Few),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Few {
    Mixed,
}

impl Default for Numbered {
    fn default() -> Self {
        Numbered::All(false)
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    #[serde(alias = "read")]
    reads: Reads,
    /// Session reads wait for everything that any client was told of, as if clients talked to each other.
    shared_token: bool,
    /// Serve linearizable reads without confirming leadership: a mistake on purpose.
    unsafe_reads: bool,
    /// Do not flush the log: a mistake on purpose.
    no_fsync: bool,
    /// A classic mistake by its name (`squall raftkv bugs`).
    bug: Option<String>,
    /// Clients open sessions and number their changes, so that one sent twice is done once.
    sessions: Numbered,
    /// How many entries are applied between two snapshots.
    snapshot_entries: Option<u64>,
    /// Entries of one message between nodes, in bytes; one entry may exceed it.
    append_bytes: Option<u64>,
    #[serde(with = "units::duration::option")]
    election_timeout: Option<Duration>,
    #[serde(with = "units::duration::option")]
    heartbeat: Option<Duration>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct RaftKv {
    options: Options,
    given: Json,
    /// The greatest index that any client was told of.
    token: Arc<AtomicU64>,
    /// Connections made so far.
    connections: AtomicU64,
}

impl RaftKv {
    pub(crate) fn build(given: &Json) -> Result<Arc<dyn Target>, Error> {
        Ok(Arc::new(RaftKv {
            options: options("raftkv", given)?,
            given: given.clone(),
            token: Arc::default(),
            connections: AtomicU64::new(0),
        }))
    }
}

#[async_trait]
impl Target for RaftKv {
    fn name(&self) -> &str {
        "raftkv"
    }

    async fn prepare(&self) -> Result<String, Error> {
        Ok(env!("CARGO_PKG_VERSION").to_owned())
    }

    fn programs(&self, node: usize, layout: &Layout) -> Vec<Program> {
        let me = &layout.nodes[node];
        let peers: Vec<_> = (0..layout.nodes.len())
            .map(|n| format!("{}={}", layout.nodes[n].name, layout.socket(n, PEER_PORT)))
            .collect();
        // The same executable: its path may not exist inside the node, but this always does.
        let mut argv = ["/proc/self/exe", "raftkv", "serve", "--id", &me.name, "--peers", &peers.join(",")]
            .map(str::to_owned)
            .to_vec();
        let client = layout.socket(node, CLIENT_PORT).to_string();
        argv.extend(["--client-addr".to_owned(), client, "--data-dir".to_owned()]);
        argv.push(me.data_dir.join("raftkv").to_string_lossy().into_owned());
        let o = &self.options;
        if o.unsafe_reads {
            argv.push("--unsafe-reads".into());
        }
        if o.no_fsync {
            argv.push("--no-fsync".into());
        }
        if let Some(bug) = &o.bug {
            argv.extend(["--bug".to_owned(), bug.clone()]);
        }
        if let Some(entries) = o.snapshot_entries {
            argv.extend(["--snapshot-entries".to_owned(), entries.to_string()]);
        }
        if let Some(bytes) = o.append_bytes {
            argv.extend(["--append-bytes".to_owned(), bytes.to_string()]);
        }
        for (flag, value) in [("--election-timeout", o.election_timeout), ("--heartbeat", o.heartbeat)] {
            if let Some(value) = value {
                argv.extend([flag.to_owned(), units::format_duration(value)]);
            }
        }
        vec![Program::new("raftkv", argv)]
    }

    async fn ready(&self, node: usize, via: Via<'_>) -> Result<(), Error> {
        let mut http = Http::connect(node, CLIENT_PORT, via).await?;
        let answer = http.request(Method::GET, "/kv/ready?consistency=linearizable", "").await;
        match answer.map_err(Error::Target)? {
            Answer { status: 200, .. } => Ok(()),
            Answer { status, body } => {
                Err(Error::Target(format!("HTTP {status}: {}", String::from_utf8_lossy(&body))))
            }
        }
    }

    async fn connect(&self, node: usize, via: Via<'_>) -> Result<Box<dyn Client>, Error> {
        let http = Http::connect(node, CLIENT_PORT, via).await?;
        let o = &self.options;
        let shares = o.shared_token || o.reads == Reads::Mixed;
        // Drawn: by turns, each part of a mixed workload would have its own way.
        let mut drawn = Seed(0).key(self.connections.fetch_add(1, Ordering::Relaxed), 0);
        let consistency = match o.reads {
            Reads::Mixed => [Reads::ReadIndex, Reads::Lease, Reads::Session][drawn.index(3)].consistency(),
            reads => reads.consistency(),
        };
        let numbered = match o.sessions {
            Numbered::All(all) => all,
            Numbered::Some(Few::Mixed) => drawn.chance(0.25),
        };
        let sessions = Sessions { shared: shares.then(|| self.token.clone()), numbered };
        Ok(Box::new(KvClient::new(http, consistency, sessions)))
    }

    fn supports(&self, f: &str) -> bool {
        matches!(f, "delete" | "watch.change" | "watch.watch") || is_known(f)
    }

    /// Changes go through the log in any mode. A session sees a prefix of it that never shrinks and holds its own
    /// changes; a local read sees some prefix, after a restart or on another node perhaps a shorter one.
    fn promises(&self) -> &str {
        match self.options.reads {
            Reads::ReadIndex | Reads::Lease | Reads::Mixed => "linearizable",
            // It stands for everything that was completed before.
            Reads::Session if self.options.shared_token => "linearizable",
            Reads::Session => "sequential",
            Reads::Local => "serializable",
        }
    }

    fn status(&self) -> Option<&dyn Status> {
        Some(self)
    }

    fn members(&self) -> Option<&dyn Members> {
        Some(self)
    }

    fn upgraded(&self, options: &Json) -> Result<Option<Arc<dyn Target>>, Error> {
        RaftKv::build(&merged(&self.given, options)).map(Some)
    }
}

#[derive(Deserialize)]
struct StatusReply {
    role: String,
    term: u64,
    #[serde(default)]
    durable_term: Option<u64>,
    #[serde(default)]
    wall_clock_unix_nanos: Option<i128>,
}

#[async_trait]
impl Status for RaftKv {
    async fn status(&self, node: usize, via: Via<'_>) -> Result<NodeStatus, Error> {
        let mut http = Http::connect(node, CLIENT_PORT, via).await?;
        let answer = http.request(Method::GET, "/status", "").await.map_err(Error::Target)?;
        let reply: StatusReply = serde_json::from_slice(&answer.body)
            .map_err(|e| Error::Target(format!("the status is not what it should be: {e}")))?;
        Ok(NodeStatus {
            leads: reply.role == "leader",
            term: reply.term,
            durable_term: reply.durable_term,
            wall_clock_unix_nanos: reply.wall_clock_unix_nanos,
        })
    }
}
