//! Harm to disks: power that fails, with and without torn writes; flushes that lie; slowness.
//!
//! A power loss kills the node's programs, takes back what was not durable, and starts them again later. What
//! a program flushed survives it, so a system that flushes what it acknowledges must survive every one of them,
//! on all nodes at once. A flush that lies breaks that promise on purpose: it harms a minority at most.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use squall_cluster::{Capability, Disk, DiskCall, DiskCounters, DiskFault, PowerLoss as Loss, Torn};
use squall_engine::protocol::{Evidence, Fault, Injected};
use squall_engine::seed::Rng;
use squall_engine::{Deployment, Error, Injection, units};

use crate::registry::Validate;
use crate::victims::{EVERY_KIND, Victims, field, names, plan, resolve};

const SECTORS: [u32; 2] = [512, 4096];

fn disks() -> BTreeSet<Capability> {
    [Capability::Nodes, Capability::Disk].into()
}

fn disk_of(deployment: &Deployment, node: usize) -> Result<Arc<dyn Disk>, Error> {
    deployment.nodes[node]
        .disk()
        .ok_or_else(|| Error::Config("this provider cannot harm the disks of nodes".into()))
}

fn aimed(targets: &[Victims], fault: &str) -> Result<(), Error> {
    if targets.is_empty() {
        return Err(Error::Config(format!("`targets` of `{fault}` is empty: it would harm nobody")));
    }
    Ok(())
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
            let lost = disk_of(deployment, node)?.power_loss(Loss { torn }).await?;
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

/// Flushes say that they are done and are not; at the end the power fails, and what they promised is gone.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LostFsync {
    targets: Vec<Victims>,
    /// Which files, as a glob.
    files: String,
}

impl Default for LostFsync {
    /// Never more than a minority, so that a correct system must survive.
    fn default() -> Self {
        LostFsync { targets: vec![Victims::One, Victims::Minority], files: "**".into() }
    }
}

impl Validate for LostFsync {
    fn validate(&self) -> Result<(), Error> {
        aimed(&self.targets, "lost-fsync")
    }
}

/// Writes and flushes take long.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SlowDisk {
    targets: Vec<Victims>,
    #[serde(with = "units::duration")]
    delay: Duration,
    #[serde(with = "units::duration")]
    jitter: Duration,
}

impl Default for SlowDisk {
    fn default() -> Self {
        SlowDisk {
            targets: EVERY_KIND.to_vec(),
            delay: Duration::from_millis(50),
            jitter: Duration::from_millis(20),
        }
    }
}

impl Validate for SlowDisk {
    fn validate(&self) -> Result<(), Error> {
        aimed(&self.targets, "slow-disk")
    }
}

#[async_trait]
impl Fault for LostFsync {
    fn name(&self) -> &str {
        "lost-fsync"
    }

    fn needs(&self) -> BTreeSet<Capability> {
        disks()
    }

    fn plan(&self, rng: &mut Rng, nodes: usize) -> Map<String, Json> {
        let mut drawn = Map::new();
        plan(rng, nodes, &self.targets, &mut drawn);
        drawn.insert("files".into(), self.files.clone().into());
        drawn
    }

    async fn begin(&self, plan: &Map<String, Json>, on: &Injection) -> Result<Box<dyn Injected>, Error> {
        let fault = DiskFault::LostFsync { files: field(plan, "files")? };
        Standing::begin(plan, on, fault, "lost every flush of", |c| c.lost_fsyncs, true).await
    }
}

#[async_trait]
impl Fault for SlowDisk {
    fn name(&self) -> &str {
        "slow-disk"
    }

    fn needs(&self) -> BTreeSet<Capability> {
        disks()
    }

    fn plan(&self, rng: &mut Rng, nodes: usize) -> Map<String, Json> {
        let mut drawn = Map::new();
        plan(rng, nodes, &self.targets, &mut drawn);
        drawn.insert("delay_seconds".into(), self.delay.as_secs_f64().into());
        drawn.insert("jitter_seconds".into(), self.jitter.as_secs_f64().into());
        drawn
    }

    async fn begin(&self, plan: &Map<String, Json>, on: &Injection) -> Result<Box<dyn Injected>, Error> {
        let seconds = |name| {
            Duration::try_from_secs_f64(field(plan, name)?)
                .map_err(|e| Error::Config(format!("`{name}`: {e}")))
        };
        let fault = DiskFault::Slow {
            calls: vec![DiskCall::Write, DiskCall::Fsync],
            files: "**".into(),
            delay: seconds("delay_seconds")?,
            jitter: seconds("jitter_seconds")?,
        };
        Standing::begin(plan, on, fault, "slowed the disk of", |c| c.delayed, false).await
    }
}

/// A fault that stands on a disk until it is healed.
struct Standing {
    nodes: Vec<usize>,
    description: String,
    count: fn(&DiskCounters) -> u64,
    before: Vec<u64>,
    // Whether the power fails at the end: what is only lied about is not lost before.
    power_fails: bool,
}

impl Standing {
    async fn begin(
        plan: &Map<String, Json>,
        on: &Injection,
        fault: DiskFault,
        what: &str,
        count: fn(&DiskCounters) -> u64,
        power_fails: bool,
    ) -> Result<Box<dyn Injected>, Error> {
        let deployment = &on.deployment;
        let nodes = resolve(plan, deployment)?;
        let mut before = Vec::new();
        for &node in &nodes {
            let disk = disk_of(deployment, node)?;
            before.push(count(&disk.counters()));
            let mut standing = disk.faults();
            standing.push(fault.clone());
            disk.set_faults(&standing).await?;
        }
        let description = format!("{what} {}", names(deployment, &nodes));
        Ok(Box::new(Standing { nodes, description, count, before, power_fails }))
    }
}

#[async_trait]
impl Injected for Standing {
    fn nodes(&self) -> Vec<usize> {
        self.nodes.clone()
    }

    fn description(&self) -> String {
        self.description.clone()
    }

    async fn end(self: Box<Self>, on: &Injection) -> Result<Evidence, Error> {
        let (mut harmed, mut discarded) = (0, 0);
        for (&node, &before) in self.nodes.iter().zip(&self.before) {
            let disk = disk_of(&on.deployment, node)?;
            if self.power_fails {
                on.deployment.hold_down(on.id, node).await?;
                discarded += disk.power_loss(Loss::default()).await?.bytes;
            }
            harmed += (self.count)(&disk.counters()) - before;
            disk.heal().await?;
            if self.power_fails {
                on.deployment.let_up(on.id, node).await?;
            }
        }
        let mut measured = Map::new();
        measured.insert("calls_harmed".into(), harmed.into());
        if self.power_fails {
            measured.insert("discarded_bytes".into(), json!(discarded));
        }
        Ok(Evidence { effective: harmed > 0, description: format!("{harmed} calls harmed"), measured })
    }
}
