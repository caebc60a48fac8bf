//! Where the general search explodes: objects whose operations neither overwrite nor keep the state, by more
//! and more clients at a time, until a gibibyte does not suffice.
//! `cargo run --release -p squall-checkers --example hard`

use std::time::Instant;

use squall_checkers::bench::{Answer, Asked, Load, busy};
use squall_checkers::linear::{Options, check_model};
use squall_checkers::models::ModelName;
use squall_checkers::{Budget, Valid};
use squall_history::{History, Value};

const OPERATIONS: u32 = 1000;

/// Makes a history of so many clients, of whose updates so many parts of a million stay unanswered.
type Make = fn(u32, u64) -> History;

fn load(clients: u32, info_ppm: u64) -> Load {
    Load { operations: OPERATIONS, clients, info_ppm, seed: 1 }
}

/// Adds of different numbers, and as many reads.
fn counter(clients: u32, info_ppm: u64) -> History {
    let mut sum = 0;
    busy(
        load(clients, info_ppm),
        |dice, _| {
            let (add, n) = (dice.roll(2) == 0, 1 << dice.roll(30));
            let (f, input) = if add { ("add", Value::Int(n)) } else { ("read", Value::Nil) };
            Asked { f: f.into(), key: Value::Nil, input, may_be_lost: add }
        },
        move |asked, _| {
            sum += asked.input.as_int().unwrap_or(0);
            Answer::Ok(if &*asked.f == "add" { Value::Nil } else { Value::Int(sum) })
        },
    )
}

/// Appends of different texts, and half as many reads of all.
fn appends(clients: u32, info_ppm: u64) -> History {
    let (mut text, mut next) = (String::new(), 0);
    busy(
        load(clients, info_ppm),
        |dice, _| {
            next += 1;
            let append = dice.roll(3) > 0;
            let (f, input) =
                if append { ("append", Value::str(format!("{next} "))) } else { ("get", Value::Nil) };
            Asked { f: f.into(), key: Value::Nil, input, may_be_lost: append }
        },
        move |asked, _| {
            text.push_str(asked.input.as_str().unwrap_or(""));
            Answer::Ok(if &*asked.f == "append" { Value::Nil } else { Value::str(&text) })
        },
    )
}

fn main() {
    let kinds: [(&str, ModelName, Make); 2] =
        [("counter", ModelName::Counter, counter), ("kv-append", ModelName::KvAppend, appends)];
    for (name, model, make) in kinds {
        for (clients, info_ppm) in [(5, 0), (10, 0), (15, 0), (20, 0), (30, 0), (5, 20_000), (10, 20_000)] {
            let history = make(clients, info_ppm);
            let mut budget = Budget::default();
            budget.memory_bytes = 1 << 30;
            let begun = Instant::now();
            let verdict = check_model(&history, &Options::new(model), &budget);
            let seconds = begun.elapsed().as_secs_f64();
            let said = match verdict.valid {
                Valid::Unknown => verdict.reason.unwrap_or_default(),
                valid => format!("{valid:?}"),
            };
            let widest = verdict.details.get("widest_frontier").cloned().unwrap_or_default();
            println!(
                "{name:10} {clients:3} clients, {info_ppm:6} ppm info: {seconds:8.3} s, widest {widest:>8}: {said}"
            );
        }
    }
}
