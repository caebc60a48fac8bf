//! A workload of one's own: numbers are raised and read, a few keys at a time.

use std::sync::Arc;
use std::time::Duration;

use squall_checkers::Check;
use squall_engine::generator::{Context, Generator, KeyPool, Next};
use squall_engine::protocol::{Setting, Workload};
use squall_engine::{Error, Operation};
use squall_history::Value;

use crate::model::Judged;

#[derive(Debug)]
pub struct Raises;

impl Workload for Raises {
    fn name(&self) -> &str {
        "raises"
    }

    fn functions(&self) -> Vec<&'static str> {
        vec!["highest.raise", "highest.read"]
    }

    fn generator(&self, setting: &Setting) -> Box<dyn Generator> {
        let (shortest, longest) = (Duration::from_secs(2), Duration::from_secs(4));
        let keys = KeyPool::new(setting.seed, 4, 0.0, shortest, longest);
        Box::new(Traffic { keys, raise: "raise".into(), read: "read".into() })
    }

    fn checks(&self, consistency: &str) -> Result<Vec<Box<dyn Check>>, Error> {
        match consistency {
            "linearizable" => Ok(vec![Box::new(Judged)]),
            other => Err(Error::Config(format!("`raises` cannot be judged by `{other}`"))),
        }
    }

    /// With fewer than these that were ok a run says nothing.
    fn floors(&self) -> Vec<(&'static str, u64)> {
        vec![("raise", 10), ("read", 10)]
    }
}

#[derive(Debug)]
struct Traffic {
    keys: KeyPool,
    raise: Arc<str>,
    read: Arc<str>,
}

impl Generator for Traffic {
    fn next(&mut self, ctx: &mut Context) -> Next {
        let key = self.keys.pick(&mut ctx.rng, ctx.due).into();
        let op = if ctx.rng.chance(0.5) {
            Operation::read(&self.read, key, Value::Nil)
        } else {
            Operation::new(&self.raise, key, Value::Int(1 + ctx.rng.below(1000) as i64))
        };
        Next::Op(op.on("highest"), ctx.due)
    }
}
