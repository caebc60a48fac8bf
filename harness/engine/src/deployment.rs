//! A target deployed on a cluster: what faults act on.
//!
//! Several faults may be on at once and harm the same node or link. So nobody changes a link or kills a node
//! directly: each fault lays down what it wants under its own id, and what is in force is all of them
//! together. A node runs again when the last fault that holds it down lets go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use squall_cluster::{
    ClientNet, Disk, DiskFault, Endpoint, Exit, Limits, Links, Node, Program, ProgramState,
};
use tokio::sync::Mutex as AsyncMutex;

use crate::Error;
use crate::excuses::Excuses;
use crate::layers::{Layers, Wants};
use crate::membership::{Roll, Standing};
use crate::monitor::LeaderView;
use crate::protocol::{Layout, Target, Via};
use crate::recorder::Recorder;
use crate::stop::Stop;

/// See the module.
#[derive(Debug)]
pub struct Deployment {
    /// The nodes.
    pub nodes: Vec<Arc<dyn Node>>,
    /// How they are reached.
    pub net: Arc<dyn ClientNet>,
    /// Where they are.
    pub layout: Arc<Layout>,
    /// What runs on them.
    pub target: Arc<dyn Target>,
    /// Client slots of workers; the slot after them is the harness's own, and faults leave it alone.
    pub workers: usize,
    /// Where beginnings and ends of faults go.
    pub recorder: Recorder,
    /// Ends the run early.
    pub stop: Stop,
    /// Who leads, as last seen.
    pub leader: LeaderView,
    /// Which nodes may give up, and why.
    pub excuses: Excuses,
    /// Who is a member, and whose membership is pending.
    pub roll: Roll,
    /// Where foreign client programs run, in the clients' network.
    pub client_host: Option<Arc<dyn Node>>,
    links: Option<Layers>,
    holds: Vec<AsyncMutex<Holds>>,
    wants: Vec<AsyncMutex<Wants>>,
    // What runs on a node in place of what the target says: another version, or one that joins.
    instead: Mutex<BTreeMap<usize, Vec<Program>>>,
    active: RwLock<BTreeMap<u32, String>>,
}

#[derive(Debug, Default)]
struct Holds {
    down: BTreeSet<u32>,
    paused: BTreeSet<u32>,
    // Let up while it was paused: it is started once it may go on.
    owed: bool,
}

/// One injection of a fault, and what it acts on.
#[derive(Clone, Debug)]
pub struct Injection {
    /// Its number in the run.
    pub id: u32,
    /// What it acts on.
    pub deployment: Arc<Deployment>,
    /// How long it is to last: the end of the run may cut it short.
    pub lasts: Duration,
}

impl Deployment {
    /// A deployment on which nothing was started yet.
    #[allow(clippy::too_many_arguments, reason = "called once, by the run")]
    pub fn new(
        nodes: Vec<Arc<dyn Node>>,
        net: Arc<dyn ClientNet>,
        links: Option<Arc<dyn Links>>,
        layout: Arc<Layout>,
        target: Arc<dyn Target>,
        workers: usize,
        recorder: Recorder,
        stop: Stop,
    ) -> Self {
        Deployment {
            holds: nodes.iter().map(|_| AsyncMutex::default()).collect(),
            wants: nodes.iter().map(|_| AsyncMutex::default()).collect(),
            excuses: Excuses::default(),
            roll: Roll::new(nodes.len()),
            instead: Mutex::default(),
            links: links.map(|links| Layers::new(links, recorder.clone(), layout.names())),
            leader: LeaderView::default(),
            client_host: None,
            active: RwLock::default(),
            nodes,
            net,
            layout,
            target,
            workers,
            recorder,
            stop,
        }
    }

    /// The same with a host for foreign client programs.
    #[must_use]
    pub fn with_client_host(self, client_host: Option<Arc<dyn Node>>) -> Self {
        Deployment { client_host, ..self }
    }

    /// How the harness itself reaches nodes, whatever faults do to clients.
    pub fn via(&self) -> Via<'_> {
        Via { net: &*self.net, slot: self.workers, layout: &self.layout }
    }

    /// The links, if they can be changed.
    pub fn links(&self) -> Result<&Layers, Error> {
        self.links.as_ref().ok_or_else(|| Error::Config("this provider cannot change links".into()))
    }

    /// Reads afresh what proves faults, where that is not kept in the harness.
    pub async fn measure(&self) -> Result<(), Error> {
        match &self.links {
            Some(layers) => Ok(layers.links.measure().await?),
            None => Ok(()),
        }
    }

    /// What runs on a node.
    pub fn programs(&self, node: usize) -> Vec<Program> {
        let instead = self.instead.lock().unwrap_or_else(PoisonError::into_inner).get(&node).cloned();
        instead.unwrap_or_else(|| self.target.programs(node, &self.layout))
    }

    /// Has other programs run on a node from its next start on.
    pub fn run_instead(&self, node: usize, programs: Vec<Program>) {
        self.instead.lock().unwrap_or_else(PoisonError::into_inner).insert(node, programs);
    }

    /// Whether the cluster does not know a node: it was removed, and nobody has agreed to its return. Started as it
    /// was at first, and perhaps without its data, it would pass for the member that it no longer is.
    fn is_stranger(&self, node: usize) -> bool {
        let agreed = || self.instead.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&node);
        match self.roll.standing(node) {
            Standing::Out => true,
            Standing::Joining => !agreed(),
            Standing::Member | Standing::Leaving => false,
        }
    }

    /// How many of a node's programs run.
    pub fn running(&self, node: usize) -> usize {
        let runs = |p: &&Program| matches!(self.nodes[node].state(&p.name), ProgramState::Running { .. });
        self.programs(node).iter().filter(runs).count()
    }

    /// Starts everything that runs on a node, but what runs already.
    pub async fn start(&self, node: usize) -> Result<(), Error> {
        for program in self.programs(node) {
            if !matches!(self.nodes[node].state(&program.name), ProgramState::Running { .. }) {
                self.nodes[node].start(&program).await?;
            }
        }
        Ok(())
    }

    /// Starts again what ended by itself, unless a fault keeps the node down or paused. Says whether anything
    /// was started.
    pub async fn revive(&self, node: usize) -> Result<bool, Error> {
        let holds = self.holds[node].lock().await;
        let ended = self.running(node) < self.programs(node).len();
        let free = holds.down.is_empty() && holds.paused.is_empty();
        if ended && free {
            self.start(node).await?;
        }
        Ok(ended && free)
    }

    /// Kills a node's programs and keeps them down until [`Deployment::let_up`]. Says how many ran.
    pub async fn hold_down(&self, id: u32, node: usize) -> Result<usize, Error> {
        let mut holds = self.holds[node].lock().await;
        holds.down.insert(id);
        holds.owed = false;
        Ok(self.nodes[node].kill().await?)
    }

    /// Asks a node's programs to end (SIGTERM), kills those that have not after `grace`, and keeps them down
    /// until [`Deployment::let_up`]. Says how those that ran ended.
    pub async fn hold_down_gently(&self, id: u32, node: usize, grace: Duration) -> Result<Vec<Exit>, Error> {
        let mut holds = self.holds[node].lock().await;
        holds.down.insert(id);
        holds.owed = false;
        let mut ends = Vec::new();
        for program in self.programs(node) {
            if matches!(self.nodes[node].state(&program.name), ProgramState::Running { .. }) {
                ends.push(self.nodes[node].stop(&program.name, grace).await?);
            }
        }
        Ok(ends)
    }

    /// Starts a node's programs again once no fault holds it down or pauses it. Says whether they were
    /// started now.
    pub async fn let_up(&self, id: u32, node: usize) -> Result<bool, Error> {
        let mut holds = self.holds[node].lock().await;
        if !holds.down.remove(&id) || !holds.down.is_empty() {
            return Ok(false);
        }
        holds.owed = !holds.paused.is_empty();
        if !holds.owed {
            self.start(node).await?;
        }
        Ok(!holds.owed)
    }

    /// Pauses a node until [`Deployment::resume`].
    pub async fn pause(&self, id: u32, node: usize) -> Result<(), Error> {
        let mut holds = self.holds[node].lock().await;
        holds.paused.insert(id);
        Ok(self.nodes[node].pause().await?)
    }

    /// Lets a node go on once no fault pauses it.
    pub async fn resume(&self, id: u32, node: usize) -> Result<(), Error> {
        let mut holds = self.holds[node].lock().await;
        holds.paused.remove(&id);
        if holds.paused.is_empty() {
            self.nodes[node].resume().await?;
            if std::mem::take(&mut holds.owed) {
                self.start(node).await?;
            }
        }
        Ok(())
    }

    /// A node's disk.
    pub fn disk(&self, node: usize) -> Result<Arc<dyn Disk>, Error> {
        let none = || Error::Config("this provider cannot harm the disks of nodes".into());
        self.nodes[node].disk().ok_or_else(none)
    }

    /// A node's limits.
    pub fn limits(&self, node: usize) -> Result<Arc<dyn Limits>, Error> {
        let none = || Error::Config("this provider cannot limit what nodes use".into());
        self.nodes[node].limits().ok_or_else(none)
    }

    /// Has these faults stand on a node's disk, beside those of others, in place of what `id` wanted before.
    pub async fn lay_disk(&self, id: u32, node: usize, faults: Vec<DiskFault>) -> Result<(), Error> {
        let disk = self.disk(node)?;
        let mut wants = self.wants[node].lock().await;
        wants.disk.insert(id, faults);
        Ok(disk.set_faults(&wants.disk_faults()).await?)
    }

    /// Takes off the disk what `id` wanted.
    pub async fn lift_disk(&self, id: u32, node: usize) -> Result<(), Error> {
        let disk = self.disk(node)?;
        let mut wants = self.wants[node].lock().await;
        wants.disk.remove(&id);
        Ok(disk.set_faults(&wants.disk_faults()).await?)
    }

    /// Limits a node's share of a processor, or lifts what `id` wanted.
    pub async fn limit_cpu(&self, id: u32, node: usize, share: Option<f64>) -> Result<(), Error> {
        let limits = self.limits(node)?;
        let mut wants = self.wants[node].lock().await;
        match share {
            Some(share) => wants.cpu.insert(id, share),
            None => wants.cpu.remove(&id),
        };
        Ok(limits.cpu(wants.share()).await?)
    }

    /// Limits the memory of a node's processes, or lifts what `id` wanted.
    pub async fn limit_memory(&self, id: u32, node: usize, bytes: Option<u64>) -> Result<(), Error> {
        let limits = self.limits(node)?;
        let mut wants = self.wants[node].lock().await;
        match bytes {
            Some(bytes) => wants.memory.insert(id, bytes),
            None => wants.memory.remove(&id),
        };
        Ok(limits.memory(wants.bytes()).await?)
    }

    /// Takes every harm off, whoever did it, and proves it: links, disks, limits, clocks, paused and killed
    /// programs. Data that was damaged stays so.
    pub async fn heal(&self) -> Result<(), Error> {
        self.heal_links().await?;
        for node in 0..self.nodes.len() {
            self.heal_node(node).await?;
        }
        crate::membership::finish(self).await
    }

    async fn heal_links(&self) -> Result<(), Error> {
        let Some(layers) = &self.links else { return Ok(()) };
        layers.clear().await?;
        let ends = self.endpoints();
        for &from in &ends {
            for &to in &ends {
                if from != to && !layers.links.policy(from, to).is_clear() {
                    let text = format!("the link {from:?} → {to:?} is not clear after healing");
                    return Err(Error::Broken(text));
                }
            }
        }
        Ok(())
    }

    async fn heal_node(&self, index: usize) -> Result<(), Error> {
        let node = &self.nodes[index];
        let mut holds = self.holds[index].lock().await;
        holds.paused.clear();
        node.resume().await?;
        let wants = std::mem::take(&mut *self.wants[index].lock().await);
        if let Some(disk) = node.disk() {
            disk.heal().await?;
            self.healed(index, "disk", disk.faults().is_empty())?;
        }
        if let Some(limits) = node.limits() {
            let stands =
                |used: squall_cluster::Usage| used.cpu_share.is_some() || used.memory_limit_bytes.is_some();
            if !wants.cpu.is_empty() || !wants.memory.is_empty() || stands(limits.usage().await?) {
                limits.cpu(None).await?;
                limits.memory(None).await?;
            }
            self.healed(index, "share of the machine", !stands(limits.usage().await?))?;
        }
        if let Some(clock) = node.clock()
            && !is_true(&clock.read())
        {
            clock.change(squall_cluster::ClockChange::Reset).await?;
            self.healed(index, "clock", is_true(&clock.read()))?;
        }
        let owed = std::mem::take(&mut holds.owed);
        let held = !std::mem::take(&mut holds.down).is_empty();
        // What gave up under harm that excuses it is started too.
        if (held || owed || self.excuses.ever(index)) && !self.is_stranger(index) {
            self.start(index).await?;
        }
        self.healed(index, "pause", self.running(index) == 0 || !node.is_paused().await?)
    }

    fn healed(&self, node: usize, what: &str, so: bool) -> Result<(), Error> {
        match so {
            true => Ok(()),
            false => {
                Err(Error::Broken(format!("the {what} of {} is still harmed after healing", self.name(node))))
            }
        }
    }

    /// Every node and every worker's client slot.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        let nodes = (0..self.nodes.len()).map(Endpoint::Node);
        nodes.chain((0..self.workers).map(Endpoint::Client)).collect()
    }

    /// Faults that are on, by id, with their descriptions.
    pub fn active(&self) -> BTreeMap<u32, String> {
        self.active.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says that a fault is on.
    pub fn set_active(&self, id: u32, description: Option<String>) {
        let mut active = self.active.write().unwrap_or_else(PoisonError::into_inner);
        match description {
            Some(description) => active.insert(id, description),
            None => active.remove(&id),
        };
    }

    /// A node's name.
    pub fn name(&self, node: usize) -> String {
        self.layout.nodes[node].name.clone()
    }
}

/// Whether a clock shows true time at the true rate.
fn is_true(reading: &squall_cluster::ClockReading) -> bool {
    reading.offset_nanos == 0 && reading.rate == 1.0
}
