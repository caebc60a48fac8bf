//! Judging while a run is going on.
//!
//! Events come in order of time. What has happened so far is a history of its own in which operations that
//! are still open may have taken effect or not; if that is not linearizable, nothing that follows can mend
//! it. Only objects that something completed on since the last judgement are judged again, so the cost
//! follows the keys in use and not the length of the run.

use rustc_hash::{FxHashMap, FxHashSet};
use squall_history::{BadEvent, Builder, Event, EventKind, History, Order, ProcessId, Value};

use super::judge::{NAME, check_model};
use super::options::Options;
use crate::{Budget, Live, Valid, Verdict};

/// A check that is fed as operations complete.
#[derive(Debug)]
pub struct Incremental {
    options: Options,
    events: Vec<Event>,
    /// Events of each object, by their place in `events`.
    objects: FxHashMap<Value, Vec<u32>>,
    open: FxHashMap<ProcessId, Value>,
    /// Objects to judge again, in the order in which that became so.
    changed: Vec<Value>,
    waiting: FxHashSet<Value>,
    undecided: Option<String>,
    found: Option<Verdict>,
}

impl Incremental {
    /// A check that has seen nothing.
    pub fn new(options: Options) -> Self {
        Incremental {
            options,
            events: Vec::new(),
            objects: FxHashMap::default(),
            open: FxHashMap::default(),
            changed: Vec::new(),
            waiting: FxHashSet::default(),
            undecided: None,
            found: None,
        }
    }

    /// Takes the next event. Events must come in order of time, invocations first where times are equal.
    pub fn push(&mut self, event: Event) {
        let key = match event.kind {
            EventKind::Invoke => {
                self.open.insert(event.process, event.key.clone());
                event.key.clone()
            }
            EventKind::Ok | EventKind::Fail | EventKind::Info => {
                self.open.remove(&event.process).unwrap_or_else(|| event.key.clone())
            }
        };
        let key = if self.options.keyed { key } else { Value::Nil };
        // Only a completion that says something can make what was possible impossible.
        if event.kind == EventKind::Ok && self.waiting.insert(key.clone()) {
            self.changed.push(key.clone());
        }
        self.objects.entry(key).or_default().push(self.events.len() as u32);
        self.events.push(event);
    }

    /// Judges what has been seen so far: `invalid` is final, `valid` means not violated yet.
    pub fn judge(&mut self, budget: &Budget) -> Verdict {
        if let Some(found) = &self.found {
            return found.clone();
        }
        for key in std::mem::take(&mut self.changed) {
            self.waiting.remove(&key);
            let verdict = match history(&self.events, self.objects.get(&key).map_or(&[], |o| o)) {
                Ok(part) => check_model(&part, &self.options, budget),
                Err(bad) => Verdict::unknown(NAME, bad.to_string()),
            };
            match verdict.valid {
                Valid::Yes => {}
                Valid::Unknown => self.undecided = verdict.reason,
                Valid::No => {
                    let verdict = self.in_whole(verdict, budget);
                    self.found = Some(verdict.clone());
                    return verdict;
                }
            }
        }
        match &self.undecided {
            Some(why) => Verdict::unknown(NAME, why.clone()),
            None => Verdict::valid(NAME),
        }
    }

    /// The same verdict with operations numbered as in the whole history so far.
    fn in_whole(&self, verdict: Verdict, budget: &Budget) -> Verdict {
        let all: Vec<u32> = (0..self.events.len() as u32).collect();
        let whole = history(&self.events, &all).map(|all| check_model(&all, &self.options, budget));
        whole.ok().filter(|whole| whole.valid == Valid::No).unwrap_or(verdict)
    }
}

impl Live for Incremental {
    fn push(&mut self, event: Event) {
        Incremental::push(self, event);
    }

    fn judge(&mut self, budget: &Budget) -> Verdict {
        Incremental::judge(self, budget)
    }
}

fn history(events: &[Event], which: &[u32]) -> Result<History, BadEvent> {
    let mut builder = Builder::new(Order::AsGiven);
    for &at in which {
        builder.push(events[at as usize].clone())?;
    }
    builder.finish()
}
