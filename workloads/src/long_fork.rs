//! Long fork: groups of keys, each written once; whole groups are read. All readers must agree on the order in
//! which the writes of a group happened.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value as Json;
use squall_checkers::Check;
use squall_checkers::workload::long_fork::LongFork as Forks;
use squall_engine::generator::{Context, Generator, KeyPool, Next};
use squall_engine::protocol::{Setting, Workload, options};
use squall_engine::{Error, Operation, units};
use squall_history::Value;

use crate::common::{must_be, of_transactions};

/// Options of the workload.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    /// Groups that live at a time.
    groups: usize,
    /// Keys of a group, each written by a worker of its own.
    size: u64,
    /// How long a group lives.
    #[serde(with = "units::duration")]
    life: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options { groups: 4, size: 4, life: Duration::from_millis(100) }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct LongFork {
    options: Options,
}

impl LongFork {
    pub(crate) fn build(given: &Json) -> Result<Arc<dyn Workload>, Error> {
        let o: Options = options("long-fork", given)?;
        if o.groups == 0 || !(2..=64).contains(&o.size) || o.life.is_zero() {
            return Err(Error::Config(
                "`long-fork` needs groups >= 1, size from 2 to 64, and life > 0".into(),
            ));
        }
        Ok(Arc::new(LongFork { options: o }))
    }
}

impl Workload for LongFork {
    fn name(&self) -> &str {
        "long-fork"
    }

    fn functions(&self) -> Vec<&'static str> {
        vec!["wr.txn"]
    }

    fn generator(&self, setting: &Setting) -> Box<dyn Generator> {
        let o = &self.options;
        let groups = KeyPool::new(setting.seed, o.groups, 0.0, o.life, o.life);
        Box::new(Traffic { size: o.size, groups, wrote: vec![None; setting.workers], txn: "txn".into() })
    }

    fn consistency(&self, promised: &str) -> String {
        of_transactions(promised)
    }

    fn checks(&self, consistency: &str) -> Result<Vec<Box<dyn Check>>, Error> {
        must_be("long-fork", consistency, "snapshot-isolation")?;
        Ok(vec![Box::new(Forks)])
    }

    fn floors(&self) -> Vec<(&'static str, u64)> {
        vec![("txn", 20)]
    }
}

#[derive(Debug)]
struct Traffic {
    size: u64,
    groups: KeyPool,
    // By worker: the last group in which it wrote its key.
    wrote: Vec<Option<i64>>,
    txn: Arc<str>,
}

impl Generator for Traffic {
    /// A worker writes its own key when it comes to a newer group, and reads the group otherwise. So each key
    /// has one writer, who writes it once.
    fn next(&mut self, ctx: &mut Context) -> Next {
        let group = self.groups.pick(&mut ctx.rng, ctx.due);
        let size = self.size as i64;
        let key = |i: i64| Value::Int(group * size + i);
        let mine = ctx.worker as i64;
        let write = mine < size && self.wrote[ctx.worker].is_none_or(|last| last < group);
        let op = if write {
            self.wrote[ctx.worker] = Some(group);
            Operation::new(
                &self.txn,
                Value::Nil,
                Value::list([Value::list([Value::str("w"), key(mine), 1.into()])]),
            )
        } else {
            let reads = (0..size).map(|i| Value::list([Value::str("r"), key(i), Value::Nil]));
            Operation::read(&self.txn, Value::Nil, Value::list(reads.collect::<Vec<_>>()))
        };
        Next::Op(op.on("wr"), ctx.due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::testing::{drawn, is_decided_by_its_seed};

    #[test]
    fn every_key_is_written_once_and_groups_are_read_whole() {
        let fork = LongFork { options: Options::default() };
        is_decided_by_its_seed(&fork);
        let mut written = std::collections::BTreeSet::new();
        let mut reads = 0;
        for (_, op) in drawn(&fork, 300) {
            let steps = op.value.as_list().unwrap();
            if op.read_only {
                reads += 1;
                assert_eq!(steps.len(), 4);
            } else {
                assert_eq!(steps.len(), 1);
                assert!(written.insert(steps[0].as_list().unwrap()[1].clone()));
            }
        }
        assert!(reads > 300 && written.len() > 50, "{reads} {}", written.len());
    }
}
