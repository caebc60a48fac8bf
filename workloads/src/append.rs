//! List append: transactions that append unique values to lists and read whole lists, over several keys.
//!
//! Reads of lists reveal the order of the appends, and so the order of transactions (Kingsbury & Alvaro,
//! "Elle", VLDB 2020).

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value as Json;
use squall_checkers::txn::append::check::ListAppend;
use squall_checkers::txn::append::live::LiveAppend;
use squall_checkers::txn::models::{Family, model};
use squall_checkers::{Check, Live, Reading, Strongest};
use squall_engine::generator::{Context, Generator, KeyPool, Next};
use squall_engine::protocol::{Setting, Workload, options};
use squall_engine::{Error, Operation, units};
use squall_history::Value;

use crate::common::{at_least, of_transactions};

/// Options of the workload.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    /// Lists that live at a time.
    keys: usize,
    /// How long a list lives.
    #[serde(with = "units::duration")]
    life_min: Duration,
    #[serde(with = "units::duration")]
    life_max: Duration,
    /// Most micro-operations of a transaction.
    length_max: u64,
    /// Share of micro-operations that read.
    reads: f64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            keys: 10,
            life_min: Duration::from_secs(1),
            life_max: Duration::from_secs(3),
            length_max: 4,
            reads: 0.5,
        }
    }
}

/// Asks for the map of models instead of one of them: nothing that is found early ends such a run.
const STRONGEST: &str = "strongest";

/// While a run goes on it is judged again after so many transactions at the earliest.
const LIVE_EVERY: usize = 200;

/// See the module.
#[derive(Debug)]
pub(crate) struct Append {
    options: Options,
}

impl Append {
    pub(crate) fn build(given: &Json) -> Result<Arc<dyn Workload>, Error> {
        let options: Options = options("append", given)?;
        if options.keys == 0
            || options.length_max == 0
            || !(0.0..=1.0).contains(&options.reads)
            || options.life_max < options.life_min
        {
            return Err(Error::Config(
                "`append` needs keys >= 1, length_max >= 1, reads between 0 and 1, and life_min <= life_max"
                    .into(),
            ));
        }
        Ok(Arc::new(Append { options }))
    }
}

impl Workload for Append {
    fn name(&self) -> &str {
        "append"
    }

    fn functions(&self) -> Vec<&'static str> {
        vec!["append.txn"]
    }

    fn generator(&self, setting: &Setting) -> Box<dyn Generator> {
        let o = &self.options;
        Box::new(Traffic {
            options: o.clone(),
            keys: KeyPool::new(setting.seed, o.keys, 0.0, o.life_min, o.life_max),
            txn: "txn".into(),
        })
    }

    fn consistency(&self, promised: &str) -> String {
        of_transactions(promised)
    }

    fn checks(&self, consistency: &str) -> Result<Vec<Box<dyn Check>>, Error> {
        match model(consistency) {
            None if consistency == STRONGEST => {
                let reading = Reading { initial: Value::Nil, realtime: true };
                Ok(vec![Box::new(Strongest { reading })])
            }
            Some(model) if model.family == Family::Transactions => {
                let mut checks: Vec<Box<dyn Check>> = vec![Box::new(ListAppend { model, realtime: true })];
                // Who promises less may keep more: what remains is worth naming.
                if !at_least(consistency, "strict-serializable") {
                    let reading = Reading { initial: Value::Nil, realtime: true };
                    checks.push(Box::new(Strongest { reading }));
                }
                Ok(checks)
            }
            _ => Err(Error::Config(format!(
                "the workload `append` cannot be judged by `{consistency}`: that is no model of transactions \
                 (see `squall list models`)"
            ))),
        }
    }

    fn live(&self, consistency: &str) -> Option<Box<dyn Live>> {
        // The map is no verdict that could end a run, and no model.
        let model = model(consistency).filter(|m| m.family == Family::Transactions)?;
        Some(Box::new(LiveAppend::new(model, LIVE_EVERY)))
    }

    fn floors(&self) -> Vec<(&'static str, u64)> {
        vec![("txn", 20)]
    }
}

#[derive(Debug)]
struct Traffic {
    options: Options,
    keys: KeyPool,
    txn: Arc<str>,
}

impl Generator for Traffic {
    fn next(&mut self, ctx: &mut Context) -> Next {
        let length = 1 + ctx.rng.below(self.options.length_max);
        let mut reads_only = true;
        let steps: Vec<Value> = (0..length)
            .map(|step| {
                let key = self.keys.pick(&mut ctx.rng, ctx.due).into();
                if ctx.rng.chance(self.options.reads) {
                    return Value::list([Value::str("r"), key, Value::Nil]);
                }
                reads_only = false;
                // Unique over the run, and so for every key.
                let nth = ctx.index * ctx.workers as u64 + ctx.worker as u64;
                let value = nth * self.options.length_max + step + 1;
                Value::list([Value::str("append"), key, Value::Int(value as i64)])
            })
            .collect();
        let op = Operation::new(&self.txn, Value::Nil, Value::list(steps)).on("append");
        Next::Op(Operation { read_only: reads_only, ..op }, ctx.due)
    }
}

#[cfg(test)]
mod tests {
    use squall_engine::seed::Seed;

    use super::*;

    #[test]
    fn who_promises_less_is_told_what_it_kept() {
        let append = Append { options: Options::default() };
        let names = |consistency: &str| -> Vec<String> {
            append.checks(consistency).unwrap().iter().map(|c| c.name().to_owned()).collect()
        };
        assert_eq!(names("strict-serializable").len(), 1);
        assert_eq!(names("serializable").last().map(String::as_str), Some("strongest"));
    }

    #[test]
    fn appended_values_are_unique_and_transactions_bounded() {
        let append = Append { options: Options::default() };
        let setting = Setting { seed: Seed(7), workers: 4, nodes: 2 };
        let mut generator = append.generator(&setting);
        let (mut seen, mut reads_only) = (std::collections::BTreeSet::new(), 0);
        for worker in 0..4 {
            for i in 0..200 {
                let mut ctx = Context::new(setting.seed, worker, 4, worker as u32, i, i * 1_000_000);
                let Next::Op(op, _) = generator.next(&mut ctx) else { panic!("it has no end") };
                let steps = op.value.as_list().unwrap();
                assert!((1..=4).contains(&steps.len()));
                let appends: Vec<_> = steps
                    .iter()
                    .filter_map(Value::as_list)
                    .filter(|s| s[0].as_str() == Some("append"))
                    .collect();
                assert_eq!(op.read_only, appends.is_empty());
                reads_only += usize::from(op.read_only);
                for append in appends {
                    assert!(seen.insert(append[2].clone()));
                }
            }
        }
        assert!(reads_only > 100 && seen.len() > 500, "{reads_only} {}", seen.len());
    }
}
