//! Measurements by hand: `cargo test --release -p squall-checkers measure -- --ignored --nocapture`.

use std::time::Instant;

use squall_history::Value;

use super::append::check::analysis;
use super::gen_store::{Serial, Store};
use super::models::model;
use crate::Budget;
use crate::causal::check::prepare;

#[test]
#[ignore = "a measurement"]
fn measure() {
    let n: u64 = std::env::var("N").ok().and_then(|n| n.parse().ok()).unwrap_or(100_000);
    let budget = Budget::default();
    let time = |what: &str, f: &mut dyn FnMut() -> bool| {
        let from = Instant::now();
        let holds = f();
        println!("{what} {n}: {:.3} s, {holds}", from.elapsed().as_secs_f64());
    };
    let h = Store { transactions: n, ..Store::default() }.run(1);
    time("list-append", &mut || {
        let found = analysis(&h, true, &budget);
        found.verdict(model("strict-serializable").unwrap()).anomalies.is_empty()
    });
    drop(h);
    let h = Store { transactions: n, lists: false, ..Store::default() }.run(1);
    time("causal on registers", &mut || {
        prepare(&h, &Value::Nil).causal("causal", true, &budget).unwrap().is_empty()
    });
    drop(h);
    let h = Serial { transactions: n / 10, sessions: 100, keys: 1000, operations: 10 }.run(1);
    time("causal serial, operations", &mut || {
        prepare(&h, &Value::Nil).causal("causal", true, &budget).unwrap().is_empty()
    });
}

#[test]
#[ignore = "a measurement"]
fn measure_serial() {
    use super::serial::problem::{Follow, Problem, Shape};
    use super::serial::solve::{Solution, solve};
    let n: u64 = std::env::var("N").ok().and_then(|n| n.parse().ok()).unwrap_or(100_000);
    let h = Store { transactions: n, lists: false, ..Store::default() }.run(1);
    let from = Instant::now();
    let p = crate::causal::columns::plain(&h, &Value::Nil);
    println!("columns {:.3}", from.elapsed().as_secs_f64());
    let from = Instant::now();
    let found = super::serial::rolling::rolling_order(&p, &Budget::default()).is_some();
    println!("rolling {n} {:.3} {found}", from.elapsed().as_secs_f64());
    if std::env::var("SOLVE").is_err() {
        return;
    }
    for (shape, follow) in [
        (Shape::Serial, Follow::Realtime),
        (Shape::Serial, Follow::Nothing),
        (Shape::Snapshot, Follow::Realtime),
    ] {
        let from = Instant::now();
        let problem = Problem::new(&p, shape, follow);
        let wish: Vec<u32> =
            (0..problem.nodes() as u32).map(|n| p.txns[problem.txn(n) as usize].completed).collect();
        let solution = solve(&problem, &wish, &Budget::default());
        println!(
            "{shape:?} {follow:?} {:.3} {}",
            from.elapsed().as_secs_f64(),
            matches!(solution, Ok(Solution::Order(_)))
        );
    }
}

#[test]
#[ignore = "a measurement"]
fn measure_anomalies() {
    use super::gen_weak::{LaggingStore, SnapshotStore};
    let n: u64 = std::env::var("N").ok().and_then(|n| n.parse().ok()).unwrap_or(100_000);
    let h = SnapshotStore {
        transactions: n,
        sessions: std::env::var("SESSIONS").ok().and_then(|s| s.parse().ok()).unwrap_or(10),
        keys: 10,
    }
    .run(1);
    let from = Instant::now();
    let found = analysis(&h, true, &Budget::default());
    let verdict = found.verdict(model("serializable").unwrap());
    println!(
        "anomalies {n}: {:.3} s; {} components, largest {}; {:?} {:?}",
        from.elapsed().as_secs_f64(),
        found.report.components,
        found.report.largest,
        verdict.details["anomaly_types"],
        verdict.warnings
    );
    let h = LaggingStore { transactions: n / 5, sessions: 20, keys: 100, length: 10 }.run(1);
    let from = Instant::now();
    let found = prepare(&h, &Value::Nil).causal("causal", true, &Budget::default());
    println!(
        "causal with lag {}: {:.3} s, {:?}",
        n / 5,
        from.elapsed().as_secs_f64(),
        found.map(|f| f.len())
    );
}

/// Writes a history to `FILE`: `FORM` is `text`, `rw` or `lists`.
#[test]
#[ignore = "makes the input of a measurement"]
fn measure_write() {
    let n: u64 = std::env::var("N").ok().and_then(|n| n.parse().ok()).unwrap_or(100_000);
    let form = std::env::var("FORM").unwrap();
    let h = Store { transactions: n, lists: form == "lists", ..Store::default() }.run(1);
    let out = std::io::BufWriter::new(std::fs::File::create(std::env::var("FILE").unwrap()).unwrap());
    match form.as_str() {
        "text" => crate::bench::write_text(&h, out).unwrap(),
        _ => squall_history::export::edn(&h, out).unwrap(),
    }
}

/// Reads `FILE` and judges it by `MODEL`, as `squall check` does.
#[test]
#[ignore = "a measurement"]
fn measure_file() {
    use super::any::Transactions;
    use super::strongest::Reading;
    use crate::Check as _;
    use squall_history::import::{self, Held};
    let from = Instant::now();
    let path = std::env::var("FILE").unwrap();
    let read = import::read_file_held(path.as_ref(), &import::Options::default()).unwrap();
    let parsed = from.elapsed().as_secs_f64();
    let realtime = !read.format.name().ends_with("text");
    let reading = Reading { initial: Value::Nil, realtime };
    let check = Transactions { model: Some(model(&std::env::var("MODEL").unwrap()).unwrap()), reading };
    let verdict = match read.history {
        Held::Columns(accesses) => check.check_accesses(accesses, &Budget::default()),
        Held::General(history) => check.check(&history, &Budget::default()),
    };
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find(|l| l.starts_with("VmHWM")).unwrap_or_default();
    let whole = from.elapsed().as_secs_f64();
    println!(
        "{:?}: parse {parsed:.3} s, check {:.3} s, whole {whole:.3} s, {peak}",
        verdict.valid,
        whole - parsed
    );
}
