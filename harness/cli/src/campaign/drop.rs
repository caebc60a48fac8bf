//! Faults for which the machine lacks the means: refused where a person asked for them, dropped and named in
//! the built-in campaign.

use std::collections::BTreeMap;

use squall_cluster::{Capability, Probe};

use super::{Campaign, Complaint};
use crate::{Refused, Registry};

/// A fault that was dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Its name.
    pub fault: String,
    /// Why, and what to do about it.
    pub why: String,
}

impl Campaign {
    /// Fits the campaign to what the provider offers here and now. What is not probed is taken to be there.
    /// A campaign that is wrong in itself is refused for that first.
    pub fn fit_to(&mut self, registry: &Registry, probes: &[Probe]) -> anyhow::Result<Vec<Dropped>> {
        let refuse = |c: Complaint| Refused::from(c.within(self.source.as_ref()));
        self.check_names(registry).map_err(refuse)?;
        let missing: BTreeMap<Capability, &Probe> =
            probes.iter().filter(|p| !p.available).map(|p| (p.capability, p)).collect();
        if let Some(probe) = missing.get(&Capability::Nodes) {
            anyhow::bail!("{}", lacks("the provider cannot make nodes", probe));
        }
        let mut dropped = Vec::new();
        let mut fitted = self.faults.clone();
        for set in &mut fitted {
            let mut kept = Vec::new();
            for cell in set.drain(..) {
                let needs = self.provider.make_fault(registry, &cell)?.needs();
                let Some(probe) = needs.iter().find_map(|n| missing.get(n)) else {
                    kept.push(cell);
                    continue;
                };
                let why = lacks(&format!("the fault `{}` cannot be had here", cell.name), probe);
                if !self.faults_may_drop && !cell.of_all {
                    return Err(refuse(Complaint::new(why, cell.at)).into());
                }
                dropped.push(Dropped { fault: cell.name, why });
            }
            *set = kept;
        }
        // A schedule is somebody's own, so nothing of it is dropped.
        for cell in self.schedule.iter().flat_map(|s| &s.faults) {
            let needs = self.provider.make_fault(registry, cell)?.needs();
            if let Some(probe) = needs.iter().find_map(|n| missing.get(n)) {
                let why = lacks(&format!("the fault `{}` cannot be had here", cell.name), probe);
                return Err(refuse(Complaint::new(why, cell.at)).into());
            }
        }
        self.faults = fitted;
        Ok(dropped)
    }
}

fn lacks(what: &str, probe: &Probe) -> String {
    let mut text = format!("{what}: {}", probe.finding);
    for remedy in &probe.remedies {
        text.push_str(&format!("\n  to allow it: {remedy}"));
    }
    text
}
