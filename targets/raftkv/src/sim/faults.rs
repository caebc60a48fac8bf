//! What is done to the cluster of a storm.
//!
//! Most of it strikes at random. Some strikes where it hurts: at leaders, at elections, between what a leader has sent and
//! what it has committed; schedules such as the paper's Figure 8 are too rare otherwise. Nothing depends on which bug
//! is on.

use super::storm::{Event, Storm};
use crate::raft::{Input, Membership, Micros, NodeId, Role, RoleChange};

/// What a storm likes best; by its seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taste {
    /// A little of everything.
    Any,
    /// Leaders fall just after they were elected, or just after they first committed something.
    Leaders,
    /// Members come and go.
    Members,
    /// Clocks jump, leaders are cut off.
    Clocks,
}

impl Taste {
    pub(super) fn of(seed: u64) -> Taste {
        [Taste::Any, Taste::Leaders, Taste::Members, Taste::Any, Taste::Clocks, Taste::Leaders]
            [(seed % 6) as usize]
    }
}

impl Storm {
    pub(super) fn fault(&mut self) {
        match (self.taste, self.below(3)) {
            (Taste::Members, 0 | 1) => self.change_members(),
            // Its leaders have trouble enough.
            (Taste::Leaders, 0 | 1) => return,
            (Taste::Clocks, 0) => {
                self.jump_a_clock();
                let id = self.leader_or_any();
                self.cut_around(&[id]);
            }
            _ => self.common_fault(),
        }
        let heal = 200_000 + self.below(2_000_000);
        self.at(heal, Event::Heal);
    }

    fn common_fault(&mut self) {
        match self.below(15) {
            11..15 => self.see_saw(),
            10 => self.jump_a_clock(),
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
        self.at(moment, Event::Tip(second.into(), middle));
    }

    /// Wall clocks may say anything at any time.
    fn jump_a_clock(&mut self) {
        let id = self.leader_or_any();
        let jump = self.below(20_000_000) as i64 - 10_000_000;
        self.cluster.clocks.entry(id).or_default().offset += jump;
        self.settle(id);
    }

    /// The leader is asked to remove or to add a voter; now and then for more than it may agree to.
    fn change_members(&mut self) {
        let Some(leader) = self.ids.iter().copied().find(|&id| self.leads(id)) else { return };
        let times = 1 + self.below(2);
        for _ in 0..times {
            let Some(core) = self.cluster.core(leader) else { return };
            let mut wanted = core.log().membership().clone();
            let turn = self.any_node();
            let greedy = self.chance(300);
            change(&mut wanted, turn, self.ids.len());
            if greedy {
                let next = self.any_node();
                change(&mut wanted, next, self.ids.len());
            }
            let id = self.fresh_number();
            self.cluster.input(leader, Input::ChangeMembership { id, membership: wanted });
            self.settle(leader);
        }
        if self.chance(500) {
            let (id, keep) = (self.any_node(), self.any_node());
            self.cut_around(&[id, keep]);
        }
    }

    /// Some of the waiting writes happen to survive, in order.
    pub(super) fn crash_for_long(&mut self, id: NodeId) {
        let survive = self.below(self.cluster.nodes[&id].disk.waiting.len() as u64 + 1) as usize;
        let down = 10_000 + self.below(1_000_000);
        self.crash(id, survive, down);
    }

    pub(super) fn crash(&mut self, id: NodeId, survive: usize, down: Micros) {
        if self.cluster.core(id).is_none() {
            return;
        }
        self.cluster.crash(id, survive);
        self.report.crashes += 1;
        self.looks.remove(&id);
        *self.lives.entry(id).or_default() += 1;
        self.at(down, Event::Restart(id));
    }

    pub(super) fn role_changed(&mut self, node: NodeId, change: RoleChange) {
        self.report.elections += usize::from(change.role == Role::Leader);
        if self.cluster.now >= self.config.duration {
            return;
        }
        match change.role {
            Role::Candidate => self.trouble_an_election(),
            Role::Leader if self.taste == Taste::Leaders => self.trouble_a_new_leader(node),
            _ => {}
        }
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

    /// Most of what a new leader says is lost. It falls before anyone has its first entry, or when a few have, or
    /// as soon as it has committed something: one after the other they are Figure 8.
    fn trouble_a_new_leader(&mut self, leader: NodeId) {
        self.max_delay = 1_000 + self.below(10_000);
        let kind = self.below(3);
        let (loss, moment) = match kind {
            0 => (1000, 5_000 + self.below(30_000)),
            1 => (500 + self.below(450), 10_000 + self.below(120_000)),
            _ => (300 + self.below(500), 0),
        };
        self.hoarse = Some((leader, loss));
        if kind < 2 {
            self.at(moment, Event::Fall(leader));
        } else {
            let commit = self.cluster.core(leader).map_or(0, |core| core.commit());
            self.doomed = Some((leader, commit));
            let heal = 300_000 + self.below(500_000);
            self.at(heal, Event::Heal);
        }
    }

    /// Down for longer than an election takes; its disk has everything.
    pub(super) fn fall(&mut self, id: NodeId) {
        let survive = self.cluster.nodes[&id].disk.waiting.len();
        let down = 400_000 + self.below(1_000_000);
        self.crash(id, survive, down);
    }

    /// After a step of `id`: a doomed leader has committed something, and is gone for a while.
    pub(super) fn strike_the_doomed(&mut self, id: NodeId) {
        let Some((doomed, commit)) = self.doomed.filter(|(doomed, _)| *doomed == id) else { return };
        if self.cluster.core(id).is_some_and(|core| core.commit() > commit) {
            self.doomed = None;
            // What it said last is on its way no more.
            self.hush(doomed);
            self.fall(doomed);
        }
    }

    /// Where most can go wrong.
    pub(super) fn leader_or_any(&mut self) -> NodeId {
        let leader = self.ids.iter().copied().find(|&id| self.leads(id));
        let any = self.any_node();
        if self.chance(700) { leader.unwrap_or(any) } else { any }
    }

    pub(super) fn cut_around(&mut self, inside: &[NodeId]) {
        for &a in inside {
            for &b in self.ids.iter().filter(|b| !inside.contains(b)) {
                self.cut.extend([(a, b), (b, a)]);
            }
        }
    }

    pub(super) fn heal(&mut self) {
        self.cut.clear();
        (self.loss, self.duplicates, self.max_delay, self.slow_disk) = (0, 0, 2_000, 1_000);
        (self.stalled, self.hoarse, self.doomed) = (None, None, None);
    }
}

/// One step: `id` leaves if it votes and enough others do, else it joins, first as a learner.
fn change(wanted: &mut Membership, id: NodeId, nodes: usize) {
    if wanted.learners.remove(&id) {
        wanted.voters.insert(id);
    } else if !wanted.voters.contains(&id) {
        wanted.learners.insert(id);
    } else if wanted.voters.len() > nodes.min(2) {
        wanted.voters.remove(&id);
    }
}
