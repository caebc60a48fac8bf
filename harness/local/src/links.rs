//! The table of directed links that the fabric obeys and the harness changes.
//!
//! One lock guards it. The fabric takes it for each packet's decision, never over a system call, so that a
//! change of any number of links is one step: no packet is judged by half of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use squall_cluster::{Endpoint, Error, LinkCounters, LinkPolicy, Links};

use crate::addressing::Map;

/// One directed link.
#[derive(Clone, Debug, Default)]
pub(crate) struct Link {
    /// What is in force.
    pub policy: LinkPolicy,
    /// What it has done.
    pub counters: LinkCounters,
}

/// Every directed link of a cluster.
#[derive(Debug)]
pub(crate) struct Table {
    /// Who is where.
    pub map: Map,
    links: Mutex<Vec<Link>>,
}

impl Table {
    /// All links clear.
    pub fn new(map: Map) -> Self {
        Table { map, links: Mutex::new(vec![Link::default(); map.links()]) }
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
        let mut known = Vec::with_capacity(changes.len());
        for (from, to, policy) in changes {
            let link = self.table.map.link(*from, *to);
            let link =
                link.ok_or_else(|| Error::Invalid(format!("there is no link from {from:?} to {to:?}")))?;
            known.push((link, *policy));
        }
        let mut links = self.table.lock();
        for (link, policy) in known {
            links[link].policy = policy;
        }
        Ok(())
    }

    async fn heal(&self) -> Result<(), Error> {
        for link in self.table.lock().iter_mut() {
            link.policy = LinkPolicy::default();
        }
        Ok(())
    }

    fn policy(&self, from: Endpoint, to: Endpoint) -> LinkPolicy {
        self.table.map.link(from, to).map(|link| self.table.lock()[link].policy).unwrap_or_default()
    }

    fn counters(&self, from: Endpoint, to: Endpoint) -> LinkCounters {
        self.table.map.link(from, to).map(|link| self.table.lock()[link].counters).unwrap_or_default()
    }
}
