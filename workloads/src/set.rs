//! Sets: unique elements are added, whole sets are read all the time and once more at the end.
//!
//! A set lives for a while and is then left alone, so that reads stay small.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value as Json;
use squall_checkers::Check;
use squall_checkers::workload::set_full::SetFull;
use squall_engine::generator::{FinalReads, Generator, Key, KeyPool};
use squall_engine::protocol::{Setting, Workload, options};
use squall_engine::{Error, Operation, units};
use squall_history::Value;

use crate::common::Elements;

/// Options of the workload.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    /// Sets that live at a time.
    keys: usize,
    /// How long a set lives.
    #[serde(with = "units::duration")]
    life_min: Duration,
    #[serde(with = "units::duration")]
    life_max: Duration,
    /// Share of operations that read.
    reads: f64,
}

impl Default for Options {
    fn default() -> Self {
        Options { keys: 4, life_min: Duration::from_secs(5), life_max: Duration::from_secs(10), reads: 0.2 }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Set {
    options: Options,
}

const ON: &str = "set";

impl Set {
    pub(crate) fn build(given: &Json) -> Result<Arc<dyn Workload>, Error> {
        let options: Options = options("set", given)?;
        if options.keys == 0 || !(0.0..1.0).contains(&options.reads) || options.life_max < options.life_min {
            return Err(Error::Config(
                "`set` needs keys >= 1, reads between 0 and 1 (1 excluded), and life_min <= life_max".into(),
            ));
        }
        Ok(Arc::new(Set { options }))
    }

    fn keys(&self, setting: &Setting) -> KeyPool {
        let o = &self.options;
        KeyPool::new(setting.seed, o.keys, 0.0, o.life_min, o.life_max)
    }
}

impl Workload for Set {
    fn name(&self) -> &str {
        "set"
    }

    fn functions(&self) -> Vec<&'static str> {
        vec!["set.add", "set.read"]
    }

    fn generator(&self, setting: &Setting) -> Box<dyn Generator> {
        Box::new(Elements::new(self.keys(setting), self.options.reads))
    }

    fn finish(&self, setting: &Setting) -> Option<Box<dyn Generator>> {
        let read = |key: Key| Operation::read(&"read".into(), key.into(), Value::Nil).on(ON);
        Some(Box::new(FinalReads::new(self.keys(setting), read)))
    }

    fn checks(&self, consistency: &str) -> Result<Vec<Box<dyn Check>>, Error> {
        match consistency {
            "linearizable" => Ok(vec![Box::new(SetFull { linearizable: true })]),
            // Weaker promises still forbid losing what was acknowledged.
            "sequential" | "serializable" => Ok(vec![Box::new(SetFull { linearizable: false })]),
            other => Err(Error::Config(format!(
                "the workload `set` cannot be judged by `{other}`; it knows: linearizable, sequential, \
                 serializable"
            ))),
        }
    }

    fn floors(&self) -> Vec<(&'static str, u64)> {
        vec![("add", 10), ("read", 10)]
    }
}
