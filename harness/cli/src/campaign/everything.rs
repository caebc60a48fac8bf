//! `all` as a set of faults: every kind that can be had, a few at a time.

use squall_cluster::Provider;

use super::{Campaign, Cell};
use crate::Registry;

/// What stands for no fault.
pub(crate) const NONE: &str = "none";
/// What stands for all faults.
pub(crate) const ALL: &str = "all";
/// How many act at a time where the campaign does not say. With all of them at once nobody serves, and nothing is tested.
pub(super) const AT_A_TIME: u32 = 4;

/// Whether this set is all that there is.
pub(crate) fn is_everything(faults: &[Cell]) -> bool {
    !faults.is_empty() && faults.iter().all(|f| f.of_all)
}

impl Campaign {
    /// Names every fault in the place of `all`, but those that the provider refuses. What machine and target cannot take
    /// is left out where campaigns are fitted to them.
    pub fn spell_out(&mut self, registry: &Registry, provider: Option<&dyn Provider>) {
        for set in &mut self.faults {
            let at = match set.as_slice() {
                [all] if all.name == ALL => all.at,
                _ => continue,
            };
            let named = |name: &str| Cell { of_all: true, at, ..Cell::named(name) };
            let had = |name: &str| provider.is_none_or(|p| p.refuses(name).is_none());
            *set = registry.faults().iter().filter(|k| had(k.name)).map(|k| named(k.name)).collect();
        }
    }
}
