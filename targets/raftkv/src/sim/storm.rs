//! A random run of a simulated cluster: faults, clients, and what must hold for them.
//!
//! Time is virtual; each step takes the earliest event. Clients write and read a few keys; since a version is
//! the index of the entry that wrote it, a linearizable read must return a version at least as new as any
//! that was acknowledged or read before the read began.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};

use super::cluster::{Cluster, Happening, Wire};
use crate::bugs::Bug;
use crate::kv::{Answer, Command, Request};
use crate::raft::{Index, Input, Micros, NodeId, ReadOutcome, Role};

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

/// Runs one storm. The same seed and configuration give the same report.
pub fn storm(seed: u64, config: &StormConfig) -> StormReport {
    Storm::new(seed, config.clone()).run()
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Tick(NodeId),
    Deliver(u64),
    Persist(NodeId, u64),
    Operate,
    Fault,
    Restart(NodeId),
    /// Down and up again within moments: what a node forgets then, it forgets while it still matters.
    Blink(NodeId),
    /// The see-saw tips: this side is cut off now, and the leader in the middle falls over.
    Tip(Vec<NodeId>, NodeId),
    Heal,
}

/// A storm under way.
#[derive(Debug)]
pub struct Storm {
    config: StormConfig,
    cluster: Cluster,
    ids: Vec<NodeId>,
    random: u64,
    queue: BinaryHeap<Reverse<(Micros, u64, Event)>>,
    sequence: u64,
    flying: HashMap<u64, Wire>,
    ticks: BTreeMap<NodeId, Micros>,
    /// Crash count of each node: events of a former life are void.
    lives: BTreeMap<NodeId, u64>,
    cut: HashSet<(NodeId, NodeId)>,
    /// Per mille.
    loss: u64,
    duplicates: u64,
    max_delay: Micros,
    slow_disk: Micros,
    /// Its disk takes half a second for everything.
    stalled: Option<NodeId>,
    /// How much faster than usual faults follow each other.
    pace: u64,
    next_operation: u64,
    /// Writes not yet applied where they were proposed: operation to key.
    writes: HashMap<u64, usize>,
    /// Reads under way: key and the version that they must reach.
    reads: HashMap<u64, (usize, Index)>,
    /// The newest version that is known to be visible, by key.
    visible: Vec<Index>,
    report: StormReport,
}

const KEYS: usize = 4;

impl Storm {
    /// A cluster at rest at time 0.
    pub fn new(seed: u64, config: StormConfig) -> Storm {
        let ids: Vec<NodeId> =
            (1..=config.nodes).map(|i| format!("n{i}").parse().expect("a valid name")).collect();
        let mut cluster = Cluster::new(&ids, seed, config.bug);
        // Small messages leave more states between two entries; for nodes that were started again.
        cluster.max_append_bytes = if seed.is_multiple_of(2) { 0 } else { 512 * 1024 };
        let mut storm = Storm {
            cluster,
            config,
            random: seed,
            queue: BinaryHeap::new(),
            sequence: 0,
            flying: HashMap::new(),
            ticks: BTreeMap::new(),
            lives: ids.iter().map(|&id| (id, 0)).collect(),
            ids,
            cut: HashSet::new(),
            loss: 0,
            duplicates: 0,
            max_delay: 2_000,
            slow_disk: 1_000,
            stalled: None,
            pace: 1 + seed % 3 * 2,
            next_operation: 0,
            writes: HashMap::new(),
            reads: HashMap::new(),
            visible: vec![0; KEYS],
            report: StormReport::default(),
        };
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
        while let Some(Reverse((time, ..))) = self.queue.peek()
            && *time < end
            && self.cluster.invariants.breaches().is_empty()
        {
            let Some(Reverse((time, _, event))) = self.queue.pop() else { return };
            self.cluster.now = time;
            self.report.events += 1;
            self.happen(event);
        }
        self.cluster.now = end;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Tick(id) => {
                if self.ticks.get(&id) == Some(&self.cluster.now) {
                    self.ticks.remove(&id);
                    self.cluster.input(id, Input::Tick);
                    self.settle(id);
                }
            }
            Event::Deliver(number) => {
                let Some(wire) = self.flying.remove(&number) else { return };
                let to = wire.to;
                if !self.cut.contains(&(wire.from, to)) {
                    self.cluster.receive(wire);
                    self.settle(to);
                }
            }
            Event::Persist(id, life) => {
                if self.lives.get(&id) == Some(&life) && self.cluster.persist(id) {
                    self.settle(id);
                }
            }
            Event::Operate => self.operate(),
            Event::Fault => self.fault(),
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
    fn settle(&mut self, id: NodeId) {
        for wire in std::mem::take(&mut self.cluster.wires) {
            if self.chance(self.loss) || self.cut.contains(&(wire.from, wire.to)) {
                continue;
            }
            let copies = if self.chance(self.duplicates) { 2 } else { 1 };
            for _ in 0..copies {
                let delay = 100 + self.below(self.max_delay);
                self.flying.insert(self.sequence, wire.clone());
                self.at(delay, Event::Deliver(self.sequence));
            }
        }
        let node = &self.cluster.nodes[&id];
        let life = self.lives[&id];
        let unscheduled = node.disk.waiting.back().is_some();
        let deadline = node.core.as_ref().map(|core| core.deadline().max(self.cluster.now));
        if unscheduled {
            let stall = if self.stalled == Some(id) { 500_000 } else { 0 };
            let delay = stall + 50 + self.below(self.slow_disk);
            self.at(delay, Event::Persist(id, life));
        }
        if let Some(deadline) = deadline
            && self.ticks.get(&id) != Some(&deadline)
        {
            self.ticks.insert(id, deadline);
            self.at(deadline - self.cluster.now, Event::Tick(id));
        }
        for (node, happening) in std::mem::take(&mut self.cluster.happenings) {
            self.observe(node, happening);
        }
    }

    fn observe(&mut self, node: NodeId, happening: Happening) {
        match happening {
            Happening::Role(change) => {
                self.report.elections += usize::from(change.role == Role::Leader);
                if change.role == Role::Candidate && self.cluster.now < self.config.duration {
                    self.trouble_an_election();
                }
            }
            Happening::Proposed(n, Err(_)) => drop(self.writes.remove(&n)),
            Happening::Proposed(_, Ok(_)) => {}
            Happening::Applied(entry, Some(done)) if written_by(&done, node) => {
                let (request, _) = *done;
                if let Some(key) = self.writes.remove(&request.id) {
                    self.visible[key] = self.visible[key].max(entry.index);
                    self.report.acknowledged += 1;
                }
            }
            Happening::Applied(..) => {}
            Happening::Read(n, ReadOutcome::Ready) => {
                let Some((key, floor)) = self.reads.remove(&n) else { return };
                let version = self.cluster.nodes[&node].store.get(&key_name(key)).map_or(0, |v| v.version);
                if version < floor {
                    let what =
                        format!("stale read at {node}: k{key} at version {version}, but {floor} was visible");
                    self.cluster.invariants.breach(what);
                }
                self.visible[key] = self.visible[key].max(version);
                self.report.reads += 1;
            }
            Happening::Read(n, _) => drop(self.reads.remove(&n)),
        }
    }

    /// One client operation at a random node; writes go to whoever believes to lead.
    fn operate(&mut self) {
        self.at(1_000_000 / self.config.rate.max(1), Event::Operate);
        self.next_operation += 1;
        let (n, key) = (self.next_operation, self.below(KEYS as u64) as usize);
        if self.chance(500) {
            let leaders: Vec<NodeId> = self.ids.iter().copied().filter(|&id| self.leads(id)).collect();
            let Some(&id) = leaders.get(self.below(leaders.len().max(1) as u64) as usize) else { return };
            self.writes.insert(n, key);
            self.cluster.propose(id, n, Command::Write { key: key_name(key), value: n.to_string() });
            self.settle(id);
        } else {
            let id = self.any_node();
            self.reads.insert(n, (key, self.visible[key]));
            self.cluster.input(id, Input::Read { id: n, lease: n % 3 == 0 });
            self.settle(id);
        }
    }

    fn fault(&mut self) {
        let wait = (100_000 + self.below(1_500_000)) / self.pace;
        self.at(wait, Event::Fault);
        match self.below(14) {
            10..14 => self.see_saw(),
            8 | 9 => {
                let (id, keep) = (self.any_node(), self.below(10));
                self.cluster.snapshot(id, keep);
                self.settle(id);
            }
            0 | 1 => {
                let id = self.leader_or_any();
                self.crash_for_long(id);
            }
            2 => {
                for id in self.ids.clone() {
                    self.crash_for_long(id);
                }
            }
            3 => {
                // The leader, if there is one: where most can go wrong.
                let id = self.leader_or_any();
                self.cut_around(&[id]);
            }
            4 => {
                let halves: Vec<NodeId> = self.ids.clone().into_iter().filter(|_| self.chance(500)).collect();
                self.cut_around(&halves);
            }
            5 => {
                let pair = (self.leader_or_any(), self.any_node());
                self.cut.insert(pair);
            }
            6 => (self.loss, self.duplicates) = (self.below(300), self.below(200)),
            _ => (self.max_delay, self.slow_disk) = (1_000 + self.below(200_000), 500 + self.below(100_000)),
        }
        let heal = 200_000 + self.below(2_000_000);
        self.at(heal, Event::Heal);
    }

    /// First one side hears the leader, then the other: what only a part knows is what the next majority may
    /// lack. The leader's disk is slow meanwhile.
    fn see_saw(&mut self) {
        let middle = self.leader_or_any();
        let mut others: Vec<NodeId> = self.ids.iter().copied().filter(|&id| id != middle).collect();
        let turn = self.below(others.len() as u64) as usize;
        others.rotate_left(turn);
        let second = others.split_off(others.len() / 2);
        self.cut.clear();
        self.cut_around(&others);
        self.stalled = Some(middle);
        let moment = 20_000 + self.below(500_000);
        self.at(moment, Event::Tip(second, middle));
    }

    /// Some of the waiting writes happen to survive, in order.
    fn crash_for_long(&mut self, id: NodeId) {
        let survive = self.below(self.cluster.nodes[&id].disk.waiting.len() as u64 + 1) as usize;
        let down = 10_000 + self.below(1_000_000);
        self.crash(id, survive, down);
    }

    fn crash(&mut self, id: NodeId, survive: usize, down: Micros) {
        if self.cluster.core(id).is_none() {
            return;
        }
        self.cluster.crash(id, survive);
        self.report.crashes += 1;
        self.ticks.remove(&id);
        *self.lives.entry(id).or_default() += 1;
        self.at(down, Event::Restart(id));
    }

    /// Votes are counted right now: some voters fall over while messages take their time.
    fn trouble_an_election(&mut self) {
        if !self.chance(400) {
            return;
        }
        self.max_delay = self.max_delay.max(1_000 + self.below(300_000));
        for id in self.ids.clone() {
            if self.chance(400) {
                let moment = self.below(100_000);
                self.at(moment, Event::Blink(id));
            }
        }
        let heal = 100_000 + self.below(1_000_000);
        self.at(heal, Event::Heal);
    }

    /// Where most can go wrong.
    fn leader_or_any(&mut self) -> NodeId {
        let leader = self.ids.iter().copied().find(|&id| self.leads(id));
        let any = self.any_node();
        if self.chance(700) { leader.unwrap_or(any) } else { any }
    }

    fn cut_around(&mut self, inside: &[NodeId]) {
        for &a in inside {
            for &b in self.ids.iter().filter(|b| !inside.contains(b)) {
                self.cut.extend([(a, b), (b, a)]);
            }
        }
    }

    fn heal(&mut self) {
        self.cut.clear();
        (self.loss, self.duplicates, self.max_delay, self.slow_disk) = (0, 0, 2_000, 1_000);
        self.stalled = None;
    }

    fn peace(&mut self) {
        self.heal();
        self.queue.retain(|Reverse((_, _, event))| *event != Event::Fault);
    }

    fn leads(&self, id: NodeId) -> bool {
        self.cluster.core(id).is_some_and(|core| core.role() == Role::Leader)
    }

    fn any_node(&mut self) -> NodeId {
        let at = self.below(self.ids.len() as u64) as usize;
        self.ids[at]
    }

    fn at(&mut self, delay: Micros, event: Event) {
        self.queue.push(Reverse((self.cluster.now + delay, self.sequence, event)));
        self.sequence += 1;
    }

    fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound.max(1)
    }
}

fn written_by(done: &(Request, Answer), node: NodeId) -> bool {
    done.0.origin == node && matches!(done.1, Answer::Written { .. })
}

fn key_name(key: usize) -> String {
    format!("k{key}")
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn storms_find_the_mistakes_of_the_core() {
        let bugs = [Bug::LogNotTruncated, Bug::CountUnsynced];
        for bug in bugs {
            let config = StormConfig { bug: Some(bug), ..StormConfig::default() };
            let found = (0..100).find(|&seed| !storm(seed, &config).breaches.is_empty());
            assert!(found.is_some(), "{bug} was not found");
        }
    }
}
