//! A cluster of the local provider that runs one target.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use squall_cluster::{ClientNet, Cluster, ClusterSpec, Provider as _};
use squall_engine::Error;
use squall_engine::protocol::{Layout, NodeLayout, Target, TargetKind, Via};
use squall_local::LocalProvider;

/// Client addresses: connections share them.
pub(super) const SLOTS: usize = 16;
/// How long a cluster may take until it serves.
const PATIENCE: Duration = Duration::from_secs(60);

/// Nodes that run a target and serve.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) target: Arc<dyn Target>,
    pub(super) version: String,
    pub(super) layout: Layout,
    pub(super) cluster: Cluster,
    _provider: LocalProvider,
}

impl Running {
    /// Makes nodes, starts the target on every one and waits until all serve.
    pub(super) async fn start(name: &str, options: &Json, nodes: usize, dir: &Path) -> Result<Self, Error> {
        let target = build(name, options)?;
        let version = target.prepare().await?;
        let spec = ClusterSpec {
            nodes,
            clients: SLOTS,
            seed: 1,
            dir: dir.to_owned(),
            needs: [].into(),
            pcap: false,
            visible: target.uses(),
        };
        let provider = LocalProvider::new();
        let cluster = provider.provision(&spec).await?;
        let node = |n: &Arc<dyn squall_cluster::Node>| NodeLayout {
            name: n.name().to_owned(),
            address: n.address(),
            data_dir: n.data_dir().to_owned(),
        };
        let layout = Layout { nodes: cluster.nodes.iter().map(node).collect() };
        let running = Running { target, version, layout, cluster, _provider: provider };
        for index in 0..nodes {
            running.start_node(index).await?;
        }
        for index in 0..nodes {
            running.ready(index).await?;
        }
        Ok(running)
    }

    pub(super) async fn start_node(&self, index: usize) -> Result<(), Error> {
        for program in self.target.programs(index, &self.layout) {
            self.cluster.nodes[index].start(&program).await?;
        }
        Ok(())
    }

    pub(super) fn via(&self) -> Via<'_> {
        Via { net: &*self.cluster.net, slot: 0, layout: &self.layout }
    }

    pub(super) fn net(&self) -> Arc<dyn ClientNet> {
        self.cluster.net.clone()
    }

    /// Waits until a node serves linearizable reads.
    pub(super) async fn ready(&self, index: usize) -> Result<(), Error> {
        let begun = Instant::now();
        loop {
            match self.target.ready(index, self.via()).await {
                Ok(()) => return Ok(()),
                Err(e) if begun.elapsed() > PATIENCE => return Err(e),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// The node that leads, once there is one; nodes that do not answer do not.
    pub(super) async fn leader(&self) -> Result<usize, Error> {
        let status = self.target.status();
        let status = status.ok_or_else(|| Error::Target("no status tells who leads".into()))?;
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            for index in 0..self.layout.nodes.len() {
                if status.status(index, self.via()).await.is_ok_and(|s| s.leads) {
                    return Ok(index);
                }
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Err(Error::Target(format!("{} has had no leader for {PATIENCE:?}", self.target.name())))
    }

    pub(super) fn socket(&self, index: usize, port: u16) -> SocketAddr {
        self.layout.socket(index, port)
    }
}

fn build(name: &str, options: &Json) -> Result<Arc<dyn Target>, Error> {
    let kinds = squall_targets::targets();
    let kind: Option<&TargetKind> = kinds.iter().find(|k| k.name == name);
    (kind.ok_or_else(|| Error::Broken(format!("{name} is not built in")))?.build)(options)
}

/// The type of the file system that `path` is on, as the kernel names it.
pub(super) fn file_system(path: &Path) -> String {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mounted = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        Some((words.next()?, words.next()?))
    });
    let deepest = mounted.filter(|(at, _)| path.starts_with(at)).max_by_key(|(at, _)| at.len());
    deepest.map_or("an unknown file system", |(_, kind)| kind).to_owned()
}
