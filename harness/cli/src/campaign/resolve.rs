//! A campaign as the list of its runs. Everything is really made once, so that what cannot work is refused
//! before anything starts.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value as Json;
use squall_engine::Error;
use squall_engine::protocol::{Kind, Target};
use squall_targets::declared::Declared;

use super::everything::{ALL, AT_A_TIME};
use super::{Campaign, Cell, Complaint, Place, RunPlan, is_everything, naming, swarm};
use crate::registry::find;
use crate::{Refused, Registry, declared};

/// A combination of the matrix.
struct Combination<'a> {
    target: &'a Cell,
    workload: &'a Cell,
    faults: Vec<Cell>,
}

impl Campaign {
    /// Every run of this campaign (of this shard, if it has one), in order.
    pub fn resolve(&self, registry: &Registry) -> Result<Vec<RunPlan>, Refused> {
        self.plans(registry).map_err(|c| c.within(self.source.as_ref()).into())
    }

    fn plans(&self, registry: &Registry) -> Result<Vec<RunPlan>, Complaint> {
        if self.faults.iter().flatten().any(|f| f.name == ALL) {
            let mut spelled_out = self.clone();
            spelled_out.spell_out(registry, None);
            return spelled_out.plans(registry);
        }
        self.check_names(registry)?;
        let matrix = self.matrix();
        if matrix.is_empty() {
            return Err(Complaint::new("`exclude` leaves no combination to run", None));
        }
        let alone = matrix.len() == 1 && self.repeat == 1;
        let mut plans = Vec::new();
        let mut seen = BTreeSet::new();
        for combination in &matrix {
            let plan = self.plan(registry, combination, alone)?;
            if !seen.insert(plan.combination.clone()) {
                let text = format!("the combination {} is there twice", plan.combination);
                return Err(Complaint::new(text, combination.target.at));
            }
            for repeat in 0..self.repeat {
                plans.push(self.repeated(&plan, repeat, alone));
            }
        }
        let mine = |(index, plan)| self.shard.is_none_or(|s| s.has(index)).then_some(plan);
        Ok(plans.into_iter().enumerate().filter_map(mine).collect())
    }

    /// Looks up every name and makes everything once, so that a complaint points at its place.
    pub(super) fn check_names(&self, registry: &Registry) -> Result<(), Complaint> {
        for cell in &self.targets {
            target(registry, cell)?;
        }
        for cell in &self.workloads {
            make("workload", registry.workloads(), &consistency(cell).0)?;
        }
        for set in &self.faults {
            for (at, cell) in set.iter().enumerate() {
                self.check_fault(registry, cell)?;
                if set[..at].contains(cell) {
                    return Err(Complaint::new(format!("`{}` is there twice", cell.name), cell.at));
                }
            }
        }
        for cell in self.schedule.iter().flat_map(|s| &s.faults) {
            self.check_fault(registry, cell)?;
        }
        Ok(())
    }

    fn check_fault(&self, registry: &Registry, cell: &Cell) -> Result<(), Complaint> {
        let at = || cell.options_at.first().map(|o| o.1).or(cell.at);
        match self.provider.own_fault(cell).map_err(|e| Complaint::new(e.0, at()))? {
            Some(_) => Ok(()),
            None => make("fault", registry.faults(), cell).map(drop),
        }
    }

    fn matrix(&self) -> Vec<Combination<'_>> {
        let mut matrix = Vec::new();
        for target in &self.targets {
            for workload in &self.workloads {
                for faults in &self.faults {
                    if !self.exclude.iter().any(|e| e.matches(target, workload, faults)) {
                        matrix.push(Combination { target, workload, faults: faults.clone() });
                    }
                }
            }
        }
        matrix
    }

    /// The first repeat of a combination, proven to fit together.
    fn plan(&self, registry: &Registry, of: &Combination<'_>, alone: bool) -> Result<RunPlan, Complaint> {
        let (workload, consistency) = consistency(of.workload);
        let target = target(registry, of.target)?;
        let (faults, warnings) = self.bearable(registry, &of.faults, &*target)?;
        let made = make("workload", registry.workloads(), &workload)?;
        let consistency = consistency.unwrap_or_else(|| made.consistency(target.promises()));
        let combination = naming::combination(of.target, of.workload, &faults);
        let mut plan = RunPlan {
            name: combination.clone(),
            combination,
            repeat: 0,
            seed: naming::seed(self.seed, alone, &workload, &faults, 0),
            nodes: self.nodes,
            workers: self.concurrency.workers(self.nodes),
            rate: self.rate,
            warm_up: self.warm_up,
            time_limit: self.time_limit,
            recovery_limit: self.recovery_limit,
            ready_limit: self.ready_limit,
            op_timeout: self.op_timeout(),
            provider: self.provider.clone(),
            target: of.target.clone(),
            workload,
            faults,
            timing: self.timing,
            schedule: self.schedule.clone(),
            lanes: self.lanes.or_else(|| is_everything(&of.faults).then_some(AT_A_TIME)),
            watchdog: self.watchdog,
            pcap: self.pcap,
            consistency,
            expect: self.expect.clone(),
            liveness: self.liveness,
            warnings,
        };
        self.apply_overrides(of.workload, &mut plan);
        let spec = plan.spec(registry, PathBuf::new());
        let checked = spec.and_then(|spec| Ok(squall_engine::run::check(&spec)?));
        let scheduled = self.schedule.iter().flat_map(|s| &s.faults);
        let guilty = of.faults.iter().chain(scheduled).find_map(|f| f.at).or(of.workload.at);
        checked.map_err(|e| Complaint::new(format!("{e:#}"), guilty)).map(|()| plan)
    }

    /// The faults without those that the target cannot take, if this campaign may drop any.
    fn bearable(
        &self,
        registry: &Registry,
        faults: &[Cell],
        target: &dyn Target,
    ) -> Result<(Vec<Cell>, Vec<String>), Complaint> {
        let (mut kept, mut warnings) = (Vec::new(), Vec::new());
        for cell in faults {
            match target.refuses(&cell.name) {
                None if cell.of_all => {
                    let made = self.provider.make_fault(registry, cell);
                    match made.and_then(|fault| Ok(fault.fits(target)?)) {
                        Ok(()) => kept.push(cell.clone()),
                        Err(e) => warnings.push(format!("{e:#}; `{}` was dropped", cell.name)),
                    }
                }
                None => kept.push(cell.clone()),
                Some(why) => {
                    let (fault, target) = (&cell.name, target.name());
                    let text = format!("the target `{target}` cannot take the fault `{fault}`: {why}");
                    if !self.faults_may_drop && !cell.of_all {
                        return Err(Complaint::new(text, cell.at));
                    }
                    warnings.push(format!("{text}; dropped"));
                }
            }
        }
        Ok((kept, warnings))
    }

    fn repeated(&self, first: &RunPlan, repeat: u32, alone: bool) -> RunPlan {
        let combination = &first.combination;
        let width = self.repeat.to_string().len();
        let name = match self.repeat {
            1 => combination.clone(),
            _ => format!("{combination}-r{:0width$}", repeat + 1),
        };
        let seed = naming::seed(self.seed, alone, &first.workload, &first.faults, repeat);
        let plan = RunPlan { name, repeat, seed, ..first.clone() };
        if self.swarm { swarm::drawn(plan) } else { plan }
    }
}

/// A workload without its `consistency`, and that, if it was said.
fn consistency(workload: &Cell) -> (Cell, Option<String>) {
    let mut plain = workload.clone();
    let said = plain.options.as_object_mut().and_then(|o| o.remove("consistency"));
    if plain.options.as_object().is_some_and(|o| o.is_empty()) {
        plain.options = Json::Null;
    }
    let said = said.map(|c| c.as_str().map_or_else(|| c.to_string(), str::to_owned));
    (plain, said)
}

/// Makes a target: one that is described in a file, or one of the registry's.
fn target(registry: &Registry, cell: &Cell) -> Result<Arc<dyn Target>, Complaint> {
    if !declared::is_path(&cell.name) {
        return make("target", registry.targets(), cell);
    }
    let definition = declared::load(&cell.name).map_err(|e| Complaint::new(e.0, cell.at))?;
    let made = Declared::new(definition, &cell.options);
    let made =
        made.map_err(|e| Complaint::new(e.to_string(), cell.options_at.first().map(|o| o.1).or(cell.at)))?;
    Ok(Arc::new(made))
}

/// Makes what a cell names. What is wrong is said at the name, or at the option that is to blame.
fn make<T: ?Sized>(what: &str, kinds: &[Kind<T>], cell: &Cell) -> Result<Arc<T>, Complaint> {
    let kind = find(what, kinds, &cell.name).map_err(|e| Complaint::new(e.0, cell.at))?;
    (kind.build)(&cell.options).map_err(|e| Complaint::new(e.to_string(), guilty(kind, cell, &e)))
}

/// The place of the option that is to blame: the first that fails by itself in the same words.
fn guilty<T: ?Sized>(kind: &Kind<T>, cell: &Cell, error: &Error) -> Option<Place> {
    let text = error.to_string();
    let fails = |name: &str| {
        let one = Json::Object([(name.to_owned(), cell.options[name].clone())].into_iter().collect());
        (kind.build)(&one).is_err_and(|e| e.to_string() == text)
    };
    cell.options_at.iter().find(|(name, _)| fails(name)).map(|(_, at)| *at).or(cell.at)
}
