//! The provider: finds the nodes, and offers what the file has commands for.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::net::TcpStream;

use super::command::Commands;
use super::definition::{AttachFile, NodeOf, endpoint};
use super::here::{self, Here};
use super::node::AttachedNode;
use super::template::Values;
use crate::{Capability, ClientNet, Cluster, ClusterSpec, Error, Found, Node, Probe, Provider, Teardown};

/// See the module.
#[derive(Clone, Debug)]
pub struct AttachProvider {
    file: Arc<AttachFile>,
}

impl AttachProvider {
    /// The cluster of a file.
    pub fn new(file: AttachFile) -> Self {
        AttachProvider { file: Arc::new(file) }
    }

    /// The cluster of the file at this path.
    pub fn load(path: &Path) -> Result<Self, Error> {
        AttachFile::load(path).map(AttachProvider::new)
    }

    /// What its owner says of it.
    pub fn file(&self) -> &Arc<AttachFile> {
        &self.file
    }
}

#[async_trait]
impl Provider for AttachProvider {
    fn name(&self) -> &str {
        "attach"
    }

    async fn probe(&self) -> Vec<Probe> {
        let nodes = self.file.nodes.len();
        let there = Probe {
            capability: Capability::Nodes,
            available: true,
            finding: format!("a running cluster of {nodes} nodes"),
            remedies: Vec::new(),
        };
        use Capability::{Clock, CpuLimit, Disk, LinkQuality, Links, MemoryLimit};
        let lacking = [Links, LinkQuality, Clock, Disk, CpuLimit, MemoryLimit].map(|capability| Probe {
            capability,
            available: false,
            finding: "on a running cluster faults are what its file has commands for".into(),
            remedies: vec!["describe it under `faults` of the cluster file: `begin`, `end`, `prove`".into()],
        });
        [there].into_iter().chain(lacking).collect()
    }

    fn found(&self) -> Option<Found> {
        let only_once = match self.file.reset {
            Some(_) => None,
            None => Some(
                "the cluster file has no `reset`: what a run leaves in the cluster would be there in the next, whose \
                 reads would be judged as if it had never been written"
                    .to_owned(),
            ),
        };
        Some(Found { nodes: self.file.nodes.len(), version: self.file.version.clone(), only_once })
    }

    fn refuses(&self, fault: &str) -> Option<String> {
        let p = &self.file.programs;
        let needed: &[(&str, &Option<String>)] = match fault {
            "kill" | "restart-all" | "crash-loop" => &[("kill", &p.kill)],
            "stop" | "rolling-restart" => &[("stop", &p.stop)],
            "pause" => &[("pause", &p.pause)],
            "membership" | "upgrade" => {
                return Some("it starts other programs on nodes, which are not squall's here".into());
            }
            _ => &[],
        };
        let (lacking, _) = needed.iter().find(|(_, command)| command.is_none())?;
        Some(format!(
            "the cluster file has no command `{lacking}` under `programs`, and no fault `{fault}` under `faults`"
        ))
    }

    async fn provision(&self, spec: &ClusterSpec) -> Result<Cluster, Error> {
        let file = &self.file;
        if spec.nodes != file.nodes.len() {
            let (has, asked) = (file.nodes.len(), spec.nodes);
            return Err(Error::Invalid(format!("the running cluster has {has} nodes, not {asked}")));
        }
        if file.reset.is_none() && !file.starts_empty {
            return Err(Error::Invalid(
                "the cluster file says neither how the cluster is emptied before a run (`reset`) nor that its owner \
                 sees to that (`starts_empty: true`): reads of what somebody else left there would be taken for \
                 anomalies"
                    .into(),
            ));
        }
        let (commands, values) = (file.commands(), everywhere(file));
        if let Some(heal) = &file.heal {
            commands.must("`heal`", heal, &values).await?;
        }
        if let Some(reset) = &file.reset {
            commands.must("`reset`", reset, &values).await?;
        }
        let mut nodes = Vec::new();
        let mut net = AttachNet::default();
        for (index, node) in file.nodes.iter().enumerate() {
            let address = resolve(&node.address, 0).await?.ip();
            for (port, to) in &node.ports {
                net.forward(SocketAddr::new(address, *port), resolve_port(node, to).await?);
            }
            let log_dir = spec.dir.join("nodes").join(&node.name);
            std::fs::create_dir_all(&log_dir)
                .map_err(|e| Error::io(format!("making {}", log_dir.display()), e))?;
            let node = Arc::new(AttachedNode::new(file, index, address, log_dir));
            node.follow_logs()?;
            nodes.push(node as Arc<dyn Node>);
        }
        let host = Arc::new(Here::new(nodes.len(), spec.dir.join("nodes").join("clients"))?);
        Ok(Cluster {
            nodes,
            net: Arc::new(net),
            links: None,
            client_host: Some(host.clone()),
            teardown: Box::new(Leaving { host, heal: file.heal.clone(), commands, values }),
        })
    }
}

fn everywhere(file: &AttachFile) -> Values {
    Values::from([("dir", file.dir.to_string_lossy().into_owned())])
}

async fn resolve(host: &str, port: u16) -> Result<SocketAddr, Error> {
    let found = tokio::net::lookup_host((host, port)).await;
    let found =
        found.map_err(|e| Error::Invalid(format!("the address {host} of the cluster file: {e}")))?.next();
    found.ok_or_else(|| Error::Invalid(format!("the address {host} of the cluster file means no host")))
}

async fn resolve_port(node: &NodeOf, to: &str) -> Result<SocketAddr, Error> {
    // A file that was read has places only.
    let (host, port) = endpoint(to, &node.address)
        .ok_or_else(|| Error::Invalid(format!("`{to}` of {} is no port", node.name)))?;
    resolve(&host, port).await
}

/// How nodes are reached: directly, or where the file says that a port is found instead.
#[derive(Clone, Debug, Default)]
pub struct AttachNet {
    forwards: BTreeMap<SocketAddr, SocketAddr>,
}

impl AttachNet {
    /// Has a port of a node be found elsewhere.
    pub fn forward(&mut self, from: SocketAddr, to: SocketAddr) {
        self.forwards.insert(from, to);
    }
}

#[async_trait]
impl ClientNet for AttachNet {
    async fn connect(&self, _slot: usize, to: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(self.forwards.get(&to).copied().unwrap_or(to)).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// Leaves the cluster as it was found: running, and without harm as far as its file knows how.
#[derive(Debug)]
struct Leaving {
    host: Arc<Here>,
    heal: Option<String>,
    commands: Commands,
    values: Values,
}

#[async_trait]
impl Teardown for Leaving {
    async fn shut_down(self: Box<Self>) -> Result<(), Error> {
        here::end(&self.host).await;
        match &self.heal {
            Some(heal) => self.commands.must("`heal`", heal, &self.values).await.map(drop),
            None => Ok(()),
        }
    }
}
