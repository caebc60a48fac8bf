//! Queues: unique elements go in and come out; at the end every queue is emptied.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value as Json;
use squall_checkers::Check;
use squall_checkers::linear::{Linearizable, Options as LinearOptions};
use squall_checkers::models::ModelName;
use squall_checkers::workload::queue::TotalQueue;
use squall_engine::generator::{Context, Generator, Key, KeyPool, Next};
use squall_engine::protocol::{Setting, Workload, options};
use squall_engine::{Error, Operation, units};
use squall_history::{Event, EventKind, Value};

use crate::common::number;

/// Options of the workload.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    /// Queues that live at a time.
    keys: usize,
    /// How long a queue is used before only the end empties it.
    #[serde(with = "units::duration")]
    life_min: Duration,
    #[serde(with = "units::duration")]
    life_max: Duration,
    /// Share of operations that take something out.
    dequeues: f64,
}

impl Default for Options {
    fn default() -> Self {
        Options { keys: 8, life_min: Duration::from_secs(3), life_max: Duration::from_secs(6), dequeues: 0.6 }
    }
}

const ON: &str = "queue";

/// See the module.
#[derive(Debug)]
pub(crate) struct Queue {
    options: Options,
}

impl Queue {
    pub(crate) fn build(given: &Json) -> Result<Arc<dyn Workload>, Error> {
        let o: Options = options("queue", given)?;
        if o.keys == 0 || !(0.0..1.0).contains(&o.dequeues) || o.life_max < o.life_min {
            return Err(Error::Config(
                "`queue` needs keys >= 1, dequeues between 0 and 1 (1 excluded), and life_min <= life_max"
                    .into(),
            ));
        }
        Ok(Arc::new(Queue { options: o }))
    }

    fn keys(&self, setting: &Setting) -> KeyPool {
        let o = &self.options;
        KeyPool::new(setting.seed, o.keys, 0.0, o.life_min, o.life_max)
    }
}

impl Workload for Queue {
    fn name(&self) -> &str {
        "queue"
    }

    fn functions(&self) -> Vec<&'static str> {
        vec!["queue.enqueue", "queue.dequeue"]
    }

    fn generator(&self, setting: &Setting) -> Box<dyn Generator> {
        Box::new(Traffic {
            dequeues: self.options.dequeues,
            keys: self.keys(setting),
            enqueue: "enqueue".into(),
            dequeue: "dequeue".into(),
        })
    }

    fn finish(&self, setting: &Setting) -> Option<Box<dyn Generator>> {
        Some(Box::new(Emptying {
            keys: self.keys(setting),
            left: None,
            busy: BTreeMap::new(),
            workers: setting.workers,
            dequeue: "dequeue".into(),
        }))
    }

    fn checks(&self, consistency: &str) -> Result<Vec<Box<dyn Check>>, Error> {
        match consistency {
            "linearizable" => Ok(vec![
                Box::new(Linearizable::new(LinearOptions::new(ModelName::FifoQueue))),
                Box::new(TotalQueue { at_least_once: false, seen_empty: true }),
            ]),
            other => Err(Error::Config(format!(
                "the workload `queue` cannot be judged by `{other}`; it knows: linearizable"
            ))),
        }
    }

    fn floors(&self) -> Vec<(&'static str, u64)> {
        vec![("enqueue", 10), ("dequeue", 10)]
    }
}

#[derive(Debug)]
struct Traffic {
    dequeues: f64,
    keys: KeyPool,
    enqueue: Arc<str>,
    dequeue: Arc<str>,
}

impl Generator for Traffic {
    fn next(&mut self, ctx: &mut Context) -> Next {
        let key = self.keys.pick(&mut ctx.rng, ctx.due).into();
        let op = if ctx.rng.chance(self.dequeues) {
            Operation::new(&self.dequeue, key, Value::Nil)
        } else {
            Operation::new(&self.enqueue, key, Value::Int(number(ctx) as i64))
        };
        Next::Op(op.on(ON), ctx.due)
    }
}

/// Times that one queue is asked again after something went wrong.
const TRIES_MAX: u32 = 30;

/// Empties every queue: each by one worker, until it is seen to be empty.
#[derive(Debug)]
struct Emptying {
    keys: KeyPool,
    left: Option<VecDeque<Key>>,
    // What each worker empties, and how often something went wrong with that.
    busy: BTreeMap<usize, (Key, u32)>,
    workers: usize,
    dequeue: Arc<str>,
}

impl Generator for Emptying {
    fn next(&mut self, ctx: &mut Context) -> Next {
        let left = self.left.get_or_insert_with(|| self.keys.lived(ctx.time).into());
        let key = match self.busy.get(&ctx.worker) {
            Some((key, _)) => *key,
            None => {
                let Some(key) = left.pop_front() else { return Next::Done };
                self.busy.insert(ctx.worker, (key, 0));
                key
            }
        };
        Next::Op(Operation::new(&self.dequeue, key.into(), Value::Nil).on(ON), ctx.due)
    }

    fn update(&mut self, event: &Event) {
        let worker = event.process as usize % self.workers;
        let Some((_, tries)) = self.busy.get_mut(&worker) else { return };
        match event.kind {
            EventKind::Invoke => return,
            EventKind::Ok if !event.value.is_nil() => return,
            EventKind::Fail | EventKind::Info => *tries += 1,
            EventKind::Ok => *tries = TRIES_MAX,
        }
        if *tries >= TRIES_MAX {
            self.busy.remove(&worker);
        }
    }

    fn listens(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::testing::{SETTING, ask, drawn, is_decided_by_its_seed};

    #[test]
    fn elements_are_unique_and_more_is_taken_than_given() {
        let queue = Queue { options: Options::default() };
        is_decided_by_its_seed(&queue);
        let ops = drawn(&queue, 300);
        let mut seen = std::collections::BTreeSet::new();
        let given = ops.iter().filter(|(_, op)| &*op.f == "enqueue").inspect(|(_, op)| {
            assert!(seen.insert(op.value.clone()));
        });
        assert!((400..560).contains(&given.count()));
    }

    #[test]
    fn every_queue_is_emptied_until_it_is_seen_to_be_empty() {
        let queue = Queue { options: Options { keys: 2, ..Options::default() } };
        let mut end = queue.finish(&SETTING).unwrap();
        let first = ask(&mut *end, 0, 0).unwrap();
        let tell = |end: &mut dyn Generator, kind, value| {
            let (f, key) = (first.f.clone(), first.key.clone());
            end.update(&Event { kind, process: 4, time: 0, intended: 0, f, key, value, meta: None });
        };
        for (kind, value) in
            [(EventKind::Ok, 5.into()), (EventKind::Fail, Value::Nil), (EventKind::Info, Value::Nil)]
        {
            tell(&mut *end, kind, value);
            assert_eq!(ask(&mut *end, 0, 1).unwrap().key, first.key);
        }
        assert_ne!(ask(&mut *end, 1, 0).unwrap().key, first.key);
        tell(&mut *end, EventKind::Ok, Value::Nil);
        assert!(ask(&mut *end, 0, 2).is_none(), "there are two queues");
    }
}
