//! Plots as SVG text, drawn with plotters: axes and lines by it, and what it has no compact form for
//! (thousands of points, bands with titles) put beside them in the same coordinates.
//!
//! Colours are those of the light palette, written as plain attributes, so that a plot can be cut out of the
//! page and put into a paper; the page's style sheet turns each into its dark twin. Text is drawn by the
//! viewer: no font is measured or embedded.

mod canvas;
mod clock;
mod latency;
mod palette;
mod rate;

pub use canvas::{Bands, LEFT, Scale, WIDTH, escape, standalone};
pub use clock::offsets;
pub use latency::{quantiles, raw};
pub use palette::{DARK, FAIL, INFO, OK, QUANTILES, kind_colour};
pub use rate::rate;
