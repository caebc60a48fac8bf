//! Monotonic: counters are only incremented, and each increment answers the sum; several are read together. What
//! anybody sees must fit into one direction.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value as Json;
use squall_checkers::Check;
use squall_checkers::workload::monotonic::Monotonic as OneDirection;
use squall_engine::generator::{Context, Generator, KeyPool, Next};
use squall_engine::protocol::{Setting, Workload, options};
use squall_engine::{Error, Operation, units};
use squall_history::Value;

use crate::common::must_be;

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
}

impl Default for Options {
    fn default() -> Self {
        Options { keys: 4, life_min: Duration::from_secs(3), life_max: Duration::from_secs(6), reads: 0.6 }
    }
}

const ON: &str = "counter";

/// See the module.
#[derive(Debug)]
pub(crate) struct Monotonic {
    options: Options,
}

impl Monotonic {
    pub(crate) fn build(given: &Json) -> Result<Arc<dyn Workload>, Error> {
        let o: Options = options("monotonic", given)?;
        if o.keys == 0 || !(0.0..1.0).contains(&o.reads) || o.life_max < o.life_min {
            return Err(Error::Config(
                "`monotonic` needs keys >= 1, reads between 0 and 1 (1 excluded), and life_min <= life_max"
                    .into(),
            ));
        }
        Ok(Arc::new(Monotonic { options: o }))
    }
}

impl Workload for Monotonic {
    fn name(&self) -> &str {
        "monotonic"
    }

    fn functions(&self) -> Vec<&'static str> {
        vec!["counter.increment", "counter.read"]
    }

    fn generator(&self, setting: &Setting) -> Box<dyn Generator> {
        let o = &self.options;
        Box::new(Traffic {
            reads: o.reads,
            keys: KeyPool::new(setting.seed, o.keys, 0.0, o.life_min, o.life_max),
            increment: "increment".into(),
            read: "read".into(),
        })
    }

    fn checks(&self, consistency: &str) -> Result<Vec<Box<dyn Check>>, Error> {
        must_be("monotonic", consistency, "sequential")?;
        Ok(vec![Box::new(OneDirection)])
    }

    fn floors(&self) -> Vec<(&'static str, u64)> {
        vec![("increment", 10), ("read", 10)]
    }
}

#[derive(Debug)]
struct Traffic {
    reads: f64,
    keys: KeyPool,
    increment: Arc<str>,
    read: Arc<str>,
}

impl Generator for Traffic {
    fn next(&mut self, ctx: &mut Context) -> Next {
        let op = if ctx.rng.chance(self.reads) {
            let all = self.keys.living(ctx.due).into_iter().map(Value::Int).collect::<Vec<_>>();
            Operation::read(&self.read, Value::Nil, Value::list(all))
        } else {
            let key = self.keys.pick(&mut ctx.rng, ctx.due);
            Operation::new(&self.increment, key.into(), 1.into())
        };
        Next::Op(op.on(ON), ctx.due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::testing::{drawn, is_decided_by_its_seed};

    #[test]
    fn reads_are_of_all_counters_and_increments_of_one() {
        let monotonic = Monotonic { options: Options::default() };
        is_decided_by_its_seed(&monotonic);
        for (_, op) in drawn(&monotonic, 100) {
            match &*op.f {
                "read" => assert!(op.read_only && op.key.is_nil() && op.value.as_list().unwrap().len() == 4),
                _ => assert!(!op.key.is_nil() && op.value == 1.into()),
            }
        }
        assert!(monotonic.checks("sequential").is_ok() && monotonic.checks("causal").is_err());
    }
}
