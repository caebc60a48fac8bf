//! A random run of a simulated cluster: its events and its time. What clients do stands in `clients`, what is done
//! to the cluster in `faults`.
//!
//! Time is virtual; each step takes the earliest event. Monotonic clocks drift by up to 2 %, wall clocks jump.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BinaryHeap, HashSet};
use std::panic::catch_unwind;

use super::clients::Clients;
use super::cluster::{Clock, Cluster, Wire};
use super::faults::Taste;
use crate::bugs::Bug;
use crate::raft::{Index, Input, Micros, NodeId, Role};

/// What kind of storm.
#[derive(Debug, Clone)]
pub struct StormConfig {
    pub nodes: usize,
    /// Virtual time with faults, in microseconds; half as much follows in peace.
    pub duration: Micros,
    /// Operations a virtual second.
    pub rate: u64,
    pub bug: Option<Bug>,
}

impl Default for StormConfig {
    fn default() -> StormConfig {
        StormConfig { nodes: 5, duration: 10_000_000, rate: 100, bug: None }
    }
}

/// What a storm saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StormReport {
    /// Broken promises, in the order of discovery; empty if all is well.
    pub breaches: Vec<String>,
    pub acknowledged: usize,
    pub reads: usize,
    pub elections: usize,
    pub crashes: usize,
    pub events: usize,
}

/// Runs one storm. The same seed and configuration give the same report. A node that panics, as a mistake may make
/// it, is a breach and ends the storm.
pub fn storm(seed: u64, config: &StormConfig) -> StormReport {
    catch_unwind(|| Storm::new(seed, config.clone()).run()).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        StormReport { breaches: vec![format!("a node panicked: {text}")], ..StormReport::default() }
    })
}

/// What is about to happen, and when; among equals, first come first served.
#[derive(Debug)]
struct Due {
    time: Micros,
    sequence: u64,
    event: Event,
}

impl Due {
    fn order(&self) -> (Micros, u64) {
        (self.time, self.sequence)
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Due) -> bool {
        self.order() == other.order()
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Due) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Due) -> Ordering {
        self.order().cmp(&other.order())
    }
}

/// Small, for it is moved often.
#[derive(Debug)]
pub(super) enum Event {
    Tick(NodeId),
    Deliver(Box<Wire>),
    Persist(NodeId, u64),
    Operate,
    Fault,
    Restart(NodeId),
    /// Down and up again within moments: what a node forgets then, it forgets while it still matters.
    Blink(NodeId),
    /// A leader falls over, for longer than an election takes.
    Fall(NodeId),
    /// The see-saw tips: this side is cut off now, and the leader in the middle falls over.
    Tip(Box<[NodeId]>, NodeId),
    Heal,
}

/// A storm under way.
#[derive(Debug)]
pub struct Storm {
    pub(super) config: StormConfig,
    pub(super) cluster: Cluster,
    pub(super) ids: Vec<NodeId>,
    random: u64,
    pub(super) taste: Taste,
    queue: BinaryHeap<Reverse<Due>>,
    sequence: u64,
    /// The next look at each node's deadline. It moves with every heartbeat, mostly into the future, so a look may
    /// come too early and is put off then.
    pub(super) looks: BTreeMap<NodeId, Micros>,
    /// Crash count of each node: events of a former life are void.
    pub(super) lives: BTreeMap<NodeId, u64>,
    pub(super) cut: HashSet<(NodeId, NodeId)>,
    /// Per mille.
    pub(super) loss: u64,
    pub(super) duplicates: u64,
    pub(super) max_delay: Micros,
    pub(super) slow_disk: Micros,
    /// Its disk takes half a second for everything.
    pub(super) stalled: Option<NodeId>,
    /// So much of what it says is lost, per mille.
    pub(super) hoarse: Option<(NodeId, u64)>,
    /// Falls when it has committed more than this.
    pub(super) doomed: Option<(NodeId, Index)>,
    /// How much faster than usual faults follow each other.
    pace: u64,
    numbers: u64,
    pub(super) clients: Clients,
    pub(super) report: StormReport,
}

impl Storm {
    /// A cluster at rest at time 0.
    pub fn new(seed: u64, config: StormConfig) -> Storm {
        let ids: Vec<NodeId> =
            (1..=config.nodes).map(|i| format!("n{i}").parse().expect("a valid name")).collect();
        let mut cluster = Cluster::new(&ids, seed, config.bug);
        // Small messages leave more states between two entries; for nodes that were started again.
        let taste = Taste::of(seed);
        cluster.max_append_bytes =
            if seed.is_multiple_of(2) || taste == Taste::Leaders { 0 } else { 512 * 1024 };
        let mut storm = Storm {
            cluster,
            config,
            random: seed,
            taste,
            queue: BinaryHeap::new(),
            sequence: 0,
            looks: BTreeMap::new(),
            lives: ids.iter().map(|&id| (id, 0)).collect(),
            ids,
            cut: HashSet::new(),
            loss: 0,
            duplicates: 0,
            max_delay: 2_000,
            slow_disk: 1_000,
            stalled: None,
            hoarse: None,
            doomed: None,
            pace: 1 + seed % 3 * 2,
            numbers: 1 << 50,
            clients: Clients::default(),
            report: StormReport::default(),
        };
        for id in storm.ids.clone() {
            let drift_ppm = storm.below(40_001) as i64 - 20_000;
            storm.cluster.clocks.insert(id, Clock { drift_ppm, offset: 0 });
        }
        storm.at(500_000, Event::Operate);
        storm.at(1_000_000, Event::Fault);
        storm
    }

    /// Runs to the end: faults for the configured time, then peace, in which the cluster must serve again.
    pub fn run(mut self) -> StormReport {
        for id in self.ids.clone() {
            self.settle(id);
        }
        let end = self.config.duration;
        self.run_until(end);
        self.peace();
        let before = self.report.acknowledged;
        self.run_until(end + end / 2);
        if self.report.acknowledged == before && self.report.breaches.is_empty() {
            self.cluster
                .invariants
                .breach("liveness: nothing was acknowledged after the faults ended".into());
        }
        self.report.breaches = self.cluster.invariants.breaches().to_vec();
        self.report
    }

    fn run_until(&mut self, end: Micros) {
        while let Some(Reverse(due)) = self.queue.peek()
            && due.time < end
            && self.cluster.invariants.breaches().is_empty()
        {
            let Some(Reverse(due)) = self.queue.pop() else { return };
            self.cluster.now = due.time;
            self.report.events += 1;
            self.happen(due.event);
        }
        self.cluster.now = end;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Tick(id) => {
                if self.looks.get(&id) != Some(&self.cluster.now) {
                    return;
                }
                self.looks.remove(&id);
                if self.deadline(id).is_some_and(|at| at > self.cluster.now) {
                    return self.look_after(id);
                }
                self.cluster.input(id, Input::Tick);
                self.settle(id);
            }
            Event::Deliver(wire) => {
                let to = wire.to;
                if !self.cut.contains(&(wire.from, to)) {
                    self.cluster.receive(*wire);
                    self.settle(to);
                }
            }
            Event::Persist(id, life) => {
                if self.lives.get(&id) == Some(&life) && self.cluster.persist(id) {
                    self.settle(id);
                }
            }
            Event::Operate => {
                self.at(1_000_000 / self.config.rate.max(1), Event::Operate);
                self.operate();
            }
            Event::Fault => {
                let wait = (100_000 + self.below(1_500_000)) / self.pace;
                self.at(wait, Event::Fault);
                self.fault();
            }
            Event::Restart(id) => {
                self.cluster.start(id);
                self.settle(id);
            }
            Event::Blink(id) => {
                let waiting = self.cluster.nodes[&id].disk.waiting.len();
                let survive = if self.chance(500) { waiting } else { 0 };
                let down = 1_000 + self.below(20_000);
                self.crash(id, survive, down);
            }
            Event::Fall(id) => self.fall(id),
            Event::Tip(side, middle) => {
                self.cut.clear();
                self.cut_around(&side);
                let down = 1_000 + self.below(50_000);
                self.crash(middle, 0, down);
            }
            Event::Heal => self.heal(),
        }
    }

    /// Schedules what a node's last input caused, and looks at what became of clients' operations.
    pub(super) fn settle(&mut self, id: NodeId) {
        let mut wires = std::mem::take(&mut self.cluster.wires);
        for wire in wires.drain(..) {
            let hoarse = self.hoarse.filter(|(id, _)| *id == wire.from).map_or(0, |(_, loss)| loss);
            if self.chance(self.loss.max(hoarse)) || self.cut.contains(&(wire.from, wire.to)) {
                continue;
            }
            if self.chance(self.duplicates) {
                let delay = 100 + self.below(self.max_delay);
                self.at(delay, Event::Deliver(Box::new(wire.clone())));
            }
            let delay = 100 + self.below(self.max_delay);
            self.at(delay, Event::Deliver(Box::new(wire)));
        }
        // What follows may send; the room of this list is used again.
        self.cluster.wires = wires;
        let life = self.lives[&id];
        if !self.cluster.nodes[&id].disk.waiting.is_empty() {
            let stall = if self.stalled == Some(id) { 500_000 } else { 0 };
            let delay = stall + 50 + self.below(self.slow_disk);
            self.at(delay, Event::Persist(id, life));
        }
        self.look_after(id);
        for (node, happening) in std::mem::take(&mut self.cluster.happenings) {
            self.observe(node, happening);
        }
        self.release_session_reads(id);
        self.strike_the_doomed(id);
    }

    /// When a running node wants to act by itself.
    fn deadline(&self, id: NodeId) -> Option<Micros> {
        Some(self.due(id, self.cluster.core(id)?.deadline()))
    }

    /// Sees to it that a node's deadline is not missed.
    fn look_after(&mut self, id: NodeId) {
        let Some(deadline) = self.deadline(id) else { return };
        if self.looks.get(&id).is_none_or(|&look| deadline < look) {
            self.looks.insert(id, deadline);
            self.at(deadline - self.cluster.now, Event::Tick(id));
        }
    }

    /// What a node said and nobody heard yet is lost.
    pub(super) fn hush(&mut self, id: NodeId) {
        self.queue.retain(|Reverse(due)| !matches!(&due.event, Event::Deliver(wire) if wire.from == id));
    }

    /// When a node's clock will say this, if nobody moves it.
    fn due(&self, id: NodeId, deadline: Micros) -> Micros {
        let left = deadline.saturating_sub(self.cluster.local_time(id));
        let drift = self.cluster.clocks.get(&id).map_or(0, |clock| clock.drift_ppm);
        let real = left as i128 * 1_000_000 / (1_000_000 + i128::from(drift));
        self.cluster.now + real as Micros + u64::from(left > 0)
    }

    fn peace(&mut self) {
        self.heal();
        self.queue.retain(|Reverse(due)| !matches!(due.event, Event::Fault));
        for clock in self.cluster.clocks.values_mut() {
            clock.offset = clock.offset.max(0);
        }
    }

    pub(super) fn leads(&self, id: NodeId) -> bool {
        self.cluster.core(id).is_some_and(|core| core.role() == Role::Leader)
    }

    pub(super) fn any_node(&mut self) -> NodeId {
        let at = self.below(self.ids.len() as u64) as usize;
        self.ids[at]
    }

    /// A number for a request of the nemesis: never a client's.
    pub(super) fn fresh_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub(super) fn at(&mut self, delay: Micros, event: Event) {
        let time = self.cluster.now + delay;
        self.queue.push(Reverse(Due { time, sequence: self.sequence, event }));
        self.sequence += 1;
    }

    pub(super) fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bugs::BUGS;

    #[test]
    fn a_seed_replays_exactly() {
        let config = StormConfig { duration: 3_000_000, ..StormConfig::default() };
        assert_eq!(storm(7, &config), storm(7, &config));
        assert_ne!(storm(7, &config), storm(8, &config));
    }

    #[test]
    fn the_correct_store_weathers_storms() {
        for seed in 0..60 {
            let config = StormConfig { nodes: 3 + seed as usize % 3, ..StormConfig::default() };
            let report = storm(seed, &config);
            assert_eq!(report.breaches, Vec::<String>::new(), "seed {seed}: {report:?}");
            assert!(report.acknowledged > 50 && report.reads > 50, "seed {seed} was vacuous: {report:?}");
        }
    }

    #[test]
    fn storms_find_every_mistake_that_shows_early() {
        // The rest takes more seeds than a test should: `squall raftkv sim --bug NAME`.
        let rare = [
            Bug::StaleRead,
            Bug::LeaseClock,
            Bug::VoteTwice,
            Bug::CommitOldTerm,
            Bug::MembershipTwoMajorities,
            Bug::RemovedNodeVotes,
            Bug::SnapshotDuringApply,
            Bug::DeleteResurrected,
        ];
        for (bug, ..) in BUGS.iter().filter(|(bug, ..)| !rare.contains(bug)) {
            let config = StormConfig { bug: Some(*bug), ..StormConfig::default() };
            let found = (0..30).find(|&seed| !storm(seed, &config).breaches.is_empty());
            assert!(found.is_some(), "{bug} was not found");
        }
    }
}
