//! Harm to what is stored, done once and for good: flipped bits, lost ends of files.
//!
//! The node is killed, its files are damaged, and it is started again when the fault ends, so that it has to
//! read them. It may refuse to serve from then on: that is what detecting damage means. It must not serve what
//! was spoilt. Bounded to a minority of nodes over the whole run, unless a campaign says otherwise.

use std::collections::BTreeSet;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use squall_cluster::{Capability, Damage, Damaged};
use squall_engine::protocol::{Evidence, Fault, Injected};
use squall_engine::seed::Rng;
use squall_engine::{Error, Injection};

use crate::disk::{bounded, done_to};
use crate::registry::Validate;
use crate::victims::{Victims, aimed, field, plan};

/// Single bits are flipped at random places of chosen files.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BitFlip {
    targets: Vec<Victims>,
    bounded: bool,
    files: String,
    bits: u32,
}

/// Chosen files lose their ends.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Truncate {
    targets: Vec<Victims>,
    bounded: bool,
    files: String,
    bytes: u64,
}

impl Default for BitFlip {
    fn default() -> Self {
        BitFlip { targets: vec![Victims::One], bounded: true, files: "**".into(), bits: 1 }
    }
}

impl Default for Truncate {
    fn default() -> Self {
        Truncate { targets: vec![Victims::One], bounded: true, files: "**".into(), bytes: 4096 }
    }
}

impl Validate for BitFlip {
    fn validate(&self) -> Result<(), Error> {
        aimed(&self.targets, "bit-flip")?;
        match self.bits {
            0 => Err(Error::Config("a `bit-flip` of 0 `bits` changes nothing".into())),
            _ => Ok(()),
        }
    }
}

impl Validate for Truncate {
    fn validate(&self) -> Result<(), Error> {
        aimed(&self.targets, "truncate")?;
        match self.bytes {
            0 => Err(Error::Config("a `truncate` by 0 `bytes` changes nothing".into())),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Fault for BitFlip {
    fn name(&self) -> &str {
        "bit-flip"
    }

    fn needs(&self) -> BTreeSet<Capability> {
        crate::disk::damage()
    }

    fn plan(&self, rng: &mut Rng, nodes: usize) -> Map<String, Json> {
        let mut drawn = Map::new();
        plan(rng, nodes, &self.targets, &mut drawn);
        drawn.insert("bounded".into(), self.bounded.into());
        drawn.insert("files".into(), self.files.clone().into());
        drawn.insert("bits".into(), self.bits.into());
        drawn.insert("seed".into(), (rng.next() >> 11).into());
        drawn
    }

    async fn begin(&self, plan: &Map<String, Json>, on: &Injection) -> Result<Box<dyn Injected>, Error> {
        let (files, bits, seed): (String, u32, u64) =
            (field(plan, "files")?, field(plan, "bits")?, field(plan, "seed")?);
        let damage = |node: usize| Damage::FlipBits {
            files: files.clone(),
            bits,
            // Not the same bits on each node.
            seed: seed.wrapping_add(node as u64),
        };
        Spoilt::begin(plan, on, "bit-flip", "flipped bits in files of", damage).await
    }
}

#[async_trait]
impl Fault for Truncate {
    fn name(&self) -> &str {
        "truncate"
    }

    fn needs(&self) -> BTreeSet<Capability> {
        crate::disk::damage()
    }

    fn plan(&self, rng: &mut Rng, nodes: usize) -> Map<String, Json> {
        let mut drawn = Map::new();
        plan(rng, nodes, &self.targets, &mut drawn);
        drawn.insert("bounded".into(), self.bounded.into());
        drawn.insert("files".into(), self.files.clone().into());
        // Up to what was asked for, so that cuts fall anywhere in a record.
        drawn.insert("bytes".into(), (1 + rng.below(self.bytes)).into());
        drawn
    }

    async fn begin(&self, plan: &Map<String, Json>, on: &Injection) -> Result<Box<dyn Injected>, Error> {
        let (files, bytes): (String, u64) = (field(plan, "files")?, field(plan, "bytes")?);
        let damage = |_| Damage::Truncate { files: files.clone(), bytes };
        Spoilt::begin(plan, on, "truncate", "cut the ends off files of", damage).await
    }
}

struct Spoilt {
    nodes: Vec<usize>,
    description: String,
    damaged: Vec<Damaged>,
}

impl Spoilt {
    async fn begin(
        plan: &Map<String, Json>,
        on: &Injection,
        fault: &str,
        does: &str,
        damage: impl Fn(usize) -> Damage,
    ) -> Result<Box<dyn Injected>, Error> {
        let deployment = &on.deployment;
        let nodes = bounded(plan, on, fault)?;
        let mut damaged = Vec::new();
        for &node in &nodes {
            deployment.excuses.spoil(node);
            deployment.hold_down(on.id, node).await?;
            damaged.extend(deployment.disk(node)?.damage(&damage(node)).await?);
        }
        let description = done_to(does, &nodes, deployment);
        Ok(Box::new(Spoilt { nodes, description, damaged }))
    }
}

#[async_trait]
impl Injected for Spoilt {
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
        let places: usize = self.damaged.iter().map(|file| file.offsets.len()).sum();
        let files: Vec<Json> = self.damaged.iter().map(|file| json!(file.file)).collect();
        let mut measured = Map::new();
        measured.insert("bytes_damaged".into(), places.into());
        measured.insert("files".into(), files.into());
        Ok(Evidence {
            effective: places > 0,
            description: format!("{places} bytes damaged in {} files", self.damaged.len()),
            measured,
        })
    }
}
