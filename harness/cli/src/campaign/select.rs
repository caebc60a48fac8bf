//! Which combinations of a campaign `exclude` means.

use serde::Serialize;

use super::complaint::Complaint;
use super::everything::{ALL, NONE, is_everything};
use super::fields::{Fields, list, text};
use super::tree::Node;
use super::values::Cell;

/// Combinations by the names of their parts. What is not said matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Select {
    /// One of these targets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub target: Vec<String>,
    /// One of these workloads.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub workload: Vec<String>,
    /// All of these faults, perhaps with others; `none` for no fault.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
}

impl Select {
    pub(crate) fn decode(node: &Node) -> Result<Self, Complaint> {
        let mut fields = Fields::of(node, "a map such as `{target: etcd, faults: clock}`")?;
        let select = Select::read(&mut fields)?;
        fields.finish()?;
        if select == Select::default() {
            return Err(node.complain("names no target, workload or faults, so it would mean everything"));
        }
        Ok(select)
    }

    /// Reads its keys from among others.
    pub(super) fn read(fields: &mut Fields<'_>) -> Result<Self, Complaint> {
        let mut select = Select::default();
        fields.set("target", &mut select.target, |n| list(n, text))?;
        fields.set("workload", &mut select.workload, |n| list(n, text))?;
        fields.set("faults", &mut select.faults, |n| list(n, text))?;
        Ok(select)
    }

    /// Whether a combination is meant.
    pub fn matches(&self, target: &Cell, workload: &Cell, faults: &[Cell]) -> bool {
        let among = |names: &[String], name: &str| names.is_empty() || names.iter().any(|n| n == name);
        let has = |name: &String| match name.as_str() {
            NONE => faults.is_empty(),
            ALL => is_everything(faults),
            name => faults.iter().any(|f| f.name == name),
        };
        among(&self.target, &target.name)
            && among(&self.workload, &workload.name)
            && self.faults.iter().all(has)
    }
}
