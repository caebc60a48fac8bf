//! Partitions: cut links, each direction by itself.

use std::collections::BTreeSet;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use squall_cluster::{Capability, Endpoint, LinkPolicy};
use squall_engine::protocol::{Evidence, Fault, Injected, Target};
use squall_engine::seed::Rng;
use squall_engine::{Deployment, Error, Injection};

use crate::registry::Validate;
use crate::victims::{exact, field, names};

/// Who is cut from whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Shape {
    /// Two random groups of any size.
    Halves,
    /// A random minority from the rest.
    Minority,
    /// One random node from all others.
    IsolateOne,
    /// The leader from all others.
    IsolateLeader,
    /// Every node sees a majority, and no two the same one.
    MajorityRing,
    /// Two groups that only one node in the middle can see.
    Bridge,
    /// What a minority sends does not arrive, but it hears the others; or the other way round.
    OneWay,
    /// Clients cannot reach some nodes; the nodes see each other.
    Client,
}

const SHAPES: [Shape; 8] = [
    Shape::Halves,
    Shape::Minority,
    Shape::IsolateOne,
    Shape::IsolateLeader,
    Shape::MajorityRing,
    Shape::Bridge,
    Shape::OneWay,
    Shape::Client,
];

/// See the module.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Partition {
    /// Which shapes may be drawn; every one that the cluster allows, if not said.
    shapes: Option<Vec<Shape>>,
}

impl Validate for Partition {
    fn validate(&self) -> Result<(), Error> {
        match &self.shapes {
            Some(shapes) if shapes.is_empty() => {
                Err(Error::Config("`shapes` of `partition` is empty: it would cut nothing".into()))
            }
            _ => Ok(()),
        }
    }
}

impl Shape {
    /// Whether it cuts anything in a cluster of this size that is not already another shape.
    fn fits(self, nodes: usize) -> bool {
        match self {
            Shape::Client => nodes >= 1,
            Shape::MajorityRing => nodes >= 4,
            Shape::Bridge => nodes >= 3,
            _ => nodes >= 2,
        }
    }
}

#[async_trait]
impl Fault for Partition {
    fn name(&self) -> &str {
        "partition"
    }

    fn seen_by(&self) -> &'static str {
        "the network that does it"
    }

    fn needs(&self) -> BTreeSet<Capability> {
        [Capability::Links].into()
    }

    fn fits(&self, target: &dyn Target) -> Result<(), Error> {
        let asked = self.shapes.as_ref().is_some_and(|s| s.contains(&Shape::IsolateLeader));
        if asked && target.status().is_none() {
            let target = target.name();
            return Err(Error::Config(format!(
                "`isolate-leader` needs to know who leads, which `{target}` cannot say"
            )));
        }
        Ok(())
    }

    fn plan(&self, rng: &mut Rng, nodes: usize) -> Map<String, Json> {
        let allowed: Vec<Shape> =
            self.shapes.as_deref().unwrap_or(&SHAPES).iter().copied().filter(|s| s.fits(nodes)).collect();
        let shape = if allowed.is_empty() { Shape::Client } else { allowed[rng.index(allowed.len())] };
        let mut order: Vec<usize> = (0..nodes).collect();
        rng.shuffle(&mut order);
        let minority = 1 + rng.index((nodes.saturating_sub(1) / 2).max(1));
        let size = match shape {
            Shape::Halves => 1 + rng.index(nodes - 1),
            Shape::Minority | Shape::OneWay | Shape::Client => minority,
            Shape::IsolateOne | Shape::IsolateLeader => 1,
            Shape::MajorityRing | Shape::Bridge => nodes / 2,
        };
        let mut plan = Map::new();
        plan.insert("shape".into(), serde_json::to_value(shape).expect("a plain enum"));
        plan.insert("order".into(), order.into());
        plan.insert("size".into(), size.into());
        plan.insert("outwards".into(), rng.chance(0.5).into());
        plan
    }

    async fn begin(&self, plan: &Map<String, Json>, on: &Injection) -> Result<Box<dyn Injected>, Error> {
        let deployment = &on.deployment;
        let (cut, victims, description) = resolve(plan, deployment)?;
        let links = deployment.links()?;
        let before = cut.iter().map(|(a, b)| links.counters(*a, *b).cut).collect();
        let term = deployment.leader.now();
        links.lay(on.id, cut.iter().map(|(a, b)| (*a, *b, LinkPolicy::cut())).collect()).await?;
        Ok(Box::new(Cut { cut, victims, description, before, leader: term }))
    }
}

type Resolved = (Vec<(Endpoint, Endpoint)>, Vec<usize>, String);

fn resolve(plan: &Map<String, Json>, deployment: &Deployment) -> Result<Resolved, Error> {
    let shape: Shape = field(plan, "shape")?;
    let mut order: Vec<usize> = field(plan, "order")?;
    let size: usize = field(plan, "size")?;
    let outwards: bool = field(plan, "outwards")?;
    if order.iter().any(|n| *n >= deployment.nodes.len()) || size > order.len() {
        return Err(Error::Config("the planned partition names nodes that are not there".into()));
    }
    let alone = match (shape, exact(plan)?) {
        (Shape::IsolateLeader | Shape::IsolateOne, Some(exact)) => exact.first().copied(),
        (Shape::IsolateLeader, None) => deployment.leader.now().map(|(leader, _)| leader),
        _ => None,
    };
    if let Some(alone) = alone {
        order.retain(|n| *n != alone);
        order.insert(0, alone);
    }
    let cut = links(shape, &order, size, outwards, deployment.workers);
    let (inside, outside) = (names(deployment, &order[..size]), names(deployment, &order[size..]));
    let description = match shape {
        Shape::Halves | Shape::Minority => format!("cut {inside} from {outside}"),
        Shape::IsolateOne => format!("cut {inside} from everyone"),
        Shape::IsolateLeader => format!("cut the leader {inside} from everyone"),
        Shape::MajorityRing => {
            let ring: Vec<_> = order.iter().map(|n| deployment.name(*n)).collect();
            format!("left each node only its neighbours in the ring {}", ring.join(", "))
        }
        Shape::Bridge => {
            let middle = deployment.name(order[size]);
            format!("cut {inside} from {}, with {middle} seeing both", names(deployment, &order[size + 1..]))
        }
        Shape::OneWay if outwards => format!("lost what {inside} sends to {outside}, but not the answers"),
        Shape::OneWay => format!("lost what {outside} sends to {inside}, but not the answers"),
        Shape::Client => format!("cut clients from {inside}"),
    };
    let victims = match shape {
        Shape::MajorityRing => order,
        _ => order[..size].to_vec(),
    };
    Ok((cut, victims, description))
}

/// The directed links that a shape cuts: the first `size` nodes of `order` are inside.
fn links(
    shape: Shape,
    order: &[usize],
    size: usize,
    outwards: bool,
    clients: usize,
) -> Vec<(Endpoint, Endpoint)> {
    let nodes = order.len();
    let mut cut = Vec::new();
    for (i, &a) in order.iter().enumerate() {
        if shape == Shape::Client && i < size {
            for client in (0..clients).map(Endpoint::Client) {
                cut.push((client, Endpoint::Node(a)));
                cut.push((Endpoint::Node(a), client));
            }
        }
        for (j, &b) in order.iter().enumerate() {
            let crosses = (i < size) != (j < size);
            let is_cut = i != j
                && match shape {
                    Shape::Client => false,
                    Shape::MajorityRing => {
                        let apart = i.abs_diff(j).min(nodes - i.abs_diff(j));
                        // Itself and `reach` on each side are a majority.
                        let reach = (nodes / 2).div_ceil(2);
                        apart > reach
                    }
                    Shape::Bridge => crosses && i != size && j != size,
                    Shape::OneWay => crosses && (i < size) == outwards,
                    Shape::Halves | Shape::Minority | Shape::IsolateOne | Shape::IsolateLeader => crosses,
                };
            if is_cut {
                cut.push((Endpoint::Node(a), Endpoint::Node(b)));
            }
        }
    }
    cut
}

struct Cut {
    cut: Vec<(Endpoint, Endpoint)>,
    victims: Vec<usize>,
    description: String,
    before: Vec<u64>,
    leader: Option<(usize, u64)>,
}

#[async_trait]
impl Injected for Cut {
    fn nodes(&self) -> Vec<usize> {
        self.victims.clone()
    }

    fn description(&self) -> String {
        self.description.clone()
    }

    async fn end(self: Box<Self>, on: &Injection) -> Result<Evidence, Error> {
        let links = on.deployment.links()?;
        let dropped: u64 = self
            .cut
            .iter()
            .zip(&self.before)
            .map(|((a, b), before)| links.counters(*a, *b).cut - before)
            .sum();
        let leader = on.deployment.leader.now();
        links.lift(on.id).await?;
        let changed = leader.is_some() && leader != self.leader;
        let mut measured = Map::new();
        measured.insert("links_cut".into(), self.cut.len().into());
        measured.insert("packets_dropped".into(), dropped.into());
        measured.insert("leader_changed".into(), changed.into());
        let led = if changed { "; the leader changed" } else { "" };
        Ok(Evidence {
            effective: dropped > 0,
            description: format!("{dropped} packets dropped on {} directed links{led}", self.cut.len()),
            measured,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sees(cut: &[(Endpoint, Endpoint)], nodes: usize, from: usize) -> BTreeSet<usize> {
        (0..nodes).filter(|&to| !cut.contains(&(Endpoint::Node(from), Endpoint::Node(to)))).collect()
    }

    #[test]
    fn in_a_majority_ring_each_sees_a_majority_and_no_two_the_same() {
        for nodes in 4..=9 {
            let order: Vec<usize> = (0..nodes).collect();
            let cut = links(Shape::MajorityRing, &order, nodes / 2, true, 3);
            let views: BTreeSet<_> = (0..nodes).map(|n| sees(&cut, nodes, n)).collect();
            assert!(views.iter().all(|v| 2 * v.len() > nodes && v.len() < nodes), "{nodes}: {views:?}");
            assert_eq!(views.len(), nodes, "{nodes}");
        }
    }

    #[test]
    fn a_bridge_is_seen_by_both_sides_which_do_not_see_each_other() {
        let cut = links(Shape::Bridge, &[4, 3, 2, 1, 0], 2, true, 0);
        assert_eq!(sees(&cut, 5, 2), (0..5).collect());
        assert_eq!(sees(&cut, 5, 4), [2, 3, 4].into());
        assert_eq!(sees(&cut, 5, 0), [0, 1, 2].into());
    }

    #[test]
    fn one_way_is_one_way() {
        let out = links(Shape::OneWay, &[0, 1, 2], 1, true, 0);
        assert_eq!(out, [(Endpoint::Node(0), Endpoint::Node(1)), (Endpoint::Node(0), Endpoint::Node(2))]);
        let inwards = links(Shape::OneWay, &[0, 1, 2], 1, false, 0);
        assert_eq!(inwards, [(Endpoint::Node(1), Endpoint::Node(0)), (Endpoint::Node(2), Endpoint::Node(0))]);
    }

    #[test]
    fn client_cuts_leave_nodes_and_the_harness_alone() {
        let cut = links(Shape::Client, &[2, 0, 1], 1, true, 2);
        assert_eq!(cut.len(), 4);
        assert!(cut.iter().all(|(a, b)| matches!(
            (a, b),
            (Endpoint::Client(_), Endpoint::Node(2)) | (Endpoint::Node(2), Endpoint::Client(_))
        )));
    }
}
