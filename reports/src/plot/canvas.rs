//! The frame that all plots over time share: axes, mesh, and bands where faults were on.

use std::fmt::Write;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, Ranged};
use plotters::prelude::*;

use super::palette::{self, Colour};
use crate::text::{at, inert};

/// Pixels of a plot, before the page scales it.
pub const WIDTH: u32 = 1080;
/// Pixels left of the first time.
pub const LEFT: u32 = 64;
const RIGHT: u32 = 12;
const TOP: u32 = 10;
const BOTTOM: u32 = 32;

/// Times at which something was on, with a colour and what it is called.
#[derive(Clone, Debug, Default)]
pub struct Bands(pub Vec<(u64, u64, Colour, String)>);

/// What an axis of values shows.
pub struct Axis<'a> {
    /// How its values are written.
    pub label: &'a dyn Fn(f64) -> String,
}

/// Where times stand in a picture: the same in all that are as wide as a page, so that they line up.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// The time at the left edge, in nanoseconds.
    pub from: u64,
    /// The time at the right edge; later than `from`.
    pub to: u64,
}

impl Scale {
    /// Of a span of at least a microsecond.
    pub fn new(from: u64, to: u64) -> Self {
        // A log may hold any time; the last microsecond of all is left to the right edge.
        let from = from.min(u64::MAX - 1_000);
        Scale { from, to: to.max(from + 1_000) }
    }

    /// Pixels from the left; times outside stand at the edge.
    pub fn x(&self, time: u64) -> f64 {
        let share = (time.clamp(self.from, self.to) - self.from) as f64 / (self.to - self.from) as f64;
        f64::from(LEFT) + share * f64::from(WIDTH - LEFT - RIGHT)
    }

    /// Round times about a hundred pixels apart.
    pub fn ticks(&self) -> Vec<u64> {
        let wanted = ((self.to - self.from) / 10).max(1);
        let decade = 10u64.pow(wanted.ilog10());
        let step = [1, 2, 5, 10].into_iter().map(|n| n * decade).find(|s| *s >= wanted).unwrap_or(wanted);
        let first = self.from.div_ceil(step).saturating_mul(step);
        let tick = |i: u64| first.checked_add(i.checked_mul(step)?).filter(|t| *t <= self.to);
        (0..).map_while(tick).collect()
    }
}

/// A plot in the making.
pub struct Canvas {
    scale: Scale,
    height: u32,
    bands: String,
    lines: String,
    marks: String,
    y_to_px: Box<dyn Fn(f64) -> f64>,
}

/// One line: its colour and its points; it is interrupted where a value is missing.
pub type Line = (Colour, Vec<(u64, Option<f64>)>);

impl Canvas {
    /// A frame over `[from, to]` nanoseconds and the values `[low, high]`, logarithmic or not, with lines.
    pub fn new(
        (from, to): (u64, u64),
        height: u32,
        (low, high, log): (f64, f64, bool),
        axis: &Axis<'_>,
        lines: &[Line],
    ) -> Self {
        let scale = Scale::new(from, to);
        let to = scale.to;
        let mut svg = String::new();
        {
            let root = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
            let drawn = match log {
                true => draw(&root, (from, to), (low..high).log_scale(), axis, lines),
                false => draw(&root, (from, to), low..high, axis, lines),
            };
            drawn.expect("drawing into a string cannot fail");
            root.present().expect("drawing into a string cannot fail");
        }
        let (top, bottom) = (f64::from(TOP), f64::from(height - BOTTOM));
        let bent = move |v: f64| if log { v.max(low).ln() } else { v };
        let (l, h) = (bent(low), bent(high));
        let y_to_px = move |v: f64| bottom - (bent(v) - l) / (h - l).max(f64::MIN_POSITIVE) * (bottom - top);
        // The opening tag is written anew by `finish`.
        let inner = svg.split_once('>').map_or("", |(_, rest)| rest).trim();
        let lines = inner.strip_suffix("</svg>").unwrap_or(inner).to_owned();
        Canvas {
            scale,
            height,
            bands: String::new(),
            lines,
            marks: String::new(),
            y_to_px: Box::new(y_to_px),
        }
    }

    /// Where a time stands.
    pub fn x(&self, time: u64) -> f64 {
        self.scale.x(time)
    }

    /// Where a value stands.
    pub fn y(&self, value: f64) -> f64 {
        (self.y_to_px)(value)
    }

    /// Draws bands behind everything; hovering one names it.
    pub fn bands(&mut self, bands: &Bands) {
        for (from, to, colour, name) in &bands.0 {
            let (x, right) = (self.x(*from), self.x(*to));
            let title = escape(&inert(name));
            let _ = write!(
                self.bands,
                "<rect class=\"band\" x=\"{x:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{}\" fill=\"{colour}\" \
                 fill-opacity=\"0.13\"><title>{title} ({}–{})</title></rect>",
                (right - x).max(1.0),
                self.height - BOTTOM - TOP,
                at(*from),
                at(*to)
            );
        }
    }

    /// Adds SVG in front of everything.
    pub fn mark(&mut self, svg: &str) {
        self.marks.push_str(svg);
    }

    /// The whole plot; `name` is what is read aloud.
    pub fn finish(self, name: &str) -> String {
        format!(
            "<svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"{}\">{}{}{}</svg>",
            self.height,
            escape(&inert(name)),
            self.bands,
            self.lines,
            self.marks
        )
    }
}

/// A picture of a page as a file of its own: on white, with the namespace that a file needs.
pub fn standalone(svg: &str) -> String {
    let head =
        format!("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" font-family=\"sans-serif\" ");
    let svg = svg.replacen("<svg ", &head, 1);
    svg.replacen('>', "><rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>", 1)
}

/// Escapes text for SVG and HTML, attributes included.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

fn draw<Y>(
    root: &DrawingArea<SVGBackend<'_>, Shift>,
    (from, to): (u64, u64),
    values: Y,
    axis: &Axis<'_>,
    lines: &[Line],
) -> Result<(), DrawingAreaErrorKind<std::io::Error>>
where
    Y: AsRangedCoord<Value = f64>,
    Y::CoordDescType: Ranged<ValueType = f64> + plotters::coord::ranged1d::ValueFormatter<f64>,
{
    let time = from as f64 / 1e9..to as f64 / 1e9;
    let mut chart = ChartBuilder::on(root)
        .margin_top(TOP)
        .margin_right(RIGHT)
        .set_label_area_size(LabelAreaPosition::Left, LEFT)
        .set_label_area_size(LabelAreaPosition::Bottom, BOTTOM)
        .build_cartesian_2d(time, values)?;
    let text = ("sans-serif", 12).into_font().color(&palette::rgb(palette::TEXT));
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(palette::rgb(palette::MESH))
        .axis_style(palette::rgb(palette::MESH))
        .label_style(text.clone())
        .axis_desc_style(text)
        .x_labels(12)
        .y_labels(6)
        .x_label_formatter(&|s| format!("{s} s"))
        .y_label_formatter(&|v| (axis.label)(*v))
        .draw()?;
    for (colour, points) in lines {
        let style = palette::rgb(colour).stroke_width(2);
        for part in points.split(|(_, v)| v.is_none()) {
            let part = part.iter().filter_map(|(t, v)| Some((*t as f64 / 1e9, (*v)?)));
            chart.draw_series(LineSeries::new(part, style))?;
        }
    }
    Ok(())
}
