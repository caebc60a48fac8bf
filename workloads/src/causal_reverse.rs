//! Causal reverse: unique elements are added to sets one after the other, and whole sets are read. Whoever sees an
//! element sees all whose adds were completed before its own began.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value as Json;
use squall_checkers::Check;
use squall_checkers::workload::causal_reverse::CausalReverse as Reversed;
use squall_engine::generator::{Generator, KeyPool};
use squall_engine::protocol::{Setting, Workload, options};
use squall_engine::{Error, units};

use crate::common::Elements;

/// Options of the workload.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    /// Sets that live at a time.
    keys: usize,
    /// How long a set lives: it is read whole all the time, so not for long.
    #[serde(with = "units::duration")]
    life_min: Duration,
    #[serde(with = "units::duration")]
    life_max: Duration,
    /// Share of operations that read.
    reads: f64,
}

impl Default for Options {
    fn default() -> Self {
        Options { keys: 2, life_min: Duration::from_secs(1), life_max: Duration::from_secs(2), reads: 0.5 }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct CausalReverse {
    options: Options,
}

impl CausalReverse {
    pub(crate) fn build(given: &Json) -> Result<Arc<dyn Workload>, Error> {
        let o: Options = options("causal-reverse", given)?;
        if o.keys == 0 || !(0.0..1.0).contains(&o.reads) || o.life_max < o.life_min {
            return Err(Error::Config(
                "`causal-reverse` needs keys >= 1, reads between 0 and 1 (1 excluded), and life_min <= life_max"
                    .into(),
            ));
        }
        Ok(Arc::new(CausalReverse { options: o }))
    }
}

impl Workload for CausalReverse {
    fn name(&self) -> &str {
        "causal-reverse"
    }

    fn functions(&self) -> Vec<&'static str> {
        vec!["set.add", "set.read"]
    }

    fn generator(&self, setting: &Setting) -> Box<dyn Generator> {
        let o = &self.options;
        Box::new(Elements::new(KeyPool::new(setting.seed, o.keys, 0.0, o.life_min, o.life_max), o.reads))
    }

    fn checks(&self, consistency: &str) -> Result<Vec<Box<dyn Check>>, Error> {
        match consistency {
            "linearizable" | "strict-serializable" => Ok(vec![Box::new(Reversed)]),
            other => Err(Error::Config(format!(
                "the workload `causal-reverse` cannot be judged by `{other}`: it is about real time; it knows: \
                 linearizable, strict-serializable"
            ))),
        }
    }

    fn floors(&self) -> Vec<(&'static str, u64)> {
        vec![("add", 10), ("read", 10)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::testing::{drawn, is_decided_by_its_seed};

    #[test]
    fn elements_are_unique_and_half_of_the_traffic_reads() {
        let reverse = CausalReverse { options: Options::default() };
        is_decided_by_its_seed(&reverse);
        let ops = drawn(&reverse, 200);
        let added: std::collections::BTreeSet<_> =
            ops.iter().filter(|(_, op)| !op.read_only).map(|(_, op)| op.value.clone()).collect();
        assert!((350..450).contains(&added.len()));
        assert_eq!(added.len(), ops.iter().filter(|(_, op)| !op.read_only).count());
        assert!(reverse.checks("serializable").is_err());
    }
}
