//! Changes of members while the cluster serves: a node is removed, and comes back as a new one without its
//! data, or as itself with them; it follows without a vote for a while; or whoever leads is asked to remove all
//! others at once, which it should refuse but for one.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use squall_cluster::{Capability, Program};
use squall_engine::membership::{self, Standing};
use squall_engine::protocol::{Evidence, Fault, Injected, Target};
use squall_engine::seed::Rng;
use squall_engine::{Error, Injection};

use crate::errand;
use crate::registry::Validate;
use crate::victims::{Victims, aimed_at_one, field, names, plan, resolve_one};

/// What becomes of a removed node's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    /// It is wiped: another machine takes the node's place.
    Replace,
    /// It is kept: the node itself comes back.
    Rejoin,
    /// It goes on at once, but without a vote: that it gets back at the end.
    Demote,
    /// The leader is asked to remove every other node at once. They go on as if nothing had happened.
    Shrink,
}

/// See the module.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Membership {
    kinds: Vec<Kind>,
    targets: Vec<Victims>,
}

/// How long a cluster that other faults harm too may take to let a node go.
const REMOVE_LIMIT: Duration = Duration::from_secs(5);
/// How long it may take to let one in.
const JOIN_LIMIT: Duration = Duration::from_secs(20);
const WIPE_LIMIT: Duration = Duration::from_secs(30);

impl Default for Membership {
    fn default() -> Self {
        Membership { kinds: vec![Kind::Replace], targets: vec![Victims::One, Victims::Leader] }
    }
}

impl Validate for Membership {
    fn validate(&self) -> Result<(), Error> {
        aimed_at_one(&self.targets, "membership", "changes one node at a time")?;
        if self.kinds.is_empty() {
            return Err(Error::Config("`kinds` of `membership` is empty: it would change nothing".into()));
        }
        Ok(())
    }
}

#[async_trait]
impl Fault for Membership {
    fn name(&self) -> &str {
        "membership"
    }

    fn seen_by(&self) -> &'static str {
        "the other members"
    }

    fn needs(&self) -> BTreeSet<Capability> {
        [Capability::Nodes].into()
    }

    fn fits(&self, target: &dyn Target) -> Result<(), Error> {
        let name = target.name();
        let Some(members) = target.members() else {
            return Err(Error::Config(format!("`membership`: `{name}` cannot change its members")));
        };
        if self.kinds.iter().any(|k| *k != Kind::Replace) && !members.keeps_data() {
            return Err(Error::Config(format!(
                "`membership`: a node that was removed from `{name}` cannot come back with its data; use `replace`"
            )));
        }
        Ok(())
    }

    fn plan(&self, rng: &mut Rng, nodes: usize) -> Map<String, Json> {
        let mut drawn = Map::new();
        plan(rng, nodes, &self.targets, &mut drawn);
        let kind = self.kinds[rng.index(self.kinds.len())];
        drawn.insert("kind".into(), serde_json::to_value(kind).expect("a plain enum"));
        drawn
    }

    async fn begin(&self, plan: &Map<String, Json>, on: &Injection) -> Result<Box<dyn Injected>, Error> {
        let deployment = &on.deployment;
        let kind: Kind = field(plan, "kind")?;
        let node = resolve_one(plan, deployment)?;
        // A change that is pending is finished before another begins.
        let pending = deployment.roll.is_pending().then_some("an earlier change of members is still pending");
        // Healthy nodes that are out are no majority to those whose disks are harmed. Shrinking asks for worse.
        let too_few = || {
            let none_may = deployment.excuses.within_minority(&[node], deployment.nodes.len()).is_empty();
            (kind != Kind::Shrink && none_may)
                .then_some("as many nodes as a minority have been harmed already")
        };
        if let Some(why) = pending.or_else(too_few) {
            let description = format!("changed nothing: {why}");
            return Ok(Box::new(Removed { node, kind, description, standing: Standing::Member }));
        }
        if kind == Kind::Shrink {
            return shrink(on, node).await;
        }
        // A node that learns that it was removed may end by itself.
        deployment.excuses.begin(on.id, node);
        let standing = membership::remove(deployment, node, REMOVE_LIMIT).await?;
        match standing {
            Standing::Out if kind == Kind::Demote => {
                membership::follow(deployment, node, REMOVE_LIMIT).await?;
            }
            Standing::Out => {
                deployment.hold_down(on.id, node).await?;
            }
            _ => {}
        }
        let who = deployment.name(node);
        let description = match standing {
            Standing::Out if kind == Kind::Demote => format!("took its vote from {who}"),
            Standing::Out => format!("removed {who} from the cluster"),
            _ => format!("asked for {who} to be removed, which is still pending"),
        };
        Ok(Box::new(Removed { node, kind, description, standing }))
    }
}

struct Removed {
    node: usize,
    kind: Kind,
    description: String,
    standing: Standing,
}

#[async_trait]
impl Injected for Removed {
    fn nodes(&self) -> Vec<usize> {
        vec![self.node]
    }

    fn description(&self) -> String {
        self.description.clone()
    }

    async fn end(self: Box<Self>, on: &Injection) -> Result<Evidence, Error> {
        let (deployment, node) = (&on.deployment, self.node);
        if self.standing == Standing::Member {
            let description = "no change of members was begun".into();
            return Ok(Evidence { effective: false, description, ..Evidence::default() });
        }
        let mut standing = self.standing;
        if standing == Standing::Leaving {
            standing = membership::remove(deployment, node, REMOVE_LIMIT).await?;
        }
        let removed = standing == Standing::Out;
        if removed {
            if self.kind != Kind::Demote {
                deployment.hold_down(on.id, node).await?;
            }
            if self.kind == Kind::Replace {
                wipe(on, node).await?;
            }
            standing = membership::join(deployment, on.id, node, JOIN_LIMIT).await?;
        }
        deployment.excuses.end(on.id, node);
        let mut measured = Map::new();
        measured.insert("removed".into(), removed.into());
        measured.insert("standing".into(), json!(standing));
        let description = match (removed, standing) {
            (true, Standing::Member) => "removed, and back with a vote, as the cluster says itself",
            (true, _) => "removed; its return is still pending",
            (false, _) => "whether it was removed is not known",
        };
        Ok(Evidence { effective: removed, description: description.into(), measured })
    }
}

/// Asks whoever leads (else the node drawn) to remove everyone else at once.
async fn shrink(on: &Injection, drawn: usize) -> Result<Box<dyn Injected>, Error> {
    let deployment = &on.deployment;
    let leader = deployment.leader.now().map_or(drawn, |(leader, _)| leader);
    let others: Vec<usize> = (0..deployment.nodes.len())
        .filter(|node| *node != leader && deployment.roll.standing(*node) == Standing::Member)
        .collect();
    for &node in &others {
        deployment.excuses.begin(on.id, node);
    }
    let agreed = membership::ask_removals(deployment, leader, &others).await?;
    let (who, all) = (deployment.name(leader), names(deployment, &others));
    let description = format!("asked {who} to remove {all} at once; it agreed to {agreed}");
    Ok(Box::new(Shrunk { leader, others, agreed, description }))
}

struct Shrunk {
    leader: usize,
    others: Vec<usize>,
    agreed: usize,
    description: String,
}

#[async_trait]
impl Injected for Shrunk {
    fn nodes(&self) -> Vec<usize> {
        let mut nodes = self.others.clone();
        nodes.push(self.leader);
        nodes
    }

    fn description(&self) -> String {
        self.description.clone()
    }

    async fn end(self: Box<Self>, on: &Injection) -> Result<Evidence, Error> {
        let deployment = &on.deployment;
        // What was asked for may have been lost, may still happen, or has happened: one by one each is removed for
        // certain, and comes back.
        let mut back = 0;
        for &node in &self.others {
            if membership::remove(deployment, node, REMOVE_LIMIT).await? == Standing::Out {
                back += usize::from(
                    membership::join(deployment, on.id, node, JOIN_LIMIT).await? == Standing::Member,
                );
            }
            deployment.excuses.end(on.id, node);
        }
        let mut measured = Map::new();
        measured.insert("agreed".into(), self.agreed.into());
        measured.insert("back".into(), back.into());
        let (asked, agreed) = (self.others.len(), self.agreed);
        Ok(Evidence {
            effective: asked > 0,
            description: format!(
                "{agreed} of {asked} removals were agreed to; {back} nodes were taken out and in again"
            ),
            measured,
        })
    }
}

/// Empties a node's data directory as its programs see it.
async fn wipe(on: &Injection, node: usize) -> Result<(), Error> {
    let program = Program::new("wipe", ["sh", "-c", "find . -mindepth 1 -delete"]);
    errand::run(&on.deployment, node, &program, WIPE_LIMIT, "could not be wiped").await
}
