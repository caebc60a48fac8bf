//! What differs where a campaign runs against a cluster that runs already: its faults are its owner's, and so is
//! the number of its nodes.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value as Json;
use squall_cluster::Provider;
use squall_cluster::attach::{AttachFile, AttachProvider};
use squall_engine::protocol::Fault;

use super::provider::{FileOption, ProviderChoice, ProviderKind};
use super::{Campaign, Cell, Complaint, RunPlan};
use crate::{Refused, Registry};

/// The option that names the cluster's file.
const FILE: &str = "cluster";

pub(super) const ATTACH: ProviderKind = ProviderKind {
    name: "attach",
    summary: "a cluster that runs already",
    op_timeout: std::time::Duration::from_secs(5),
    file: Some(FileOption { name: FILE, usual: None }),
    build: |options| Ok(Arc::new(AttachProvider::new(file(options)?))),
};

fn file(options: &Json) -> Result<AttachFile, Refused> {
    let given = options.as_object().filter(|o| o.len() == 1).and_then(|o| o.get(FILE)?.as_str());
    let path = given.ok_or_else(|| {
        Refused("the provider `attach` needs the file of a running cluster: `{attach: cluster.yaml}`".into())
    })?;
    AttachFile::load(Path::new(path)).map_err(|e| Refused(e.to_string()))
}

/// The name of a fault that is nobody's but the cluster's owner's begins so.
pub(crate) const OWN: &str = "own-";

impl ProviderChoice {
    /// The file of the running cluster, if that is what was chosen.
    fn cluster(&self) -> Result<Option<AttachFile>, Refused> {
        if self.name() == ATTACH.name { file(self.options()).map(Some) } else { Ok(None) }
    }

    /// The fault that a running cluster's owner has commands for; none if it is squall's own.
    pub(super) fn own_fault(&self, cell: &Cell) -> Result<Option<Arc<dyn Fault>>, Refused> {
        let Some(file) = self.cluster()? else { return Ok(None) };
        let made = squall_nemesis::commanded(&file, &cell.name, &cell.options);
        made.map_err(|e| Refused(e.to_string()))
    }

    /// Makes a fault: the cluster's own, or one of the registry's.
    pub(crate) fn make_fault(&self, registry: &Registry, cell: &Cell) -> anyhow::Result<Arc<dyn Fault>> {
        match self.own_fault(cell)? {
            Some(own) => Ok(own),
            None => registry.make_fault(&cell.name, &cell.options),
        }
    }
}

impl Campaign {
    /// Where the cluster runs already, it has the nodes that it has, unless somebody insists.
    pub(super) fn count_nodes(&mut self, insists: bool) -> Result<(), Refused> {
        if let Some(file) = self.provider.cluster()?.filter(|_| !insists) {
            self.nodes = file.nodes.len() as u32;
        }
        Ok(())
    }

    /// Refuses faults that the provider cannot do although it has the capabilities that they need, and names of
    /// faults that nobody could know.
    pub fn refuse_by(&self, registry: &Registry, provider: &dyn Provider) -> Result<(), Refused> {
        let refuse = |c: Complaint| Refused::from(c.within(self.source.as_ref()));
        for name in self.provider.cluster()?.iter().flat_map(|file| file.faults.keys()) {
            let known = registry.faults().iter().any(|kind| kind.name == name);
            if !known && !name.starts_with(OWN) {
                return Err(Refused(format!(
                    "the cluster file's fault `{name}` is none that squall knows; the name of one that is yours alone \
                     begins with `{OWN}`"
                )));
            }
        }
        let scheduled = self.schedule.iter().flat_map(|s| &s.faults);
        for cell in self.faults.iter().flatten().chain(scheduled) {
            let own = self.provider.own_fault(cell)?.is_some();
            if let Some(why) = provider.refuses(&cell.name).filter(|_| !own) {
                let text = format!("the fault `{}` cannot be had here: {why}", cell.name);
                return Err(refuse(Complaint::new(text, cell.at)));
            }
        }
        Ok(())
    }
}

/// Refuses runs of more nodes than there are, and those that a cluster which runs already cannot bear.
pub(crate) fn bearable(provider: &dyn Provider, plans: &[RunPlan], parallel: u32) -> Result<(), Refused> {
    let more = |most: usize| plans.iter().find(|p| p.nodes as usize > most).map(|p| (p, most));
    if let Some((plan, most)) = provider.most_nodes().and_then(more) {
        let (asked, name) = (plan.nodes, &plan.name);
        return Err(Refused(format!("the provider has {most} nodes, but the run {name} asks for {asked}")));
    }
    let Some(found) = provider.found() else { return Ok(()) };
    if let Some(plan) = plans.iter().find(|p| p.nodes as usize != found.nodes) {
        let (has, asked, name) = (found.nodes, plan.nodes, &plan.name);
        return Err(Refused(format!(
            "the running cluster has {has} nodes, but the run {name} asks for {asked}"
        )));
    }
    if parallel > 1 {
        return Err(Refused("runs against one running cluster go in turn: `parallel` must be 1".into()));
    }
    match &found.only_once {
        Some(why) if plans.len() > 1 => {
            Err(Refused(format!("{} runs cannot be had of the running cluster: {why}", plans.len())))
        }
        _ => Ok(()),
    }
}
