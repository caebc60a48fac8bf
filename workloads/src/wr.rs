//! Transactions of reads and unique writes over several keys, in two shapes.
//!
//! `wr`: every key that is written is read first, so that each write names the one it replaced and the order of
//! versions needs no guessing. `internal`: one or two keys, each read and written several times in turn, so that a
//! transaction must see its own writes.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value as Json;
use squall_checkers::txn::watch::watch_plain;
use squall_checkers::{Check, Live};
use squall_engine::generator::{Context, Generator, KeyPool, Next};
use squall_engine::protocol::{Setting, Workload, options};
use squall_engine::{Error, Operation, units};
use squall_history::Value;

use crate::common::{number, of_transactions, plain};

/// Options of the workload.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    /// Keys that live at a time.
    keys: usize,
    /// How long a key lives.
    #[serde(with = "units::duration")]
    life_min: Duration,
    #[serde(with = "units::duration")]
    life_max: Duration,
    /// Most keys of a transaction.
    length_max: u64,
    /// Share of the keys of a transaction that it writes.
    writes: f64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            keys: 8,
            life_min: Duration::from_secs(2),
            life_max: Duration::from_secs(5),
            length_max: 3,
            writes: 0.4,
        }
    }
}

/// While a run goes on it is judged again after so many transactions at the earliest.
const LIVE_EVERY: usize = 500;

/// Which transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Across,
    Within,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Wr {
    options: Options,
    shape: Shape,
}

impl Wr {
    pub(crate) fn build(given: &Json) -> Result<Arc<dyn Workload>, Error> {
        Ok(Arc::new(Wr::of(Shape::Across, given)?))
    }

    pub(crate) fn build_internal(given: &Json) -> Result<Arc<dyn Workload>, Error> {
        Ok(Arc::new(Wr::of(Shape::Within, given)?))
    }

    fn of(shape: Shape, given: &Json) -> Result<Self, Error> {
        let name = if shape == Shape::Across { "wr" } else { "internal" };
        let o: Options = options(name, given)?;
        if o.keys == 0 || o.length_max == 0 || !(0.0..=1.0).contains(&o.writes) || o.life_max < o.life_min {
            return Err(Error::Config(format!(
                "`{name}` needs keys >= 1, length_max >= 1, writes between 0 and 1, and life_min <= life_max"
            )));
        }
        Ok(Wr { options: o, shape })
    }
}

impl Workload for Wr {
    fn name(&self) -> &str {
        match self.shape {
            Shape::Across => "wr",
            Shape::Within => "internal",
        }
    }

    fn functions(&self) -> Vec<&'static str> {
        vec!["wr.txn"]
    }

    fn generator(&self, setting: &Setting) -> Box<dyn Generator> {
        let o = &self.options;
        Box::new(Traffic {
            options: o.clone(),
            shape: self.shape,
            keys: KeyPool::new(setting.seed, o.keys, 0.0, o.life_min, o.life_max),
            txn: "txn".into(),
        })
    }

    fn consistency(&self, promised: &str) -> String {
        of_transactions(promised)
    }

    fn checks(&self, consistency: &str) -> Result<Vec<Box<dyn Check>>, Error> {
        plain(self.name(), consistency)
    }

    fn live(&self, consistency: &str) -> Option<Box<dyn Live>> {
        let check = self.checks(consistency).ok()?.pop()?;
        Some(watch_plain(consistency, check, LIVE_EVERY))
    }

    fn floors(&self) -> Vec<(&'static str, u64)> {
        vec![("txn", 20)]
    }
}

#[derive(Debug)]
struct Traffic {
    options: Options,
    shape: Shape,
    keys: KeyPool,
    txn: Arc<str>,
}

/// Steps that a transaction of the inner shape does on one key.
const WITHIN: u64 = 2;

impl Generator for Traffic {
    fn next(&mut self, ctx: &mut Context) -> Next {
        let most = if self.shape == Shape::Within { 2 } else { self.options.length_max };
        let length = 1 + ctx.rng.below(most);
        let mut keys: Vec<i64> = (0..length).map(|_| self.keys.pick(&mut ctx.rng, ctx.due)).collect();
        keys.sort_unstable();
        keys.dedup();
        let read = |key: i64| Value::list([Value::str("r"), key.into(), Value::Nil]);
        // Unique over the run, and so for every key.
        let mut fresh = number(ctx) * self.options.length_max.max(2) * WITHIN;
        let mut write = |key: i64| {
            fresh += 1;
            Value::list([Value::str("w"), key.into(), Value::Int(fresh as i64)])
        };
        let mut steps = Vec::new();
        let mut reads_only = true;
        for key in keys {
            steps.push(read(key));
            if !ctx.rng.chance(self.options.writes) {
                continue;
            }
            reads_only = false;
            steps.push(write(key));
            if self.shape == Shape::Within {
                steps.extend([read(key), write(key), read(key)]);
            }
        }
        let op = Operation::new(&self.txn, Value::Nil, Value::list(steps)).on("wr");
        Next::Op(Operation { read_only: reads_only, ..op }, ctx.due)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::common::testing::{drawn, is_decided_by_its_seed};

    fn steps(op: &Operation) -> Vec<(String, Value, Value)> {
        let step = |s: &Value| {
            let [f, key, value] = s.as_list().unwrap() else { panic!("{s}") };
            (f.as_str().unwrap().to_owned(), key.clone(), value.clone())
        };
        op.value.as_list().unwrap().iter().map(step).collect()
    }

    #[test]
    fn every_write_is_unique_and_of_a_key_that_was_read_before() {
        for shape in [Shape::Across, Shape::Within] {
            let wr = Wr { options: Options::default(), shape };
            is_decided_by_its_seed(&wr);
            let mut written = BTreeSet::new();
            for (_, op) in drawn(&wr, 300) {
                let mut read = BTreeSet::new();
                let mut reads_only = true;
                for (f, key, value) in steps(&op) {
                    match f.as_str() {
                        "r" => drop(read.insert(key)),
                        _ => {
                            reads_only = false;
                            assert!(read.contains(&key) && written.insert(value));
                        }
                    }
                }
                assert_eq!(op.read_only, reads_only);
            }
            assert!(written.len() > 400, "{}", written.len());
        }
    }

    #[test]
    fn inner_transactions_write_and_read_again() {
        let within = Wr { options: Options::default(), shape: Shape::Within };
        let long = drawn(&within, 50).into_iter().filter(|(_, op)| steps(op).len() >= 5).count();
        assert!(long > 50, "{long}");
    }
}
