//! Random faults by seed: each kind in a lane of its own, on and off in turn, all lanes at once.
//!
//! Injection `k` is the `k / lanes`-th of lane `k % lanes`; its offset, its length and its plan are a
//! function of (seed, k). A lane is sequential: if the cluster is slow to take a fault, the lane falls
//! behind rather than overlapping itself.
//!
//! A roving storm has fewer lanes than kinds: every injection draws its kind anew. So one run meets them all, a few
//! at a time, and the cluster still gets something done.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use squall_cluster::Capability;
use squall_engine::protocol::{Fault, Nemesis, Target};
use squall_engine::seed::Seed;
use squall_engine::{Deployment, Error};
use tokio::task::JoinSet;

use crate::inject::{Planned, perform};
use crate::timing::Timing;

/// See the module. With no faults it is calm.
#[derive(Debug)]
pub struct Storm {
    seed: Seed,
    timing: Timing,
    faults: Vec<Arc<dyn Fault>>,
    // Of a roving storm.
    lanes: Option<usize>,
}

impl Storm {
    /// These kinds together, each in a lane of its own.
    pub fn new(seed: Seed, timing: Timing, faults: Vec<Arc<dyn Fault>>) -> Self {
        Storm { seed, timing, faults, lanes: None }
    }

    /// So many lanes, in which each injection is of any of its kinds.
    #[must_use]
    pub fn roving(self, lanes: Option<usize>) -> Self {
        Storm { lanes, ..self }
    }

    fn lanes(&self) -> usize {
        match self.lanes {
            Some(lanes) if !self.faults.is_empty() => lanes,
            _ => self.faults.len(),
        }
    }

    /// What the seed decides for one lane, up to `length` nanoseconds: each injection with its fault.
    fn lane(&self, lane: usize, nodes: usize, length: u64) -> Vec<(Arc<dyn Fault>, Planned)> {
        let mut planned = Vec::new();
        let mut at = 0;
        for turn in 0.. {
            let id = (lane + turn * self.lanes()) as u32;
            let mut rng = self.seed.fault(u64::from(id));
            let begin = at + self.timing.draw_off(&mut rng, turn == 0);
            let end = begin + self.timing.draw_on(&mut rng);
            // What could not last its shortest time is left out.
            if begin + self.timing.min.as_nanos() as u64 > length && turn > 0 || begin >= length {
                break;
            }
            let kind = if self.lanes.is_some() { rng.index(self.faults.len()) } else { lane };
            let fault = self.faults[kind].clone();
            let plan = fault.plan(&mut rng, nodes);
            planned.push((fault, Planned { id, begin, end, plan }));
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
        self.faults.iter().try_for_each(|fault| fits(&**fault, target))
    }

    async fn run(self: Box<Self>, deployment: Arc<Deployment>, until: u64) -> Result<(), Error> {
        let from = deployment.recorder.clock().now();
        let mut lanes = JoinSet::new();
        for lane in 0..self.lanes() {
            let planned = self.lane(lane, deployment.nodes.len(), until.saturating_sub(from));
            lanes.spawn(run_lane(planned, from, until, deployment.clone()));
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

/// Refuses a fault that a target cannot take.
pub(crate) fn fits(fault: &dyn Fault, target: &dyn Target) -> Result<(), Error> {
    if let Some(why) = target.refuses(fault.name()) {
        let (fault, target) = (fault.name(), target.name());
        return Err(Error::Config(format!("the target `{target}` cannot take the fault `{fault}`: {why}")));
    }
    fault.fits(target)
}

async fn run_lane(
    planned: Vec<(Arc<dyn Fault>, Planned)>,
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
    for (fault, injection) in planned {
        if !sleep_until(injection.begin).await {
            break;
        }
        let over = async {
            sleep_until(injection.end).await;
        };
        perform(&*fault, &injection, over, &deployment).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn kinds(seed: u64, lanes: Option<usize>) -> Vec<Vec<String>> {
        let named = |name: &str| {
            let kinds = crate::faults();
            let kind = kinds.iter().find(|kind| kind.name == name).unwrap();
            (kind.build)(&serde_json::Value::Null).unwrap()
        };
        let faults = ["kill", "pause", "partition", "delay", "loss"].map(named).to_vec();
        let storm = Storm::new(Seed(seed), Timing::default(), faults).roving(lanes);
        let lane = |lane| storm.lane(lane, 5, 600_000_000_000);
        let names =
            |lane: Vec<(Arc<dyn Fault>, Planned)>| lane.iter().map(|(f, _)| f.name().to_owned()).collect();
        (0..storm.lanes()).map(|l| names(lane(l))).collect()
    }

    #[test]
    fn each_kind_has_a_lane_of_its_own_unless_the_storm_roves() {
        for lane in kinds(7, None) {
            assert_eq!(lane.iter().collect::<BTreeSet<_>>().len(), 1);
        }
        let roving = kinds(7, Some(2));
        assert_eq!(roving.len(), 2);
        assert!(roving.iter().all(|lane| lane.iter().collect::<BTreeSet<_>>().len() == 5), "{roving:?}");
        assert_eq!(roving, kinds(7, Some(2)));
        assert_ne!(roving, kinds(8, Some(2)));
    }
}
