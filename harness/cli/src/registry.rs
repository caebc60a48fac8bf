//! What can be named in a campaign: targets, workloads, faults, and checks that are applied to every run.

use std::fmt;
use std::sync::Arc;

use serde_json::Value as Json;
use squall_checkers::Check;
use squall_engine::protocol::{Fault, FaultKind, Kind, Target, TargetKind, Workload, WorkloadKind};
use squall_targets::declared::Declared;

use crate::suggest::hint;
use crate::{Refused, declared};

/// See the module. [`Registry::default`] has everything that comes built in; [`Registry::empty`] has nothing.
pub struct Registry {
    targets: Vec<TargetKind>,
    workloads: Vec<WorkloadKind>,
    faults: Vec<FaultKind>,
    checks: Vec<Arc<dyn Check>>,
}

impl Default for Registry {
    fn default() -> Self {
        Registry {
            targets: squall_targets::targets(),
            workloads: squall_workloads::workloads(),
            faults: squall_nemesis::faults(),
            checks: Vec::new(),
        }
    }
}

impl Registry {
    /// Nothing at all.
    pub fn empty() -> Self {
        Registry { targets: Vec::new(), workloads: Vec::new(), faults: Vec::new(), checks: Vec::new() }
    }

    /// Adds a target. One that has its name is replaced.
    #[must_use]
    pub fn target(mut self, kind: TargetKind) -> Self {
        put(&mut self.targets, kind);
        self
    }

    /// Adds a workload. One that has its name is replaced.
    #[must_use]
    pub fn workload(mut self, kind: WorkloadKind) -> Self {
        put(&mut self.workloads, kind);
        self
    }

    /// Adds a fault. One that has its name is replaced.
    #[must_use]
    pub fn fault(mut self, kind: FaultKind) -> Self {
        put(&mut self.faults, kind);
        self
    }

    /// Adds a check that judges every run, beside the checks of its workload. One that has its name is
    /// replaced.
    #[must_use]
    pub fn check(mut self, check: Arc<dyn Check>) -> Self {
        self.checks.retain(|c| c.name() != check.name());
        self.checks.push(check);
        self
    }

    /// All targets, in the order in which they were added.
    pub fn targets(&self) -> &[TargetKind] {
        &self.targets
    }

    /// All workloads, in the order in which they were added.
    pub fn workloads(&self) -> &[WorkloadKind] {
        &self.workloads
    }

    /// All faults, in the order in which they were added.
    pub fn faults(&self) -> &[FaultKind] {
        &self.faults
    }

    /// Checks that judge every run.
    pub fn checks(&self) -> &[Arc<dyn Check>] {
        &self.checks
    }

    /// Makes a target from its name, or from the path of its description, and options.
    pub fn make_target(&self, name: &str, options: &Json) -> anyhow::Result<Arc<dyn Target>> {
        if declared::is_path(name) {
            return Ok(Arc::new(Declared::new(declared::load(name)?, options)?));
        }
        Ok((find("target", &self.targets, name)?.build)(options)?)
    }

    /// Makes a workload from its name and options.
    pub fn make_workload(&self, name: &str, options: &Json) -> anyhow::Result<Arc<dyn Workload>> {
        Ok((find("workload", &self.workloads, name)?.build)(options)?)
    }

    /// Makes a fault from its name and options.
    pub fn make_fault(&self, name: &str, options: &Json) -> anyhow::Result<Arc<dyn Fault>> {
        Ok((find("fault", &self.faults, name)?.build)(options)?)
    }
}

fn put<T: ?Sized>(kinds: &mut Vec<Kind<T>>, kind: Kind<T>) {
    match kinds.iter().position(|k| k.name == kind.name) {
        Some(at) => kinds[at] = kind,
        None => kinds.push(kind),
    }
}

/// What has this name. The refusal suggests the nearest one, or lists all.
pub(crate) fn find<'a, T: ?Sized>(
    what: &str,
    kinds: &'a [Kind<T>],
    name: &str,
) -> Result<&'a Kind<T>, Refused> {
    kinds.iter().find(|k| k.name == name).ok_or_else(|| {
        let names = kinds.iter().map(|k| k.name);
        Refused(format!("no {what} is named `{name}`; {}", hint(name, names)))
    })
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let checks: Vec<&str> = self.checks.iter().map(|c| c.name()).collect();
        f.debug_struct("Registry")
            .field("targets", &self.targets)
            .field("workloads", &self.workloads)
            .field("faults", &self.faults)
            .field("checks", &checks)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_looked_up_and_near_misses_suggested() {
        let registry = Registry::default();
        assert_eq!(registry.make_fault("kill", &Json::Null).unwrap().name(), "kill");
        let error = registry.make_fault("partiton", &Json::Null).unwrap_err();
        assert_eq!(error.to_string(), "no fault is named `partiton`; did you mean `partition`?");
        let error = Registry::empty().make_fault("kill", &Json::Null).unwrap_err();
        assert_eq!(error.to_string(), "no fault is named `kill`; there are none in this build");
    }

    #[test]
    fn a_kind_of_the_same_name_is_replaced() {
        let mine = FaultKind {
            name: "kill",
            summary: "mine",
            needs: "",
            build: Box::new(|_| Err(squall_engine::Error::Config("mine".into()))),
        };
        let before = Registry::default().faults().len();
        let registry = Registry::default().fault(mine);
        assert_eq!(registry.faults().len(), before);
        assert_eq!(registry.make_fault("kill", &Json::Null).unwrap_err().to_string(), "mine");
    }
}
