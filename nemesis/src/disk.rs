//! Harm that stands on disks for a while: flushes that lie, calls that fail, no room, stale blocks, slowness.
//!
//! What all have in common is here; what each does is a [`DiskHarm`], in `disk_harms`. A grave harm is one over
//! which a program may give up: a node that stops is excused, and started again when the harm ends. Grave harm
//! is bounded, unless a campaign says otherwise: over the whole run never more than a minority of nodes has a
//! disk that is harmed gravely or was spoilt. Where it is not bounded and exceeds that, the log says so.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use serde::de::{self, DeserializeOwned};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value as Json, json};
use squall_cluster::{Capability, DiskCounters, DiskFault, PowerLoss};
use squall_engine::protocol::{Evidence, Fault, Injected};
use squall_engine::seed::Rng;
use squall_engine::{Deployment, Error, Injection};
use squall_history::{Entry, Note};

use crate::registry::Validate;
use crate::restarts::serves;
use crate::victims::{EVERY_KIND, Victims, aimed, field, names, plan, resolve};

/// How long a node that reads its data again may take to serve or to give up.
const REREAD_LIMIT: Duration = Duration::from_secs(2);

/// One way in which a disk is bad.
pub(crate) trait DiskHarm: DeserializeOwned + Default + Debug + Send + Sync + 'static {
    /// The fault's name.
    const NAME: &'static str;
    /// Whether a program may give up over it.
    const GRAVE: bool;
    /// Whether the power fails at the end: what is only lied about is not lost before.
    const POWER_FAILS: bool = false;
    /// Whether the node is restarted before the end, so that it has to read what it holds in memory.
    const REREADS: bool = false;

    /// Draws its intensity.
    fn draw(&self, rng: &mut Rng, drawn: &mut Map<String, Json>);

    /// The harm that was drawn.
    fn fault(drawn: &Map<String, Json>) -> Result<DiskFault, Error>;

    /// What it is, in a few words, before whose disk: `slowed the disk of`.
    const DOES: &'static str;

    /// Calls that it harmed.
    fn harmed(counters: &DiskCounters) -> u64;

    /// An error for options that make no sense.
    fn validate(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// A fault that stands on disks. Options beside those of the harm: `targets`, and `bounded` of grave ones.
#[derive(Debug)]
pub(crate) struct OnDisk<H> {
    targets: Vec<Victims>,
    bounded: bool,
    harm: H,
}

fn default_targets(grave: bool) -> Vec<Victims> {
    if grave { vec![Victims::One, Victims::Minority] } else { EVERY_KIND.to_vec() }
}

/// As for links: the common options are taken out first, so that the harm's own can refuse what nobody knows.
impl<'de, H: DiskHarm> Deserialize<'de> for OnDisk<H> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut given = Map::deserialize(deserializer)?;
        let targets = given.remove("targets").map(serde_json::from_value).transpose();
        let bounded = if H::GRAVE { given.remove("bounded") } else { None };
        let bounded = bounded.map(serde_json::from_value).transpose();
        Ok(OnDisk {
            targets: targets.map_err(de::Error::custom)?.unwrap_or_else(|| default_targets(H::GRAVE)),
            bounded: bounded.map_err(de::Error::custom)?.unwrap_or(H::GRAVE),
            harm: serde_json::from_value(Json::Object(given)).map_err(de::Error::custom)?,
        })
    }
}

impl<H: DiskHarm> Default for OnDisk<H> {
    fn default() -> Self {
        OnDisk { targets: default_targets(H::GRAVE), bounded: H::GRAVE, harm: H::default() }
    }
}

impl<H: DiskHarm> Validate for OnDisk<H> {
    fn validate(&self) -> Result<(), Error> {
        aimed(&self.targets, H::NAME)?;
        self.harm.validate()
    }
}

/// What the provider must offer.
pub(crate) fn disks() -> BTreeSet<Capability> {
    [Capability::Nodes, Capability::Disk].into()
}

/// The same for damage to files, which a real disk can take, too.
pub(crate) fn damage() -> BTreeSet<Capability> {
    [Capability::Nodes, Capability::Damage].into()
}

/// The nodes of a plan, no more than a minority over the whole run if the plan is `bounded`. Says in the log
/// where that is exceeded.
pub(crate) fn bounded(plan: &Map<String, Json>, on: &Injection, fault: &str) -> Result<Vec<usize>, Error> {
    let deployment = &on.deployment;
    let (wanted, all) = (resolve(plan, deployment)?, deployment.nodes.len());
    if field::<bool>(plan, "bounded")? {
        return Ok(deployment.excuses.within_minority(&wanted, all));
    }
    if deployment.excuses.exceeds_minority(&wanted, all) {
        let who = names(deployment, &wanted);
        let text = format!(
            "`{fault}` on {who}: more than a minority of disks is harmed now, and even a correct system may lose data"
        );
        deployment.recorder.note(|time| {
            let kind = "warning".to_owned();
            Entry::Note(Box::new(Note { time, kind, node: None, text, data: Default::default() }))
        });
    }
    Ok(wanted)
}

/// What was done to whom, or that there was nobody left to do it to.
pub(crate) fn done_to(does: &str, nodes: &[usize], deployment: &Deployment) -> String {
    if nodes.is_empty() {
        return "harmed nobody: as many nodes as a minority have been harmed already".into();
    }
    format!("{does} {}", names(deployment, nodes))
}

#[async_trait]
impl<H: DiskHarm> Fault for OnDisk<H> {
    fn name(&self) -> &str {
        H::NAME
    }

    fn seen_by(&self) -> &'static str {
        "the disk that does it"
    }

    fn needs(&self) -> BTreeSet<Capability> {
        disks()
    }

    fn plan(&self, rng: &mut Rng, nodes: usize) -> Map<String, Json> {
        let mut drawn = Map::new();
        plan(rng, nodes, &self.targets, &mut drawn);
        drawn.insert("bounded".into(), self.bounded.into());
        self.harm.draw(rng, &mut drawn);
        drawn
    }

    async fn begin(&self, plan: &Map<String, Json>, on: &Injection) -> Result<Box<dyn Injected>, Error> {
        let deployment = &on.deployment;
        // What every system must bear on any number of disks is no matter of minorities.
        let nodes = if H::GRAVE { bounded(plan, on, H::NAME)? } else { resolve(plan, deployment)? };
        let fault = H::fault(plan)?;
        let mut before = Vec::new();
        for &node in &nodes {
            before.push(H::harmed(&deployment.disk(node)?.counters()));
            if H::GRAVE {
                deployment.excuses.begin(on.id, node);
            }
            deployment.lay_disk(on.id, node, vec![fault.clone()]).await?;
        }
        let description = done_to(H::DOES, &nodes, deployment);
        Ok(Box::new(Standing::<H> { nodes, description, before, harm: std::marker::PhantomData }))
    }
}

struct Standing<H> {
    nodes: Vec<usize>,
    description: String,
    before: Vec<u64>,
    harm: std::marker::PhantomData<H>,
}

#[async_trait]
impl<H: DiskHarm> Injected for Standing<H> {
    fn nodes(&self) -> Vec<usize> {
        self.nodes.clone()
    }

    fn description(&self) -> String {
        self.description.clone()
    }

    async fn end(self: Box<Self>, on: &Injection) -> Result<Evidence, Error> {
        let deployment = &on.deployment;
        let (mut harmed, mut discarded, mut restarted) = (0, 0, 0);
        for (&node, &before) in self.nodes.iter().zip(&self.before) {
            let disk = deployment.disk(node)?;
            if H::POWER_FAILS {
                deployment.hold_down(on.id, node).await?;
                discarded += disk.power_loss(PowerLoss::default()).await?.bytes;
            }
            if H::REREADS {
                deployment.hold_down(on.id, node).await?;
                deployment.let_up(on.id, node).await?;
                // Whether it serves then or gives up is its own affair: either way it has read.
                serves(deployment, node, REREAD_LIMIT, &deployment.stop).await;
            }
            let calls = H::harmed(&disk.counters()) - before;
            harmed += calls;
            if calls > 0 && (H::POWER_FAILS || H::REREADS) {
                // What it holds is not what it was promised: no protocol that trusts its disk can do with that.
                deployment.excuses.spoil(node);
            }
            deployment.lift_disk(on.id, node).await?;
            if H::POWER_FAILS {
                deployment.let_up(on.id, node).await?;
            }
            if H::GRAVE {
                deployment.excuses.end(on.id, node);
                restarted += usize::from(deployment.revive(node).await?);
            }
        }
        let mut measured = Map::new();
        measured.insert("calls_harmed".into(), harmed.into());
        if H::POWER_FAILS {
            measured.insert("discarded_bytes".into(), json!(discarded));
        }
        let mut description = format!("{harmed} calls harmed");
        if H::GRAVE {
            measured.insert("nodes_that_gave_up".into(), restarted.into());
            if restarted > 0 {
                description += &format!("; {restarted} nodes gave up and were started again");
            }
        }
        Ok(Evidence { effective: harmed > 0, description, measured })
    }
}
