//! What is measured, and what is to be reached.

use squall_history::{History, Value};

use super::{Load, Values, mutex, priority_queue, queue, register, set, stack, stale_register};
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
    /// What the best of the others took, where it is known.
    pub peer: Option<&'static str>,
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

/// All rows, cheapest inputs first. Those named "growth" show how one kind grows from ten thousand operations
/// to ten million.
pub fn rows() -> Vec<Row> {
    let mut rows = registers();
    rows.extend(collections());
    rows.extend(growth());
    rows
}

const FEW: Values = Values::Few(5);
const UNIQUE: Values = Values::Unique;

fn registers() -> Vec<Row> {
    let row = |name, operations, make, reach, peer| {
        let (reach_seconds, peer) = (Some(reach), Some(peer));
        Row { name, operations, options: cas(), make, reach_seconds, peer }
    };
    let stale = || stale_register(load(100_000, 10, 0));
    vec![
        row(
            "cas, 20 clients, 10k",
            10_000,
            || one(10_000, 20, 0, FEW),
            0.15,
            "20 s, 4.9 GB (Porcupine 1.3.0)",
        ),
        row(
            "cas, 10 clients, 100k",
            100_000,
            || one(100_000, 10, 0, FEW),
            0.3,
            "6.8 s, 5.2 GB (Porcupine 1.3.0)",
        ),
        row(
            "cas, 10 clients, 2k, 10% info",
            2_000,
            || one(2_000, 10, 100_000, FEW),
            0.05,
            "42 s at 1 % (Knossos linear)",
        ),
        row(
            "cas, 10 clients, 10k, 200 info",
            10_000,
            || one(10_000, 10, 30_000, FEW),
            1.0,
            "42 s for 1k (Knossos linear)",
        ),
        row(
            "unique, 20 clients, 1k",
            1_000,
            || one(1_000, 20, 0, UNIQUE),
            0.005,
            "23 s, 2.6 GB (Porcupine 1.3.0)",
        ),
        row(
            "unique, 5 clients, 100k",
            100_000,
            || one(100_000, 5, 0, UNIQUE),
            0.02,
            "3.6 s, 3.3 GB (Porcupine 1.3.0)",
        ),
        row("unique, 50 clients, 1M", 1_000_000, || one(1_000_000, 50, 0, UNIQUE), 0.1, "no answer"),
        row(
            "cas, 1000 keys, 1M",
            1_000_000,
            || register(load(1_000_000, 10, 0), 1000, FEW),
            0.1,
            "1.7 s, 775 MB (Porcupine 1.3.0)",
        ),
        row("counterexample, 10 clients, 100k", 100_000, stale, 2.0, "none is minimal"),
        row("unique, 50 clients, 10M", 10_000_000, || one(10_000_000, 50, 0, UNIQUE), 1.2, "no answer"),
    ]
}

fn collections() -> Vec<Row> {
    let row = |name, operations, model, make| {
        let options = Options::new(model);
        Row { name, operations, options, make, reach_seconds: Some(1.0), peer: None }
    };
    vec![
        row("fifo-queue, 10 clients, 1M", 1_000_000, ModelName::FifoQueue, || queue(load(1_000_000, 10, 0))),
        row("set, 30k adds, 1k reads", 31_000, ModelName::Set, || set(load(31_000, 10, 0), 1000)),
        row("set, 1M adds, 50 reads", 1_000_000, ModelName::Set, || set(load(1_000_000, 10, 0), 50)),
        row("mutex, 10 clients, 1M", 1_000_000, ModelName::Mutex, || mutex(load(1_000_000, 10, 0))),
        row("stack, 10 clients, 1M", 1_000_000, ModelName::Stack, || stack(load(1_000_000, 10, 0))),
        row("priority-queue, 10 clients, 1M", 1_000_000, ModelName::PriorityQueue, || {
            priority_queue(load(1_000_000, 10, 0))
        }),
    ]
}

fn growth() -> Vec<Row> {
    let row = |name, operations, make| Row {
        name,
        operations,
        options: cas(),
        make,
        reach_seconds: None,
        peer: None,
    };
    vec![
        row("growth: unique, 10 clients, 10k", 10_000, || one(10_000, 10, 0, UNIQUE)),
        row("growth: unique, 10 clients, 100k", 100_000, || one(100_000, 10, 0, UNIQUE)),
        row("growth: unique, 10 clients, 1M", 1_000_000, || one(1_000_000, 10, 0, UNIQUE)),
        row("growth: unique, 10 clients, 10M", 10_000_000, || one(10_000_000, 10, 0, UNIQUE)),
        row("growth: cas, 10 clients, 10k", 10_000, || one(10_000, 10, 0, FEW)),
        row("growth: cas, 10 clients, 100k", 100_000, || one(100_000, 10, 0, FEW)),
        row("growth: cas, 10 clients, 1M", 1_000_000, || one(1_000_000, 10, 0, FEW)),
    ]
}
