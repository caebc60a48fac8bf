//! The provider: from an inventory to a cluster on its hosts.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::agent::COMMAND;
use super::all;
use super::book::Book;
use super::clock::SshClock;
use super::files::{self, Mapping, Parcel};
use super::firewall::is_same_kind;
use super::inventory::{Host, Inventory};
use super::link::Link;
use super::links::{HostSide, SshLinks};
use super::net::SshNet;
use super::node::SshNode;
use super::pool::{Bound, Pool};
use super::shell::Remote;
use super::sides::View;
use super::survey::{self, Survey};
use super::wire::{Hello, Request};
use crate::attach::here::{self, Here};
use crate::{Capability, Clock, Cluster, ClusterSpec, Error, Links, Node, Probe, Provider, Teardown};

/// Makes clusters on the hosts of an inventory. One at a time: another waits until the hosts are free.
#[derive(Debug)]
pub struct SshProvider {
    inventory: Arc<Inventory>,
    pools: Vec<Arc<Pool>>,
    busy: Arc<Mutex<()>>,
}

impl SshProvider {
    /// A provider for these hosts. Touches none of them yet.
    pub fn new(inventory: Inventory) -> Self {
        let bound = Bound::default();
        let hosts = inventory.hosts.iter().enumerate();
        let pools = hosts.map(|(n, host)| Pool::new(&name(n), host, bound.clone())).collect();
        SshProvider { inventory: Arc::new(inventory), pools, busy: Arc::default() }
    }
}

fn name(index: usize) -> String {
    format!("n{}", index + 1)
}

#[async_trait]
impl Provider for SshProvider {
    fn name(&self) -> &str {
        "ssh"
    }

    async fn probe(&self) -> Vec<Probe> {
        let hosts = self.pools.iter().cloned().zip(self.inventory.hosts.clone());
        let surveys = all(hosts.enumerate(), |(index, (pool, host))| async move {
            let survey = pool.with(move |session| survey::ask(session, &host)).await;
            Ok((name(index), survey))
        });
        match surveys.await {
            Ok(surveys) => survey::probes(&surveys),
            Err(error) => survey::probes(&[(String::new(), Err(error))]),
        }
    }

    fn refuses(&self, fault: &str) -> Option<String> {
        let why = match fault {
            "duplicate" | "reorder" | "corrupt" | "bandwidth" => "netem counts nothing that would prove it",
            "half-open" => "the firewall of a host cannot tell old connections from new ones under it",
            _ => return None,
        };
        Some(why.to_owned())
    }

    fn most_nodes(&self) -> Option<usize> {
        Some(self.inventory.hosts.len())
    }

    async fn provision(&self, spec: &ClusterSpec) -> Result<Cluster, Error> {
        let busy = self.busy.clone().lock_owned().await;
        let there = self.inventory.hosts.len();
        if spec.nodes == 0 || spec.nodes > there {
            let text = format!("the inventory has {there} hosts, and {} nodes are asked for", spec.nodes);
            return Err(Error::Invalid(text));
        }
        let hosts = &self.inventory.hosts[..spec.nodes];
        if let Some(odd) = hosts.iter().find(|h| !is_same_kind(h.cluster_address, hosts[0].cluster_address)) {
            let text = format!("{} is not of the kind of the other hosts' addresses", odd.cluster_address);
            return Err(Error::Invalid(text));
        }
        let parcels = Arc::new(pack(spec.visible.clone(), self.inventory.clone()).await?);
        let wanted = self.pools[..spec.nodes].iter().cloned().zip(hosts.to_vec()).enumerate();
        let prepared = all(wanted, |(index, (pool, host))| {
            let (inventory, parcels, dir) = (self.inventory.clone(), parcels.clone(), spec.dir.clone());
            async move { prepare(index, pool, host, inventory, parcels, dir).await }
        });
        assemble(&self.inventory, spec, prepared.await?, busy).await
    }
}

/// Everything of this machine that hosts need: the agent first, which is this very program.
async fn pack(visible: Vec<PathBuf>, inventory: Arc<Inventory>) -> Result<Vec<Parcel>, Error> {
    let packed = tokio::task::spawn_blocking(move || {
        let own = std::env::current_exe().map_err(|e| Error::io("finding this program", e))?;
        let there = |path: &Path| {
            path.file_name().is_some_and(|n| inventory.executables.contains_key(&*n.to_string_lossy()))
        };
        let mut paths = vec![own];
        paths.extend(visible.into_iter().filter(|path| !there(path)));
        paths.dedup();
        paths.iter().map(|path| Parcel::pack(path)).collect::<Result<Vec<_>, _>>()
    });
    packed.await.map_err(|e| Error::Broken(format!("packing what hosts need: {e}")))?
}

/// A host on which an agent runs.
struct Prepared {
    host: Host,
    survey: Survey,
    hello: Hello,
    remote: Arc<Remote>,
    book: Arc<Book>,
    mapping: Arc<Mapping>,
    logs: PathBuf,
}

async fn prepare(
    index: usize,
    pool: Arc<Pool>,
    host: Host,
    inventory: Arc<Inventory>,
    parcels: Arc<Vec<Parcel>>,
    dir: PathBuf,
) -> Result<Prepared, Error> {
    let name = name(index);
    let logs = dir.join("nodes").join(&name);
    std::fs::create_dir_all(&logs).map_err(|e| Error::io(format!("making {}", logs.display()), e))?;
    let book = Arc::new(Book::new(index, &name));
    let observer = book.clone();
    let taken = pool.clone();
    // One after the other on one session, which the agent then keeps.
    pool.with(move |session| {
        let survey = survey::ask(session, &host)?;
        let mut agent = None;
        for parcel in &*parcels {
            let place = parcel.send(session, &host)?;
            agent.get_or_insert(place);
        }
        files::install(session, &host, &inventory.install)?;
        let agent = agent.ok_or_else(|| Error::Broken("there is no agent to start".into()))?;
        let command = start_agent(&host, &agent, &inventory);
        let (link, hello) = Link::start(&name, taken.take()?, &command, observer)?;
        let mapping = Arc::new(Mapping::new(&host, &inventory, &parcels));
        Ok(Prepared { host, survey, hello, remote: Arc::new(Remote::new(link)), book, mapping, logs })
    })
    .await
}

/// The shell's command that starts the agent. `sudo` would drop where the connection comes from, so it is an
/// argument.
fn start_agent(host: &Host, agent: &Path, inventory: &Inventory) -> String {
    let sudo = if host.sudo { "sudo -n -- " } else { "" };
    let (agent, dir, silence) = (agent.display(), host.dir.display(), inventory.dead_man.as_secs_f64());
    format!("exec {sudo}{agent} {COMMAND} serve {dir} {silence} \"$SSH_CONNECTION\"")
}

/// The harness's address and the sshd's port as a host sees them.
fn connection(hello: &Hello, host: &Host) -> Result<(IpAddr, u16), Error> {
    let mut parts = hello.connection.split(' ');
    let from = parts.next().and_then(|a| a.parse().ok());
    let port = parts.nth(2).and_then(|p| p.parse().ok());
    from.zip(port).ok_or_else(|| {
        let (address, said) = (&host.login.address, &hello.connection);
        Error::Broken(format!("the sshd of {address} does not say where we come from ({said:?})"))
    })
}

async fn assemble(
    inventory: &Inventory,
    spec: &ClusterSpec,
    prepared: Vec<Prepared>,
    busy: OwnedMutexGuard<()>,
) -> Result<Cluster, Error> {
    let addresses: Vec<IpAddr> = prepared.iter().map(|p| p.host.cluster_address).collect();
    let (mut nodes, mut sides): (Vec<Arc<SshNode>>, Vec<HostSide>) = (Vec::new(), Vec::new());
    for (index, p) in prepared.iter().enumerate() {
        let name = name(index);
        let (from, ssh_port) = connection(&p.hello, &p.host)?;
        let harness = inventory.harness.unwrap_or(from);
        let view = View { me: index, nodes: addresses.clone(), harness, ssh_port };
        let queues = spec.needs.contains(&Capability::LinkQuality) && p.survey.has_netem();
        let interface = if queues { Some(interface(&name, p).await?) } else { None };
        let clock = (spec.needs.contains(&Capability::Clock) && p.survey.has_clock())
            .then(|| Arc::new(SshClock::new(&name, p.remote.clone())) as Arc<dyn Clock>);
        sides.push(HostSide { name: name.clone(), shell: p.remote.clone(), view, interface });
        nodes.push(Arc::new(SshNode {
            name,
            index,
            address: p.host.cluster_address,
            data: p.host.dir.join("data"),
            logs: p.logs.clone(),
            remote: p.remote.clone(),
            book: p.book.clone(),
            mapping: p.mapping.clone(),
            processes: inventory.processes,
            clock,
            damage: true,
            fetched: Mutex::default(),
        }));
    }
    let slots = spec.clients.saturating_sub(1);
    let firewall = prepared.iter().all(|p| p.survey.has_firewall());
    let links = firewall.then(|| Arc::new(SshLinks::new(sides, slots)) as Arc<dyn Links>);
    // Programs of foreign clients run on this machine: it is from here that hosts are reached.
    let host = Arc::new(Here::new(spec.nodes, spec.dir.join("nodes").join("clients"))?);
    Ok(Cluster {
        nodes: nodes.iter().map(|node| node.clone() as Arc<dyn Node>).collect(),
        net: Arc::new(SshNet::new(slots)),
        links,
        client_host: Some(host.clone()),
        teardown: Box::new(SshTeardown { nodes, host, _busy: busy }),
    })
}

/// The interface that has a host's address.
async fn interface(name: &str, p: &Prepared) -> Result<String, Error> {
    if let Some(said) = &p.host.interface {
        return Ok(said.clone());
    }
    let address = p.host.cluster_address.to_string();
    let command = super::wire::Command::new(["ip", "-o", "addr", "show", "to", &address]);
    let told = p.remote.link().exec(command).await?;
    let found = told.split_whitespace().nth(1).map(|i| i.trim_end_matches(':').to_owned());
    found.ok_or_else(|| {
        Error::Unavailable(format!(
            "{name} has no interface with {address}: say `interface` in the inventory"
        ))
    })
}

/// Says goodbye to every agent, which undoes everything first. Dropped without that, the lines close, and the
/// dead man's switches do the same.
#[derive(Debug)]
struct SshTeardown {
    nodes: Vec<Arc<SshNode>>,
    host: Arc<Here>,
    _busy: OwnedMutexGuard<()>,
}

#[async_trait]
impl Teardown for SshTeardown {
    async fn shut_down(self: Box<Self>) -> Result<(), Error> {
        let goodbye = all(self.nodes.iter().cloned(), |node| async move {
            let logs = node.gather_logs().await;
            node.remote.link().done(Request::Bye).await?;
            logs
        });
        here::end(&self.host).await;
        goodbye.await.map(drop)
    }
}
