//! Settings that some combinations of a campaign have for themselves.

use std::time::Duration;

use serde::Serialize;
use squall_engine::units;

use super::complaint::Complaint;
use super::decode::timing;
use super::definition::{Liveness, Timing};
use super::fields::{Fields, duration, positive_duration, whole, word};
use super::tree::Node;
use super::{Campaign, Cell, Concurrency, Expect, Rate, RunPlan, Select};
use crate::args::MAX_NODES;

/// What these combinations have in place of the campaign's own settings.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Override {
    /// Which combinations.
    #[serde(flatten)]
    pub of: Select,
    /// What they have.
    pub set: Settings,
}

/// Settings; what is not said stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[allow(missing_docs, reason = "each means what the campaign's key of this name means")]
pub struct Settings {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Concurrency>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    #[serde(with = "units::duration::option", skip_serializing_if = "Option::is_none")]
    pub warm_up: Option<Duration>,
    #[serde(with = "units::duration::option", skip_serializing_if = "Option::is_none")]
    pub time_limit: Option<Duration>,
    #[serde(with = "units::duration::option", skip_serializing_if = "Option::is_none")]
    pub recovery_limit: Option<Duration>,
    #[serde(with = "units::duration::option", skip_serializing_if = "Option::is_none")]
    pub ready_limit: Option<Duration>,
    #[serde(with = "units::duration::option", skip_serializing_if = "Option::is_none")]
    pub op_timeout: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timing: Option<Timing>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expect>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub liveness: Option<Liveness>,
}

impl Override {
    pub(super) fn decode(node: &Node) -> Result<Override, Complaint> {
        let mut fields = Fields::of(node, "a map such as `{target: etcd, set: {rate: 100}}`")?;
        let of = Select::read(&mut fields)?;
        let set = fields.get("set").map(Settings::decode).transpose()?;
        fields.finish()?;
        if of == Select::default() {
            let text = "names no target, workload or faults: what is meant for every run stands in the campaign itself";
            return Err(node.complain(text));
        }
        let set =
            set.ok_or_else(|| node.complain("expected `set` with what these runs have for themselves"))?;
        Ok(Override { of, set })
    }
}

impl Settings {
    fn decode(node: &Node) -> Result<Settings, Complaint> {
        let mut fields = Fields::of(node, "a map such as `{time_limit: 5min, rate: 100}`")?;
        let (f, mut s) = (&mut fields, Settings::default());
        f.set("nodes", &mut s.nodes, |n| Ok(Some(whole(n, 1, MAX_NODES as u64)? as u32)))?;
        f.set("concurrency", &mut s.concurrency, |n| Concurrency::decode(n).map(Some))?;
        f.set("rate", &mut s.rate, |n| Rate::decode(n).map(Some))?;
        f.set("warm_up", &mut s.warm_up, |n| duration(n).map(Some))?;
        f.set("time_limit", &mut s.time_limit, |n| positive_duration(n).map(Some))?;
        f.set("recovery_limit", &mut s.recovery_limit, |n| positive_duration(n).map(Some))?;
        f.set("ready_limit", &mut s.ready_limit, |n| positive_duration(n).map(Some))?;
        f.set("op_timeout", &mut s.op_timeout, |n| positive_duration(n).map(Some))?;
        f.set("timing", &mut s.timing, |n| timing(n).map(Some))?;
        f.set("expect", &mut s.expect, |n| Expect::decode(n).map(Some))?;
        f.set("liveness", &mut s.liveness, |n| {
            word(n, &[("fail", Some(Liveness::Fail)), ("warn", Some(Liveness::Warn))])
        })?;
        fields.finish()?;
        if s == Settings::default() {
            return Err(node.complain("sets nothing"));
        }
        Ok(s)
    }
}

impl Campaign {
    /// Gives a plan what its combination has for itself; where two overrides speak of one thing, the later counts.
    pub(super) fn apply_overrides(&self, workload: &Cell, plan: &mut RunPlan) {
        let mut concurrency = self.concurrency;
        for o in self.overrides.iter().filter(|o| o.of.matches(&plan.target, workload, &plan.faults)) {
            let s = o.set.clone();
            concurrency = s.concurrency.unwrap_or(concurrency);
            plan.nodes = s.nodes.unwrap_or(plan.nodes);
            plan.rate = s.rate.unwrap_or(plan.rate);
            plan.warm_up = s.warm_up.unwrap_or(plan.warm_up);
            plan.time_limit = s.time_limit.unwrap_or(plan.time_limit);
            plan.recovery_limit = s.recovery_limit.unwrap_or(plan.recovery_limit);
            plan.ready_limit = s.ready_limit.unwrap_or(plan.ready_limit);
            plan.op_timeout = s.op_timeout.unwrap_or(plan.op_timeout);
            plan.timing = s.timing.unwrap_or(plan.timing);
            plan.expect = s.expect.unwrap_or(std::mem::take(&mut plan.expect));
            plan.liveness = s.liveness.unwrap_or(plan.liveness);
        }
        plan.workers = concurrency.workers(plan.nodes);
    }
}
