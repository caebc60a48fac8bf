//! Harm to the quality of links: everything short of cutting them.
//!
//! What all have in common is here: links of some nodes are given a policy, and what the network counted on
//! them meanwhile is the evidence. What each does is a [`Harm`], in `harms`.

use std::collections::BTreeSet;
use std::fmt::Debug;

use async_trait::async_trait;
use serde::de::{self, DeserializeOwned};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value as Json};
use squall_cluster::{Capability, Endpoint, LinkCounters, LinkPolicy};
use squall_engine::protocol::{Evidence, Fault, Injected};
use squall_engine::seed::Rng;
use squall_engine::{Deployment, Error, Injection};

use crate::registry::Validate;
use crate::victims::{EVERY_KIND, Victims, field, names, plan, resolve};

/// One way in which a link is bad.
pub(crate) trait Harm: DeserializeOwned + Default + Debug + Send + Sync + 'static {
    /// The fault's name.
    const NAME: &'static str;
    /// What the evidence counts.
    const COUNTED: &'static str;

    /// Draws its intensity.
    fn draw(&self, rng: &mut Rng, drawn: &mut Map<String, Json>);

    /// The policy that was drawn.
    fn policy(drawn: &Map<String, Json>) -> Result<LinkPolicy, Error>;

    /// What it is, in a few words: `delayed by 50 ms ± 10 ms`.
    fn describe(drawn: &Map<String, Json>) -> Result<String, Error>;

    /// Packets that it harmed.
    fn harmed(counters: &LinkCounters) -> u64;

    /// An error for options that make no sense.
    fn validate(&self) -> Result<(), Error>;
}

/// Which directions between the victims and the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Direction {
    Both,
    Outwards,
    Inwards,
}

const DIRECTIONS: [Direction; 3] = [Direction::Both, Direction::Outwards, Direction::Inwards];

/// A fault that gives links a policy. Options beside those of the harm: `targets`, and `clients` for the links
/// between clients and the victims too.
#[derive(Debug)]
pub(crate) struct OnLinks<H> {
    targets: Vec<Victims>,
    clients: bool,
    harm: H,
}

/// The common options are taken out first, so that the harm's own can refuse what nobody knows: flattening
/// and refusing do not go together.
impl<'de, H: Harm> Deserialize<'de> for OnLinks<H> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut given = Map::deserialize(deserializer)?;
        let targets = given.remove("targets").map(serde_json::from_value).transpose();
        let clients = given.remove("clients").map(serde_json::from_value).transpose();
        Ok(OnLinks {
            targets: targets.map_err(de::Error::custom)?.unwrap_or_else(|| EVERY_KIND.to_vec()),
            clients: clients.map_err(de::Error::custom)?.unwrap_or_default(),
            harm: serde_json::from_value(Json::Object(given)).map_err(de::Error::custom)?,
        })
    }
}

impl<H: Harm> Default for OnLinks<H> {
    fn default() -> Self {
        OnLinks { targets: EVERY_KIND.to_vec(), clients: false, harm: H::default() }
    }
}

impl<H: Harm> Validate for OnLinks<H> {
    fn validate(&self) -> Result<(), Error> {
        if self.targets.is_empty() {
            return Err(Error::Config(format!("`targets` of `{}` is empty: it would harm nobody", H::NAME)));
        }
        self.harm.validate()
    }
}

#[async_trait]
impl<H: Harm> Fault for OnLinks<H> {
    fn name(&self) -> &str {
        H::NAME
    }

    fn seen_by(&self) -> &'static str {
        "the network that does it"
    }

    fn needs(&self) -> BTreeSet<Capability> {
        [Capability::LinkQuality].into()
    }

    fn plan(&self, rng: &mut Rng, nodes: usize) -> Map<String, Json> {
        let mut drawn = Map::new();
        plan(rng, nodes, &self.targets, &mut drawn);
        let direction = DIRECTIONS[rng.index(DIRECTIONS.len())];
        drawn.insert("direction".into(), serde_json::to_value(direction).expect("a plain enum"));
        drawn.insert("clients".into(), self.clients.into());
        self.harm.draw(rng, &mut drawn);
        drawn
    }

    async fn begin(&self, plan: &Map<String, Json>, on: &Injection) -> Result<Box<dyn Injected>, Error> {
        let deployment = &on.deployment;
        let victims = resolve(plan, deployment)?;
        let policy = H::policy(plan)?;
        let direction: Direction = field(plan, "direction")?;
        let links = around(deployment, &victims, direction, field(plan, "clients")?);
        let book = deployment.links()?;
        let before = links.iter().map(|(a, b)| H::harmed(&book.counters(*a, *b))).collect();
        book.lay(on.id, links.iter().map(|(a, b)| (*a, *b, policy)).collect()).await?;
        let who = names(deployment, &victims);
        let way = match direction {
            Direction::Both => "to and from",
            Direction::Outwards => "from",
            Direction::Inwards => "to",
        };
        let description = format!("{} what goes {way} {who}", H::describe(plan)?);
        Ok(Box::new(Harmed::<H> { victims, links, before, description, harm: std::marker::PhantomData }))
    }
}

/// Directed links between the victims and everybody else; among all nodes if all are victims.
pub(crate) fn around(
    deployment: &Deployment,
    victims: &[usize],
    direction: Direction,
    clients: bool,
) -> Vec<(Endpoint, Endpoint)> {
    let nodes = deployment.nodes.len();
    let all = victims.len() == nodes;
    let mut links = Vec::new();
    let mut put = |victim: usize, other: Endpoint| {
        if direction != Direction::Inwards {
            links.push((Endpoint::Node(victim), other));
        }
        if direction != Direction::Outwards {
            links.push((other, Endpoint::Node(victim)));
        }
    };
    for &victim in victims {
        for other in (0..nodes).filter(|n| *n != victim && (all || !victims.contains(n))) {
            put(victim, Endpoint::Node(other));
        }
        for client in (0..deployment.workers).filter(|_| clients) {
            put(victim, Endpoint::Client(client));
        }
    }
    links.sort_unstable();
    links.dedup();
    links
}

/// Cuts these links for a fault.
pub(crate) async fn cut_links(on: &Injection, cut: &[(Endpoint, Endpoint)]) -> Result<(), Error> {
    let wanted = cut.iter().map(|(a, b)| (*a, *b, LinkPolicy::cut())).collect();
    on.deployment.links()?.lay(on.id, wanted).await
}

/// Packets that cut links have dropped so far.
pub(crate) fn dropped(deployment: &Deployment, cut: &[(Endpoint, Endpoint)]) -> Result<u64, Error> {
    let links = deployment.links()?;
    Ok(cut.iter().map(|(a, b)| links.counters(*a, *b).cut).sum())
}

struct Harmed<H> {
    victims: Vec<usize>,
    links: Vec<(Endpoint, Endpoint)>,
    before: Vec<u64>,
    description: String,
    harm: std::marker::PhantomData<H>,
}

#[async_trait]
impl<H: Harm> Injected for Harmed<H> {
    fn nodes(&self) -> Vec<usize> {
        self.victims.clone()
    }

    fn description(&self) -> String {
        self.description.clone()
    }

    async fn end(self: Box<Self>, on: &Injection) -> Result<Evidence, Error> {
        let book = on.deployment.links()?;
        let harmed: u64 = self
            .links
            .iter()
            .zip(&self.before)
            .map(|((a, b), before)| H::harmed(&book.counters(*a, *b)) - before)
            .sum();
        book.lift(on.id).await?;
        let mut measured = Map::new();
        measured.insert("links_harmed".into(), self.links.len().into());
        measured.insert(format!("packets_{}", H::COUNTED), harmed.into());
        Ok(Evidence {
            effective: harmed > 0,
            description: format!("{harmed} packets {} on {} directed links", H::COUNTED, self.links.len()),
            measured,
        })
    }
}
