//! Which nodes are harmed: drawn by the seed as far as it can be, resolved when the fault begins.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use squall_engine::seed::Rng;
use squall_engine::{Deployment, Error};

/// Which nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Victims {
    /// Any one.
    One,
    /// Fewer than half, at least one.
    Minority,
    /// More than half, not all.
    Majority,
    /// Whoever leads when the fault begins.
    Leader,
    /// Any one that does not lead then.
    Follower,
    /// Every node.
    All,
}

pub(crate) const EVERY_KIND: [Victims; 5] =
    [Victims::One, Victims::Minority, Victims::Majority, Victims::Leader, Victims::All];

/// Draws a kind of victims and an order of the nodes, from which they are taken.
pub(crate) fn plan(rng: &mut Rng, nodes: usize, among: &[Victims], plan: &mut Map<String, Json>) {
    let victims = among[rng.index(among.len())];
    let mut order: Vec<usize> = (0..nodes).collect();
    rng.shuffle(&mut order);
    let count = match victims {
        Victims::One | Victims::Leader => 1,
        // The second takes the place of the first, should that lead.
        Victims::Follower => 2,
        // Between one and the largest minority.
        Victims::Minority => 1 + rng.index((nodes - 1) / 2),
        Victims::Majority => (nodes / 2 + 1) + rng.index(nodes - nodes / 2 - 1),
        Victims::All => nodes,
    };
    order.truncate(count.min(nodes));
    plan.insert("targets".into(), serde_json::to_value(victims).expect("a plain enum"));
    plan.insert("nodes".into(), order.into());
}

/// Under this name a plan carries the nodes that were harmed when it was carried out before, to be harmed
/// again whatever their roles are now.
pub(crate) const EXACT: &str = "exact";

/// The nodes that a plan insists on.
pub(crate) fn exact(plan: &Map<String, Json>) -> Result<Option<Vec<usize>>, Error> {
    if plan.contains_key(EXACT) { field(plan, EXACT).map(Some) } else { Ok(None) }
}

/// The nodes of a plan, as places in the cluster. The leader is asked for now; if nobody leads, the node
/// drawn takes its place.
pub(crate) fn resolve(plan: &Map<String, Json>, deployment: &Deployment) -> Result<Vec<usize>, Error> {
    let drawn: Vec<usize> = match exact(plan)? {
        Some(nodes) => nodes,
        None => match (field::<Victims>(plan, "targets")?, deployment.leader.now()) {
            (Victims::Leader, Some((leader, _))) => vec![leader],
            (Victims::Follower, leader) => {
                let leads = |node: &usize| leader.is_some_and(|(leader, _)| leader == *node);
                let mut drawn: Vec<usize> = field(plan, "nodes")?;
                // Alone, a node is struck whatever it does.
                let chosen = drawn.iter().position(|node| !leads(node)).unwrap_or(0);
                drawn.drain(..chosen);
                drawn.truncate(1);
                drawn
            }
            _ => field(plan, "nodes")?,
        },
    };
    if drawn.iter().any(|n| *n >= deployment.nodes.len()) {
        return Err(Error::Config("the planned fault names nodes that are not there".into()));
    }
    Ok(drawn)
}

/// The same for a fault that strikes one node: of several the first.
pub(crate) fn resolve_one(plan: &Map<String, Json>, deployment: &Deployment) -> Result<usize, Error> {
    let none = || Error::Config("the planned fault names no node".into());
    resolve(plan, deployment)?.first().copied().ok_or_else(none)
}

/// A part of a plan. Plans are made by this crate, or come from a file that a person may have changed.
pub(crate) fn field<T: serde::de::DeserializeOwned>(
    plan: &Map<String, Json>,
    name: &str,
) -> Result<T, Error> {
    let value = plan.get(name).cloned().unwrap_or(Json::Null);
    serde_json::from_value(value).map_err(|e| Error::Config(format!("`{name}` of a planned fault: {e}")))
}

/// A duration of a plan, in seconds.
pub(crate) fn seconds(plan: &Map<String, Json>, name: &str) -> Result<Duration, Error> {
    Duration::try_from_secs_f64(field(plan, name)?)
        .map_err(|e| Error::Config(format!("`{name}` of a planned fault: {e}")))
}

/// An error for a fault that could be aimed at nobody.
pub(crate) fn aimed(targets: &[Victims], fault: &str) -> Result<(), Error> {
    if targets.is_empty() {
        return Err(Error::Config(format!("`targets` of `{fault}` is empty: it would harm nobody")));
    }
    Ok(())
}

/// The same for a fault that strikes one node; `why` says what it does with it.
pub(crate) fn aimed_at_one(targets: &[Victims], fault: &str, why: &str) -> Result<(), Error> {
    if targets.iter().any(|victims| !matches!(victims, Victims::One | Victims::Leader)) {
        return Err(Error::Config(format!("`{fault}` {why}: its `targets` are `one` and `leader`")));
    }
    aimed(targets, fault)
}

/// Names of nodes, for people.
pub(crate) fn names(deployment: &Deployment, nodes: &[usize]) -> String {
    let mut nodes = nodes.to_vec();
    nodes.sort_unstable();
    nodes.iter().map(|n| deployment.name(*n)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use squall_engine::seed::Seed;

    use super::*;

    #[test]
    fn minorities_and_majorities_are_what_they_say() {
        for nodes in 1..=9usize {
            for k in 0..200 {
                for among in EVERY_KIND.into_iter().chain([Victims::Follower]) {
                    let mut drawn = Map::new();
                    plan(&mut Seed(3).fault(k), nodes, &[among], &mut drawn);
                    let count = field::<Vec<usize>>(&drawn, "nodes").unwrap().len();
                    match among {
                        Victims::One | Victims::Leader => assert_eq!(count, 1),
                        Victims::Follower => assert_eq!(count, 2.min(nodes)),
                        Victims::Minority => {
                            assert!(count >= 1 && (nodes == 1 || 2 * count < nodes || nodes == 2))
                        }
                        Victims::Majority => assert!(2 * count > nodes && (count < nodes || nodes <= 2)),
                        Victims::All => assert_eq!(count, nodes),
                    }
                }
            }
        }
    }
}
