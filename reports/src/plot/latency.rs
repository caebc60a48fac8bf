//! Latency over time: every operation as a mark, and quantiles.

use std::fmt::Write;

use rustc_hash::FxHashSet;
use squall_checkers::run::{Quantiles, latencies};
use squall_history::{History, Outcome};

use super::canvas::{Axis, Bands, Canvas, Line};
use super::palette::{FAIL, INFO, OK, QUANTILES};
use crate::text::round_seconds;

fn axis() -> Axis<'static> {
    Axis { label: &round_seconds }
}

/// The decades that hold all latencies, in seconds.
fn decades(history: &History, span: (u64, u64)) -> (f64, f64, bool) {
    let took = history.ops().map(|op| op.end.min(span.1).saturating_sub(op.start).max(1_000));
    let (low, high) = took.fold((u64::MAX, 1_000), |(l, h), t| (l.min(t), h.max(t)));
    let low = (low.min(high) as f64 / 1e9).log10().floor();
    let high = (high as f64 / 1e9).log10();
    // A little air above the slowest, where time-outs line up.
    (10f64.powf(low), 10f64.powf((high + 0.08).max(low + 1.0)), true)
}

/// Draws each operation at its invocation and latency; those still open reach to the end. Marks that would
/// cover each other are drawn once, so nothing that could be seen is left out. Operations in `proof`
/// (ascending) get a ring.
pub fn raw(history: &History, span: (u64, u64), bands: &Bands, proof: &[u32], height: u32) -> String {
    let mut canvas = Canvas::new(span, height, decades(history, span), &axis(), &[]);
    canvas.bands(bands);
    let mut taken: FxHashSet<(Outcome, i32, i32)> = FxHashSet::default();
    let mut paths = [String::new(), String::new(), String::new()];
    let mut rings = String::new();
    let mut ringed: FxHashSet<(i32, i32)> = FxHashSet::default();
    for op in history.ops() {
        let took = op.end.min(span.1).saturating_sub(op.start);
        let (x, y) = (canvas.x(op.start), canvas.y(took as f64 / 1e9));
        // A ring's width apart; a chain of rings still shows where all are.
        if proof.binary_search(&op.index).is_ok() && ringed.insert(((x / 4.0) as i32, (y / 4.0) as i32)) {
            let _ = write!(
                rings,
                "<a href=\"#op={0}\"><circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"6\" fill=\"none\" stroke=\"{FAIL}\" stroke-width=\"2\"><title>#{0}</title></circle></a>",
                op.index
            );
        }
        // Half a mark's width: closer ones cover each other.
        if !taken.insert((op.outcome, (x / 1.5) as i32, (y / 1.5) as i32)) {
            continue;
        }
        let (x, y) = (x.round() as i32, y.round() as i32);
        let path = &mut paths[op.outcome as usize];
        let _ = match op.outcome {
            Outcome::Ok => write!(path, "M{x} {y}h0"),
            Outcome::Fail => write!(path, "M{} {}l5 5m0-5l-5 5", x - 2, y - 2),
            Outcome::Info => write!(path, "M{} {y}h6m-3-3v6", x - 3),
        };
    }
    for (path, colour, width) in [(&paths[0], OK, "2"), (&paths[2], INFO, "1.4"), (&paths[1], FAIL, "1.4")] {
        if !path.is_empty() {
            canvas.mark(&format!(
                "<path d=\"{path}\" stroke=\"{colour}\" stroke-width=\"{width}\" stroke-linecap=\"round\" fill=\"none\"/>"
            ));
        }
    }
    canvas.mark(&format!("<g class=\"proof\">{rings}</g>"));
    canvas.finish("Latency of every operation over time, by outcome, with the faults behind")
}

/// Draws quantiles of the latency of `ok` operations in buckets of `width` nanoseconds.
pub fn quantiles(history: &History, span: (u64, u64), width: u64, bands: &Bands, height: u32) -> String {
    let buckets = latencies(history, span.0, span.1, width);
    let line = |part: fn(&Quantiles) -> u64| -> Vec<(u64, Option<f64>)> {
        let seconds = |q: &Quantiles| part(q).max(1_000) as f64 / 1e9;
        buckets.iter().map(|b| (b.from.midpoint(b.to), b.value.as_ref().map(seconds))).collect()
    };
    let parts: [fn(&Quantiles) -> u64; 4] = [|q| q.p50, |q| q.p95, |q| q.p99, |q| q.max];
    let lines: Vec<Line> = QUANTILES.into_iter().zip(parts.map(line)).rev().collect();
    let mut canvas = Canvas::new(span, height, decades(history, span), &axis(), &lines);
    canvas.bands(bands);
    canvas.finish(
        "Quantiles of the latency of ok operations over time: median, 95th, 99th percentile and maximum",
    )
}
