//! Harm to processes: kill, pause, restart of everything.

use std::collections::BTreeSet;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use squall_cluster::Capability;
use squall_engine::protocol::{Evidence, Fault, Injected};
use squall_engine::seed::Rng;
use squall_engine::{Error, Injection};

use crate::registry::Validate;
use crate::victims::{EVERY_KIND, Victims, aimed, names, plan, resolve};

/// Kills (SIGKILL) the programs of some nodes; they are started again when the fault ends.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Kill(Aim);

/// Stops (SIGSTOP) the programs of some nodes; they go on when the fault ends.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Pause(Aim);

/// Kills every node at once; all are started again when the fault ends.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RestartAll {}

/// Whom a fault may be aimed at.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Aim {
    targets: Vec<Victims>,
}

impl Default for Aim {
    fn default() -> Self {
        Aim { targets: EVERY_KIND.to_vec() }
    }
}

impl Aim {
    fn validate(&self, fault: &str) -> Result<(), Error> {
        aimed(&self.targets, fault)
    }

    fn plan(&self, rng: &mut Rng, nodes: usize) -> Map<String, Json> {
        let mut drawn = Map::new();
        plan(rng, nodes, &self.targets, &mut drawn);
        drawn
    }
}

impl Validate for Kill {
    fn validate(&self) -> Result<(), Error> {
        self.0.validate("kill")
    }
}

impl Validate for Pause {
    fn validate(&self) -> Result<(), Error> {
        self.0.validate("pause")
    }
}

impl Validate for RestartAll {}

fn processes() -> BTreeSet<Capability> {
    [Capability::Nodes].into()
}

#[async_trait]
impl Fault for Kill {
    fn name(&self) -> &str {
        "kill"
    }

    fn seen_by(&self) -> &'static str {
        "the kernel"
    }

    fn needs(&self) -> BTreeSet<Capability> {
        processes()
    }

    fn plan(&self, rng: &mut Rng, nodes: usize) -> Map<String, Json> {
        self.0.plan(rng, nodes)
    }

    async fn begin(&self, plan: &Map<String, Json>, on: &Injection) -> Result<Box<dyn Injected>, Error> {
        Killed::begin(resolve(plan, &on.deployment)?, on).await
    }
}

#[async_trait]
impl Fault for RestartAll {
    fn name(&self) -> &str {
        "restart-all"
    }

    fn seen_by(&self) -> &'static str {
        "the kernel"
    }

    fn needs(&self) -> BTreeSet<Capability> {
        processes()
    }

    fn plan(&self, _rng: &mut Rng, _nodes: usize) -> Map<String, Json> {
        Map::new()
    }

    async fn begin(&self, _plan: &Map<String, Json>, on: &Injection) -> Result<Box<dyn Injected>, Error> {
        Killed::begin((0..on.deployment.nodes.len()).collect(), on).await
    }
}

struct Killed {
    nodes: Vec<usize>,
    description: String,
    ended: usize,
    // Seen in the process table right after: nothing of these nodes runs.
    gone: bool,
}

impl Killed {
    async fn begin(nodes: Vec<usize>, on: &Injection) -> Result<Box<dyn Injected>, Error> {
        let deployment = &on.deployment;
        // All at once: a cluster that loses its nodes one after the other may still hand over.
        let mut kills = tokio::task::JoinSet::new();
        for &node in &nodes {
            let (id, deployment) = (on.id, deployment.clone());
            kills.spawn(async move { deployment.hold_down(id, node).await });
        }
        let mut ended = 0;
        while let Some(killed) = kills.join_next().await {
            ended += killed.map_err(|e| Error::Broken(format!("a kill ended: {e}")))??;
        }
        let gone = nodes.iter().all(|&node| deployment.running(node) == 0);
        let description = format!("killed {}", names(deployment, &nodes));
        Ok(Box::new(Killed { nodes, description, ended, gone }))
    }
}

#[async_trait]
impl Injected for Killed {
    fn nodes(&self) -> Vec<usize> {
        self.nodes.clone()
    }

    fn description(&self) -> String {
        self.description.clone()
    }

    async fn end(self: Box<Self>, on: &Injection) -> Result<Evidence, Error> {
        let mut restarted = 0;
        for &node in &self.nodes {
            restarted += usize::from(on.deployment.let_up(on.id, node).await?);
        }
        let mut measured = Map::new();
        measured.insert("programs_ended".into(), self.ended.into());
        measured.insert("gone".into(), self.gone.into());
        measured.insert("nodes_restarted".into(), restarted.into());
        Ok(Evidence {
            effective: self.ended > 0 && self.gone,
            description: format!("{} programs ended by SIGKILL, {restarted} nodes started again", self.ended),
            measured,
        })
    }
}

#[async_trait]
impl Fault for Pause {
    fn name(&self) -> &str {
        "pause"
    }

    fn seen_by(&self) -> &'static str {
        "the kernel"
    }

    fn needs(&self) -> BTreeSet<Capability> {
        processes()
    }

    fn plan(&self, rng: &mut Rng, nodes: usize) -> Map<String, Json> {
        self.0.plan(rng, nodes)
    }

    async fn begin(&self, plan: &Map<String, Json>, on: &Injection) -> Result<Box<dyn Injected>, Error> {
        let deployment = &on.deployment;
        let nodes = resolve(plan, deployment)?;
        for &node in &nodes {
            deployment.pause(on.id, node).await?;
        }
        let mut stopped = 0;
        for &node in &nodes {
            // A node that is down just now has nothing to stop.
            stopped += usize::from(deployment.running(node) > 0 && deployment.nodes[node].is_paused().await?);
        }
        let description = format!("paused {}", names(deployment, &nodes));
        Ok(Box::new(Paused { nodes, description, stopped }))
    }
}

struct Paused {
    nodes: Vec<usize>,
    description: String,
    stopped: usize,
}

#[async_trait]
impl Injected for Paused {
    fn nodes(&self) -> Vec<usize> {
        self.nodes.clone()
    }

    fn description(&self) -> String {
        self.description.clone()
    }

    async fn end(self: Box<Self>, on: &Injection) -> Result<Evidence, Error> {
        for &node in &self.nodes {
            on.deployment.resume(on.id, node).await?;
        }
        let mut measured = Map::new();
        measured.insert("nodes_stopped".into(), self.stopped.into());
        Ok(Evidence {
            effective: self.stopped > 0,
            description: format!("{} nodes seen stopped by the kernel, then let go on", self.stopped),
            measured,
        })
    }
}
