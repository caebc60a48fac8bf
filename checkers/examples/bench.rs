//! Times the rows whose names contain the argument: `cargo run --release --example bench -- cas`.

use std::time::Instant;

use squall_checkers::bench::rows;
use squall_checkers::{Budget, linear};

fn main() {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    for row in rows().into_iter().filter(|r| r.name.contains(&wanted)) {
        let history = (row.make)();
        let infos = history.ops().filter(|o| o.outcome == squall_history::Outcome::Info).count();
        let (start, spent) = (Instant::now(), cpu_seconds());
        let verdict = linear::check_model(&history, &row.options, &Budget::default());
        let (took, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds() - spent);
        println!(
            "{:34} {:>8.4} s, processor {cpu:.2} s, peak {} MB (reach {:?}) {:?} {} info={infos} {:?} {:?}",
            row.name,
            took,
            status("VmHWM:") / 1024,
            row.reach_seconds,
            verdict.valid,
            verdict.algorithm.unwrap_or_default(),
            verdict.details.get("widest_frontier"),
            verdict.reason,
        );
    }
}

/// A line of `/proc/self/status`, in its own unit; 0 where there is none.
fn status(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix(name)).unwrap_or("");
    line.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// What all threads used so far, in user mode, in steps of a hundredth of a second.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text.rsplit(')').next().unwrap_or("").split_whitespace();
    fields.clone().nth(11).and_then(|n| n.parse::<f64>().ok()).unwrap_or(0.0) / 100.0
}
