//! From the located tree to a campaign.

use std::path::PathBuf;
use std::sync::Arc;

use super::complaint::{Complaint, Source};
use super::definition::{Campaign, Keep, Liveness, Timing};
use super::everything::{ALL, NONE};
use super::fields::{Fields, duration, flag, list, positive_duration, size, text, whole, word};
use super::tree::Node;
use super::{Cell, Concurrency, Expect, Override, ProviderChoice, Rate, Select, StepPlan};
use crate::args::{MAX_NODES, MAX_REPEAT};

impl Campaign {
    /// Reads a campaign's text. `name` is what people call it: its path.
    pub fn parse(name: &str, text: &str) -> Result<Campaign, Complaint> {
        let source = Arc::new(Source { name: name.to_owned(), text: text.to_owned() });
        let node = Node::parse(&source)?;
        let mut campaign = Campaign { source: Some(source.clone()), ..Campaign::default() };
        read(&node, &mut campaign).map_err(|c| c.within(Some(&source)))?;
        Ok(campaign)
    }
}

/// Every key of a campaign file. The JSON Schema lists the same; a test compares them.
fn read(node: &Node, campaign: &mut Campaign) -> Result<(), Complaint> {
    let mut fields = Fields::of(node, "a campaign: a map with keys such as `targets` and `faults`")?;
    let f = &mut fields;
    f.set("name", &mut campaign.name, name)?;
    if let Some(n) = f.get("seed") {
        (campaign.seed, campaign.seed_drawn) = (whole(n, 0, u64::MAX)?, false);
    }
    if let Some(n) = f.get("nodes") {
        (campaign.nodes, campaign.nodes_said) = (whole(n, 1, MAX_NODES as u64)? as u32, true);
    }
    f.set("concurrency", &mut campaign.concurrency, Concurrency::decode)?;
    f.set("rate", &mut campaign.rate, Rate::decode)?;
    f.set("warm_up", &mut campaign.warm_up, duration)?;
    f.set("time_limit", &mut campaign.time_limit, positive_duration)?;
    f.set("recovery_limit", &mut campaign.recovery_limit, positive_duration)?;
    f.set("ready_limit", &mut campaign.ready_limit, positive_duration)?;
    f.set("op_timeout", &mut campaign.op_timeout, |n| positive_duration(n).map(Some))?;
    f.set("provider", &mut campaign.provider, ProviderChoice::decode)?;
    f.set("targets", &mut campaign.targets, |n| list(n, Cell::decode))?;
    f.set("workloads", &mut campaign.workloads, |n| list(n, Cell::decode))?;
    f.set("faults", &mut campaign.faults, |n| list(n, together))?;
    f.set("timing", &mut campaign.timing, timing)?;
    f.set("schedule", &mut campaign.schedule, |n| list(n, StepPlan::decode))?;
    f.set("swarm", &mut campaign.swarm, flag)?;
    f.set("lanes", &mut campaign.lanes, |n| Ok(Some(whole(n, 1, 64)? as u32)))?;
    f.set("watchdog", &mut campaign.watchdog, |n| positive_duration(n).map(Some))?;
    f.set("pcap", &mut campaign.pcap, flag)?;
    f.set("stop_on_anomaly", &mut campaign.stop_on_anomaly, flag)?;
    f.set("exclude", &mut campaign.exclude, |n| list(n, Select::decode))?;
    let overrides = f.get("overrides");
    let repeat = f.get("repeat");
    if let Some(n) = repeat {
        campaign.repeat = whole(n, 1, MAX_REPEAT as u64)? as u32;
    }
    f.set("parallel", &mut campaign.parallel, |n| Ok(whole(n, 1, 64)? as u32))?;
    if let Some(n) = f.get("expect") {
        campaign.expect = Expect::decode(n)?;
        agree(n, repeat, campaign)?;
    }
    if let Some(n) = overrides {
        campaign.overrides = list(n, |n| {
            let o = Override::decode(n)?;
            repeats(n, o.set.expect.as_ref(), campaign.repeat).map(|()| o)
        })?;
    }
    f.set("liveness", &mut campaign.liveness, |n| {
        word(n, &[("fail", Liveness::Fail), ("warn", Liveness::Warn)])
    })?;
    f.set("store", &mut campaign.store, |n| text(n).map(PathBuf::from))?;
    f.set("keep", &mut campaign.keep, |n| word(n, &[("all", Keep::All), ("failures", Keep::Failures)]))?;
    f.set("store_limit", &mut campaign.store_limit, |n| size(n).map(Some))?;
    fields.finish()
}

/// `at_least: 1 of 5` asks for five repeats: it sets them where nothing is said, else they must agree.
fn agree(expect: &Node, repeat: Option<&Node>, campaign: &mut Campaign) -> Result<(), Complaint> {
    let Expect::Invalid { at_least: Some(at_least), .. } = &campaign.expect else {
        return Ok(());
    };
    if repeat.is_none() {
        campaign.repeat = at_least.of;
    }
    repeats(expect, Some(&campaign.expect), campaign.repeat)
}

/// A share must be of as many repeats as there are.
fn repeats(place: &Node, expect: Option<&Expect>, repeat: u32) -> Result<(), Complaint> {
    match expect {
        Some(Expect::Invalid { at_least: Some(share), .. }) if share.of != repeat => {
            Err(place
                .complain(format!("`at_least` speaks of {} repeats, but `repeat` is {repeat}", share.of)))
        }
        _ => Ok(()),
    }
}

/// A campaign's name is a folder of the store.
fn name(node: &Node) -> Result<String, Complaint> {
    let name = text(node)?;
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '+' | '=');
    if !name.chars().all(fits) || name.starts_with('.') || name.starts_with('-') || name.len() > 100 {
        return Err(node.complain(
            "a campaign's name is a folder: at most 100 letters, digits, `-`, `_`, `.`, not beginning with `.` or `-`",
        ));
    }
    if name == "latest" {
        return Err(node.complain("`latest` is the store's pointer to its newest campaign"));
    }
    Ok(name)
}

/// One alternative: a fault, or several together, or `none`, or `all`.
fn together(node: &Node) -> Result<Vec<Cell>, Complaint> {
    let cells = list(node, Cell::decode)?;
    set_of_faults(cells).map_err(|text| node.complain(text))
}

/// `none` and `all` stand alone; the first means an empty set.
pub(crate) fn set_of_faults(mut cells: Vec<Cell>) -> Result<Vec<Cell>, String> {
    for word in [NONE, ALL] {
        if let Some(cell) = cells.iter().find(|c| c.name == word) {
            if cells.len() > 1 {
                return Err(format!("`{word}` cannot act together with other faults"));
            } else if !cell.options.is_null() {
                return Err(format!("`{word}` has no options"));
            }
        }
    }
    cells.retain(|c| c.name != NONE);
    Ok(cells)
}

pub(super) fn timing(node: &Node) -> Result<Timing, Complaint> {
    let mut timing = Timing::default();
    let mut fields = Fields::of(node, "a map such as `{on: 5s, off: 5s}`")?;
    fields.set("on", &mut timing.on, positive_duration)?;
    fields.set("off", &mut timing.off, positive_duration)?;
    let min = fields.get("min");
    if let Some(min) = min {
        timing.min = positive_duration(min)?;
    } else {
        // Who asks for short faults wants short faults.
        timing.min = timing.min.min(timing.on);
    }
    fields.set("max", &mut timing.max, positive_duration)?;
    fields.finish()?;
    if timing.min > timing.max {
        return Err(min.unwrap_or(node).complain("`min` is longer than `max`"));
    }
    Ok(timing)
}
