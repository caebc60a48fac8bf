//! What operators do to a system while it serves, again and again until the fault ends: compact its history,
//! defragment its files, save a snapshot. The target says what there is, and does it.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use squall_cluster::Capability;
use squall_engine::protocol::{Evidence, Fault, Injected, Target};
use squall_engine::seed::Rng;
use squall_engine::{Deployment, Error, Injection, units};

use crate::background::{Background, sleep};
use crate::registry::Validate;
use crate::restarts::counts;
use crate::victims::{Victims, aimed, field, names, plan, resolve, seconds};

/// See the module. Without `kinds`, whatever the target can be asked for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Maintain {
    kinds: Vec<String>,
    targets: Vec<Victims>,
    /// Between one time and the next.
    #[serde(with = "units::duration")]
    every: Duration,
}

/// How long a node may take for it.
const LIMIT: Duration = Duration::from_secs(20);

impl Default for Maintain {
    fn default() -> Self {
        let targets = vec![Victims::One, Victims::Leader, Victims::All];
        Maintain { kinds: Vec::new(), targets, every: Duration::from_secs(1) }
    }
}

impl Validate for Maintain {
    fn validate(&self) -> Result<(), Error> {
        if self.every < Duration::from_millis(10) {
            return Err(Error::Config("`every` of `maintenance` is 10ms or longer".into()));
        }
        aimed(&self.targets, "maintenance")
    }
}

#[async_trait]
impl Fault for Maintain {
    fn name(&self) -> &str {
        "maintenance"
    }

    fn needs(&self) -> BTreeSet<Capability> {
        BTreeSet::new()
    }

    fn fits(&self, target: &dyn Target) -> Result<(), Error> {
        let offered = offered(target)?;
        match self.kinds.iter().find(|kind| !offered.contains(kind)) {
            Some(unknown) => Err(Error::Config(format!(
                "`maintenance`: `{}` cannot be asked to `{unknown}`; it knows: {}",
                target.name(),
                offered.join(", ")
            ))),
            None => Ok(()),
        }
    }

    fn plan(&self, rng: &mut Rng, nodes: usize) -> Map<String, Json> {
        let mut drawn = Map::new();
        plan(rng, nodes, &self.targets, &mut drawn);
        // Which of them all is known only once the target is.
        let share = rng.unit();
        match self.kinds.get((share * self.kinds.len() as f64) as usize) {
            Some(kind) => drawn.insert("kind".into(), kind.clone().into()),
            None => drawn.insert("kind_share".into(), share.into()),
        };
        drawn.insert("every_seconds".into(), self.every.as_secs_f64().into());
        drawn
    }

    async fn begin(&self, plan: &Map<String, Json>, on: &Injection) -> Result<Box<dyn Injected>, Error> {
        let nodes = resolve(plan, &on.deployment)?;
        let kind = match plan.get("kind") {
            Some(_) => field(plan, "kind")?,
            None => {
                let (share, mut all) = (field::<f64>(plan, "kind_share")?, offered(&*on.deployment.target)?);
                let at = (share.clamp(0.0, 1.0) * all.len() as f64) as usize;
                all.swap_remove(at.min(all.len() - 1))
            }
        };
        let every = seconds(plan, "every_seconds")?;
        let description = format!("asks {} to {kind}, again and again", names(&on.deployment, &nodes));
        let (deployment, these) = (on.deployment.clone(), nodes.clone());
        Ok(Background::start(nodes, description, move |stop| async move {
            let (mut done, mut refused, mut last) = (0, 0, None);
            loop {
                for &node in &these {
                    match ask(&deployment, &kind, node).await {
                        Ok(seen) => (done, last) = (done + 1, Some(seen)),
                        Err(why) => {
                            refused += 1;
                            last.get_or_insert(why);
                        }
                    }
                }
                if !sleep(&stop, every).await {
                    break;
                }
            }
            let mut measured = counts([("done", done), ("not_done", refused)]);
            measured.insert("kind".into(), kind.into());
            let said = last.unwrap_or_default();
            Ok(Evidence { effective: done > 0, description: format!("done {done} times: {said}"), measured })
        }))
    }
}

/// What the target can be asked for, never empty.
fn offered(target: &dyn Target) -> Result<Vec<String>, Error> {
    match target.maintenance().map(|m| m.kinds()).filter(|kinds| !kinds.is_empty()) {
        Some(kinds) => Ok(kinds),
        None => Err(Error::Config(format!("`maintenance`: `{}` has nothing to be asked for", target.name()))),
    }
}

async fn ask(deployment: &Deployment, kind: &str, node: usize) -> Result<String, String> {
    let Some(maintenance) = deployment.target.maintenance() else {
        return Err("the target has nothing to be asked for".into());
    };
    let asked = maintenance.maintain(kind, node, deployment.via());
    match tokio::time::timeout(LIMIT, asked).await {
        Ok(done) => done.map_err(|e| e.to_string()),
        Err(_) => Err(format!("no answer within {} s", LIMIT.as_secs())),
    }
}
