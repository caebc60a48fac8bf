//! A fault by commands of a cluster's owner: where the cluster is attached to, what harms it is theirs.
//!
//! The seed decides whom it is aimed at, as with any other fault. The evidence is what the proving command printed
//! and how it ended, asked while the fault is on: right before its end, or half-way where it ends by itself.
//! Without that command nothing is proven, and the evidence says so.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use squall_cluster::attach::{AttachFile, Commands, FaultOf, Said, Values};
use squall_cluster::{Capability, Error as ClusterError};
use squall_engine::protocol::{Evidence, Fault, Injected, options};
use squall_engine::seed::Rng;
use squall_engine::{Error, Injection};
use tokio::task::JoinHandle;

use crate::victims::{EVERY_KIND, Victims, aimed, names, plan, resolve};

/// See the module.
#[derive(Clone, Debug)]
struct Commanded {
    name: String,
    of: FaultOf,
    targets: Vec<Victims>,
    commands: Commands,
}

/// What a campaign may say of one.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    targets: Option<Vec<Victims>>,
}

/// The fault of this name of a running cluster, with these options (an object, or null), if its file has it.
pub fn commanded(file: &AttachFile, name: &str, given: &Json) -> Result<Option<Arc<dyn Fault>>, Error> {
    let Some(of) = file.faults.get(name) else { return Ok(None) };
    let own: Vec<Victims> = match of.targets.is_empty() {
        true => EVERY_KIND.to_vec(),
        false => serde_json::from_value(json!(of.targets))
            .map_err(|e| Error::Config(format!("`targets` of the fault `{name}`: {e}")))?,
    };
    let targets = options::<Options>(name, given)?.targets.unwrap_or(own);
    aimed(&targets, name)?;
    Ok(Some(Arc::new(Commanded {
        name: name.to_owned(),
        of: of.clone(),
        targets,
        commands: file.commands(),
    })))
}

#[async_trait]
impl Fault for Commanded {
    fn name(&self) -> &str {
        &self.name
    }

    /// Nothing but the cluster: its means are its own.
    fn needs(&self) -> BTreeSet<Capability> {
        BTreeSet::new()
    }

    fn plan(&self, rng: &mut Rng, nodes: usize) -> Map<String, Json> {
        let mut drawn = Map::new();
        plan(rng, nodes, &self.targets, &mut drawn);
        drawn
    }

    async fn begin(&self, plan: &Map<String, Json>, on: &Injection) -> Result<Box<dyn Injected>, Error> {
        let mut victims = resolve(plan, &on.deployment)?;
        victims.sort_unstable();
        let act = Act { fault: self.clone(), all: values(self, &victims, on) };
        let description = format!("by command on {}", names(&on.deployment, &victims));
        for (node, values) in act.turns(&self.of.begin) {
            let what = format!("`begin` of `{}` for {node}", self.name);
            if let Err(e) = self.commands.must(&what, &self.of.begin, values).await {
                // What was begun is not left on; the first failure is what is told.
                let _ = act.end().await;
                return Err(e.into());
            }
        }
        let half_way = (self.of.end.is_none() && self.of.prove.is_some()).then(|| {
            let act = act.clone();
            let wait = on.lasts / 2;
            tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                act.prove().await
            })
        });
        Ok(Box::new(Begun { victims, description, act, half_way }))
    }
}

/// What each command's placeholders stand for: a set of values for each victim.
fn values(fault: &Commanded, victims: &[usize], on: &Injection) -> Vec<(String, Values)> {
    let deployment = &on.deployment;
    let address = |node: usize| deployment.layout.nodes[node].address.to_string();
    let list = |of: &dyn Fn(usize) -> String, among: bool| {
        let nodes = (0..deployment.nodes.len()).filter(|node| victims.contains(node) == among);
        nodes.map(of).collect::<Vec<_>>().join(",")
    };
    let name = |node: usize| deployment.name(node);
    let of = |&node: &usize| {
        let values = Values::from([
            ("node", name(node)),
            ("address", address(node)),
            ("index", node.to_string()),
            ("nodes", list(&name, true)),
            ("addresses", list(&address, true)),
            ("others", list(&name, false)),
            ("other_addresses", list(&address, false)),
            ("seconds", seconds(on.lasts)),
            ("fault", fault.name.clone()),
            ("id", on.id.to_string()),
            ("dir", fault.commands.dir.to_string_lossy().into_owned()),
        ]);
        (name(node), values)
    };
    victims.iter().map(of).collect()
}

/// Whole seconds, rounded up: what outlasts its plan is ended, what falls short would be missing.
fn seconds(time: Duration) -> String {
    time.as_secs_f64().ceil().max(1.0).to_string()
}

/// A fault with everything that its commands need.
#[derive(Clone)]
struct Act {
    fault: Commanded,
    all: Vec<(String, Values)>,
}

impl Act {
    /// Whom a command is run for: each victim, or all of them at once.
    fn turns(&self, command: &str) -> Vec<(String, &Values)> {
        if FaultOf::is_of_one_node(command) {
            return self.all.iter().map(|(name, values)| (name.clone(), values)).collect();
        }
        let all = self.all.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
        self.all.first().map(|(_, values)| (all, values)).into_iter().collect()
    }

    /// What the proving command said for whom.
    async fn prove(&self) -> Result<Vec<(String, Said)>, ClusterError> {
        let Some(prove) = &self.fault.of.prove else { return Ok(Vec::new()) };
        let mut said = Vec::new();
        for (node, values) in self.turns(prove) {
            let what = format!("`prove` of `{}` for {node}", self.fault.name);
            said.push((node, self.fault.commands.run(&what, prove, values).await?));
        }
        Ok(said)
    }

    /// Ends it everywhere; a failure for one does not leave the others harmed.
    async fn end(&self) -> Result<(), ClusterError> {
        let Some(end) = &self.fault.of.end else { return Ok(()) };
        let mut ended = Ok(());
        for (node, values) in self.turns(end) {
            let what = format!("`end` of `{}` for {node}", self.fault.name);
            let one = self.fault.commands.must(&what, end, values).await.map(drop);
            ended = ended.and(one);
        }
        ended
    }
}

/// What the command that proves it says of each victim, half-way through.
type Proving = JoinHandle<Result<Vec<(String, Said)>, ClusterError>>;

struct Begun {
    victims: Vec<usize>,
    description: String,
    act: Act,
    half_way: Option<Proving>,
}

#[async_trait]
impl Injected for Begun {
    fn nodes(&self) -> Vec<usize> {
        self.victims.clone()
    }

    fn description(&self) -> String {
        self.description.clone()
    }

    async fn end(self: Box<Self>, _on: &Injection) -> Result<Evidence, Error> {
        let proven = match self.half_way {
            Some(task) => task.await.map_err(|e| Error::Broken(format!("a proving command ended: {e}")))?,
            None => self.act.prove().await,
        };
        // Whatever the proof was, the fault is taken off.
        self.act.end().await?;
        Ok(evidence(&self.act.fault.name, &proven?))
    }
}

fn evidence(fault: &str, proofs: &[(String, Said)]) -> Evidence {
    let proof = |(node, said): &(String, Said)| json!({ "for": node, "ended_with": said.exit.to_string(), "printed": said.printed });
    let refused: Vec<String> = proofs
        .iter()
        .filter(|(_, said)| !said.is_yes())
        .map(|(node, said)| format!("{node}: {}", said.short()))
        .collect();
    let description = match (proofs, refused.is_empty()) {
        ([], _) => format!("not proven: the cluster file has no `prove` for `{fault}`"),
        (_, true) => {
            let said = proofs.iter().map(|(node, said)| format!("{node}: {}", said.short()));
            format!("proven by its command ({})", said.collect::<Vec<_>>().join("; "))
        }
        (_, false) => format!("not proven: its command ended with {}", refused.join("; ")),
    };
    let mut measured = Map::new();
    measured.insert("proofs".into(), proofs.iter().map(proof).collect());
    measured.insert("proven".into(), (proofs.len() - refused.len()).into());
    Evidence { effective: !proofs.is_empty() && refused.is_empty(), description, measured }
}

#[cfg(test)]
mod tests {
    use squall_cluster::Exit;

    use super::*;

    fn said(code: i32, printed: &str) -> Said {
        Said { exit: Exit::Code(code), printed: printed.into() }
    }

    #[test]
    fn only_a_command_that_says_so_proves_anything() {
        let none = evidence("partition", &[]);
        assert!(!none.effective && none.description.starts_with("not proven: the cluster file has no"));
        let both = evidence("x", &[("n1".into(), said(0, "7 packets\n")), ("n2".into(), said(0, ""))]);
        assert!(both.effective);
        assert_eq!(both.description, "proven by its command (n1: exit code 0: 7 packets; n2: exit code 0)");
        assert_eq!(both.measured["proofs"][0]["printed"], "7 packets\n");
        let half = evidence("x", &[("n1".into(), said(0, "yes")), ("n2".into(), said(1, "no rule"))]);
        assert!(!half.effective);
        assert_eq!(half.description, "not proven: its command ended with n2: exit code 1: no rule");
    }

    #[test]
    fn a_campaign_may_aim_it_and_say_nothing_else() {
        let text = "nodes: [{name: n1, address: 127.0.0.2}]\n\
                    faults: {cut: {begin: b, end: e, targets: [leader]}}\n";
        let file = AttachFile::parse("c.yaml", text, "/".into()).unwrap();
        assert!(commanded(&file, "kill", &Json::Null).unwrap().is_none());
        assert_eq!(commanded(&file, "cut", &Json::Null).unwrap().unwrap().name(), "cut");
        assert!(commanded(&file, "cut", &json!({ "targets": ["one"] })).unwrap().is_some());
        let empty = commanded(&file, "cut", &json!({ "targets": [] })).unwrap_err().to_string();
        assert!(empty.contains("would harm nobody"), "{empty}");
        assert!(commanded(&file, "cut", &json!({ "delay": 1 })).is_err());
    }
}
