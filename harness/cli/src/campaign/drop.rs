//! Faults for which the machine lacks the means: refused where a person asked for them, dropped and named in
//! the built-in campaign.

use std::collections::BTreeMap;

use squall_cluster::{Capability, Probe};

use super::{Campaign, Cell};
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
    pub fn fit_to(&mut self, registry: &Registry, probes: &[Probe]) -> anyhow::Result<Vec<Dropped>> {
        let missing: BTreeMap<Capability, &Probe> =
            probes.iter().filter(|p| !p.available).map(|p| (p.capability, p)).collect();
        if let Some(probe) = missing.get(&Capability::Nodes) {
            anyhow::bail!("{}", lacks("this machine cannot make nodes", probe));
        }
        let lacking = |cell: &Cell| -> anyhow::Result<Option<String>> {
            let needs = registry.make_fault(&cell.name, &cell.options)?.needs();
            let probe = needs.iter().find_map(|n| missing.get(n));
            Ok(probe.map(|p| lacks(&format!("the fault `{}` cannot be had here", cell.name), p)))
        };
        let mut dropped = Vec::new();
        for set in &mut self.faults {
            let mut kept = Vec::new();
            for cell in set.drain(..) {
                match lacking(&cell)? {
                    None => kept.push(cell),
                    Some(why) if self.faults_may_drop => dropped.push(Dropped { fault: cell.name, why }),
                    Some(why) => return Err(Refused(why).into()),
                }
            }
            *set = kept;
        }
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
