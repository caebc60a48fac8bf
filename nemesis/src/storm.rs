//! Random faults by seed: each kind in a lane of its own, on and off in turn, all lanes at once.
//!
//! Injection `k` is the `k / lanes`-th of lane `k % lanes`; its offset, its length and its plan are a
//! function of (seed, k). A lane is sequential: if the cluster is slow to take a fault, the lane falls
//! behind rather than overlapping itself.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value as Json};
use squall_cluster::Capability;
use squall_engine::protocol::{Evidence, Fault, Injected, Nemesis, Target};
use squall_engine::seed::Seed;
use squall_engine::{Deployment, Error, Injection};
use squall_history::{Entry, Fault as FaultEntry, FaultPhase};
use tokio::task::JoinSet;

use crate::timing::Timing;

/// See the module. With no faults it is calm.
#[derive(Debug)]
pub struct Storm {
    seed: Seed,
    timing: Timing,
    faults: Vec<Arc<dyn Fault>>,
}

/// One injection as the seed decides it. Times count from the beginning of the main phase, in nanoseconds; it
/// ends with the main phase at the latest.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Planned {
    pub id: u32,
    pub begin: u64,
    pub end: u64,
    pub plan: Map<String, Json>,
}

impl Storm {
    /// These kinds together.
    pub fn new(seed: Seed, timing: Timing, faults: Vec<Arc<dyn Fault>>) -> Self {
        Storm { seed, timing, faults }
    }

    /// What the seed decides for one lane, up to `length` nanoseconds.
    fn lane(&self, lane: usize, nodes: usize, length: u64) -> Vec<Planned> {
        let mut planned = Vec::new();
        let mut at = 0;
        for turn in 0.. {
            let id = (lane + turn * self.faults.len()) as u32;
            let mut rng = self.seed.fault(u64::from(id));
            let begin = at + self.timing.draw_off(&mut rng, turn == 0);
            let end = begin + self.timing.draw_on(&mut rng);
            // What could not last its shortest time is left out.
            if begin + self.timing.min.as_nanos() as u64 > length && turn > 0 || begin >= length {
                break;
            }
            planned.push(Planned { id, begin, end, plan: self.faults[lane].plan(&mut rng, nodes) });
            at = end;
        }
        planned
    }
}

#[async_trait]
impl Nemesis for Storm {
    fn needs(&self) -> BTreeSet<Capability> {
        self.faults.iter().flat_map(|f| f.needs()).collect()
    }

    fn fits(&self, target: &dyn Target) -> Result<(), Error> {
        for fault in &self.faults {
            if let Some(why) = target.refuses(fault.name()) {
                let (fault, target) = (fault.name(), target.name());
                return Err(Error::Config(format!(
                    "the target `{target}` cannot take the fault `{fault}`: {why}"
                )));
            }
            fault.fits(target)?;
        }
        Ok(())
    }

    async fn run(self: Box<Self>, deployment: Arc<Deployment>, until: u64) -> Result<(), Error> {
        let from = deployment.recorder.clock().now();
        let mut lanes = JoinSet::new();
        for (lane, fault) in self.faults.iter().enumerate() {
            let planned = self.lane(lane, deployment.nodes.len(), until.saturating_sub(from));
            lanes.spawn(run_lane(fault.clone(), planned, from, until, deployment.clone()));
        }
        let mut result = Ok(());
        while let Some(lane) = lanes.join_next().await {
            let lane = lane.unwrap_or_else(|e| Err(Error::Broken(format!("a nemesis task ended: {e}"))));
            if lane.is_err() && result.is_ok() {
                // The others end their faults and return.
                deployment.stop.stop("a fault could not be applied");
                result = lane;
            }
        }
        result
    }
}

async fn run_lane(
    fault: Arc<dyn Fault>,
    planned: Vec<Planned>,
    from: u64,
    until: u64,
    deployment: Arc<Deployment>,
) -> Result<(), Error> {
    let clock = deployment.recorder.clock();
    let sleep_until = async |at: u64| {
        tokio::select! {
            () = tokio::time::sleep_until(clock.instant((from + at).min(until)).into()) => true,
            () = deployment.stop.stopped() => false,
        }
    };
    for injection in planned {
        if !sleep_until(injection.begin).await {
            break;
        }
        let on = Injection { id: injection.id, deployment: deployment.clone() };
        let injected = fault.begin(&injection.plan, &on).await.map_err(|e| cannot(&*fault, "begin", e))?;
        record_begin(&on, &*fault, &*injected, &injection);
        sleep_until(injection.end).await;
        let nodes = injected.nodes();
        let ended = injected.end(&on).await;
        deployment.set_active(on.id, None);
        let evidence = ended.map_err(|e| cannot(&*fault, "end", e))?;
        record_end(&on, &*fault, &nodes, evidence);
    }
    Ok(())
}

fn cannot(fault: &dyn Fault, what: &str, e: Error) -> Error {
    Error::Broken(format!("the fault `{}` could not {what}: {e}", fault.name()))
}

fn record_begin(on: &Injection, fault: &dyn Fault, injected: &dyn Injected, planned: &Planned) {
    let deployment = &on.deployment;
    let description = injected.description();
    deployment.set_active(on.id, Some(format!("{}: {description}", fault.name())));
    let nodes = injected.nodes().into_iter().map(|n| deployment.name(n)).collect();
    deployment.recorder.note(|time| {
        Entry::Fault(Box::new(FaultEntry {
            time,
            phase: FaultPhase::Begin,
            id: on.id,
            kind: fault.name().to_owned(),
            nodes,
            description,
            detail: serde_json::json!({
                "plan": planned.plan,
                "planned_begin_nanos": planned.begin,
                "planned_end_nanos": planned.end,
            }),
            effective: None,
            evidence: Default::default(),
        }))
    });
}

fn record_end(on: &Injection, fault: &dyn Fault, nodes: &[usize], evidence: Evidence) {
    let deployment = &on.deployment;
    let nodes = nodes.iter().map(|n| deployment.name(*n)).collect();
    deployment.recorder.note(|time| {
        Entry::Fault(Box::new(FaultEntry {
            time,
            phase: FaultPhase::End,
            id: on.id,
            kind: fault.name().to_owned(),
            nodes,
            description: evidence.description,
            detail: Json::Null,
            effective: Some(evidence.effective),
            evidence: evidence.measured.into_iter().collect(),
        }))
    });
}
