//! A disaster and what operators do about it: when the fault begins a snapshot of one node is saved, and when it ends
//! every node is killed and set back to that snapshot.
//!
//! What was acknowledged in between is lost, which is no fault of the system: a run that is to be sound must not look
//! at it. What is tested is that all nodes come back, with the same state, and that what was saved is in it.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use squall_cluster::Capability;
use squall_engine::membership::Standing;
use squall_engine::protocol::{self, Evidence, Fault, Injected, Target};
use squall_engine::seed::Rng;
use squall_engine::{Error, Injection};

use crate::errand;
use crate::registry::Validate;
use crate::restarts::{counts, serves};
use crate::victims::{Victims, aimed_at_one, plan, resolve_one};

/// See the module.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Restore {
    /// Whose snapshot it is.
    targets: Vec<Victims>,
}

/// How long a node may take to save a snapshot, and to be made anew from it.
const LIMIT: Duration = Duration::from_secs(30);
/// How long the new cluster may take until each node serves.
const READY_LIMIT: Duration = Duration::from_secs(20);

impl Default for Restore {
    fn default() -> Self {
        Restore { targets: vec![Victims::One, Victims::Leader] }
    }
}

impl Validate for Restore {
    fn validate(&self) -> Result<(), Error> {
        aimed_at_one(&self.targets, "restore", "takes the snapshot of one node")
    }
}

#[async_trait]
impl Fault for Restore {
    fn name(&self) -> &str {
        "restore"
    }

    fn seen_by(&self) -> &'static str {
        "the kernel and the target"
    }

    fn needs(&self) -> BTreeSet<Capability> {
        [Capability::Nodes].into()
    }

    fn fits(&self, target: &dyn Target) -> Result<(), Error> {
        offered(target)?.possible()
    }

    fn plan(&self, rng: &mut Rng, nodes: usize) -> Map<String, Json> {
        let mut drawn = Map::new();
        plan(rng, nodes, &self.targets, &mut drawn);
        drawn
    }

    async fn begin(&self, plan: &Map<String, Json>, on: &Injection) -> Result<Box<dyn Injected>, Error> {
        let deployment = &on.deployment;
        let from = resolve_one(plan, deployment)?;
        let restore = offered(&*deployment.target)?;
        let saving = restore.save(from, deployment.via());
        let saved = match tokio::time::timeout(LIMIT, saving).await {
            Ok(saved) => saved.map_err(|e| e.to_string()),
            Err(_) => Err(format!("no snapshot within {} s", LIMIT.as_secs())),
        };
        let who = deployment.name(from);
        let description = match &saved {
            Ok(bytes) => format!("saved a snapshot of {who}, {} bytes", bytes.len()),
            // A node that is down or cut off has nothing to give: that happens while other faults act.
            Err(why) => format!("saved nothing of {who}: {why}"),
        };
        Ok(Box::new(Saved { all: (0..deployment.nodes.len()).collect(), description, saved: saved.ok() }))
    }
}

struct Saved {
    all: Vec<usize>,
    description: String,
    saved: Option<Vec<u8>>,
}

#[async_trait]
impl Injected for Saved {
    fn nodes(&self) -> Vec<usize> {
        self.all.clone()
    }

    fn description(&self) -> String {
        self.description.clone()
    }

    async fn end(self: Box<Self>, on: &Injection) -> Result<Evidence, Error> {
        let deployment = &on.deployment;
        let nobody = |why: &str| Evidence {
            effective: false,
            description: format!("restored nobody: {why}"),
            ..Evidence::default()
        };
        let Some(saved) = self.saved else { return Ok(nobody("nothing was saved")) };
        if self.all.iter().any(|&node| deployment.roll.standing(node) != Standing::Member) {
            return Ok(nobody("not every node is a member"));
        }
        let restore = offered(&*deployment.target)?;
        let mut killed = 0;
        for &node in &self.all {
            killed += deployment.hold_down(on.id, node).await?;
        }
        for &node in &self.all {
            let program = restore.restoring(node, &saved, &deployment.layout)?;
            errand::run(deployment, node, &program, LIMIT, "could not be set back to the snapshot").await?;
        }
        let mut served = 0;
        for &node in &self.all {
            deployment.let_up(on.id, node).await?;
        }
        for &node in &self.all {
            served += usize::from(serves(deployment, node, READY_LIMIT, &deployment.stop).await);
        }
        let all = self.all.len();
        Ok(Evidence {
            effective: killed > 0 && served > 0,
            description: format!("{all} nodes were set back to the snapshot, of which {served} served again"),
            measured: counts([
                ("programs_ended", killed),
                ("bytes_of_snapshot", saved.len()),
                ("nodes_set_back", all),
                ("served_again", served),
            ]),
        })
    }
}

fn offered(target: &dyn Target) -> Result<&dyn protocol::Restore, Error> {
    let none =
        || Error::Config(format!("`restore`: `{}` cannot be made anew from a snapshot", target.name()));
    target.restore().ok_or_else(none)
}
