//! A target deployed on a cluster: what faults act on.
//!
//! Several faults may be on at once and harm the same node or link. So nobody changes a link or kills a node
//! directly: each fault lays down what it wants under its own id, and what is in force is all of them
//! together. A node runs again when the last fault that holds it down lets go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use squall_cluster::{ClientNet, Delay, Endpoint, LinkCounters, LinkMessage, LinkPolicy, Links, Loss, Node};
use tokio::sync::Mutex as AsyncMutex;

use crate::Error;
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
    links: Option<Layers>,
    holds: Vec<AsyncMutex<Holds>>,
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
            links: links.map(Layers::new),
            leader: LeaderView::default(),
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

    /// How the harness itself reaches nodes, whatever faults do to clients.
    pub fn via(&self) -> Via<'_> {
        Via { net: &*self.net, slot: self.workers, layout: &self.layout }
    }

    /// The links, if they can be changed.
    pub fn links(&self) -> Result<&Layers, Error> {
        self.links.as_ref().ok_or_else(|| Error::Config("this provider cannot change links".into()))
    }

    /// Starts everything that runs on a node.
    pub async fn start(&self, node: usize) -> Result<(), Error> {
        for program in self.target.programs(node, &self.layout) {
            self.nodes[node].start(&program).await?;
        }
        Ok(())
    }

    /// Kills a node's programs and keeps them down until [`Deployment::let_up`]. Says how many ran.
    pub async fn hold_down(&self, id: u32, node: usize) -> Result<usize, Error> {
        let mut holds = self.holds[node].lock().await;
        holds.down.insert(id);
        holds.owed = false;
        Ok(self.nodes[node].kill().await?)
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

    /// Takes every harm off, whoever did it, and proves it: links, clocks, paused and killed programs.
    pub async fn heal(&self) -> Result<(), Error> {
        if let Some(layers) = &self.links {
            layers.clear().await?;
            let ends = self.endpoints();
            for &from in &ends {
                for &to in &ends {
                    if from != to && !layers.links.policy(from, to).is_clear() {
                        return Err(Error::Broken(format!(
                            "the link {from:?} → {to:?} is not clear after healing"
                        )));
                    }
                }
            }
        }
        for (index, node) in self.nodes.iter().enumerate() {
            let mut holds = self.holds[index].lock().await;
            holds.paused.clear();
            node.resume().await?;
            if let Some(disk) = node.disk() {
                disk.heal().await?;
            }
            let owed = std::mem::take(&mut holds.owed);
            if !std::mem::take(&mut holds.down).is_empty() || owed {
                self.start(index).await?;
            }
            if let Some(clock) = node.clock()
                && !is_true(&clock.read())
            {
                clock.change(squall_cluster::ClockChange::Reset).await?;
            }
        }
        Ok(())
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

/// What each fault wants of the links, and what that comes to.
#[derive(Debug)]
pub struct Layers {
    links: Arc<dyn Links>,
    wanted: Mutex<Wanted>,
    // Held while the network is changed, so that changes reach it in the order in which they were wanted.
    applying: AsyncMutex<()>,
}

impl Layers {
    fn new(links: Arc<dyn Links>) -> Self {
        Layers { links, wanted: Mutex::default(), applying: AsyncMutex::default() }
    }

    /// Lays down what fault `id` wants, in place of what it wanted before.
    pub async fn lay(&self, id: u32, wanted: Vec<(Endpoint, Endpoint, LinkPolicy)>) -> Result<(), Error> {
        let _turn = self.applying.lock().await;
        let changes = {
            let mut all = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
            let before = all.remove(&id).unwrap_or_default();
            let touched: BTreeSet<_> = before.iter().chain(&wanted).map(|w| (w.0, w.1)).collect();
            if !wanted.is_empty() {
                all.insert(id, wanted);
            }
            touched.into_iter().map(|(from, to)| (from, to, together(&all, from, to))).collect::<Vec<_>>()
        };
        Ok(self.links.apply(&changes).await?)
    }

    /// Takes off what fault `id` wanted.
    pub async fn lift(&self, id: u32) -> Result<(), Error> {
        self.lay(id, Vec::new()).await
    }

    /// What a directed link has done so far.
    pub fn counters(&self, from: Endpoint, to: Endpoint) -> LinkCounters {
        self.links.counters(from, to)
    }

    /// The last messages between nodes.
    pub fn messages(&self) -> Vec<LinkMessage> {
        self.links.messages()
    }

    async fn clear(&self) -> Result<(), Error> {
        let _turn = self.applying.lock().await;
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(self.links.heal().await?)
    }
}

type Wanted = BTreeMap<u32, Vec<(Endpoint, Endpoint, LinkPolicy)>>;

fn together(all: &Wanted, from: Endpoint, to: Endpoint) -> LinkPolicy {
    all.values()
        .flatten()
        .filter(|(a, b, _)| (*a, *b) == (from, to))
        .fold(LinkPolicy::default(), |sum, (_, _, policy)| merge(sum, *policy))
}

/// Two policies on one link: a packet passes both.
fn merge(a: LinkPolicy, b: LinkPolicy) -> LinkPolicy {
    let either = |x: f64, y: f64| 1.0 - (1.0 - x) * (1.0 - y);
    LinkPolicy {
        down: a.down || b.down,
        delay: match (a.delay, b.delay) {
            (Some(x), Some(y)) => {
                Some(Delay { mean: x.mean + y.mean, jitter: x.jitter + y.jitter, shape: y.shape })
            }
            (x, y) => x.or(y),
        },
        loss: match (a.loss, b.loss) {
            (Some(x), Some(y)) => Some(Loss { share: either(x.share, y.share), burst: x.burst.max(y.burst) }),
            (x, y) => x.or(y),
        },
        duplicate: either(a.duplicate, b.duplicate),
        reorder: either(a.reorder, b.reorder),
        corrupt: either(a.corrupt, b.corrupt),
        corrupt_undetected: a.corrupt_undetected || b.corrupt_undetected,
        rate_bytes: match (a.rate_bytes, b.rate_bytes) {
            (Some(x), Some(y)) => Some(x.min(y)),
            (x, y) => x.or(y),
        },
        reset: a.reset || b.reset,
    }
}
