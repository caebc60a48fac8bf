//! Rolling upgrades: each node is stopped in order and started with another version or configuration over the
//! same data, one after the other, each once the one before serves again. It is not undone.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use squall_cluster::Capability;
use squall_engine::protocol::{Evidence, Fault, Injected, Target};
use squall_engine::seed::Rng;
use squall_engine::{Error, Injection};

use crate::background::Background;
use crate::registry::Validate;
use crate::restarts::{READY_LIMIT, counts, serves};
use crate::victims::{Victims, plan, resolve};

/// See the module. `to` holds the target's options after the upgrade, beside those that it has.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Upgrade {
    to: Map<String, Json>,
}

const GRACE: Duration = Duration::from_secs(5);

impl Validate for Upgrade {}

impl Upgrade {
    fn target(&self, from: &dyn Target) -> Result<Arc<dyn Target>, Error> {
        let name = from.name();
        let upgraded = from.upgraded(&Json::Object(self.to.clone()))?;
        upgraded.ok_or_else(|| Error::Config(format!("`upgrade`: `{name}` cannot be upgraded")))
    }
}

#[async_trait]
impl Fault for Upgrade {
    fn name(&self) -> &str {
        "upgrade"
    }

    fn seen_by(&self) -> &'static str {
        "the kernel and the target"
    }

    fn needs(&self) -> BTreeSet<Capability> {
        [Capability::Nodes].into()
    }

    fn fits(&self, target: &dyn Target) -> Result<(), Error> {
        if self.to.is_empty() {
            let text = "an `upgrade` needs `to`: the options that the target has afterwards";
            return Err(Error::Config(text.into()));
        }
        self.target(target).map(drop)
    }

    fn plan(&self, rng: &mut Rng, nodes: usize) -> Map<String, Json> {
        let mut drawn = Map::new();
        plan(rng, nodes, &[Victims::All], &mut drawn);
        drawn
    }

    async fn begin(&self, plan: &Map<String, Json>, on: &Injection) -> Result<Box<dyn Injected>, Error> {
        let nodes = resolve(plan, &on.deployment)?;
        let upgraded = self.target(&*on.deployment.target)?;
        let version = upgraded.prepare().await?;
        let order: Vec<_> = nodes.iter().map(|n| on.deployment.name(*n)).collect();
        let description = format!("upgrades to version {version}, one after the other: {}", order.join(", "));
        let (on, these) = (on.clone(), nodes.clone());
        Ok(Background::start(nodes, description, |stop| async move {
            let (mut started, mut served) = (0, 0);
            for node in these {
                if stop.is_stopped() {
                    break;
                }
                on.deployment.hold_down_gently(on.id, node, GRACE).await?;
                let programs = upgraded.programs(node, &on.deployment.layout);
                on.deployment.run_instead(node, programs);
                started += usize::from(on.deployment.let_up(on.id, node).await?);
                served += usize::from(serves(&on.deployment, node, READY_LIMIT, &stop).await);
            }
            let mut measured = counts([("nodes_upgraded", started), ("served_again", served)]);
            measured.insert("version".into(), version.into());
            Ok(Evidence {
                effective: started > 0,
                description: format!("{started} nodes started anew, of which {served} served again"),
                measured,
            })
        }))
    }
}
