//! Links that come back slowly: up for a moment, down again, up for longer, until they hold.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use squall_cluster::Capability;
use squall_engine::protocol::{Evidence, Fault, Injected};
use squall_engine::seed::Rng;
use squall_engine::{Error, Injection, units};

use crate::background::{Background, sleep};
use crate::quality::{Direction, around, cut_links, dropped};
use crate::registry::Validate;
use crate::restarts::counts;
use crate::victims::{EVERY_KIND, Victims, aimed, field, names, plan, resolve, seconds};

/// The links between some nodes and the others go down and come up in turn. Each time up is longer than the
/// last, and each time down shorter.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Flap {
    targets: Vec<Victims>,
    clients: bool,
    /// The first time down, which is the first time up as well.
    #[serde(with = "units::duration")]
    period: Duration,
}

/// A time up is so many times the one before, and a time down the inverse.
const GROWTH: f64 = 1.3;
/// No time is shorter.
const SHORTEST: Duration = Duration::from_millis(10);

impl Default for Flap {
    fn default() -> Self {
        Flap { targets: EVERY_KIND.to_vec(), clients: false, period: Duration::from_millis(400) }
    }
}

impl Validate for Flap {
    fn validate(&self) -> Result<(), Error> {
        if self.period < SHORTEST {
            return Err(Error::Config("the `period` of a `flap` is 10ms or longer".into()));
        }
        aimed(&self.targets, "flap")
    }
}

#[async_trait]
impl Fault for Flap {
    fn name(&self) -> &str {
        "flap"
    }

    fn seen_by(&self) -> &'static str {
        "the network that does it"
    }

    fn needs(&self) -> BTreeSet<Capability> {
        [Capability::Links].into()
    }

    fn plan(&self, rng: &mut Rng, nodes: usize) -> Map<String, Json> {
        let mut drawn = Map::new();
        plan(rng, nodes, &self.targets, &mut drawn);
        drawn.insert("clients".into(), self.clients.into());
        drawn.insert("period_seconds".into(), self.period.as_secs_f64().into());
        drawn
    }

    async fn begin(&self, plan: &Map<String, Json>, on: &Injection) -> Result<Box<dyn Injected>, Error> {
        let nodes = resolve(plan, &on.deployment)?;
        let period = seconds(plan, "period_seconds")?;
        let cut = around(&on.deployment, &nodes, Direction::Both, field(plan, "clients")?);
        let description = format!("let the links of {} flap", names(&on.deployment, &nodes));
        let before = dropped(&on.deployment, &cut)?;
        // Down before anybody is told that it is.
        cut_links(on, &cut).await?;
        let on = on.clone();
        Ok(Background::start(nodes, description, move |stop| async move {
            let (mut down, mut up, mut flaps) = (period, period, 1);
            loop {
                if !sleep(&stop, down.max(SHORTEST)).await {
                    break;
                }
                on.deployment.links()?.lift(on.id).await?;
                if !sleep(&stop, up).await {
                    break;
                }
                cut_links(&on, &cut).await?;
                flaps += 1;
                (down, up) = (down.div_f64(GROWTH), up.mul_f64(GROWTH));
            }
            on.deployment.links()?.lift(on.id).await?;
            let lost = dropped(&on.deployment, &cut)? - before;
            let mut measured = counts([("links_cut", cut.len()), ("times_down", flaps)]);
            measured.insert("packets_dropped".into(), lost.into());
            let description = format!("{lost} packets dropped, {flaps} times down");
            Ok(Evidence { effective: lost > 0, description, measured })
        }))
    }
}
