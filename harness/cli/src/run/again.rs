//! Runs one after the other that do a stored run again, each into the store, each judged.

use std::collections::BTreeSet;
use std::sync::Arc;

use squall_cluster::Provider;
use squall_engine::{Progress, Stop};
use squall_reports::RunResult;

use super::campaign::time_name;
use super::job::Job;
use super::live::Live;
use super::signals::{INTERRUPTED, Signals};
use super::store::Store;
use super::stored::{Finding, findings};
use crate::campaign::{ProviderChoice, RunPlan};
use crate::{Refused, Registry};

/// See the module.
pub(crate) struct Again<'a> {
    registry: &'a Registry,
    provider: Arc<dyn Provider>,
    /// Where the runs go.
    pub store: Store,
    stop: Stop,
    _signals: Signals,
    count: u32,
}

impl<'a> Again<'a> {
    /// Into a campaign of this name.
    pub fn new(
        registry: &'a Registry,
        store: &std::path::Path,
        name: &str,
        provider: &ProviderChoice,
    ) -> anyhow::Result<Self> {
        let provider = provider.make().map_err(Refused::from)?;
        let stop = Stop::default();
        let signals = Signals::watch(stop.clone())?;
        let store = Store::create(store, name, &time_name())?;
        Ok(Again { registry, provider, store, stop, _signals: signals, count: 0 })
    }

    /// Whether a person ended it.
    pub fn is_interrupted(&self) -> bool {
        self.stop.reason().as_deref() == Some(INTERRUPTED)
    }

    /// One run.
    pub async fn once(&mut self, plan: &RunPlan, stop_on_anomaly: bool) -> anyhow::Result<RunResult> {
        self.count += 1;
        let found = self.provider.found();
        if let Some(why) = found.and_then(|f| f.only_once).filter(|_| self.count > 1) {
            return Err(Refused(format!("a second run cannot be had of the running cluster: {why}")).into());
        }
        let name = format!("{:03}", self.count);
        let plan = RunPlan { name, ..plan.clone() };
        let job = Job::new(
            self.registry,
            &plan,
            stop_on_anomaly,
            self.store.dir.join(&plan.name),
            self.provider.clone(),
        )?;
        let progress = Progress::default();
        let live = Live::start(progress.clone());
        let result = job.go(Stop::following(&self.stop), progress).await;
        drop(live);
        Ok(result)
    }

    /// Runs up to `times` times; says how often something of `goal` was found, in how many tries. Ends as
    /// soon as `enough` were, or could no longer be, if that is said.
    pub async fn tries(
        &mut self,
        plan: &RunPlan,
        goal: &BTreeSet<Finding>,
        times: u32,
        enough: Option<u32>,
    ) -> anyhow::Result<(u32, u32)> {
        let (mut found, mut tried) = (0, 0);
        let decided = |found: u32, tried: u32| {
            enough.is_some_and(|enough| found >= enough || found + (times - tried) < enough)
        };
        while tried < times && !decided(found, tried) && !self.is_interrupted() {
            let result = self.once(plan, true).await?;
            tried += 1;
            found += u32::from(!findings(&result).is_disjoint(goal));
        }
        Ok((found, tried))
    }
}
