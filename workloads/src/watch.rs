//! Watch: writers change keys, and watchers follow everything from a revision on, slice by slice.
//!
//! The first workers watch, one for each node (never more than half of the workers); the others put and delete keys,
//! one at a time or several at one moment. A watcher asks for everything from where it is, is told what comes within
//! `wait`, and goes on after the last revision that it was told of: on the same node `stay` times, on the same
//! stream where the client keeps one, then on the next. Now and then it begins again at an earlier revision. At the
//! end a writer marks the end of the log, and a watcher on every node reads it from the beginning.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value as Json;
use squall_checkers::workload::watch::Watch as Told;
use squall_checkers::{Budget, Check, Live};
use squall_engine::generator::{Context, Generator, Next};
use squall_engine::protocol::{Setting, Workload, options};
use squall_engine::{Error, Operation, units};
use squall_history::{Event, EventKind, Value};

use crate::common::number;

/// Options of the workload.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    /// Keys.
    keys: u64,
    /// How long a slice waits for something to be told, at most; less than an operation may take.
    #[serde(with = "units::duration")]
    wait: Duration,
    /// Slices on one node before the next move.
    stay: u64,
    /// Ask for a bookmark at the beginning of each stream: how far the store says that it has told everything.
    bookmarks: bool,
    /// Share of moves with which a watcher begins again at an earlier revision.
    look_back: f64,
}

impl Default for Options {
    fn default() -> Self {
        Options { keys: 8, wait: Duration::from_millis(500), stay: 10, bookmarks: false, look_back: 0.2 }
    }
}

const ON: &str = "watch";
/// While a run goes on it is judged again after so many operations at the earliest.
const LIVE_EVERY: usize = 300;
/// Keys of one change, at most.
const KEYS_MAX: u64 = 3;

/// See the module.
#[derive(Debug)]
pub(crate) struct Watch {
    options: Options,
}

impl Watch {
    pub(crate) fn build(given: &Json) -> Result<Arc<dyn Workload>, Error> {
        let o: Options = options("watch", given)?;
        if o.keys == 0 || o.stay == 0 || o.wait.is_zero() || !(0.0..=1.0).contains(&o.look_back) {
            return Err(Error::Config(
                "`watch` needs keys >= 1, stay >= 1, a wait, and look_back between 0 and 1".into(),
            ));
        }
        Ok(Arc::new(Watch { options: o }))
    }
}

impl Workload for Watch {
    fn name(&self) -> &str {
        "watch"
    }

    fn functions(&self) -> Vec<&'static str> {
        vec!["watch.change", "watch.watch"]
    }

    fn generator(&self, setting: &Setting) -> Box<dyn Generator> {
        Box::new(Traffic {
            options: self.options.clone(),
            nodes: setting.nodes,
            next: Vec::new(),
            change: "change".into(),
            watch: "watch".into(),
        })
    }

    fn finish(&self, setting: &Setting) -> Option<Box<dyn Generator>> {
        Some(Box::new(Last {
            options: self.options.clone(),
            nodes: setting.nodes,
            end: None,
            marks: 0,
            next: vec![1; setting.workers],
        }))
    }

    /// What a watcher is told has nothing to do with how reads are done.
    fn checks(&self, _consistency: &str) -> Result<Vec<Box<dyn Check>>, Error> {
        Ok(vec![Box::new(Told)])
    }

    fn live(&self, _consistency: &str) -> Option<Box<dyn Live>> {
        Some(Box::new(squall_checkers::txn::watch::Watch::new(Box::new(Told), Budget::default(), LIVE_EVERY)))
    }

    fn floors(&self) -> Vec<(&'static str, u64)> {
        vec![("change", 20), ("watch", 10)]
    }
}

/// How many of the workers watch.
fn watchers(workers: usize, nodes: usize) -> usize {
    nodes.min(workers / 2).max(1)
}

/// What comes from this revision on, within `wait`.
fn slice(f: &Arc<str>, from: i64, o: &Options) -> Operation {
    let value = Value::list([from.into(), (o.wait.as_millis() as i64).into(), Value::Bool(o.bookmarks)]);
    Operation::read(f, Value::Nil, value).on(ON)
}

/// From where a watcher goes on after this answer. One that asked for what is compacted goes on with the oldest
/// that there is.
fn after(answer: &Value) -> Option<i64> {
    let answers = answer.as_list()?;
    if let [first, at] = answers
        && first.as_str() == Some("compacted")
    {
        return at.as_int();
    }
    let items = answers.iter().filter_map(Value::as_list).flatten();
    Some(items.filter_map(|item| item.as_list()?.first()?.as_int()).max()? + 1)
}

#[derive(Debug)]
struct Traffic {
    options: Options,
    nodes: usize,
    /// Of each worker, the first revision that it was not told of.
    next: Vec<i64>,
    change: Arc<str>,
    watch: Arc<str>,
}

impl Generator for Traffic {
    fn next(&mut self, ctx: &mut Context) -> Next {
        self.next.resize(self.next.len().max(ctx.workers), 1);
        let watches = match ctx.workers {
            // Alone it does both in turn.
            1 => ctx.index % 2 == 1,
            workers => ctx.worker < watchers(workers, self.nodes),
        };
        let op = if watches {
            let (stay, next) = (self.options.stay, &mut self.next[ctx.worker]);
            if ctx.index.is_multiple_of(stay) && ctx.rng.chance(self.options.look_back) {
                *next -= ctx.rng.below(*next as u64) as i64;
            }
            let node = (ctx.worker + (ctx.index / stay) as usize) % self.nodes;
            slice(&self.watch, *next, &self.options).at(node)
        } else {
            Operation::new(&self.change, Value::Nil, self.writes(ctx)).on(ON)
        };
        Next::Op(op, ctx.due)
    }

    fn update(&mut self, event: &Event) {
        let workers = self.next.len();
        if event.kind == EventKind::Ok && *event.f == *self.watch && workers > 0 {
            let mine = &mut self.next[event.process as usize % workers];
            *mine = after(&event.value).unwrap_or(*mine);
        }
    }

    fn listens(&self) -> bool {
        true
    }
}

impl Traffic {
    /// One put or one delete, or several keys at one moment of which at least one is put.
    fn writes(&self, ctx: &mut Context) -> Value {
        let several = self.options.keys > 1 && ctx.rng.chance(0.3);
        let count = if several { 2 + ctx.rng.below(KEYS_MAX.min(self.options.keys) - 1) } else { 1 };
        let first = ctx.rng.below(self.options.keys);
        let writes: Vec<Value> = (0..count)
            .map(|i| {
                let key = ((first + i) % self.options.keys) as i64;
                let delete = if several { i > 0 && ctx.rng.chance(0.3) } else { ctx.rng.chance(0.2) };
                Value::list([key.into(), if delete { Value::Nil } else { value(ctx, i) }])
            })
            .collect();
        Value::list(writes)
    }
}

/// The value that this operation puts as its `i`-th, unique over the run.
fn value(ctx: &Context, i: u64) -> Value {
    Value::Int((number(ctx) * KEYS_MAX + i) as i64 + 1)
}

fn put(key: i64, value: Value) -> Value {
    Value::list([Value::list([key.into(), value])])
}

/// Tries to mark the end, at most.
const MARKS_MAX: u64 = 50;

/// See the module: the end is marked, and then the whole log is read on every node.
#[derive(Debug)]
struct Last {
    options: Options,
    nodes: usize,
    /// The revision of the mark.
    end: Option<i64>,
    marks: u64,
    next: Vec<i64>,
}

impl Generator for Last {
    fn next(&mut self, ctx: &mut Context) -> Next {
        let me = ctx.worker;
        let watchers = watchers(ctx.workers, self.nodes);
        let marker = if ctx.workers == 1 { 0 } else { watchers };
        let tries = self.end.is_none() && self.marks < MARKS_MAX;
        if me == marker && tries {
            self.marks += 1;
            return Next::Op(
                Operation::new(&"change".into(), Value::Nil, put(0, value(ctx, 0))).on(ON),
                ctx.due,
            );
        }
        match self.end {
            _ if me >= watchers => Next::Done,
            Some(end) if self.next[me] <= end => {
                Next::Op(slice(&"watch".into(), self.next[me], &self.options).at(me % self.nodes), ctx.due)
            }
            None if tries => Next::Pending,
            _ => Next::Done,
        }
    }

    fn update(&mut self, event: &Event) {
        let me = event.process as usize % self.next.len();
        match &*event.f {
            _ if event.kind != EventKind::Ok => {}
            "change" => self.end = self.end.max(event.value.as_int()),
            _ => {
                self.next[me] = after(&event.value).map_or(self.next[me], |next| next.max(self.next[me]));
            }
        }
    }

    fn listens(&self) -> bool {
        true
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
