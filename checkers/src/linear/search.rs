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
use super::expand::{Expansion, Pending, TraceNode};
use super::frontier::Config;
use super::mask::Mask;
use super::problem::Call;
use super::spec::Spec;
use crate::models::Effect;
use crate::{Budget, Exhausted, Share};

/// What the search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// There is a legal order.
    Linearizable,
    /// There is none: the completion of `calls[call]` cannot be explained.
    Fatal { call: u32, last: Vec<Last> },
    /// The budget was spent; everything before the completion of `calls[call]` is linearizable.
    Spent { why: Exhausted, call: u32 },
}

/// A configuration that was possible just before the fatal completion, one of a few.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Last {
    /// The state.
    pub state: u32,
    /// The calls that took effect, in order, if that was recorded.
    pub order: Vec<u32>,
}

/// How hard it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effort {
    /// The most configurations held at a time.
    pub widest: u64,
    /// Configurations made.
    pub made: u64,
}

/// What to search for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Task<'a> {
    /// The operations, by invocation.
    pub calls: &'a [Call],
    /// What is known of each class.
    pub effects: &'a [Effect],
    /// States before the first operation, any of them; nothing for the specification's own.
    pub starts: Option<&'a [u32]>,
    /// Whether to record how configurations came to be.
    pub traced: bool,
    /// Give up, as if time were over, after making so many configurations.
    pub most_made: u64,
}

impl<'a> Task<'a> {
    /// From the specification's own start, without a record, without end.
    pub(crate) fn new(calls: &'a [Call], effects: &'a [Effect]) -> Self {
        Task { calls, effects, starts: None, traced: false, most_made: u64::MAX }
    }
}

/// What was found, how hard it was, and if it was recorded how the best order came to be.
#[derive(Debug)]
pub(crate) struct Searched {
    pub found: Found,
    pub effort: Effort,
    /// For a traced and linearizable history: what was used, in order.
    pub path: Vec<TraceNode>,
}

/// Searches with masks as wide as these calls need.
pub(crate) fn search<S: Spec>(spec: &mut S, task: Task<'_>, budget: &Budget) -> Searched {
    let (steps, slots) = steps(task.calls);
    match slots {
        0..=64 => Search::<S, [u64; 1]>::new(spec, task, slots).run(&steps, budget),
        65..=128 => Search::<S, [u64; 2]>::new(spec, task, slots).run(&steps, budget),
        129..=256 => Search::<S, [u64; 4]>::new(spec, task, slots).run(&steps, budget),
        257..=1024 => Search::<S, [u64; 16]>::new(spec, task, slots).run(&steps, budget),
        _ => Search::<S, Box<[u64]>>::new(spec, task, slots).run(&steps, budget),
    }
}

/// Configurations kept at first.
const NARROW: usize = 64;
/// The same while operations are pending that may never take effect: there each costs more.
const NARROWER: usize = 16;
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
    task: Task<'a>,
    now: Vec<Config<K>>,
    width: usize,
    whole: Option<Whole<K>>,
    widest: u64,
}

impl<'a, S: Spec, K: Mask> Search<'a, S, K> {
    fn new(spec: &'a mut S, task: Task<'a>, slots: usize) -> Self {
        let own = [spec.init()];
        let config = |&state| Config { state, trace: 0, owed: K::empty(slots), spare: K::empty(slots) };
        Search {
            now: task.starts.unwrap_or(&own).iter().map(config).collect(),
            expansion: Expansion::new(spec, task.effects, slots, task.traced),
            task,
            width: NARROW,
            whole: None,
            widest: 1,
        }
    }

    fn run(mut self, steps: &[Step], budget: &Budget) -> Searched {
        self.expansion.at_most(self.task.most_made);
        let found = self.walk(steps, &mut Share::new(budget));
        let effort = Effort { made: self.expansion.made(), widest: self.widest };
        let mut path = Vec::new();
        let mut found = found;
        if let Some(trace) = self.expansion.take_trace() {
            match &mut found {
                Found::Linearizable => path = self.now.first().map_or(path, |c| trace.path(c.trace)),
                Found::Fatal { last, .. } => {
                    for (last, config) in last.iter_mut().zip(&self.now) {
                        last.order = trace.path(config.trace).iter().map(|node| node.call).collect();
                    }
                }
                Found::Spent { .. } => {}
            }
        }
        Searched { found, effort, path }
    }

    fn walk(&mut self, steps: &[Step], budget: &mut Share<'_>) -> Found {
        let mut at = 0;
        let mut furthest = 0;
        while let Some(step) = steps.get(at) {
            furthest = furthest.max(at);
            let (slot, call) = (step.slot as usize, step.call);
            self.expansion.at_step(at);
            if !step.completes {
                self.expansion.invoke(slot, call, self.task.calls[call as usize], &mut self.now);
                at += 1;
                continue;
            }
            if self.expansion.complete_alone(slot, &mut self.now) {
                self.expansion.release(slot);
                at += 1;
                continue;
            }
            let width = match self.width {
                NARROW if self.expansion.has_open() => NARROWER,
                width => width,
            };
            let next = match self.expansion.complete(slot, &self.now, width, budget) {
                Ok(next) => next,
                Err(why) => return spent(why, &steps[furthest..]),
            };
            if !next.whole && self.whole.is_none() {
                let pending = self.expansion.pending().to_vec();
                self.whole = Some(Whole { step: at, configs: self.now.clone(), pending });
            }
            if !next.configs.is_empty() {
                self.widest = self.widest.max(next.configs.len() as u64);
                self.now = next.configs;
                self.expansion.release(slot);
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
                return self.fatal(call);
            }
        }
        Found::Linearizable
    }

    fn fatal(&mut self, call: u32) -> Found {
        self.now.sort_by_key(|c| c.state);
        self.now.dedup_by_key(|c| c.state);
        self.now.truncate(16);
        let last = self.now.iter().map(|c| Last { state: c.state, order: Vec::new() }).collect();
        Found::Fatal { call, last }
    }
}

fn spent(why: Exhausted, rest: &[Step]) -> Found {
    let call = rest.iter().find(|s| s.completes).map_or(0, |s| s.call);
    Found::Spent { why, call }
}
