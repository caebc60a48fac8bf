//! Leader after leader falls: each new one is cut off a while after it was elected, and the one before comes back
//! when its successor has led for a second, or falls in turn.
//!
//! So several nodes get ends of logs that nobody else has, of different terms, which then compete: the hardest that
//! can be done to a log with few faults (Figure 8 of the Raft paper). How long each may lead is told in turn.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use squall_cluster::Capability;
use squall_engine::protocol::{Evidence, Fault, Injected, Target};
use squall_engine::seed::Rng;
use squall_engine::{Error, Injection, Stop};

use crate::background::{Background, sleep};
use crate::quality::{Direction, around, cut_links, dropped};
use crate::registry::Validate;
use crate::victims::field;

/// See the module.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Topple {
    /// How long leaders may lead, in turn: `50ms`.
    reigns: Vec<String>,
}

/// Between two looks at who leads; the leader itself is asked a little less often.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// When a leader has led for so long, the one before it comes back.
const BACK_AFTER: Duration = Duration::from_secs(1);

impl Default for Topple {
    /// One that leads for a while, one that falls at once, one that gets a few messages through.
    fn default() -> Self {
        Topple { reigns: ["0ms", "300ms", "2s"].map(str::to_owned).to_vec() }
    }
}

impl Topple {
    fn reigns(&self) -> Result<Vec<Duration>, Error> {
        let bad = |e| Error::Config(format!("`reigns` of `topple`: {e}"));
        self.reigns.iter().map(|text| squall_engine::units::parse_duration(text).map_err(bad)).collect()
    }
}

impl Validate for Topple {
    fn validate(&self) -> Result<(), Error> {
        match self.reigns()?.is_empty() {
            true => Err(Error::Config("`reigns` of `topple` is empty: nobody would fall".into())),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Fault for Topple {
    fn name(&self) -> &str {
        "topple"
    }

    fn needs(&self) -> BTreeSet<Capability> {
        [Capability::Links].into()
    }

    fn fits(&self, target: &dyn Target) -> Result<(), Error> {
        let name = target.name();
        match target.status() {
            Some(_) => Ok(()),
            None => {
                Err(Error::Config(format!("`topple` needs to know who leads, which `{name}` cannot say")))
            }
        }
    }

    fn plan(&self, rng: &mut Rng, _nodes: usize) -> Map<String, Json> {
        // Whose turn it is when it begins.
        let first = rng.index(self.reigns.len());
        [("first".to_owned(), first.into())].into_iter().collect()
    }

    async fn begin(&self, plan: &Map<String, Json>, on: &Injection) -> Result<Box<dyn Injected>, Error> {
        let first: usize = field(plan, "first")?;
        let reigns = self.reigns()?;
        on.deployment.links()?;
        let description = "each leader is cut off some time after its election".to_owned();
        let nodes = (0..on.deployment.nodes.len()).collect();
        let on = on.clone();
        Ok(Background::start(nodes, description, move |stop| topple(on, reigns, first, stop)))
    }
}

async fn topple(on: Injection, reigns: Vec<Duration>, first: usize, stop: Stop) -> Result<Evidence, Error> {
    let deployment = &on.deployment;
    let links = deployment.links()?;
    let mut fallen: Vec<String> = Vec::new();
    let (mut lost, mut cut, mut before) = (0, Vec::new(), 0);
    let mut last_term = 0;
    while sleep(&stop, LOOK_EVERY).await {
        let Some((leader, term)) = deployment.leader.now().filter(|(_, term)| *term > last_term) else {
            continue;
        };
        let reign = reigns[(first + fallen.len()) % reigns.len()];
        last_term = term;
        let alone = reign.min(BACK_AFTER);
        if !sleep(&stop, alone).await {
            break;
        }
        // The one before comes back, to catch up or to compete.
        lost += dropped(deployment, &cut)? - before;
        links.lift(on.id).await?;
        (cut, before) = (Vec::new(), 0);
        if !sleep(&stop, reign - alone).await {
            break;
        }
        cut = around(deployment, &[leader], Direction::Both, false);
        before = dropped(deployment, &cut)?;
        cut_links(&on, &cut).await?;
        fallen.push(format!("{} of term {term}", deployment.name(leader)));
    }
    lost += dropped(deployment, &cut)? - before;
    links.lift(on.id).await?;
    let mut measured = Map::new();
    measured.insert("leaders_cut_off".into(), fallen.len().into());
    measured.insert("packets_dropped".into(), lost.into());
    let (count, who) = (fallen.len(), fallen.join(", "));
    let description = format!("{count} leaders were cut off ({who}), {lost} packets dropped");
    Ok(Evidence { effective: lost > 0, description, measured })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reigns_are_times_and_there_is_one() {
        let of = |reigns: &[&str]| Topple { reigns: reigns.iter().map(|r| r.to_string()).collect() };
        assert!(Topple::default().validate().is_ok());
        assert!(of(&[]).validate().is_err());
        assert!(of(&["soon"]).validate().is_err());
    }
}
