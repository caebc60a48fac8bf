//! Operations a second over time, by outcome.

use squall_checkers::run::{Counts, rates};
use squall_history::History;

use super::canvas::{Axis, Bands, Canvas, Line};
use super::palette::{FAIL, INFO, OK};
use crate::text::count;

/// Draws how many operations ended `ok`, `fail` and `info` in each second of `span`.
pub fn rate(history: &History, span: (u64, u64), width: u64, bands: &Bands, height: u32) -> String {
    let buckets = rates(history, span.0, span.1, width);
    // The last bucket is cut off by the end of the run: its rate is over what there was of it.
    let length = |from: u64, to: u64| (to.min(span.1.max(from.saturating_add(1))) - from) as f64 / 1e9;
    let line = |part: fn(&Counts) -> u64| -> Vec<(u64, Option<f64>)> {
        let of = |b: &squall_checkers::run::Bucket<Counts>| {
            let seconds = length(b.from, b.to);
            // A sliver at the end would show a rate made of two or three operations.
            (seconds * 1e9 >= width as f64 / 4.0).then(|| part(&b.value) as f64 / seconds)
        };
        buckets.iter().map(|b| (b.from + (b.to.min(span.1.max(b.from)) - b.from) / 2, of(b))).collect()
    };
    let lines: Vec<Line> = vec![(INFO, line(|c| c.info)), (FAIL, line(|c| c.fail)), (OK, line(|c| c.ok))];
    let highest = lines.iter().flat_map(|(_, l)| l).filter_map(|(_, v)| *v).fold(1.0, f64::max);
    let axis = Axis { label: &|v| count(v.round() as u64) };
    let mut canvas = Canvas::new(span, height, (0.0, highest * 1.08, false), &axis, &lines);
    canvas.bands(bands);
    canvas.finish("Operations per second over time: ok, fail and info, with the faults behind")
}
