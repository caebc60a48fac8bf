//! The table of directed links that the fabric obeys and the harness changes.
//!
//! One lock guards it. The fabric takes it for each packet's decision, never over a system call, so that a
//! change of any number of links is one step: no packet is judged by half of it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use squall_cluster::{Endpoint, Error, LinkCounters, LinkMessage, LinkPolicy, Links};

use crate::addressing::Map;
use crate::pcap::Mark;
use crate::policy::{self, Memory};
use crate::sightings::Sightings;

/// One directed link.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    /// What is in force.
    pub policy: LinkPolicy,
    /// Whether that is nothing: asked for each packet.
    pub clear: bool,
    /// What it has done.
    pub counters: LinkCounters,
    /// What its decisions depend on beside the policy.
    pub memory: Memory,
    /// TCP connections that were opened while older ones are silenced, by their ports.
    pub opened: HashSet<(u16, u16)>,
}

impl Link {
    /// Whether a segment of this connection is to vanish, under a policy that silences what was open before.
    pub fn silences(&mut self, flow: (u16, u16), opens: bool) -> bool {
        if opens {
            self.opened.insert(flow);
        }
        !self.opened.contains(&flow)
    }

    fn set(&mut self, policy: LinkPolicy) {
        if self.policy != policy {
            self.memory.policy_changed();
            // What was opened meanwhile lives on while another policy joins.
            if !(self.policy.half_open && policy.half_open) {
                self.opened.clear();
            }
            self.policy = policy;
            self.clear = policy.is_clear();
        }
    }
}

/// Every directed link of a cluster.
#[derive(Debug)]
pub(crate) struct Table {
    /// Who is where.
    pub map: Map,
    /// What was said between nodes lately.
    pub sightings: Sightings,
    links: Mutex<Vec<Link>>,
    /// What is to stand in captures and is not there yet; nothing is kept where there are none.
    marks: Option<Mutex<Vec<Mark>>>,
    /// Whether the fabric obeys it no longer, for whatever reason.
    abandoned: AtomicBool,
}

impl Table {
    /// All links clear; `seed` decides whom chance will hit.
    /// Marks are kept for captures, if there are any.
    pub fn new(map: Map, seed: u64, captures: bool) -> Self {
        let link = |number| Link {
            policy: LinkPolicy::default(),
            clear: true,
            counters: LinkCounters::default(),
            memory: Memory::new(seed, number),
            opened: HashSet::new(),
        };
        let links = Mutex::new((0..map.links() as u64).map(link).collect());
        let marks = captures.then(Mutex::default);
        Table { map, sightings: Sightings::default(), links, marks, abandoned: AtomicBool::new(false) }
    }

    /// What has happened since this was last asked.
    pub fn take_marks(&self) -> Vec<Mark> {
        let take = |marks: &Mutex<Vec<Mark>>| {
            std::mem::take(&mut *marks.lock().unwrap_or_else(PoisonError::into_inner))
        };
        self.marks.as_ref().map(take).unwrap_or_default()
    }

    /// Said by the fabric when it ends.
    pub fn abandon(&self) {
        self.abandoned.store(true, Ordering::Release);
    }

    /// An error if nothing obeys the table any longer: a change would do nothing.
    fn obeyed(&self) -> Result<(), Error> {
        if self.abandoned.load(Ordering::Acquire) {
            return Err(Error::Broken("the network is down: its thread has ended".into()));
        }
        Ok(())
    }

    /// The links, by [`Map::link`].
    pub fn lock(&self) -> MutexGuard<'_, Vec<Link>> {
        // Nothing panics while it holds the lock; if it did, the numbers in it are still numbers.
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The harness's side of the table.
#[derive(Debug)]
pub(crate) struct LocalLinks {
    /// Shared with the fabric.
    pub table: Arc<Table>,
}

#[async_trait]
impl Links for LocalLinks {
    async fn apply(&self, changes: &[(Endpoint, Endpoint, LinkPolicy)]) -> Result<(), Error> {
        self.table.obeyed()?;
        let mut known = Vec::with_capacity(changes.len());
        for (from, to, policy) in changes {
            let link = self.table.map.link(*from, *to);
            let link =
                link.ok_or_else(|| Error::Invalid(format!("there is no link from {from:?} to {to:?}")))?;
            if let Some(fault) = policy::fault_in(policy) {
                return Err(Error::Invalid(format!("the policy from {from:?} to {to:?}: {fault}")));
            }
            known.push((link, *policy));
        }
        let mut links = self.table.lock();
        for (link, policy) in known {
            links[link].set(policy);
        }
        Ok(())
    }

    async fn heal(&self) -> Result<(), Error> {
        self.table.obeyed()?;
        for link in self.table.lock().iter_mut() {
            link.set(LinkPolicy::default());
        }
        Ok(())
    }

    fn policy(&self, from: Endpoint, to: Endpoint) -> LinkPolicy {
        self.table.map.link(from, to).map(|link| self.table.lock()[link].policy).unwrap_or_default()
    }

    fn counters(&self, from: Endpoint, to: Endpoint) -> LinkCounters {
        self.table.map.link(from, to).map(|link| self.table.lock()[link].counters).unwrap_or_default()
    }

    fn mark(&self, text: &str) {
        if let Some(marks) = &self.table.marks {
            marks.lock().unwrap_or_else(PoisonError::into_inner).push(Mark::new(text));
        }
    }

    fn messages(&self) -> Vec<LinkMessage> {
        self.table.sightings.all()
    }
}
