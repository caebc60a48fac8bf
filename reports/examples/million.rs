//! Writes the report of a run of about a million operations into a folder, and says how long that took.
//!
//! `cargo run --release -p squall-reports --example million -- DIR`

// The generator is the one of the tests.
#![allow(clippy::unwrap_used, dead_code)]

#[path = "../tests/it/demo.rs"]
mod demo;

use std::time::Instant;

use squall_checkers::Verdict;
use squall_reports::{Facts, report, run_result};

fn main() {
    let dir = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let size = demo::Size { seconds: 60, workers: 100, pause: 3_000_000 };
    let (history, anomaly) = demo::stale(3, size);
    let began = Instant::now();
    let verdicts = demo::verdicts(&history, Verdict::from_anomalies("linearizable", vec![anomaly]));
    let judged = began.elapsed();
    let result = run_result(&history, &verdicts, &Facts::default());
    let page = report(&history, &verdicts, &result, &Facts::default());
    println!(
        "{} operations: judged in {:.2} s, written in {:.2} s, {:.1} MB",
        history.len(),
        judged.as_secs_f64(),
        (began.elapsed() - judged).as_secs_f64(),
        page.len() as f64 / 1e6
    );
    std::fs::write(std::path::Path::new(&dir).join("million.html"), page).unwrap();
}
