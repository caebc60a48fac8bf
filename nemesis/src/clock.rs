//! Harm to wall clocks: jumps, drifts, strobes, freezes, random walks; each node by itself.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use squall_cluster::{Capability, Clock as NodeClock, ClockChange};
use squall_engine::protocol::{Evidence, Fault, Injected};
use squall_engine::seed::{Rng, Seed};
use squall_engine::{Deployment, Error, Injection, units};
use tokio::task::JoinSet;

use crate::registry::Validate;
use crate::victims::{EVERY_KIND, Victims, field, names, plan, resolve};

/// How a clock is harmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    /// One step, forwards or back, undone at the end.
    Jump,
    /// It runs fast or slow.
    Drift,
    /// Steps there and back, many times.
    Strobe,
    /// It stands still.
    Freeze,
    /// Small steps either way, one after the other, so that it wanders off.
    Walk,
}

/// See the module.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Clock {
    kinds: Vec<Kind>,
    targets: Vec<Victims>,
    #[serde(with = "units::duration")]
    min_offset: Duration,
    #[serde(with = "units::duration")]
    max_offset: Duration,
}

impl Default for Clock {
    /// Jepsen's offsets: ±4 ms to ±262 s, every order of magnitude as likely.
    fn default() -> Self {
        Clock {
            kinds: vec![Kind::Jump, Kind::Drift, Kind::Strobe, Kind::Freeze, Kind::Walk],
            targets: EVERY_KIND.to_vec(),
            min_offset: Duration::from_millis(4),
            max_offset: Duration::from_secs(262),
        }
    }
}

impl Validate for Clock {
    fn validate(&self) -> Result<(), Error> {
        if self.kinds.is_empty() || self.targets.is_empty() {
            return Err(Error::Config(
                "`kinds` or `targets` of `clock` is empty: it would harm nobody".into(),
            ));
        }
        if self.min_offset.is_zero() || self.max_offset < self.min_offset {
            return Err(Error::Config("`clock` needs 0 < min_offset <= max_offset".into()));
        }
        Ok(())
    }
}

#[async_trait]
impl Fault for Clock {
    fn name(&self) -> &str {
        "clock"
    }

    fn seen_by(&self) -> &'static str {
        "the node's programs"
    }

    fn needs(&self) -> BTreeSet<Capability> {
        [Capability::Clock].into()
    }

    fn plan(&self, rng: &mut Rng, nodes: usize) -> Map<String, Json> {
        let mut drawn = Map::new();
        plan(rng, nodes, &self.targets, &mut drawn);
        let kind = self.kinds[rng.index(self.kinds.len())];
        let sign = if rng.chance(0.5) { 1.0 } else { -1.0 };
        let offset = rng.log_uniform(self.min_offset.as_secs_f64(), self.max_offset.as_secs_f64());
        // From a hundred parts per million to five times as fast; slow by as much as leaves it running.
        let skew = rng.log_uniform(1e-4, 4.0);
        drawn.insert("kind".into(), serde_json::to_value(kind).expect("a plain enum"));
        match kind {
            Kind::Jump => drawn.insert("offset_seconds".into(), (sign * offset).into()),
            Kind::Drift => {
                let rate = if sign > 0.0 { 1.0 + skew } else { 1.0 / (1.0 + skew) };
                drawn.insert("rate".into(), rate.into())
            }
            Kind::Strobe => {
                drawn.insert("period_seconds".into(), rng.log_uniform(0.005, 0.5).into());
                drawn.insert("offset_seconds".into(), (sign * offset).into())
            }
            Kind::Freeze => None,
            Kind::Walk => {
                drawn.insert("step_seconds".into(), (offset / WALK_STEPS).into());
                drawn.insert("period_seconds".into(), rng.log_uniform(0.01, 0.2).into());
                drawn.insert("walk".into(), rng.next().into())
            }
        };
        drawn
    }

    async fn begin(&self, plan: &Map<String, Json>, on: &Injection) -> Result<Box<dyn Injected>, Error> {
        let deployment = &on.deployment;
        let nodes = resolve(plan, deployment)?;
        let kind: Kind = field(plan, "kind")?;
        let (mut before, mut walks) = (Vec::new(), JoinSet::new());
        for &node in &nodes {
            let clock = clock_of(deployment, node)?;
            before.push(clock.read().generation);
            if kind == Kind::Walk {
                walks.spawn(Walk::new(plan, node)?.go(clock));
            } else {
                harm(&*clock, kind, plan).await?;
            }
        }
        let description = describe(kind, plan, &names(deployment, &nodes))?;
        Ok(Box::new(Skewed { nodes, description, before, walks }))
    }
}

/// A walk of so many steps in one direction would come to the largest offset.
const WALK_STEPS: f64 = 20.0;

/// A random walk: steps of up to `most` nanoseconds either way. A function of the plan and of the node, so that the
/// clocks of two nodes part.
#[derive(Debug)]
struct Walk {
    rng: Rng,
    most: i64,
    period: Duration,
}

impl Walk {
    fn new(plan: &Map<String, Json>, node: usize) -> Result<Self, Error> {
        let most = (field::<f64>(plan, "step_seconds")? * 1e9) as i64;
        let period = field::<f64>(plan, "period_seconds")?;
        // A person may have changed the plan: without a wait, walking would take a processor.
        if most < 1 || !(0.001..3600.0).contains(&period) {
            return Err(Error::Config(
                "a walk needs steps of 1 ns and periods of 1 ms to 1 h at least".into(),
            ));
        }
        let rng = Seed(field::<u64>(plan, "walk")?).fault(node as u64);
        Ok(Walk { rng, most, period: Duration::from_secs_f64(period) })
    }

    /// The next step, from −most to most.
    fn step(&mut self) -> i64 {
        self.rng.below(2 * self.most as u64 + 1) as i64 - self.most
    }

    async fn go(mut self, clock: Arc<dyn NodeClock>) -> Result<(), Error> {
        loop {
            clock.change(ClockChange::Jump(self.step())).await?;
            tokio::time::sleep(self.period).await;
        }
    }
}

fn clock_of(deployment: &Deployment, node: usize) -> Result<Arc<dyn NodeClock>, Error> {
    deployment.nodes[node]
        .clock()
        .ok_or_else(|| Error::Config("this provider cannot move the clocks of nodes".into()))
}

async fn harm(clock: &dyn NodeClock, kind: Kind, plan: &Map<String, Json>) -> Result<(), Error> {
    let nanos = |seconds: f64| (seconds * 1e9) as i64;
    match kind {
        Kind::Jump => clock.change(ClockChange::Jump(nanos(field(plan, "offset_seconds")?))).await?,
        Kind::Drift => clock.change(ClockChange::Rate(field(plan, "rate")?)).await?,
        Kind::Freeze => clock.change(ClockChange::Rate(0.0)).await?,
        Kind::Walk => {}
        Kind::Strobe => {
            let period = Duration::from_secs_f64(field(plan, "period_seconds")?);
            clock.strobe(nanos(field(plan, "offset_seconds")?), period).await?;
        }
    }
    Ok(())
}

fn describe(kind: Kind, plan: &Map<String, Json>, who: &str) -> Result<String, Error> {
    Ok(match kind {
        Kind::Jump => format!("moved the clock of {who} by {:+.3} s", field::<f64>(plan, "offset_seconds")?),
        Kind::Drift => {
            format!("let the clock of {who} run at {:.4} of true time", field::<f64>(plan, "rate")?)
        }
        Kind::Freeze => format!("froze the clock of {who}"),
        Kind::Walk => format!(
            "let the clock of {who} wander, by up to {:.3} s every {:.3} s",
            field::<f64>(plan, "step_seconds")?,
            field::<f64>(plan, "period_seconds")?
        ),
        Kind::Strobe => format!(
            "strobed the clock of {who} by {:+.3} s every {:.3} s",
            field::<f64>(plan, "offset_seconds")?,
            field::<f64>(plan, "period_seconds")?
        ),
    })
}

struct Skewed {
    nodes: Vec<usize>,
    description: String,
    before: Vec<u64>,
    /// Walks that go on. Dropped, they end.
    walks: JoinSet<Result<(), Error>>,
}

#[async_trait]
impl Injected for Skewed {
    fn nodes(&self) -> Vec<usize> {
        self.nodes.clone()
    }

    fn description(&self) -> String {
        self.description.clone()
    }

    async fn end(mut self: Box<Self>, on: &Injection) -> Result<Evidence, Error> {
        // A walk ends by itself only if the clock could not be moved.
        while let Some(ended) = self.walks.try_join_next() {
            ended.map_err(|e| Error::Broken(format!("a fault's task ended: {e}")))??;
        }
        // None may take a step after the clocks were set right.
        self.walks.shutdown().await;
        let mut measured = Map::new();
        let mut saw = 0;
        for (&node, &before) in self.nodes.iter().zip(&self.before) {
            let clock = clock_of(&on.deployment, node)?;
            let reading = clock.read();
            // A program of the node has read its clock since it was harmed.
            let seen = reading.seen > before;
            saw += usize::from(seen);
            measured.insert(
                on.deployment.name(node),
                serde_json::json!({ "offset_seconds": reading.offset_nanos as f64 / 1e9, "seen": seen }),
            );
            clock.change(ClockChange::Reset).await?;
        }
        Ok(Evidence {
            effective: saw > 0,
            description: format!("{saw} of {} nodes read the harmed clock", self.nodes.len()),
            measured,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(walk: u64, node: usize) -> Vec<i64> {
        let plan = serde_json::json!({ "step_seconds": 1e-6, "period_seconds": 0.1, "walk": walk });
        let mut walk = Walk::new(plan.as_object().expect("an object"), node).expect("a walk");
        (0..1000).map(|_| walk.step()).collect()
    }

    #[test]
    fn a_walk_is_a_function_of_its_plan_and_its_node() {
        assert_eq!(steps(7, 0), steps(7, 0));
        assert_ne!(steps(7, 0), steps(7, 1));
        assert_ne!(steps(7, 0), steps(8, 0));
    }

    #[test]
    fn a_walk_goes_both_ways_and_no_step_is_too_long() {
        let steps = steps(u64::MAX, 2);
        assert!(steps.iter().all(|step| step.abs() <= 1000));
        let ahead = steps.iter().filter(|step| **step > 0).count();
        assert!((400..600).contains(&ahead), "{ahead}");
    }

    #[test]
    fn a_walk_that_would_never_rest_is_refused() {
        let plan = serde_json::json!({ "step_seconds": 1.0, "period_seconds": 0.0, "walk": 1 });
        assert!(Walk::new(plan.as_object().expect("an object"), 0).is_err());
    }
}
