//! One step of the search: all that can have happened by the next completion.

use super::frontier::{Config, Frontier};
use super::mask::Mask;
use super::problem::Call;
use super::spec::{NONE, Spec};
use crate::models::Effect;
use crate::{Exhausted, Share};

/// A pending operation.
#[derive(Clone, Debug)]
pub(super) struct Pending<K> {
    call: u32,
    class: u32,
    completed: u32,
    /// Slots of the same class that complete earlier.
    sooner: K,
}

/// The configurations after a completion, and whether they are all.
pub(super) struct Next<K> {
    pub configs: Vec<Config<K>>,
    pub whole: bool,
}

/// How configurations came to be: each node names the operation that took effect last, the step of the
/// search at which it did, and the node before. Node 0 is the beginning.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    nodes: Vec<TraceNode>,
}

/// One operation that took effect.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TraceNode {
    before: u32,
    pub call: u32,
    pub step: u32,
}

impl Trace {
    fn push(&mut self, before: u32, call: u32, step: u32) -> u32 {
        self.nodes.push(TraceNode { before, call, step });
        self.nodes.len() as u32 - 1
    }

    /// What took effect up to a node, in order.
    pub(crate) fn path(&self, mut at: u32) -> Vec<TraceNode> {
        let mut path = Vec::new();
        while at != 0 {
            let node = self.nodes[at as usize];
            path.push(node);
            at = node.before;
        }
        path.reverse();
        path
    }
}

/// What is pending, and how configurations follow from each other.
pub(super) struct Expansion<'a, S, K> {
    spec: &'a mut S,
    effects: &'a [Effect],
    slots: usize,
    pending: Vec<Option<Pending<K>>>,
    /// Slots of operations that may never take effect.
    open: K,
    opened: u32,
    next: Frontier<K>,
    reached: Frontier<K>,
    queue: Queue,
    made: u64,
    trace: Option<Trace>,
    step: u32,
    most_made: u64,
}

/// Which of the reached configurations to go on from: those that used fewest open operations first.
#[derive(Default)]
struct Queue {
    by_cost: Vec<Vec<u32>>,
    cheapest: usize,
}

impl Queue {
    fn clear(&mut self) {
        self.by_cost.iter_mut().for_each(Vec::clear);
        self.cheapest = 0;
    }

    fn push(&mut self, cost: usize, at: u32) {
        if self.by_cost.len() <= cost {
            self.by_cost.resize(cost + 1, Vec::new());
        }
        self.by_cost[cost].push(at);
        self.cheapest = self.cheapest.min(cost);
    }

    fn pop(&mut self) -> Option<u32> {
        while self.cheapest < self.by_cost.len() {
            if let Some(at) = self.by_cost[self.cheapest].pop() {
                return Some(at);
            }
            self.cheapest += 1;
        }
        None
    }
}

impl<'a, S: Spec, K: Mask> Expansion<'a, S, K> {
    pub(super) fn new(spec: &'a mut S, effects: &'a [Effect], slots: usize, traced: bool) -> Self {
        Expansion {
            spec,
            effects,
            slots,
            pending: vec![None; slots],
            open: K::empty(slots),
            opened: 0,
            next: Frontier::new(),
            reached: Frontier::new(),
            queue: Queue::default(),
            made: 0,
            trace: traced.then(|| Trace { nodes: vec![TraceNode::default()] }),
            step: 0,
            most_made: u64::MAX,
        }
    }

    pub(super) fn pending(&self) -> &[Option<Pending<K>>] {
        &self.pending
    }

    /// Which step of the search is being made: what the trace notes.
    pub(super) fn at_step(&mut self, step: usize) {
        self.step = step as u32;
    }

    /// Gives up, as if time were over, after making so many configurations.
    pub(super) fn at_most(&mut self, made: u64) {
        self.most_made = made;
    }

    pub(super) fn take_trace(&mut self) -> Option<Trace> {
        self.trace.take()
    }

    /// Whether operations are pending that may never take effect.
    pub(super) fn has_open(&self) -> bool {
        self.opened > 0
    }

    /// Configurations made so far.
    pub(super) fn made(&self) -> u64 {
        self.made
    }

    /// Goes back to what was pending before.
    pub(super) fn restore(&mut self, pending: Vec<Option<Pending<K>>>) {
        self.pending = pending;
        self.open = K::empty(self.slots);
        self.opened = 0;
        for (slot, pending) in self.pending.iter().enumerate() {
            if pending.as_ref().is_some_and(|p| p.completed == squall_history::NEVER) {
                self.open.set(slot);
                self.opened += 1;
            }
        }
    }

    /// An operation becomes pending.
    pub(super) fn invoke(&mut self, slot: usize, number: u32, call: Call, configs: &mut [Config<K>]) {
        let mut sooner = K::empty(self.slots);
        for (other, pending) in self.pending.iter_mut().enumerate() {
            let Some(pending) = pending.as_mut().filter(|p| p.class == call.class) else { continue };
            // Of two that never complete, the one in the lower place goes first.
            if (pending.completed, other) < (call.completed, slot) {
                sooner.set(other);
            } else {
                pending.sooner.set(slot);
            }
        }
        self.pending[slot] =
            Some(Pending { call: number, class: call.class, completed: call.completed, sooner });
        if call.is_open() {
            self.open.set(slot);
            self.opened += 1;
        }
        for config in configs {
            let unchanged = call.is_open() || self.spec.step(config.state, call.class) == config.state;
            if unchanged { config.spare.set(slot) } else { config.owed.set(slot) }
        }
    }

    /// Completes the only operation that is pending in the only configuration, if that is how things stand
    /// and it can; false if it must be done the long way. Most completions of little contended objects.
    pub(super) fn complete_alone(&mut self, slot: usize, now: &mut [Config<K>]) -> bool {
        let [config] = now else { return false };
        if self.trace.is_some() || config.owed.count() + config.spare.count() != 1 {
            return false;
        }
        let class = self.at(slot).class;
        if config.spare.has(slot) && self.effects[class as usize] == Effect::Observes {
            config.spare.clear(slot);
            return true;
        }
        let next = self.spec.step(config.state, class);
        if !config.owed.has(slot) || next == NONE {
            return false;
        }
        config.owed.clear(slot);
        config.state = next;
        self.made += 1;
        true
    }

    /// Frees a slot. No mask may keep its bit, for the slot is used again.
    pub(super) fn release(&mut self, slot: usize) {
        self.pending[slot] = None;
        for pending in self.pending.iter_mut().flatten() {
            pending.sooner.clear(slot);
        }
    }

    fn at(&self, slot: usize) -> &Pending<K> {
        self.pending[slot].as_ref().expect("only slots that are held stand in masks")
    }

    fn cost(&self, config: &Config<K>) -> usize {
        if self.opened == 0 {
            return 0;
        }
        let spare = config.spare.words().iter().zip(self.open.words());
        (self.opened - spare.map(|(s, o)| (s & o).count_ones()).sum::<u32>()) as usize
    }

    /// The configurations in which the operation in `slot` has taken effect, `width` at most, best first.
    pub(super) fn complete(
        &mut self,
        slot: usize,
        now: &[Config<K>],
        width: usize,
        budget: &mut Share<'_>,
    ) -> Result<Next<K>, Exhausted> {
        let observer = self.effects[self.at(slot).class as usize] == Effect::Observes;
        self.next.clear();
        self.reached.clear();
        self.queue.clear();
        for config in now {
            if config.owed.has(slot) {
                self.reach(config.clone());
                continue;
            }
            if config.spare.has(slot) && !observer {
                self.reach(config.clone());
            }
            let mut done = config.clone();
            done.spare.clear(slot);
            self.next.add(done);
        }
        let mut whole = true;
        let mut steps = 0;
        while let Some(at) = self.queue.pop() {
            let config = self.reached.configs()[at as usize].clone();
            if let Some(done) = self.apply(&config, slot) {
                self.next.add(done);
            }
            self.extend(&config, slot, observer);
            steps += 1;
            if steps % 64 == 0 {
                self.spend(budget)?;
            }
            // With open operations about there is no end of ways; the first ones are the cheapest.
            let enough = if self.opened > 0 { width } else { width.saturating_mul(4) };
            if steps >= enough && self.next.len() > 0 || steps / 64 >= width {
                whole = false;
                break;
            }
        }
        self.spend(budget)?;
        let mut configs = self.next.pruned();
        if configs.len() > width {
            whole = false;
            self.keep_best(&mut configs, width);
        }
        Ok(Next { configs, whole })
    }

    /// Keeps the cheapest of each state in turn, so that no state is lost to another's bargains.
    fn keep_best(&self, configs: &mut Vec<Config<K>>, width: usize) {
        let mut ranked: Vec<(u32, usize, usize)> = Vec::with_capacity(configs.len());
        configs.sort_by_cached_key(|c| (c.state, self.cost(c), std::cmp::Reverse(c.spare.count())));
        let (mut state, mut turn) = (NONE, 0);
        for (at, config) in configs.iter().enumerate() {
            turn = if config.state == state { turn + 1 } else { 0 };
            state = config.state;
            ranked.push((turn, self.cost(config), at));
        }
        ranked.sort_unstable();
        ranked.truncate(width);
        *configs = ranked.into_iter().map(|(_, _, at)| configs[at].clone()).collect();
    }

    fn reach(&mut self, config: Config<K>) {
        let cost = self.cost(&config);
        let at = self.reached.len() as u32;
        if self.reached.add(config) {
            self.queue.push(cost, at);
        }
    }

    /// Lets every other operation take effect next, towards the one in `slot`.
    fn extend(&mut self, config: &Config<K>, slot: usize, observer: bool) {
        let mut movable: Vec<usize> = Vec::new();
        config.owed.each(|s| movable.push(s));
        config.spare.each(|s| movable.push(s));
        for other in movable {
            if other == slot || !self.goes_first(config, other) {
                continue;
            }
            let Some(mut moved) = self.apply(config, other) else { continue };
            if !moved.spare.has(slot) {
                self.reach(moved);
                continue;
            }
            // It became spare on the way, and so it is done.
            if !observer {
                self.reach(moved.clone());
            }
            moved.spare.clear(slot);
            self.next.add(moved);
        }
    }

    fn spend(&self, budget: &mut Share<'_>) -> Result<(), Exhausted> {
        if self.made > self.most_made {
            return Err(Exhausted::Time);
        }
        let config_bytes = (8 + 2 * self.slots.div_ceil(64) * 8) as u64;
        let held = self.next.held_bytes(config_bytes) + self.reached.held_bytes(config_bytes);
        let traced = self.trace.as_ref().map_or(0, |t| t.nodes.capacity() as u64 * 12);
        budget.spend(held + traced + self.spec.held_bytes())
    }

    /// Whether no operation of the same class and standing should be used before the one in `slot`.
    fn goes_first(&self, config: &Config<K>, slot: usize) -> bool {
        let pending = self.at(slot);
        let standing = if config.owed.has(slot) { &config.owed } else { &config.spare };
        self.effects[pending.class as usize] != Effect::Observes && !standing.meets(&pending.sooner)
    }

    /// The configuration after the operation in `slot` takes effect, if it can and changes the state.
    fn apply(&mut self, config: &Config<K>, slot: usize) -> Option<Config<K>> {
        let Pending { class, call, .. } = *self.at(slot);
        let state = self.spec.step(config.state, class);
        if state == NONE || state == config.state {
            return None;
        }
        self.made += 1;
        let trace = match &mut self.trace {
            Some(trace) => trace.push(config.trace, call, self.step),
            None => 0,
        };
        let mut after = Config { state, trace, owed: config.owed.clone(), spare: config.spare.clone() };
        after.owed.clear(slot);
        after.spare.clear(slot);
        let hides = self.effects[class as usize] == Effect::Overwrites;
        let owed = after.owed.clone();
        owed.each(|other| {
            let theirs = self.at(other).class;
            let hidden = hides && matches!(self.effects[theirs as usize], Effect::Total | Effect::Overwrites);
            if hidden || self.spec.step(state, theirs) == state {
                after.owed.clear(other);
                after.spare.set(other);
            }
        });
        Some(after)
    }
}
