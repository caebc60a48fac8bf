//! The run over time: cluster, throughput, latency, with the faults behind each.

use maud::{Markup, PreEscaped, html};
use squall_checkers::Verdict;
use squall_history::History;

use super::run::Run;
use super::{cluster, links};
use crate::plot::{FAIL, INFO, OK, QUANTILES, offsets, quantiles, rate, raw, standalone};
use crate::text::{duration, inert};
use crate::{Facts, RunResult};

/// Buckets of plots over time, about.
const BUCKETS: u64 = 120;

/// The section.
pub fn section(run: &Run<'_>) -> Markup {
    let bands = run.bands();
    let width = bucket(run.span.1 - run.span.0);
    let h = run.history;
    let each = format!("in steps of {}", duration(width));
    html! {
        section id="time" {
            h2 { "Over time" }
            @if !run.kinds.is_empty() {
                p.legend { "Behind each plot: " @for k in &run.kinds { span { i style={"--c:" (run.colour(k))} {} (inert(k)) } } }
            }
            @if let Some(svg) = cluster::lanes(run) {
                figure.plot.wide { figcaption { "Cluster " span { "who led (dark bars), which nodes were harmed, how much each answered" } } (PreEscaped(svg)) }
            }
            @if let Some((svg, told)) = links::matrix(run) {
                figure.plot.wide {
                    figcaption { "Links " span { (told) } }
                    p.legend { span { i.link-cut {} "cut" } span { i.link-bad {} "late, lossy or otherwise bad" } }
                    (PreEscaped(svg))
                }
            }
            figure.plot.wide {
                figcaption { "Throughput " span { "operations a second by outcome, " (each) } }
                (legend(&[("ok", OK), ("fail", FAIL), ("info", INFO)]))
                (PreEscaped(rate(h, run.span, width, &bands, 200)))
            }
            figure.plot.wide {
                figcaption { "Latency " span { "of every operation; marks that would cover each other are drawn once. Rings: operations of an anomaly" } }
                (legend(&[("ok (dots)", OK), ("fail (×)", FAIL), ("info (+)", INFO)]))
                (PreEscaped(raw(h, run.span, &bands, &run.proof, 300)))
            }
            figure.plot.wide {
                figcaption { "Quantiles " span { "of the latency of ok operations, " (each) } }
                (legend(&[("median", QUANTILES[0]), ("95 %", QUANTILES[1]), ("99 %", QUANTILES[2]), ("longest", QUANTILES[3])]))
                (PreEscaped(quantiles(h, run.span, width, &bands, 240)))
            }
            @if let Some((svg, nodes)) = offsets(h, run.span, &bands, 200) {
                figure.plot.wide {
                    figcaption { "Clocks " span { "how far each node's wall clock was off" } }
                    p.legend { @for (node, colour) in &nodes { span { i.line style={"--c:" (colour)} {} (inert(node)) } } }
                    (PreEscaped(svg))
                }
            }
        }
    }
}

/// The plots of a run as SVG files, by name, for papers and tickets. They stand alone, in the light palette.
pub fn plots(
    history: &History,
    verdicts: &[Verdict],
    result: &RunResult,
    facts: &Facts,
) -> Vec<(&'static str, String)> {
    let run = Run::new(history, verdicts, result, facts);
    let (bands, span) = (run.bands(), run.span);
    let width = bucket(span.1 - span.0);
    let mut all = vec![
        ("rate", rate(history, span, width, &bands, 240)),
        ("latency-raw", raw(history, span, &bands, &run.proof, 360)),
        ("latency-quantiles", quantiles(history, span, width, &bands, 300)),
    ];
    all.extend(offsets(history, span, &bands, 240).map(|(svg, _)| ("clocks", svg)));
    all.into_iter().map(|(name, svg)| (name, standalone(&svg))).collect()
}

fn legend(names: &[(&str, &str)]) -> Markup {
    html! { p.legend { @for (name, colour) in names { span { i.line style={"--c:" (colour)} {} (name) } } } }
}

/// A round length of time of which about [`BUCKETS`] make the whole.
pub fn bucket(span: u64) -> u64 {
    let wanted = (span / BUCKETS).max(1_000_000);
    let decade = 10u64.pow(wanted.ilog10());
    [1, 2, 5, 10].into_iter().map(|n| n * decade).find(|b| *b >= wanted).unwrap_or(10 * decade)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_round() {
        assert_eq!(bucket(30_000_000_000), 500_000_000);
        assert_eq!(bucket(120_000_000_000), 1_000_000_000);
        assert_eq!(bucket(0), 1_000_000);
    }
}
