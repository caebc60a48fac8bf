//! The general search: complete for every sequential specification.
//!
//! It goes through invocations and completions in order and holds every configuration that the operations
//! so far can have led to: a state, and what has become of the pending operations. Operations take effect
//! as late as they can, at the completion of one that needs it (just-in-time linearization: G. Lowe,
//! "Testing for linearizability", 2017). Three things keep the set of configurations small:
//!
//! * An operation that would change nothing in a state that a configuration passes through becomes *spare*:
//!   it counts as done, yet may still be used. So does one that is possible everywhere when another one
//!   overwrites all that it could have done: any number of them fit just before. An operation that may never
//!   take effect (`info`) is spare from its invocation.
//! * A configuration that another one covers is dropped (see [`super::frontier`]).
//! * Of pending operations of one class in one standing, the one that completes first goes first.
//!
//! The set is empty after a completion exactly if the operations up to it are not linearizable.

use super::events::{Step, steps};
use super::frontier::{Config, Frontier};
use super::mask::Mask;
use super::problem::Call;
use super::spec::{NONE, Spec};
use crate::models::Effect;
use crate::{Budget, Exhausted};

/// What the search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// There is a legal order.
    Linearizable,
    /// There is none: the completion of `calls[call]` cannot be explained. The states are those that were
    /// possible just before it, at most a few.
    Fatal { call: u32, states: Vec<u32> },
    /// The budget was spent; everything before the completion of `calls[call]` is linearizable.
    Spent { why: Exhausted, call: u32 },
}

/// How hard it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effort {
    /// The most configurations held at a time.
    pub widest: u64,
    /// Configurations made.
    pub made: u64,
}

/// Searches with masks as wide as these calls need. `effects` is what is known of each class.
pub(crate) fn search<S: Spec>(
    spec: &mut S,
    calls: &[Call],
    effects: &[Effect],
    budget: &Budget,
) -> (Found, Effort) {
    let (steps, slots) = steps(calls);
    match slots {
        0..=64 => Search::<S, [u64; 1]>::new(spec, calls, effects, slots).run(&steps, budget),
        65..=128 => Search::<S, [u64; 2]>::new(spec, calls, effects, slots).run(&steps, budget),
        129..=256 => Search::<S, [u64; 4]>::new(spec, calls, effects, slots).run(&steps, budget),
        257..=1024 => Search::<S, [u64; 16]>::new(spec, calls, effects, slots).run(&steps, budget),
        _ => Search::<S, Box<[u64]>>::new(spec, calls, effects, slots).run(&steps, budget),
    }
}

/// A pending operation.
#[derive(Clone, Debug)]
struct Pending<K> {
    class: u32,
    /// Slots of the same class that complete earlier.
    sooner: K,
}

struct Search<'a, S, K> {
    spec: &'a mut S,
    calls: &'a [Call],
    effects: &'a [Effect],
    slots: usize,
    /// By slot: which call is pending there.
    pending: Vec<Option<Pending<K>>>,
    completed: Vec<u32>,
    now: Vec<Config<K>>,
    next: Frontier<K>,
    reached: Frontier<K>,
    effort: Effort,
}

impl<'a, S: Spec, K: Mask> Search<'a, S, K> {
    fn new(spec: &'a mut S, calls: &'a [Call], effects: &'a [Effect], slots: usize) -> Self {
        let start = Config { state: spec.init(), owed: K::empty(slots), spare: K::empty(slots) };
        Search {
            spec,
            calls,
            effects,
            slots,
            pending: vec![None; slots],
            completed: vec![0; slots],
            now: vec![start],
            next: Frontier::new(),
            reached: Frontier::new(),
            effort: Effort::default(),
        }
    }

    fn run(mut self, steps: &[Step], budget: &Budget) -> (Found, Effort) {
        for step in steps {
            if !step.completes {
                self.invoke(step);
                continue;
            }
            if let Err(why) = self.complete(step.slot as usize, budget) {
                return (Found::Spent { why, call: step.call }, self.effort);
            }
            if self.next.len() == 0 {
                let mut states: Vec<u32> = self.now.iter().map(|c| c.state).collect();
                states.sort_unstable();
                states.dedup();
                states.truncate(16);
                return (Found::Fatal { call: step.call, states }, self.effort);
            }
            self.now = self.next.pruned();
            self.release(step.slot as usize);
            self.effort.widest = self.effort.widest.max(self.now.len() as u64);
        }
        (Found::Linearizable, self.effort)
    }

    fn invoke(&mut self, step: &Step) {
        let (slot, call) = (step.slot as usize, self.calls[step.call as usize]);
        let mut sooner = K::empty(self.slots);
        for other in 0..self.slots {
            let Some(pending) = &mut self.pending[other] else { continue };
            if pending.class != call.class {
                continue;
            }
            // Of two that never complete, the one in the lower place goes first.
            if (self.completed[other], other) < (call.completed, slot) {
                sooner.set(other);
            } else {
                pending.sooner.set(slot);
            }
        }
        self.pending[slot] = Some(Pending { class: call.class, sooner });
        self.completed[slot] = call.completed;
        for config in &mut self.now {
            let unchanged = call.is_open() || self.spec.step(config.state, call.class) == config.state;
            if unchanged { config.spare.set(slot) } else { config.owed.set(slot) }
        }
    }

    /// Frees a slot. No mask may keep its bit, for the slot is used again.
    fn release(&mut self, slot: usize) {
        self.pending[slot] = None;
        for pending in self.pending.iter_mut().flatten() {
            pending.sooner.clear(slot);
        }
    }

    fn class(&self, slot: usize) -> u32 {
        self.pending[slot].as_ref().expect("only slots that are held stand in masks").class
    }

    /// Fills `next` with the configurations in which the operation in `slot` has taken effect.
    fn complete(&mut self, slot: usize, budget: &Budget) -> Result<(), Exhausted> {
        let observer = self.effects[self.class(slot) as usize] == Effect::Observes;
        self.next.clear();
        self.reached.clear();
        for mut config in std::mem::take(&mut self.now) {
            if config.owed.has(slot) {
                self.reached.add(config);
            } else if config.spare.has(slot) {
                if !observer {
                    self.reached.add(config.clone());
                }
                config.spare.clear(slot);
                self.next.add(config);
            } else {
                self.next.add(config);
            }
        }
        let mut at = 0;
        while at < self.reached.len() {
            let config = self.reached.configs()[at].clone();
            at += 1;
            if at % 64 == 0 {
                self.spend(budget)?;
            }
            if let Some(done) = self.apply(&config, slot) {
                self.next.add(done);
            }
            self.extend(&config, slot, observer);
        }
        self.now = self.reached.configs().iter().take(16).cloned().collect();
        self.spend(budget)
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
                self.reached.add(moved);
                continue;
            }
            // It became spare on the way, and so it is done.
            if !observer {
                self.reached.add(moved.clone());
            }
            moved.spare.clear(slot);
            self.next.add(moved);
        }
    }

    fn spend(&self, budget: &Budget) -> Result<(), Exhausted> {
        let config_bytes = (8 + 2 * self.slots.div_ceil(64) * 8) as u64;
        let held = self.next.held_bytes(config_bytes) + self.reached.held_bytes(config_bytes);
        budget.spend(held + self.spec.held_bytes())
    }

    /// Whether no operation of the same class and standing should be used before the one in `slot`.
    fn goes_first(&self, config: &Config<K>, slot: usize) -> bool {
        let pending = self.pending[slot].as_ref().expect("only slots that are held stand in masks");
        let standing = if config.owed.has(slot) { &config.owed } else { &config.spare };
        self.effects[pending.class as usize] != Effect::Observes && !standing.meets(&pending.sooner)
    }

    /// The configuration after the operation in `slot` takes effect, if it can and changes the state.
    fn apply(&mut self, config: &Config<K>, slot: usize) -> Option<Config<K>> {
        let class = self.class(slot);
        let state = self.spec.step(config.state, class);
        if state == NONE || state == config.state {
            return None;
        }
        self.effort.made += 1;
        let mut after = Config { state, owed: config.owed.clone(), spare: config.spare.clone() };
        after.owed.clear(slot);
        after.spare.clear(slot);
        let hides = self.effects[class as usize] == Effect::Overwrites;
        let owed = after.owed.clone();
        owed.each(|other| {
            let theirs = self.class(other);
            let hidden = hides && matches!(self.effects[theirs as usize], Effect::Total | Effect::Overwrites);
            if hidden || self.spec.step(state, theirs) == state {
                after.owed.clear(other);
                after.spare.set(other);
            }
        });
        Some(after)
    }
}
