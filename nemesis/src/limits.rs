//! Nodes that get less of the machine: processor time, memory.

use std::collections::BTreeSet;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use squall_cluster::{Capability, Usage};
use squall_engine::protocol::{Evidence, Fault, Injected};
use squall_engine::seed::Rng;
use squall_engine::{Error, Injection, units};
use std::time::Instant;

use crate::registry::Validate;
use crate::victims::{EVERY_KIND, Victims, aimed, field, names, plan, resolve};

/// Programs run for a share of the time only.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Cpu {
    targets: Vec<Victims>,
    share: f64,
}

/// Programs get little more memory than they have.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Memory {
    targets: Vec<Victims>,
    /// What they may have beyond what the largest use is when the fault begins.
    room: Size,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Size(u64);

impl TryFrom<String> for Size {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        units::parse_size(&text).map(Size)
    }
}

impl Default for Cpu {
    fn default() -> Self {
        Cpu { targets: EVERY_KIND.to_vec(), share: 0.2 }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Memory { targets: vec![Victims::One, Victims::Minority], room: Size(1 << 20) }
    }
}

impl Validate for Cpu {
    fn validate(&self) -> Result<(), Error> {
        if !(self.share >= 0.01 && self.share < 1.0) {
            return Err(Error::Config(format!(
                "the `share` of a `cpu` is 0.01 or more and below 1, not {}",
                self.share
            )));
        }
        aimed(&self.targets, "cpu")
    }
}

impl Validate for Memory {
    fn validate(&self) -> Result<(), Error> {
        aimed(&self.targets, "memory")
    }
}

#[async_trait]
impl Fault for Cpu {
    fn name(&self) -> &str {
        "cpu"
    }

    fn seen_by(&self) -> &'static str {
        "the kernel"
    }

    fn needs(&self) -> BTreeSet<Capability> {
        [Capability::Nodes, Capability::CpuLimit].into()
    }

    fn plan(&self, rng: &mut Rng, nodes: usize) -> Map<String, Json> {
        let mut drawn = Map::new();
        plan(rng, nodes, &self.targets, &mut drawn);
        drawn.insert("share".into(), self.share.into());
        drawn
    }

    async fn begin(&self, plan: &Map<String, Json>, on: &Injection) -> Result<Box<dyn Injected>, Error> {
        let deployment = &on.deployment;
        let nodes = resolve(plan, deployment)?;
        let share: f64 = field(plan, "share")?;
        let mut before = Vec::new();
        for &node in &nodes {
            deployment.limit_cpu(on.id, node, Some(share)).await?;
            before.push(deployment.limits(node)?.usage().await?);
        }
        let description = format!("left {} {} % of a processor", names(deployment, &nodes), share * 100.0);
        Ok(Box::new(Throttled { nodes, description, before, since: Instant::now() }))
    }
}

struct Throttled {
    nodes: Vec<usize>,
    description: String,
    before: Vec<Usage>,
    since: Instant,
}

#[async_trait]
impl Injected for Throttled {
    fn nodes(&self) -> Vec<usize> {
        self.nodes.clone()
    }

    fn description(&self) -> String {
        self.description.clone()
    }

    async fn end(self: Box<Self>, on: &Injection) -> Result<Evidence, Error> {
        let deployment = &on.deployment;
        let (mut ran, mut measured) = (0, Map::new());
        let seconds = self.since.elapsed().as_secs_f64();
        for (&node, before) in self.nodes.iter().zip(&self.before) {
            let used = deployment.limits(node)?.usage().await?.cpu_seconds - before.cpu_seconds;
            ran += usize::from(deployment.running(node) > 0);
            // A restarted program begins at zero, and so may its use.
            measured.insert(deployment.name(node), json!({ "cpu_share": (used / seconds).max(0.0) }));
            deployment.limit_cpu(on.id, node, None).await?;
        }
        let description =
            format!("{ran} nodes ran with interruptions for {seconds:.1} s; their use of it is beside");
        Ok(Evidence { effective: ran > 0, description, measured })
    }
}

#[async_trait]
impl Fault for Memory {
    fn name(&self) -> &str {
        "memory"
    }

    fn seen_by(&self) -> &'static str {
        "the kernel"
    }

    fn needs(&self) -> BTreeSet<Capability> {
        [Capability::Nodes, Capability::MemoryLimit].into()
    }

    fn plan(&self, rng: &mut Rng, nodes: usize) -> Map<String, Json> {
        let mut drawn = Map::new();
        plan(rng, nodes, &self.targets, &mut drawn);
        drawn.insert("room_bytes".into(), self.room.0.into());
        drawn
    }

    async fn begin(&self, plan: &Map<String, Json>, on: &Injection) -> Result<Box<dyn Injected>, Error> {
        let deployment = &on.deployment;
        let nodes = resolve(plan, deployment)?;
        let room: u64 = field(plan, "room_bytes")?;
        let mut limited = 0;
        for &node in &nodes {
            deployment.excuses.begin(on.id, node);
            let limits = deployment.limits(node)?;
            let bytes = limits.usage().await?.memory_bytes + room;
            deployment.limit_memory(on.id, node, Some(bytes)).await?;
            let stands = limits.usage().await?.memory_limit_bytes == Some(bytes);
            limited += usize::from(stands && deployment.running(node) > 0);
        }
        let (who, mebibytes) = (names(deployment, &nodes), room as f64 / f64::from(1 << 20));
        let description = format!("left {who} {mebibytes:.1} MiB of memory beyond what they have");
        Ok(Box::new(Cramped { nodes, description, limited }))
    }
}

struct Cramped {
    nodes: Vec<usize>,
    description: String,
    limited: usize,
}

#[async_trait]
impl Injected for Cramped {
    fn nodes(&self) -> Vec<usize> {
        self.nodes.clone()
    }

    fn description(&self) -> String {
        self.description.clone()
    }

    async fn end(self: Box<Self>, on: &Injection) -> Result<Evidence, Error> {
        let deployment = &on.deployment;
        let mut restarted = 0;
        for &node in &self.nodes {
            deployment.limit_memory(on.id, node, None).await?;
            deployment.excuses.end(on.id, node);
            restarted += usize::from(deployment.revive(node).await?);
        }
        let mut measured = Map::new();
        measured.insert("nodes_limited".into(), self.limited.into());
        measured.insert("nodes_that_gave_up".into(), restarted.into());
        Ok(Evidence {
            effective: self.limited > 0,
            description: format!(
                "the kernel showed the limit on {} nodes; {restarted} gave up and were started again",
                self.limited
            ),
            measured,
        })
    }
}
