//! What is measured, and what is to be reached.

use squall_history::{History, Value};

use super::{Load, Values, mutex, queue, register, set, stale_register};
use crate::linear::Options;
use crate::models::ModelName;

/// One measurement: make the history, then judge it by these options.
#[derive(Debug)]
pub struct Row {
    /// Its name in the table.
    pub name: &'static str,
    /// Operations in the history.
    pub operations: u32,
    /// What to judge by.
    pub options: Options,
    /// The history, the same each time.
    pub make: fn() -> History,
    /// Seconds to reach, if there is a promise.
    pub reach_seconds: Option<f64>,
}

fn cas() -> Options {
    Options { initial: Value::Int(0), ..Options::new(ModelName::CasRegister) }
}

fn load(operations: u32, clients: u32, info_ppm: u64) -> Load {
    Load { operations, clients, info_ppm, seed: 1 }
}

fn one(operations: u32, clients: u32, info_ppm: u64, values: Values) -> History {
    register(load(operations, clients, info_ppm), 1, values)
}

/// All rows, cheapest inputs first.
pub fn rows() -> Vec<Row> {
    const FEW: Values = Values::Few(5);
    const UNIQUE: Values = Values::Unique;
    let row =
        |name, operations, make, reach_seconds| Row { name, operations, options: cas(), make, reach_seconds };
    let by = |name, operations, model, make| Row {
        name,
        operations,
        options: Options::new(model),
        make,
        reach_seconds: Some(1.0),
    };
    vec![
        row("cas, 20 clients, 10k", 10_000, || one(10_000, 20, 0, FEW), Some(0.15)),
        row("cas, 10 clients, 100k", 100_000, || one(100_000, 10, 0, FEW), Some(0.3)),
        row("cas, 10 clients, 2k, 10% info", 2_000, || one(2_000, 10, 100_000, FEW), Some(0.05)),
        row("cas, 10 clients, 10k, 200 info", 10_000, || one(10_000, 10, 30_000, FEW), Some(1.0)),
        row("unique, 20 clients, 1k", 1_000, || one(1_000, 20, 0, UNIQUE), Some(0.005)),
        row("unique, 5 clients, 100k", 100_000, || one(100_000, 5, 0, UNIQUE), Some(0.02)),
        row("unique, 50 clients, 1M", 1_000_000, || one(1_000_000, 50, 0, UNIQUE), Some(0.1)),
        row("cas, 1000 keys, 1M", 1_000_000, || register(load(1_000_000, 10, 0), 1000, FEW), Some(0.1)),
        row("counterexample, 10 clients, 100k", 100_000, || stale_register(load(100_000, 10, 0)), Some(2.0)),
        by("fifo-queue, 10 clients, 1M", 1_000_000, ModelName::FifoQueue, || queue(load(1_000_000, 10, 0))),
        by("set, 30k adds, 1k reads", 31_000, ModelName::Set, || set(load(31_000, 10, 0), 1000)),
        by("set, 1M adds, 50 reads", 1_000_000, ModelName::Set, || set(load(1_000_000, 10, 0), 50)),
        by("mutex, 10 clients, 1M", 1_000_000, ModelName::Mutex, || mutex(load(1_000_000, 10, 0))),
        row("growth: unique, 10 clients, 10k", 10_000, || one(10_000, 10, 0, UNIQUE), None),
        row("growth: unique, 10 clients, 100k", 100_000, || one(100_000, 10, 0, UNIQUE), None),
        row("growth: unique, 10 clients, 1M", 1_000_000, || one(1_000_000, 10, 0, UNIQUE), None),
        row("growth: cas, 10 clients, 10k", 10_000, || one(10_000, 10, 0, FEW), None),
        row("growth: cas, 10 clients, 1M", 1_000_000, || one(1_000_000, 10, 0, FEW), None),
        row("unique, 50 clients, 10M", 10_000_000, || one(10_000_000, 50, 0, UNIQUE), Some(1.2)),
    ]
}
