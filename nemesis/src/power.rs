//! Power that fails, with and without torn writes.
//!
//! A power loss kills the node's programs, takes back what was not durable, and starts them again later. What
//! a program flushed survives it, so a system that flushes what it acknowledges must survive every one of them,
//! on all nodes at once.

use std::collections::BTreeSet;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use squall_cluster::{Capability, PowerLoss as Loss, Torn};
use squall_engine::protocol::{Evidence, Fault, Injected};
use squall_engine::seed::Rng;
use squall_engine::{Error, Injection};

use crate::registry::Validate;
use crate::victims::{EVERY_KIND, Victims, aimed, field, names, plan, resolve};

const SECTORS: [u32; 2] = [512, 4096];

fn disks() -> BTreeSet<Capability> {
    [Capability::Nodes, Capability::Disk].into()
}

/// Power fails on some nodes: what was not durable is gone.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PowerLoss {
    targets: Vec<Victims>,
}

/// The same, and writes that were under way are there in part.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TornWrite {
    targets: Vec<Victims>,
}

impl Default for PowerLoss {
    fn default() -> Self {
        PowerLoss { targets: EVERY_KIND.to_vec() }
    }
}

impl Default for TornWrite {
    fn default() -> Self {
        TornWrite { targets: EVERY_KIND.to_vec() }
    }
}

impl Validate for PowerLoss {
    fn validate(&self) -> Result<(), Error> {
        aimed(&self.targets, "power-loss")
    }
}

impl Validate for TornWrite {
    fn validate(&self) -> Result<(), Error> {
        aimed(&self.targets, "torn-write")
    }
}

#[async_trait]
impl Fault for PowerLoss {
    fn name(&self) -> &str {
        "power-loss"
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
        drawn
    }

    async fn begin(&self, plan: &Map<String, Json>, on: &Injection) -> Result<Box<dyn Injected>, Error> {
        PoweredOff::begin(plan, on, None).await
    }
}

#[async_trait]
impl Fault for TornWrite {
    fn name(&self) -> &str {
        "torn-write"
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
        drawn.insert("sector_bytes".into(), SECTORS[rng.index(SECTORS.len())].into());
        drawn.insert("seed".into(), (rng.next() >> 11).into());
        drawn
    }

    async fn begin(&self, plan: &Map<String, Json>, on: &Injection) -> Result<Box<dyn Injected>, Error> {
        let torn = Torn { sector_bytes: field(plan, "sector_bytes")?, seed: field(plan, "seed")? };
        PoweredOff::begin(plan, on, Some(torn)).await
    }
}

struct PoweredOff {
    nodes: Vec<usize>,
    description: String,
    ended: usize,
    measured: Map<String, Json>,
}

impl PoweredOff {
    async fn begin(
        plan: &Map<String, Json>,
        on: &Injection,
        torn: Option<Torn>,
    ) -> Result<Box<dyn Injected>, Error> {
        let deployment = &on.deployment;
        let nodes = resolve(plan, deployment)?;
        let mut ended = 0;
        for &node in &nodes {
            ended += deployment.hold_down(on.id, node).await?;
        }
        let (mut bytes, mut names_lost, mut torn_writes) = (0, 0, 0);
        for &node in &nodes {
            let lost = deployment.disk(node)?.power_loss(Loss { torn }).await?;
            bytes += lost.bytes;
            names_lost += lost.names;
            torn_writes += lost.torn_writes;
        }
        let mut measured = Map::new();
        measured.insert("programs_ended".into(), ended.into());
        measured.insert("discarded_bytes".into(), bytes.into());
        measured.insert("discarded_names".into(), names_lost.into());
        measured.insert("torn_writes".into(), torn_writes.into());
        let description = format!("cut the power of {}", names(deployment, &nodes));
        Ok(Box::new(PoweredOff { nodes, description, ended, measured }))
    }
}

#[async_trait]
impl Injected for PoweredOff {
    fn nodes(&self) -> Vec<usize> {
        self.nodes.clone()
    }

    fn description(&self) -> String {
        self.description.clone()
    }

    async fn end(self: Box<Self>, on: &Injection) -> Result<Evidence, Error> {
        for &node in &self.nodes {
            on.deployment.let_up(on.id, node).await?;
        }
        let bytes = &self.measured["discarded_bytes"];
        Ok(Evidence {
            effective: self.ended > 0,
            description: format!("{} programs ended, {bytes} unsynced bytes discarded", self.ended),
            measured: self.measured,
        })
    }
}
