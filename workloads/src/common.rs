//! What several workloads share: numbers that are unique over a run, traffic on sets, and models by name.

use std::sync::Arc;

use squall_checkers::Check;
use squall_checkers::txn::models::{Model, implied, model};
use squall_checkers::txn::strongest::{Plain, Reading};
use squall_engine::generator::{Context, Generator, KeyPool, Next};
use squall_engine::{Error, Operation};
use squall_history::Value;

/// The number of this operation, unique over the run, from 0.
pub(crate) fn number(ctx: &Context) -> u64 {
    ctx.index * ctx.workers as u64 + ctx.worker as u64
}

/// Unique elements are added to sets that live for a while; a share of the operations reads a whole set.
#[derive(Debug)]
pub(crate) struct Elements {
    keys: KeyPool,
    reads: f64,
    add: Arc<str>,
    read: Arc<str>,
}

impl Elements {
    pub(crate) fn new(keys: KeyPool, reads: f64) -> Self {
        Elements { keys, reads, add: "add".into(), read: "read".into() }
    }
}

impl Generator for Elements {
    fn next(&mut self, ctx: &mut Context) -> Next {
        let key = self.keys.pick(&mut ctx.rng, ctx.due).into();
        let op = if ctx.rng.chance(self.reads) {
            Operation::read(&self.read, key, Value::Nil)
        } else {
            Operation::new(&self.add, key, Value::Int(number(ctx) as i64))
        };
        Next::Op(op.on("set"), ctx.due)
    }
}

/// What a store promises for single operations, said of transactions.
pub(crate) fn of_transactions(promised: &str) -> String {
    match promised {
        "linearizable" => "strict-serializable",
        "sequential" => "strong-session-serializable",
        other => other,
    }
    .to_owned()
}

/// Whether this consistency is at least as strong as `needed`.
pub(crate) fn at_least(consistency: &str, needed: &str) -> bool {
    model(consistency).is_some_and(|m| implied(m).iter().any(|weaker| weaker.name == needed))
}

/// The promise itself, but no more than `most`: for workloads that ask for one model and no other.
pub(crate) fn at_most(promised: &str, most: &str) -> String {
    if at_least(promised, most) { most.to_owned() } else { promised.to_owned() }
}

/// The model of this name, for a workload of plain reads and writes.
pub(crate) fn known(workload: &str, consistency: &str) -> Result<&'static Model, Error> {
    model(consistency).ok_or_else(|| {
        Error::Config(format!(
            "the workload `{workload}` cannot be judged by `{consistency}`; see `squall list models`"
        ))
    })
}

/// The check of plain reads and writes, absent at first, by this consistency.
pub(crate) fn plain(workload: &str, consistency: &str) -> Result<Vec<Box<dyn Check>>, Error> {
    let model = known(workload, consistency)?;
    Ok(vec![Box::new(Plain { model, reading: Reading { initial: Value::Nil, realtime: true } })])
}

/// Refuses a consistency that does not forbid what the workload looks for.
pub(crate) fn must_be(workload: &str, consistency: &str, needed: &str) -> Result<(), Error> {
    if at_least(consistency, needed) {
        return Ok(());
    }
    Err(Error::Config(format!(
        "the workload `{workload}` looks for what `{needed}` forbids, and `{consistency}` does not promise that"
    )))
}

#[cfg(test)]
pub(crate) mod testing {
    use squall_engine::generator::{Context, Generator, Next};
    use squall_engine::protocol::{Setting, Workload};
    use squall_engine::seed::Seed;
    use squall_engine::{Operation, generator};

    pub(crate) const SETTING: Setting = Setting { seed: Seed(7), workers: 4, nodes: 3 };

    /// What worker `w` is given as its `i`-th operation, 10 ms apart.
    pub(crate) fn drawn(workload: &dyn Workload, count: u64) -> Vec<(usize, Operation)> {
        let mut generator = workload.generator(&SETTING);
        let mut all = Vec::new();
        for i in 0..count {
            for worker in 0..SETTING.workers {
                all.extend(ask(&mut *generator, worker, i).map(|op| (worker, op)));
            }
        }
        all
    }

    pub(crate) fn ask(generator: &mut dyn Generator, worker: usize, i: u64) -> Option<Operation> {
        let workers = SETTING.workers;
        let mut ctx: generator::Context =
            Context::new(SETTING.seed, worker, workers, worker as u32, i, i * 10_000_000);
        match generator.next(&mut ctx) {
            Next::Op(op, _) => Some(op),
            Next::Pending | Next::Done => None,
        }
    }

    /// The same seed gives the same operations, another one others.
    pub(crate) fn is_decided_by_its_seed(workload: &dyn Workload) {
        assert_eq!(drawn(workload, 40), drawn(workload, 40));
        let mut other = workload.generator(&Setting { seed: Seed(8), ..SETTING });
        let mut mine = workload.generator(&SETTING);
        let draw = |generator: &mut dyn Generator, seed: u64| -> Vec<_> {
            (0..40u64)
                .filter_map(|i| {
                    // In turn: workers may have parts of their own, and not all parts draw.
                    let worker = i as usize % SETTING.workers;
                    let mut ctx =
                        Context::new(Seed(seed), worker, SETTING.workers, worker as u32, i, i * 10_000_000);
                    match generator.next(&mut ctx) {
                        Next::Op(op, _) => Some(op),
                        _ => None,
                    }
                })
                .collect()
        };
        assert_ne!(draw(&mut *mine, 7), draw(&mut *other, 8));
    }
}
