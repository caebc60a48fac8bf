//! What each fault wants of the links, of a disk and of a node's share of the machine, and what that comes to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value as Json;
use squall_cluster::{Delay, DiskFault, Endpoint, LinkCounters, LinkMessage, LinkPolicy, Links, Loss};
use squall_history::{Entry, Note};
use tokio::sync::Mutex as AsyncMutex;

use crate::Error;
use crate::recorder::Recorder;

/// What each fault wants of the links, and what that comes to.
#[derive(Debug)]
pub struct Layers {
    pub(crate) links: Arc<dyn Links>,
    wanted: Mutex<Wanted>,
    recorder: Recorder,
    names: Vec<String>,
    // Held while the network is changed, so that changes reach it in the order in which they were wanted.
    applying: AsyncMutex<()>,
}

impl Layers {
    /// Changes go into the log, with the nodes called by these names.
    pub(crate) fn new(links: Arc<dyn Links>, recorder: Recorder, names: Vec<String>) -> Self {
        Layers { links, recorder, names, wanted: Mutex::default(), applying: AsyncMutex::default() }
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
        self.links.apply(&changes).await?;
        self.note(&changes);
        Ok(())
    }

    /// What links between nodes are like from now on. Those of clients are many, and told by the faults' evidence.
    fn note(&self, changes: &[(Endpoint, Endpoint, LinkPolicy)]) {
        let told = |(from, to, policy): &(Endpoint, Endpoint, LinkPolicy)| match (from, to) {
            (Endpoint::Node(a), Endpoint::Node(b)) => {
                Some(Json::from(vec![self.names[*a].clone(), self.names[*b].clone(), state(policy)]))
            }
            _ => None,
        };
        let links: Vec<Json> = changes.iter().filter_map(told).collect();
        if links.is_empty() {
            return;
        }
        let (kind, text) = (LINKS.to_owned(), format!("{} links between nodes changed", links.len()));
        let data = [("links".to_owned(), Json::from(links))].into();
        self.recorder.note(|time| Entry::Note(Box::new(Note { time, kind, node: None, text, data })));
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
        let all = std::mem::take(&mut *self.wanted.lock().unwrap_or_else(PoisonError::into_inner));
        self.links.heal().await?;
        let touched: BTreeSet<_> = all.values().flatten().map(|w| (w.0, w.1)).collect();
        let clear: Vec<_> = touched.into_iter().map(|(a, b)| (a, b, LinkPolicy::default())).collect();
        self.note(&clear);
        Ok(())
    }
}

/// The kind of note that tells changes of links: `links` is a list of from, to and state.
const LINKS: &str = "links";

/// A link's state in a word or several, joined by `+`; empty for a clear one.
fn state(policy: &LinkPolicy) -> String {
    let p = policy;
    let words = [
        ("cut", p.down),
        ("half-open", p.half_open),
        ("reset", p.reset),
        ("loss", p.loss.is_some()),
        ("delay", p.delay.is_some()),
        ("slow", p.rate_bytes.is_some()),
        ("corrupt", p.corrupt > 0.0),
        ("duplicate", p.duplicate > 0.0),
        ("reorder", p.reorder > 0.0),
    ];
    words.into_iter().filter(|(_, so)| *so).map(|(word, _)| word).collect::<Vec<_>>().join("+")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_told_by_all_that_is_wrong_with_it() {
        assert_eq!(state(&LinkPolicy::default()), "");
        assert_eq!(state(&LinkPolicy::cut()), "cut");
        let loss = Some(Loss { share: 0.2, burst: 1.0 });
        assert_eq!(state(&LinkPolicy { loss, reset: true, ..LinkPolicy::cut() }), "cut+reset+loss");
        assert_eq!(state(&LinkPolicy { half_open: true, ..LinkPolicy::default() }), "half-open");
    }
}
