//! Reads and unique writes by which knowledge travels, in two shapes.
//!
//! `causal`: every worker reads one key and writes another, in turn, so that what it writes depends on what it
//! read, across keys and nodes; judged by causal consistency. `session`: every worker moves from node to node
//! and reads and writes as it goes; judged by the session guarantees. Where a store promises less than that, by
//! what it promises.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value as Json;
use squall_checkers::Check;
use squall_checkers::linear::{Linearizable, Options as LinearOptions};
use squall_checkers::models::ModelName;
use squall_engine::generator::{Context, Generator, KeyPool, Next};
use squall_engine::protocol::{Setting, Workload, options};
use squall_engine::{Error, Operation, units};
use squall_history::Value;

use crate::common::{at_most, number, plain};

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
    /// `session`: operations on one node before the next move.
    stay: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options { keys: 6, life_min: Duration::from_secs(2), life_max: Duration::from_secs(4), stay: 2 }
    }
}

/// How knowledge travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Chains,
    Moves,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Causal {
    options: Options,
    shape: Shape,
}

impl Causal {
    pub(crate) fn build(given: &Json) -> Result<Arc<dyn Workload>, Error> {
        Ok(Arc::new(Causal::of(Shape::Chains, given)?))
    }

    pub(crate) fn build_session(given: &Json) -> Result<Arc<dyn Workload>, Error> {
        Ok(Arc::new(Causal::of(Shape::Moves, given)?))
    }

    fn of(shape: Shape, given: &Json) -> Result<Self, Error> {
        let name = if shape == Shape::Chains { "causal" } else { "session" };
        let o: Options = options(name, given)?;
        if o.keys == 0 || o.stay == 0 || o.life_max < o.life_min {
            return Err(Error::Config(format!(
                "`{name}` needs keys >= 1, stay >= 1, and life_min <= life_max"
            )));
        }
        Ok(Causal { options: o, shape })
    }
}

impl Workload for Causal {
    fn name(&self) -> &str {
        match self.shape {
            Shape::Chains => "causal",
            Shape::Moves => "session",
        }
    }

    fn functions(&self) -> Vec<&'static str> {
        vec!["read", "write"]
    }

    fn generator(&self, setting: &Setting) -> Box<dyn Generator> {
        let o = &self.options;
        Box::new(Traffic {
            stay: o.stay,
            shape: self.shape,
            nodes: setting.nodes,
            keys: KeyPool::new(setting.seed, o.keys, 0.0, o.life_min, o.life_max),
            read: "read".into(),
            write: "write".into(),
        })
    }

    fn consistency(&self, promised: &str) -> String {
        match self.shape {
            Shape::Chains => at_most(promised, "causal"),
            Shape::Moves => at_most(promised, "session-guarantees"),
        }
    }

    fn checks(&self, consistency: &str) -> Result<Vec<Box<dyn Check>>, Error> {
        if consistency == "linearizable" {
            return Ok(vec![Box::new(Linearizable::new(LinearOptions::new(ModelName::Register)))]);
        }
        plain(self.name(), consistency)
    }

    fn floors(&self) -> Vec<(&'static str, u64)> {
        vec![("read", 10), ("write", 10)]
    }
}

#[derive(Debug)]
struct Traffic {
    stay: u64,
    shape: Shape,
    nodes: usize,
    keys: KeyPool,
    read: Arc<str>,
    write: Arc<str>,
}

impl Generator for Traffic {
    fn next(&mut self, ctx: &mut Context) -> Next {
        let key = self.keys.pick(&mut ctx.rng, ctx.due).into();
        let reads = match self.shape {
            Shape::Chains => ctx.index.is_multiple_of(2),
            Shape::Moves => ctx.rng.chance(0.6),
        };
        let op = if reads {
            Operation::read(&self.read, key, Value::Nil)
        } else {
            Operation::new(&self.write, key, Value::Int(number(ctx) as i64 + 1))
        };
        let op = match self.shape {
            Shape::Chains => op,
            // Round all nodes, each worker from its own.
            Shape::Moves => op.at((ctx.worker + (ctx.index / self.stay) as usize) % self.nodes),
        };
        Next::Op(op, ctx.due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::testing::{SETTING, drawn, is_decided_by_its_seed};

    #[test]
    fn chains_read_then_write_unique_values() {
        let causal = Causal { options: Options::default(), shape: Shape::Chains };
        is_decided_by_its_seed(&causal);
        let mut seen = std::collections::BTreeSet::new();
        let mut last = [false; SETTING.workers];
        for (worker, op) in drawn(&causal, 100) {
            assert_ne!(op.read_only, std::mem::replace(&mut last[worker], op.read_only));
            assert!(op.read_only || seen.insert(op.value.clone()));
            assert_eq!(op.node, None);
        }
    }

    #[test]
    fn a_session_moves_over_all_nodes() {
        let session = Causal { options: Options::default(), shape: Shape::Moves };
        is_decided_by_its_seed(&session);
        for worker in 0..SETTING.workers {
            let at: Vec<usize> = drawn(&session, 12)
                .into_iter()
                .filter(|(w, _)| *w == worker)
                .filter_map(|(_, op)| op.node)
                .collect();
            assert_eq!(at.len(), 12);
            assert!((0..SETTING.nodes).all(|n| at.contains(&n)), "{at:?}");
            assert!(at.chunks(2).all(|stay| stay[0] == stay[1]), "{at:?}");
        }
    }

    #[test]
    fn each_is_judged_by_its_own_model_or_by_what_is_promised_if_that_is_less() {
        let judged =
            |shape, promised: &str| Causal { options: Options::default(), shape }.consistency(promised);
        assert_eq!(judged(Shape::Chains, "linearizable"), "causal");
        assert_eq!(judged(Shape::Moves, "sequential"), "session-guarantees");
        assert_eq!(judged(Shape::Moves, "serializable"), "serializable");
    }
}
