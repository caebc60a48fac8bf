//! How nodes come to be.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::net::TcpStream;

use crate::{Capability, Error, Links, Node, Probe};

/// What cluster is wanted.
#[derive(Clone, Debug)]
pub struct ClusterSpec {
    /// Number of nodes.
    pub nodes: usize,
    /// Client slots: processes that act at a time, each with an address of its own.
    pub clients: usize,
    /// Seed of everything random in the network.
    pub seed: u64,
    /// The run's folder: logs go to `nodes/<name>/` below it.
    pub dir: PathBuf,
    /// What faults will need; a provider may leave out what is not asked for.
    pub needs: BTreeSet<Capability>,
    /// Whether to write a packet capture per node, `nodes/<name>/network.pcapng`.
    pub pcap: bool,
    /// Files and folders of this machine that every node must see, where nodes are on this machine and have
    /// folders of their own in place of some of the machine's.
    pub visible: Vec<PathBuf>,
}

/// A running cluster. Dropping it takes everything down; [`Cluster::shut_down`] does so and waits.
#[derive(Debug)]
pub struct Cluster {
    /// Its nodes, in order.
    pub nodes: Vec<Arc<dyn Node>>,
    /// How clients reach it.
    pub net: Arc<dyn ClientNet>,
    /// Its links, if they can be changed.
    pub links: Option<Arc<dyn Links>>,
    /// A host in the clients' network on which foreign client programs run, if there is one.
    pub client_host: Option<Arc<dyn Node>>,
    /// What takes it down.
    pub teardown: Box<dyn Teardown>,
}

impl Cluster {
    /// Ends every program and removes every namespace, mount and interface of the cluster.
    pub async fn shut_down(self) -> Result<(), Error> {
        self.teardown.shut_down().await
    }
}

/// Takes a cluster down; dropping it without calling does the same without waiting.
#[async_trait]
pub trait Teardown: Send + Sync + std::fmt::Debug {
    /// Takes the cluster down and waits until nothing is left.
    async fn shut_down(self: Box<Self>) -> Result<(), Error>;
}

/// How clients reach nodes.
#[async_trait]
pub trait ClientNet: Send + Sync + std::fmt::Debug {
    /// Connects from a client slot's own address, once: no retry, no pool.
    async fn connect(&self, slot: usize, to: SocketAddr) -> io::Result<TcpStream>;

    /// A client slot's own address, which programs on [`Cluster::client_host`] may bind, so that faults on the
    /// slot's links reach them too. `None` if there is none of the kind of `like`.
    fn address(&self, slot: usize, like: IpAddr) -> Option<IpAddr> {
        let _ = (slot, like);
        None
    }
}

/// A cluster that ran before squall came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// How many nodes it has.
    pub nodes: usize,
    /// The version of what runs there, if anybody said.
    pub version: Option<String>,
    /// Why it may be used for one run only, if so.
    pub only_once: Option<String>,
}

/// Makes clusters.
#[async_trait]
pub trait Provider: Send + Sync + std::fmt::Debug {
    /// Its name: `local`, `ssh`, `attach`.
    fn name(&self) -> &str;

    /// What it can do here and now, and what to do about the rest.
    async fn probe(&self) -> Vec<Probe>;

    /// Where the cluster and its programs run already, what is known of them: then nothing is installed and nothing
    /// started, and nothing is ended when a run is over.
    fn found(&self) -> Option<Found> {
        None
    }

    /// Why it cannot do a fault, by name, although it has the capabilities that the fault needs.
    fn refuses(&self, _fault: &str) -> Option<String> {
        None
    }

    /// How many nodes a cluster of it can have at most, where that is known before one is made.
    fn most_nodes(&self) -> Option<usize> {
        None
    }

    /// Makes a cluster, or says why not and leaves nothing behind.
    async fn provision(&self, spec: &ClusterSpec) -> Result<Cluster, Error>;
}
