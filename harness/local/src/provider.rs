//! The provider: from a wish to a running cluster, or an error that names the step and leaves nothing.

use std::fmt::Write;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::stat::Mode;
use nix::unistd::pipe2;
use squall_cluster::{Capability, Cluster, ClusterSpec, Endpoint, Error, Node, Probe, Provider};

use crate::addressing::{MAX_CLIENTS, MAX_NODES, Map};
use crate::channel::{self, Channel, Heard, Observer};
use crate::clock::ClockPage;
use crate::fabric::Fabric;
use crate::links::{LocalLinks, Table};
use crate::node::{Book, LocalNode};
use crate::pcap::Capture;
use crate::protocol::{self, Failed, FromNode, NodePlan, Plan, Wire};
use crate::sockets::LocalNet;
use crate::teardown::{LocalTeardown, wait_for_end};
use crate::{keeper, probe, sys, wire};

/// How long a cluster may take to come up before that counts as a failure.
const LIMIT: Duration = Duration::from_secs(30);
/// How long the word that explains a node's end may come after that end, milliseconds.
const LAST_WORD: u16 = 2000;
/// Largest IP packet on every interface, as on Ethernet.
const MTU: u32 = 1500;

/// Makes clusters on this machine.
#[derive(Clone, Debug, Default)]
pub struct LocalProvider {
    wires: Wires,
}

/// How nodes are wired to the network between them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wires {
    /// TUN devices where /dev/net/tun can be opened, veth pairs otherwise.
    #[default]
    Auto,
    /// TUN devices.
    Tun,
    /// veth pairs.
    Veth,
}

impl LocalProvider {
    /// A provider that chooses the wires itself.
    pub fn new() -> Self {
        LocalProvider::default()
    }

    /// The same with wires of this kind.
    pub fn with_wires(self, wires: Wires) -> Self {
        LocalProvider { wires }
    }

    /// The kinds of wires to try, the best first.
    fn wires(&self) -> &'static [Wire] {
        match self.wires {
            Wires::Tun => &[Wire::Tun],
            Wires::Veth => &[Wire::Veth],
            Wires::Auto => {
                let tun = open(wire::TUN_DEVICE, OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty());
                // That it can be opened does not say that devices can be made with it.
                if tun.is_ok() { &[Wire::Tun, Wire::Veth] } else { &[Wire::Veth] }
            }
        }
    }
}

#[async_trait]
impl Provider for LocalProvider {
    fn name(&self) -> &str {
        "local"
    }

    async fn probe(&self) -> Vec<Probe> {
        probe::probe(self).await
    }

    async fn provision(&self, spec: &ClusterSpec) -> Result<Cluster, Error> {
        let (wanted, wires) = (spec.clone(), self.wires());
        let made = tokio::task::spawn_blocking(move || provision(&wanted, wires)).await;
        let (cluster, nodes) =
            made.map_err(|error| Error::Broken(format!("making a cluster: {error}")))??;
        if spec.needs.contains(&Capability::Disk) || spec.needs.contains(&Capability::Damage) {
            for (index, node) in nodes.iter().enumerate() {
                node.give_disk(spec.seed.wrapping_add(index as u64)).await?;
            }
        }
        Ok(cluster)
    }
}

/// The cluster, and its nodes once more as what they are.
type Made = (Cluster, Vec<Arc<LocalNode>>);

fn provision(spec: &ClusterSpec, wires: &[Wire]) -> Result<Made, Error> {
    if spec.nodes == 0 || spec.nodes > MAX_NODES || spec.clients > MAX_CLIENTS {
        let (nodes, clients) = (spec.nodes, spec.clients);
        return Err(Error::Invalid(format!(
            "a local cluster has 1 to {MAX_NODES} nodes and at most {MAX_CLIENTS} clients, not {nodes} and {clients}"
        )));
    }
    let map = Map::new(spec.nodes, spec.clients);
    let folders = Folders::make(&spec.dir, spec.nodes)?;
    let mut first = None;
    for wire in wires {
        let plan = plan(map, *wire, &folders, &spec.visible);
        match raise(&plan) {
            Ok(raised) => return assemble(spec, map, plan, raised, &folders),
            // The first kind's failure explains most: the others are only what is left.
            Err(error) => drop(first.get_or_insert(error)),
        }
    }
    Err(first.unwrap_or_else(|| Error::Broken("there is no kind of wire to try".into())))
}

/// Where each node keeps its things, the clients' host last.
struct Folders {
    root: PathBuf,
    names: Vec<String>,
}

impl Folders {
    fn make(dir: &Path, nodes: usize) -> Result<Self, Error> {
        let failed = |error| Error::io(format!("making the nodes' folders in {}", dir.display()), error);
        std::fs::create_dir_all(dir).map_err(failed)?;
        let root = dir.canonicalize().map_err(failed)?;
        let names = (1..=nodes).map(|node| format!("n{node}")).chain(["clients".to_owned()]).collect();
        let folders = Folders { root, names };
        for name in &folders.names {
            std::fs::create_dir_all(folders.data(name)).map_err(failed)?;
        }
        Ok(folders)
    }

    fn logs(&self, name: &str) -> PathBuf {
        self.root.join("nodes").join(name)
    }

    fn data(&self, name: &str) -> PathBuf {
        self.logs(name).join("data")
    }
}

fn plan(map: Map, wire: Wire, folders: &Folders, needed: &[PathBuf]) -> Plan {
    let mut hosts = String::from("127.0.0.1 localhost\n::1 localhost\n");
    let mut nodes = Vec::new();
    for (port, name) in folders.names.iter().enumerate() {
        let host = port == map.nodes();
        let endpoint = if host { Endpoint::Client(map.host_slot()) } else { Endpoint::Node(port) };
        let address = map.address(endpoint);
        writeln!(hosts, "{address} {name}").expect("writing to a string cannot fail");
        nodes.push(NodePlan {
            name: name.clone(),
            port: u16::try_from(port).expect("MAX_NODES fits"),
            address,
            address6: map.address6(endpoint),
            own_networks: if host { own_networks(map) } else { Vec::new() },
            data: folders.data(name),
        });
    }
    let mut visible = vec![folders.root.clone()];
    visible.extend(std::env::current_exe());
    visible.extend_from_slice(needed);
    Plan { nodes, hosts, wire, mtu: MTU, visible }
}

/// The networks that the slots' addresses fill.
fn own_networks(map: Map) -> Vec<(IpAddr, u8)> {
    let v4 = map.client_networks().into_iter().map(|network| (network.into(), 24));
    v4.chain([(map.client_network6().into(), 112)]).collect()
}

/// A cluster whose nodes are up: our ends of what connects us.
struct Raised {
    cluster: OwnedFd,
    gone: OwnedFd,
    sockets: Vec<OwnedFd>,
    wires: Vec<OwnedFd>,
}

fn raise(plan: &Plan) -> Result<Raised, Error> {
    let failed = |error: Errno| Error::io("making sockets for a cluster", sys::io_error(error));
    let (cluster, theirs) = sys::message_pair().map_err(failed)?;
    let (gone, held) = pipe2(OFlag::O_CLOEXEC).map_err(failed)?;
    let (mut sockets, mut inner) = (Vec::new(), Vec::new());
    for _ in &plan.nodes {
        let (ours, theirs) = sys::message_pair().map_err(failed)?;
        setsockopt(&ours, sockopt::PassCred, &true).map_err(failed)?;
        sockets.push(ours);
        inner.push(theirs);
    }
    keeper::request(theirs.as_fd(), held.as_fd())?;
    drop((theirs, held));
    let fds: Vec<BorrowedFd<'_>> = inner.iter().map(AsFd::as_fd).collect();
    match protocol::send(cluster.as_fd(), plan, &fds) {
        // The cluster's init may be gone already; what it said last is read below.
        Ok(()) | Err(Errno::EPIPE | Errno::ECONNRESET) => {}
        Err(error) => return Err(Error::io("sending the cluster's plan", sys::io_error(error))),
    }
    drop(inner);
    match await_nodes(plan, &cluster, &sockets) {
        Ok(wires) => Ok(Raised { cluster, gone, sockets, wires }),
        Err(error) => {
            drop((cluster, sockets));
            wait_for_end(&gone)?;
            Err(error)
        }
    }
}

/// Waits until every node says that it is there, and collects their wires.
fn await_nodes(plan: &Plan, cluster: &OwnedFd, sockets: &[OwnedFd]) -> Result<Vec<OwnedFd>, Error> {
    let start = Instant::now();
    let mut wires: Vec<Option<OwnedFd>> = sockets.iter().map(|_| None).collect();
    while wires.iter().any(Option::is_none) {
        let Some(left) = LIMIT.checked_sub(start.elapsed()) else {
            let missing: Vec<&str> = plan
                .nodes
                .iter()
                .zip(&wires)
                .filter(|(_, wire)| wire.is_none())
                .map(|(n, _)| &*n.name)
                .collect();
            return Err(Error::Timeout(format!("not up after {LIMIT:?}: {}", missing.join(", "))));
        };
        // Nodes first: what they say explains why the cluster's init ended.
        let waiting: Vec<usize> = (0..sockets.len()).filter(|node| wires[*node].is_none()).collect();
        let mut fds: Vec<PollFd<'_>> =
            waiting.iter().map(|node| PollFd::new(sockets[*node].as_fd(), PollFlags::POLLIN)).collect();
        fds.push(PollFd::new(cluster.as_fd(), PollFlags::POLLIN));
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(Error::io("waiting for nodes", sys::io_error(error))),
        }
        for (node, fd) in waiting.iter().zip(&fds) {
            if fd.any() == Some(true) {
                let wire = hear_node(&plan.nodes[*node].name, sockets[*node].as_fd(), cluster.as_fd())?;
                wires[*node] = Some(wire);
            }
        }
        if fds.last().and_then(PollFd::any) == Some(true) {
            return Err(hear_cluster(cluster.as_fd()));
        }
    }
    Ok(wires.into_iter().flatten().collect())
}

/// A node's first word: its wire. Where it ended without one, its cluster's init may say why.
fn hear_node(name: &str, socket: BorrowedFd<'_>, cluster: BorrowedFd<'_>) -> Result<OwnedFd, Error> {
    let message = sys::receive(socket).map_err(|error| Error::io(format!("hearing {name}"), error.into()))?;
    let Some(message) = message else {
        let mut last = [PollFd::new(cluster, PollFlags::POLLIN)];
        return match poll(&mut last, LAST_WORD) {
            Ok(1..) => Err(hear_cluster(cluster)),
            _ => Err(Error::Broken(format!("{name} ended before it was up"))),
        };
    };
    let said = protocol::decode(&message);
    match (said, message.fds.into_iter().next()) {
        (Ok(FromNode::Ready), Some(wire)) => Ok(wire),
        (Ok(FromNode::Failed(failed)), _) => Err(probe::explain(&format!("{name} did not come up"), &failed)),
        _ => Err(Error::Broken(format!("{name} said something unexpected"))),
    }
}

/// The last word of a cluster's init, or of the keeper in its place.
fn hear_cluster(socket: BorrowedFd<'_>) -> Error {
    match sys::receive(socket) {
        Ok(Some(message)) => match protocol::decode::<Failed>(&message) {
            Ok(failed) => probe::explain("the cluster did not come up", &failed),
            Err(error) => Error::io("hearing the cluster's init", sys::io_error(error)),
        },
        Ok(None) => Error::Broken("the cluster's init ended before its nodes were up".into()),
        Err(error) => Error::io("hearing the cluster's init", sys::io_error(error)),
    }
}

/// A packet capture for each node, and one for the clients.
fn captures(folders: &Folders) -> Result<Vec<Capture>, Error> {
    let capture = |name: &String| {
        let path = folders.logs(name).join("network.pcap");
        Capture::create(&path).map_err(|error| Error::io(format!("making {}", path.display()), error))
    };
    folders.names.iter().map(capture).collect()
}

fn assemble(
    spec: &ClusterSpec,
    map: Map,
    plan: Plan,
    raised: Raised,
    folders: &Folders,
) -> Result<Made, Error> {
    let table = Arc::new(Table::new(map, spec.seed));
    let captures = if spec.pcap { captures(folders)? } else { Vec::new() };
    let failed = |what: &str| {
        let what = what.to_owned();
        move |error| Error::io(what, error)
    };
    let fabric = Fabric::start(Arc::clone(&table), plan.wire, raised.wires, captures)
        .map_err(failed("starting the fabric"))?;
    let mut locals: Vec<Arc<LocalNode>> = Vec::new();
    let mut heard: Vec<Heard> = Vec::new();
    // Only where it is asked for: a program with a clock of its own has a supervisor beside it.
    let skewed = spec.needs.contains(&Capability::Clock);
    for (index, (node, socket)) in plan.nodes.iter().zip(raised.sockets).enumerate() {
        let channel = Arc::new(Channel::new(&node.name, socket));
        let book = Arc::new(Book::new(index));
        heard.push((Arc::clone(&channel), Arc::clone(&book) as Arc<dyn Observer>));
        let (data, logs) = (node.data.clone(), folders.logs(&node.name));
        let clock = skewed.then(ClockPage::new).transpose().map_err(failed("making a node's clock"))?;
        let clock = clock.map(Arc::new);
        locals.push(Arc::new(LocalNode::new(&node.name, node.address, data, logs, channel, book, clock)));
    }
    let host =
        heard.last().map(|(channel, _)| Arc::clone(channel)).expect("the clients' host is always planned");
    let listener = channel::listen(heard).map_err(failed("listening to nodes"))?;
    let client_host = locals.pop().map(|host| host as Arc<dyn Node>);
    let net = Arc::new(LocalNet::new(map, host));
    let teardown = LocalTeardown::new(raised.cluster, raised.gone, fabric, listener, Arc::clone(&net));
    let nodes = locals.iter().map(|node| Arc::clone(node) as Arc<dyn Node>).collect();
    let cluster = Cluster {
        nodes,
        net,
        links: Some(Arc::new(LocalLinks { table })),
        client_host,
        teardown: Box::new(teardown),
    };
    Ok((cluster, locals))
}
