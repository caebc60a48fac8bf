//! Leader after leader falls: each new one is cut off a while after it was elected, and the one before comes back
//! when its successor has led for a second, or falls in turn.
//!
//! So several nodes get ends of logs that nobody else has, of different terms, which then compete: the hardest that
//! can be done to a log with few faults (Figure 8 of the Raft paper). How long each may lead is told in turn.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use squall_cluster::{Capability, Endpoint, LinkPolicy};
use squall_engine::protocol::{Evidence, Fault, Injected, Target};
use squall_engine::seed::Rng;
use squall_engine::{Deployment, Error, Injection, Stop};

use crate::background::{Background, sleep};
use crate::registry::Validate;
use crate::victims::field;

/// See the module.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Topple {
    /// How long leaders may lead, in turn: `50ms`.
    reigns: Vec<String>,
}

/// Between two looks at who leads; the leader itself is asked a little less often.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// When a leader has led for so long, the one before it comes back.
const BACK_AFTER: Duration = Duration::from_secs(1);

impl Default for Topple {
    /// One that leads for a while, one that falls at once, one that gets a few messages through.
    fn default() -> Self {
        Topple { reigns: ["0ms", "300ms", "2s"].map(str::to_owned).to_vec() }
    }
}

impl Topple {
    fn reigns(&self) -> Result<Vec<Duration>, Error> {
        let bad = |e| Error::Config(format!("`reigns` of `topple`: {e}"));
        self.reigns.iter().map(|text| squall_engine::units::parse_duration(text).map_err(bad)).collect()
    }
}

impl Validate for Topple {
    fn validate(&self) -> Result<(), Error> {
        match self.reigns()?.is_empty() {
            true => Err(Error::Config("`reigns` of `topple` is empty: nobody would fall".into())),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Fault for Topple {
    fn name(&self) -> &str {
        "topple"
    }

    fn needs(&self) -> BTreeSet<Capability> {
        [Capability::Links].into()
    }

    fn fits(&self, target: &dyn Target) -> Result<(), Error> {
        let name = target.name();
        match target.status() {
            Some(_) => Ok(()),
            None => {
                Err(Error::Config(format!("`topple` needs to know who leads, which `{name}` cannot say")))
            }
        }
    }

    fn plan(&self, rng: &mut Rng, _nodes: usize) -> Map<String, Json> {
        // Whose turn it is when it begins.
        let first = rng.index(self.reigns.len());
        [("first".to_owned(), first.into())].into_iter().collect()
    }

    async fn begin(&self, plan: &Map<String, Json>, on: &Injection) -> Result<Box<dyn Injected>, Error> {
        let first: usize = field(plan, "first")?;
        let reigns = self.reigns()?;
        on.deployment.links()?;
        let description = "each leader is cut off some time after its election".to_owned();
        let nodes = (0..on.deployment.nodes.len()).collect();
        let (id, deployment) = (on.id, on.deployment.clone());
        Ok(Background::start(nodes, description, move |stop| topple(id, deployment, reigns, first, stop)))
    }
}

async fn topple(
    id: u32,
    deployment: Arc<Deployment>,
    reigns: Vec<Duration>,
    first: usize,
    stop: Stop,
) -> Result<Evidence, Error> {
    let links = deployment.links()?;
    let mut fallen: Vec<String> = Vec::new();
    let mut dropped = 0;
    let mut cut: Vec<(Endpoint, Endpoint)> = Vec::new();
    let mut before: Vec<u64> = Vec::new();
    let mut last_term = 0;
    let lost = |cut: &[(Endpoint, Endpoint)], before: &[u64]| -> u64 {
        cut.iter().zip(before).map(|((a, b), before)| links.counters(*a, *b).cut - before).sum()
    };
    while sleep(&stop, LOOK_EVERY).await {
        let Some((leader, term)) = deployment.leader.now().filter(|(_, term)| *term > last_term) else {
            continue;
        };
        let reign = reigns[(first + fallen.len()) % reigns.len()];
        last_term = term;
        let alone = reign.min(BACK_AFTER);
        if !sleep(&stop, alone).await {
            break;
        }
        // The one before comes back, to catch up or to compete.
        dropped += lost(&cut, &before);
        links.lift(id).await?;
        cut.clear();
        if !sleep(&stop, reign - alone).await {
            break;
        }
        cut = around(leader, deployment.nodes.len());
        before = cut.iter().map(|(a, b)| links.counters(*a, *b).cut).collect();
        links.lay(id, cut.iter().map(|(a, b)| (*a, *b, LinkPolicy::cut())).collect()).await?;
        fallen.push(format!("{} of term {term}", deployment.name(leader)));
    }
    dropped += lost(&cut, &before);
    links.lift(id).await?;
    let mut measured = Map::new();
    measured.insert("leaders_cut_off".into(), fallen.len().into());
    measured.insert("packets_dropped".into(), dropped.into());
    Ok(Evidence {
        effective: dropped > 0,
        description: format!(
            "{} leaders were cut off ({}), {dropped} packets dropped",
            fallen.len(),
            fallen.join(", ")
        ),
        measured,
    })
}

/// All links between a node and the others.
fn around(node: usize, nodes: usize) -> Vec<(Endpoint, Endpoint)> {
    let others = (0..nodes).filter(|other| *other != node).map(Endpoint::Node);
    others.flat_map(|other| [(Endpoint::Node(node), other), (other, Endpoint::Node(node))]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_cuts_a_node_off_both_ways() {
        let cut = around(1, 3);
        assert_eq!(cut.len(), 4);
        assert!(cut.iter().all(|(a, b)| (*a == Endpoint::Node(1)) != (*b == Endpoint::Node(1))));
    }

    #[test]
    fn reigns_are_times_and_there_is_one() {
        let of = |reigns: &[&str]| Topple { reigns: reigns.iter().map(|r| r.to_string()).collect() };
        assert!(Topple::default().validate().is_ok());
        assert!(of(&[]).validate().is_err());
        assert!(of(&["soon"]).validate().is_err());
    }
}
