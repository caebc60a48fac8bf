//! From a history that is not linearizable to the little of it that shows why.
//!
//! Every step only *weakens*: it allows every order that was legal before, and maybe more. So whatever is
//! left that has no legal order proves that the whole has none. The steps:
//!
//! * nothing after the fatal completion counts: what was invoked later is left out, what completed later may
//!   have taken effect or not;
//! * the past is forgotten, where a short window shows it: operations before it are left out, those that
//!   overlap its beginning may have taken effect or not, and the window may start in any state;
//! * a read is left out; an update may take effect at any time after its invocation, or never;
//! * an update that may never have taken effect, and that could help nobody, is left out.
//!
//! The last two are tried on ever smaller groups until none can be weakened without a legal order appearing.

use squall_history::NEVER;

use super::problem::{Call, Problem};
use super::search::{Found, Last, Searched, Task, search};
use super::spec::Interned;
use crate::Budget;
use crate::models::{Effect, Model};

/// Windows tried, in completions before the fatal one.
const WINDOWS: [usize; 7] = [4, 16, 64, 128, 256, 1024, 4096];
/// How many times the work of the first search one attempt, and all together, may take, and how much they
/// may in any case. Work is configurations made: a clock would make the result depend on the machine.
const ATTEMPT: (u64, u64) = (8, 10_000);
const TOGETHER: (u64, u64) = (30, 200_000);

/// What shows that there is no legal order.
#[derive(Clone, Debug)]
pub(crate) struct Counterexample {
    /// The calls that are left. One that completed in the history and is open here was weakened.
    pub calls: Vec<Call>,
    /// Whether the past was forgotten: the start may be any state.
    pub any_start: bool,
    /// The history's index of the operation whose completion has no explanation.
    pub fatal: u32,
    /// What was possible just before: a state in words, and the operations up to it by history index.
    pub last: Vec<(String, Vec<u32>)>,
}

struct Reducer<'a, M: Model> {
    model: &'a M,
    problem: &'a Problem<M::Op>,
    effects: Vec<Effect>,
    budget: &'a Budget,
    first: u64,
    spent: u64,
    any_start: bool,
}

/// Reduces the calls of a problem whose earliest fatal completion is that of `calls[fatal]`, and which the
/// search saw in making `first` configurations.
pub(crate) fn reduce<M: Model>(
    model: &M,
    problem: &Problem<M::Op>,
    fatal: u32,
    first: u64,
    budget: &Budget,
) -> Counterexample {
    let effects = problem.classes.iter().map(|op| model.effect(op)).collect();
    let mut reducer = Reducer { model, problem, effects, budget, first, spent: 0, any_start: false };
    let fatal = problem.calls[fatal as usize];
    let all = reducer.truncated(&problem.calls, fatal.completed);
    let mut calls = match reducer.window(&all, fatal.completed) {
        Some(window) => window,
        None => all,
    };
    reducer.weaken(&mut calls, fatal.index);
    reducer.drop_pointless(&mut calls);
    let mut spec = Interned::new(model, &problem.classes);
    let last = match reducer.run(&calls, true, &mut spec).found {
        Found::Fatal { last, .. } => in_words(model, &spec, &calls, last),
        Found::Linearizable | Found::Spent { .. } => Vec::new(),
    };
    Counterexample { calls, any_start: reducer.any_start, fatal: fatal.index, last }
}

impl<M: Model> Reducer<'_, M> {
    fn observes(&self, call: &Call) -> bool {
        self.effects[call.class as usize] == Effect::Observes
    }

    /// What happened before a rank: later completions are unknown.
    fn truncated(&self, calls: &[Call], end: u32) -> Vec<Call> {
        let before = calls.iter().filter(|c| c.invoked < end);
        let known = before.map(|c| if c.completed > end { Call { completed: NEVER, ..*c } } else { *c });
        known.filter(|c| !(c.is_open() && self.observes(c))).collect()
    }

    /// The shortest window before the fatal completion that has no legal order from any state.
    fn window(&mut self, calls: &[Call], end: u32) -> Option<Vec<Call>> {
        self.model.anywhere(&[])?;
        let mut ends: Vec<u32> = calls.iter().map(|c| c.completed).filter(|&c| c < end).collect();
        ends.sort_unstable();
        self.any_start = true;
        for length in WINDOWS {
            let Some(at) = ends.len().checked_sub(length) else { break };
            let cut = ends[at];
            let within = calls.iter().filter(|c| c.completed > cut);
            let open = |c: &Call| if c.invoked < cut { Call { completed: NEVER, ..*c } } else { *c };
            let mut window: Vec<Call> = within.map(open).collect();
            window.retain(|c| !(c.is_open() && self.observes(c)));
            self.drop_pointless(&mut window);
            if self.still_fails(&window) {
                return Some(window);
            }
        }
        self.any_start = false;
        None
    }

    /// Weakens ever smaller groups while there is no legal order.
    fn weaken(&mut self, calls: &mut Vec<Call>, fatal: u32) {
        let mut size = calls.len().div_ceil(2).max(1);
        loop {
            let mut changed = false;
            let mut from = 0;
            while from < calls.len() {
                let to = (from + size).min(calls.len());
                let weaker = self.weakened(calls, from, to, fatal);
                if weaker != *calls && self.still_fails(&weaker) {
                    let gone = calls.len() - weaker.len();
                    *calls = weaker;
                    changed = true;
                    from = to - gone;
                } else {
                    from = to;
                }
            }
            if size == 1 && !changed || self.spent > self.limit(TOGETHER) {
                return;
            }
            size = size.div_ceil(2);
        }
    }

    fn weakened(&self, calls: &[Call], from: usize, to: usize, fatal: u32) -> Vec<Call> {
        let weaker = |(i, call): (usize, &Call)| {
            if i < from || i >= to || call.index == fatal {
                Some(*call)
            } else if self.observes(call) {
                None
            } else {
                Some(Call { completed: NEVER, ..*call })
            }
        };
        calls.iter().enumerate().filter_map(weaker).collect()
    }

    fn drop_pointless(&self, calls: &mut Vec<Call>) {
        loop {
            let op = |c: &Call| &self.problem.classes[c.class as usize];
            let mut classes: Vec<u32> = calls.iter().map(|c| c.class).collect();
            classes.sort_unstable();
            classes.dedup();
            let all: Vec<&M::Op> = classes.iter().map(|&c| &self.problem.classes[c as usize]).collect();
            let before = calls.len();
            // Beside all, itself included: an operation that only its own kind could profit from stays.
            let kept: Vec<Call> = calls
                .iter()
                .filter(|c| !(c.is_open() && self.model.pointless(op(c), &all)))
                .copied()
                .collect();
            *calls = kept;
            if calls.len() == before {
                return;
            }
        }
    }

    fn limit(&self, (times, at_least): (u64, u64)) -> u64 {
        self.first.saturating_mul(times) + at_least
    }

    fn still_fails(&mut self, calls: &[Call]) -> bool {
        let mut spec = Interned::new(self.model, &self.problem.classes);
        self.spent <= self.limit(TOGETHER)
            && matches!(self.run(calls, false, &mut spec).found, Found::Fatal { .. })
    }

    fn run(&mut self, calls: &[Call], traced: bool, spec: &mut Interned<'_, M>) -> Searched {
        let starts = self.starts(calls, spec);
        let most_made = if traced { u64::MAX } else { self.limit(ATTEMPT) };
        let starts = starts.as_deref();
        let task = Task { calls, effects: &self.effects, starts, traced, most_made };
        let searched = search(spec, task, self.budget);
        self.spent += searched.effort.made + calls.len() as u64;
        searched
    }

    /// The states to start from; nothing for the model's own, and if any will do but cannot be told.
    fn starts(&self, calls: &[Call], spec: &mut Interned<'_, M>) -> Option<Vec<u32>> {
        let ops: Vec<&M::Op> = calls.iter().map(|c| &self.problem.classes[c.class as usize]).collect();
        let anywhere = if self.any_start { self.model.anywhere(&ops)? } else { return None };
        Some(anywhere.into_iter().map(|state| spec.number(state)).collect())
    }
}

/// The last configurations, each state once.
fn in_words<M: Model>(
    model: &M,
    spec: &Interned<'_, M>,
    calls: &[Call],
    last: Vec<Last>,
) -> Vec<(String, Vec<u32>)> {
    let in_words = |last: Last| {
        let order = last.order.iter().map(|&c| calls[c as usize].index).collect();
        (model.describe_state(spec.state(last.state)), order)
    };
    let mut words: Vec<(String, Vec<u32>)> = last.into_iter().map(in_words).collect();
    words.sort();
    words.dedup_by(|a, b| a.0 == b.0);
    words
}
