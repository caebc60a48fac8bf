//! Times the rows whose names contain the argument: `cargo run --release --example bench -- cas`.

use std::time::Instant;

use squall_checkers::bench::rows;
use squall_checkers::{Budget, linear};

fn main() {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    for row in rows().into_iter().filter(|r| r.name.contains(&wanted)) {
        let history = (row.make)();
        let infos = history.ops().filter(|o| o.outcome == squall_history::Outcome::Info).count();
        let start = Instant::now();
        let verdict = linear::check_model(&history, &row.options, &Budget::default());
        let took = start.elapsed().as_secs_f64();
        println!(
            "{:34} {:>8.4} s (reach {:?}) {:?} {} info={infos} {:?} {:?}",
            row.name,
            took,
            row.reach_seconds,
            verdict.valid,
            verdict.algorithm.unwrap_or_default(),
            verdict.details.get("widest_frontier"),
            verdict.reason,
        );
    }
}
