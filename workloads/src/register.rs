//! Registers: reads, writes and compare-and-set over keys that come and go.
//!
//! Written values are unique over the run, so that a read names its write. What a cas expects depends on the
//! run: the value of its key that was last seen by anyone; all else is a function of the seed. A delete is a write
//! of nothing: absence is a state like any other, only one that is written more than once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value as Json;
use squall_checkers::linear::{Incremental, Linearizable, Options as LinearOptions};
use squall_checkers::models::ModelName;
use squall_checkers::txn::models::model;
use squall_checkers::txn::strongest::{Plain, Reading, Strongest};
use squall_checkers::txn::watch::watch_plain;
use squall_checkers::{Check, Live};
use squall_engine::generator::{Context, FinalReads, Generator, Key, KeyPool, Next};
use squall_engine::protocol::{Setting, Workload, options};
use squall_engine::{Error, Operation, units};
use squall_history::{Event, EventKind, Value};

/// Options of the workload.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    /// Keys that live at a time.
    keys: usize,
    /// Share of the traffic on the hottest.
    hot: f64,
    /// How long a key lives.
    #[serde(with = "units::duration")]
    life_min: Duration,
    #[serde(with = "units::duration")]
    life_max: Duration,
    /// Shares of the functions; they need not add up to one.
    reads: f64,
    writes: f64,
    cas: f64,
    deletes: f64,
    /// What it is judged by, instead of what the target promises.
    consistency: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            keys: 8,
            hot: 0.5,
            life_min: Duration::from_secs(10),
            life_max: Duration::from_secs(20),
            reads: 0.5,
            writes: 0.25,
            cas: 0.25,
            deletes: 0.0,
            consistency: None,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Register {
    options: Options,
}

impl Register {
    pub(crate) fn build(given: &Json) -> Result<Arc<dyn Workload>, Error> {
        let options: Options = options("register", given)?;
        let shares = [options.reads, options.writes, options.cas, options.deletes];
        if shares.iter().any(|s| *s < 0.0 || !s.is_finite()) || shares.iter().sum::<f64>() <= 0.0 {
            return Err(Error::Config(
                "`register`: reads, writes, cas and deletes are shares, not all of them zero".into(),
            ));
        }
        if options.keys == 0 || !(0.0..=1.0).contains(&options.hot) || options.life_max < options.life_min {
            return Err(Error::Config(
                "`register` needs keys >= 1, hot between 0 and 1, and life_min <= life_max".into(),
            ));
        }
        Ok(Arc::new(Register { options }))
    }
}

impl Register {
    fn keys(&self, setting: &Setting) -> KeyPool {
        let o = &self.options;
        KeyPool::new(setting.seed, o.keys, o.hot, o.life_min, o.life_max)
    }
}

impl Register {
    /// Models that are not about real time, or about less of it. They know reads and writes only.
    fn weaker(&self, consistency: &str) -> Result<Vec<Box<dyn Check>>, Error> {
        // On the map a history with compare-and-set has a place too, if only as linearizable or not.
        if self.options.cas > 0.0 && consistency != "strongest" {
            return Err(Error::Config(format!(
                "`{consistency}` is a model of reads and writes: say `{{register: {{cas: 0}}}}` to be judged by it"
            )));
        }
        let reading = Reading { initial: Value::Nil, realtime: true };
        match model(consistency) {
            Some(model) => Ok(vec![Box::new(Plain { model, reading })]),
            None if consistency == "strongest" => Ok(vec![Box::new(Strongest { reading })]),
            None => Err(Error::Config(format!(
                "the workload `register` cannot be judged by `{consistency}`; see `squall list models`"
            ))),
        }
    }
}

impl Workload for Register {
    fn name(&self) -> &str {
        "register"
    }

    fn functions(&self) -> Vec<&'static str> {
        let o = &self.options;
        [("read", o.reads), ("write", o.writes), ("cas", o.cas), (DELETE, o.deletes)]
            .into_iter()
            .filter(|(_, share)| *share > 0.0)
            .map(|(f, _)| f)
            .collect()
    }

    fn generator(&self, setting: &Setting) -> Box<dyn Generator> {
        Box::new(Traffic {
            options: self.options.clone(),
            keys: self.keys(setting),
            seen: BTreeMap::new(),
            read: "read".into(),
            write: "write".into(),
            cas: "cas".into(),
        })
    }

    fn finish(&self, setting: &Setting) -> Option<Box<dyn Generator>> {
        let read = |key: Key| Operation::read(&"read".into(), key.into(), Value::Nil);
        Some(Box::new(FinalReads::new(self.keys(setting), read)))
    }

    fn consistency(&self, promised: &str) -> String {
        self.options.consistency.clone().unwrap_or_else(|| promised.to_owned())
    }

    fn checks(&self, consistency: &str) -> Result<Vec<Box<dyn Check>>, Error> {
        match consistency {
            "linearizable" => {
                let options = LinearOptions::new(ModelName::CasRegister);
                Ok(vec![Box::new(Linearizable::new(LinearOptions { certificate: true, ..options }))])
            }
            other => self.weaker(other),
        }
    }

    fn live(&self, consistency: &str) -> Option<Box<dyn Live>> {
        let options = LinearOptions::new(ModelName::CasRegister);
        match consistency {
            "linearizable" => Some(Box::new(Incremental::new(options))),
            // The map is no verdict that could end a run.
            "strongest" => None,
            other => {
                let check = self.weaker(other).ok()?.pop()?;
                Some(watch_plain(other, check, LIVE_EVERY))
            }
        }
    }

    fn floors(&self) -> Vec<(&'static str, u64)> {
        self.functions().into_iter().filter(|f| *f != DELETE).map(|f| (f, 10)).collect()
    }
}

/// What a target must be able to do; in the history it is a write of nothing.
const DELETE: &str = "delete";

/// While a run goes on, models without an incremental form are judged again after so many operations at the
/// earliest.
const LIVE_EVERY: usize = 500;

/// Keys remembered for their last value: those that live, with room for stragglers.
const SEEN_MAX: usize = 4096;

#[derive(Debug)]
struct Traffic {
    options: Options,
    keys: KeyPool,
    seen: BTreeMap<Key, Value>,
    read: Arc<str>,
    write: Arc<str>,
    cas: Arc<str>,
}

impl Generator for Traffic {
    fn next(&mut self, ctx: &mut Context) -> Next {
        let key = self.keys.pick(&mut ctx.rng, ctx.due);
        let fresh = Value::Int((ctx.index * ctx.workers as u64 + ctx.worker as u64) as i64 + 1);
        let o = &self.options;
        let at = ctx.rng.unit() * (o.reads + o.writes + o.cas + o.deletes);
        let op = if at < o.reads {
            Operation::read(&self.read, key.into(), Value::Nil)
        } else if at < o.reads + o.writes {
            Operation::new(&self.write, key.into(), fresh)
        } else if at >= o.reads + o.writes + o.cas {
            Operation::new(&self.write, key.into(), Value::Nil)
        } else {
            let old = self.seen.get(&key).cloned().unwrap_or_default();
            Operation::new(&self.cas, key.into(), Value::list([old, fresh]))
        };
        Next::Op(op, ctx.due)
    }

    fn update(&mut self, event: &Event) {
        let Value::Int(key) = event.key else { return };
        if event.kind != EventKind::Ok {
            return;
        }
        let value = match (&*event.f, &event.value) {
            ("cas", Value::List(pair)) => pair[1].clone(),
            // A mismatch: something else is there, and nobody said what.
            ("cas", _) => return,
            (_, value) => value.clone(),
        };
        self.seen.insert(key, value);
        if self.seen.len() > SEEN_MAX {
            self.seen.pop_first();
        }
    }

    fn listens(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use squall_engine::seed::Seed;

    use super::*;

    fn drawn(worker: usize, count: u64) -> Vec<Operation> {
        let register = Register { options: Options::default() };
        let setting = Setting { seed: Seed(7), workers: 10, nodes: 5 };
        let mut generator = register.generator(&setting);
        (0..count)
            .map(|i| {
                let mut ctx = Context::new(setting.seed, worker, 10, worker as u32, i, i * 1_000_000);
                match generator.next(&mut ctx) {
                    Next::Op(op, _) => op,
                    other => panic!("{other:?}"),
                }
            })
            .collect()
    }

    #[test]
    fn written_values_are_unique() {
        let mut seen = std::collections::BTreeSet::new();
        for worker in 0..10 {
            for op in drawn(worker, 300) {
                let new = match &*op.f {
                    "write" => op.value,
                    "cas" => op.value.as_pair().unwrap().1.clone(),
                    _ => continue,
                };
                assert!(seen.insert(new));
            }
        }
        assert!(seen.len() > 1000);
    }

    #[test]
    fn the_functions_come_in_their_shares() {
        let ops = drawn(3, 4000);
        let count = |f: &str| ops.iter().filter(|op| &*op.f == f).count();
        assert!((1850..2150).contains(&count("read")), "{}", count("read"));
        assert!((850..1150).contains(&count("write")));
        assert!((850..1150).contains(&count("cas")));
    }

    #[test]
    fn a_delete_is_a_write_of_nothing_that_the_target_must_know() {
        let options = Options { deletes: 0.25, ..Options::default() };
        let register = Register { options };
        assert_eq!(register.functions(), ["read", "write", "cas", "delete"]);
        assert!(register.floors().iter().all(|(f, _)| *f != "delete"));
        let setting = Setting { seed: Seed(7), workers: 10, nodes: 5 };
        let mut generator = register.generator(&setting);
        let deletes = (0..1000).filter(|i| {
            let mut ctx = Context::new(setting.seed, 3, 10, 3, *i, i * 1_000_000);
            matches!(generator.next(&mut ctx), Next::Op(op, _) if &*op.f == "write" && op.value.is_nil())
        });
        assert!((150..250).contains(&deletes.count()));
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in [
            serde_json::json!({ "keyz": 3 }),
            serde_json::json!({ "keys": 0 }),
            serde_json::json!({ "reads": 0, "writes": 0, "cas": 0 }),
            serde_json::json!({ "life_min": "20s", "life_max": "10s" }),
            serde_json::json!({ "life_min": 20 }),
        ] {
            assert!(matches!(Register::build(&bad), Err(Error::Config(_))), "{bad}");
        }
    }
}
