//! Counters: numbers are added, sums are read.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value as Json;
use squall_checkers::txn::watch::Watch;
use squall_checkers::workload::counter::Counter as Bounds;
use squall_checkers::{Budget, Check, Live};
use squall_engine::generator::{Context, FinalReads, Generator, Key, KeyPool, Next};
use squall_engine::protocol::{Setting, Workload, options};
use squall_engine::{Error, Operation, units};
use squall_history::Value;

/// Options of the workload.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    /// Counters that live at a time.
    keys: usize,
    /// How long a counter lives.
    #[serde(with = "units::duration")]
    life_min: Duration,
    #[serde(with = "units::duration")]
    life_max: Duration,
    /// Share of operations that read.
    reads: f64,
    /// The most that is added, or taken away, at once.
    amount_max: u64,
    /// Share of additions that take away.
    negative: f64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            keys: 4,
            life_min: Duration::from_secs(5),
            life_max: Duration::from_secs(10),
            reads: 0.4,
            amount_max: 5,
            negative: 0.25,
        }
    }
}

const ON: &str = "counter";

/// See the module.
#[derive(Debug)]
pub(crate) struct Counter {
    options: Options,
}

impl Counter {
    pub(crate) fn build(given: &Json) -> Result<Arc<dyn Workload>, Error> {
        let o: Options = options("counter", given)?;
        let shares = [o.reads, o.negative].iter().all(|s| (0.0..=1.0).contains(s));
        if o.keys == 0 || !shares || o.amount_max == 0 || o.amount_max > 1 << 30 || o.life_max < o.life_min {
            return Err(Error::Config(
                "`counter` needs keys >= 1, reads and negative between 0 and 1, amount_max from 1 to 2^30, and \
                 life_min <= life_max"
                    .into(),
            ));
        }
        Ok(Arc::new(Counter { options: o }))
    }

    fn keys(&self, setting: &Setting) -> KeyPool {
        let o = &self.options;
        KeyPool::new(setting.seed, o.keys, 0.0, o.life_min, o.life_max)
    }
}

impl Workload for Counter {
    fn name(&self) -> &str {
        "counter"
    }

    fn functions(&self) -> Vec<&'static str> {
        vec!["counter.add", "counter.read"]
    }

    fn generator(&self, setting: &Setting) -> Box<dyn Generator> {
        Box::new(Traffic {
            options: self.options.clone(),
            keys: self.keys(setting),
            add: "add".into(),
            read: "read".into(),
        })
    }

    fn finish(&self, setting: &Setting) -> Option<Box<dyn Generator>> {
        let read = |key: Key| Operation::read(&"read".into(), key.into(), Value::Nil).on(ON);
        Some(Box::new(FinalReads::new(self.keys(setting), read)))
    }

    fn checks(&self, consistency: &str) -> Result<Vec<Box<dyn Check>>, Error> {
        match consistency {
            "linearizable" => Ok(vec![Box::new(Bounds)]),
            other => Err(Error::Config(format!(
                "the workload `counter` cannot be judged by `{other}`; it knows: linearizable"
            ))),
        }
    }

    fn live(&self, _consistency: &str) -> Option<Box<dyn Live>> {
        Some(Box::new(Watch::new(Box::new(Bounds), Budget::default(), LIVE_EVERY)))
    }

    fn floors(&self) -> Vec<(&'static str, u64)> {
        vec![("add", 10), ("read", 10)]
    }
}

/// While a run goes on it is judged again after so many operations at the earliest.
const LIVE_EVERY: usize = 200;

#[derive(Debug)]
struct Traffic {
    options: Options,
    keys: KeyPool,
    add: Arc<str>,
    read: Arc<str>,
}

impl Generator for Traffic {
    fn next(&mut self, ctx: &mut Context) -> Next {
        let o = &self.options;
        let key = self.keys.pick(&mut ctx.rng, ctx.due).into();
        let op = if ctx.rng.chance(o.reads) {
            Operation::read(&self.read, key, Value::Nil)
        } else {
            let amount = 1 + ctx.rng.below(o.amount_max) as i64;
            let amount = if ctx.rng.chance(o.negative) { -amount } else { amount };
            Operation::new(&self.add, key, Value::Int(amount))
        };
        Next::Op(op.on(ON), ctx.due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::testing::{drawn, is_decided_by_its_seed};

    #[test]
    fn amounts_are_bounded_and_go_both_ways() {
        let counter = Counter { options: Options::default() };
        is_decided_by_its_seed(&counter);
        let ops = drawn(&counter, 300);
        let amounts: Vec<i64> =
            ops.iter().filter(|(_, op)| &*op.f == "add").map(|(_, op)| op.value.as_int().unwrap()).collect();
        assert!(amounts.iter().all(|a| *a != 0 && a.abs() <= 5));
        let negative = amounts.iter().filter(|a| **a < 0).count() as f64 / amounts.len() as f64;
        assert!((0.2..0.3).contains(&negative), "{negative}");
        assert!(ops.iter().all(|(_, op)| op.read_only == (&*op.f == "read")));
    }
}
