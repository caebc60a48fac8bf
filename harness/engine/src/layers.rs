//! What each fault wants of the links, of a disk and of a node's share of the machine, and what that comes to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use squall_cluster::{Delay, DiskFault, Endpoint, LinkCounters, LinkMessage, LinkPolicy, Links, Loss};
use tokio::sync::Mutex as AsyncMutex;

use crate::Error;

/// What each fault wants of the links, and what that comes to.
#[derive(Debug)]
pub struct Layers {
    pub(crate) links: Arc<dyn Links>,
    wanted: Mutex<Wanted>,
    // Held while the network is changed, so that changes reach it in the order in which they were wanted.
    applying: AsyncMutex<()>,
}

impl Layers {
    pub(crate) fn new(links: Arc<dyn Links>) -> Self {
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

    /// Notes something that happens now in the packet captures, if there are any.
    pub fn mark(&self, text: &str) {
        self.links.mark(text);
    }

    /// The last messages between nodes.
    pub fn messages(&self) -> Vec<LinkMessage> {
        self.links.messages()
    }

    /// What a directed link has done so far.
    pub fn counters(&self, from: Endpoint, to: Endpoint) -> LinkCounters {
        self.links.counters(from, to)
    }

    pub(crate) async fn clear(&self) -> Result<(), Error> {
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
        half_open: a.half_open || b.half_open,
    }
}

/// What faults want of one node beside its links and its life.
#[derive(Debug, Default)]
pub(crate) struct Wants {
    /// Faults that are to stand on its disk.
    pub disk: BTreeMap<u32, Vec<DiskFault>>,
    /// Shares of a processor.
    pub cpu: BTreeMap<u32, f64>,
    /// Limits on memory, bytes.
    pub memory: BTreeMap<u32, u64>,
}

impl Wants {
    /// All faults that are to stand on the disk.
    pub fn disk_faults(&self) -> Vec<DiskFault> {
        self.disk.values().flatten().cloned().collect()
    }

    /// The smallest share of a processor that anybody wants.
    pub fn share(&self) -> Option<f64> {
        self.cpu.values().copied().min_by(f64::total_cmp)
    }

    /// The tightest limit that anybody wants.
    pub fn bytes(&self) -> Option<u64> {
        self.memory.values().copied().min()
    }
}
