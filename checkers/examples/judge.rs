//! Judges files by a model: `cargo run --release --example judge -- MODEL INITIAL FILE…`.

use std::path::Path;
use std::time::Instant;

use squall_checkers::linear::{self, Options, verify};
use squall_checkers::{Budget, Verdict};
use squall_history::import::{self, Keyed};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [model, initial, files @ ..] = args.as_slice() else { return };
    let initial = serde_json::from_str(initial).unwrap_or_default();
    let options = Options { initial, ..Options::new(model.parse().expect("a model's name")) };
    for file in files {
        let start = Instant::now();
        let read = import::Options { keyed: Keyed::No, ..Default::default() };
        let imported = import::read_file(Path::new(file), &read).expect("a history");
        let parsed = start.elapsed();
        let start = Instant::now();
        let verdict: Verdict = linear::check_model(&imported.history, &options, &Budget::default());
        let judged = start.elapsed();
        let start = Instant::now();
        let accepted = verdict.certificate.as_ref().map(|c| verify::accept(&imported.history, c));
        let name = Path::new(file).file_name().unwrap_or_default().to_string_lossy();
        println!(
            "{name} {:?} parse {parsed:?} check {judged:?} verify {:?} {accepted:?}",
            verdict.valid,
            start.elapsed()
        );
    }
}
