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
//!
//! Histories with many operations that may never take effect have too many configurations to hold them all,
//! and most need none but the best. So the search goes best first: while more than `width` configurations
//! are left it keeps those that used fewest such operations. Should that end in nothing, it goes back to
//! where the set was last whole and comes again with more width, in the end with all.

use super::events::{Step, steps};
use super::expand::{Expansion, Pending};
use super::frontier::Config;
use super::mask::Mask;
use super::problem::Call;
use super::spec::Spec;
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

/// Configurations kept at first.
const NARROW: usize = 64;
/// How much wider each new attempt is.
const WIDER: usize = 8;
/// Beyond this width nothing is left out.
const ALL: usize = 1 << 17;

/// Where the set of configurations was last whole.
struct Whole<K> {
    step: usize,
    configs: Vec<Config<K>>,
    pending: Vec<Option<Pending<K>>>,
}

struct Search<'a, S, K> {
    expansion: Expansion<'a, S, K>,
    calls: &'a [Call],
    now: Vec<Config<K>>,
    width: usize,
    whole: Option<Whole<K>>,
    effort: Effort,
}

impl<'a, S: Spec, K: Mask> Search<'a, S, K> {
    fn new(spec: &'a mut S, calls: &'a [Call], effects: &'a [Effect], slots: usize) -> Self {
        let start = Config { state: spec.init(), owed: K::empty(slots), spare: K::empty(slots) };
        Search {
            expansion: Expansion::new(spec, effects, slots),
            calls,
            now: vec![start],
            width: NARROW,
            whole: None,
            effort: Effort::default(),
        }
    }

    fn run(mut self, steps: &[Step], budget: &Budget) -> (Found, Effort) {
        let mut at = 0;
        let mut furthest = 0;
        while let Some(step) = steps.get(at) {
            furthest = furthest.max(at);
            if !step.completes {
                self.expansion.invoke(step.slot as usize, self.calls[step.call as usize], &mut self.now);
                at += 1;
                continue;
            }
            let next = match self.expansion.complete(step.slot as usize, &self.now, self.width, budget) {
                Ok(next) => next,
                Err(why) => return (self.spent(why, &steps[furthest..]), self.effort()),
            };
            if !next.whole && self.whole.is_none() {
                let pending = self.expansion.pending().to_vec();
                self.whole = Some(Whole { step: at, configs: self.now.clone(), pending });
            }
            if !next.configs.is_empty() {
                self.effort.widest = self.effort.widest.max(next.configs.len() as u64);
                self.now = next.configs;
                self.expansion.release(step.slot as usize);
                if self.whole.is_none() && self.now.len() <= NARROW {
                    self.width = NARROW;
                }
                at += 1;
            } else if let Some(whole) = self.whole.take() {
                at = whole.step;
                self.now = whole.configs;
                self.expansion.restore(whole.pending);
                self.width = if self.width * WIDER > ALL { usize::MAX } else { self.width * WIDER };
            } else {
                return (self.fatal(step.call), self.effort());
            }
        }
        (Found::Linearizable, self.effort())
    }

    fn effort(&self) -> Effort {
        Effort { made: self.expansion.made(), ..self.effort }
    }

    fn fatal(&self, call: u32) -> Found {
        let mut states: Vec<u32> = self.now.iter().map(|c| c.state).collect();
        states.sort_unstable();
        states.dedup();
        states.truncate(16);
        Found::Fatal { call, states }
    }

    fn spent(&self, why: Exhausted, rest: &[Step]) -> Found {
        let call = rest.iter().find(|s| s.completes).map_or(0, |s| s.call);
        Found::Spent { why, call }
    }
}
