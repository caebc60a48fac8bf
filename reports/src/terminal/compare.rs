//! Runs over time, and two campaigns side by side, in a terminal.

use std::fmt::Write;

use crate::text::{count, counted, inert, percent, seconds};
use crate::{Comparison, Difference, RunOutcome, Signature, State, Trend};

/// Last runs of a trend that are listed.
const LISTED: usize = 20;

/// One name's runs over time: a line a run, what changed, and which anomalies are new, known or gone.
pub fn trend(trend: &Trend) -> String {
    let mut out = format!("{}\n", inert(&trend.name));
    let earlier = trend.points.len().saturating_sub(LISTED);
    if earlier > 0 {
        let _ = writeln!(out, "  … {}", counted(earlier as u64, "earlier run"));
    }
    for point in &trend.points[earlier..] {
        let shown = ["ok_per_second", "p99_seconds", "recovery_seconds"];
        let figures = shown.iter().filter_map(|f| point.figures.get_key_value(f));
        let figures: Vec<String> = figures.map(|(f, v)| format!("{} {}", name(f), value(f, *v))).collect();
        let _ =
            writeln!(out, "  {:<20} {:<7} {}", inert(&point.label), word(point.outcome), figures.join("  "));
    }
    for c in &trend.changes {
        let (last, median) = (value(c.figure, c.last), value(c.figure, c.median));
        let _ = writeln!(out, "  CHANGED {}: {last}, before {median}", name(c.figure));
    }
    trend.signatures.iter().for_each(|s| {
        let _ = writeln!(out, "  {}", sighting(s));
    });
    out
}

/// Every anomaly of a campaign's nights, a line each: new ones first.
pub fn triage(signatures: &[Signature]) -> String {
    signatures.iter().map(|s| format!("{}\n", sighting(s))).collect()
}

fn sighting(s: &Signature) -> String {
    let state = match s.state {
        State::New => "NEW".to_owned(),
        State::Known => format!("seen {} since {}", counted(s.seen as u64, "time"), inert(&s.first)),
        State::Gone => format!("gone, last seen {}", inert(&s.last)),
        State::Untested => format!("not looked for, last seen {}", inert(&s.last)),
    };
    format!("{}: {state}", inert(&s.signature))
}

/// What differs between two campaigns; figures that chance explains are counted only.
pub fn comparison(c: &Comparison) -> String {
    let mut out = format!("{} of runs\n", counted(c.pairs as u64, "pair"));
    for (label, only) in [("only in the first", &c.only_first), ("only in the second", &c.only_second)] {
        if !only.is_empty() {
            let _ = writeln!(out, "  {label}: {}", inert(&only.join(", ")));
        }
    }
    for (run, seed, a, b) in &c.outcomes {
        let _ = writeln!(out, "  {} (seed {seed}): {} → {}", inert(run), word(*a), word(*b));
    }
    let (changed, same): (Vec<&Difference>, Vec<&Difference>) = c.figures.iter().partition(|d| d.changed);
    for d in changed {
        let (first, second) = (value(d.figure, d.first), value(d.figure, d.second));
        let (pairs, chance) = (d.pairs, percent(d.chance));
        let _ = writeln!(
            out,
            "  {}, {}: {first} → {second} ({pairs} pairs; by chance {chance} of times)",
            inert(&d.name),
            name(d.figure)
        );
    }
    if !same.is_empty() {
        let _ = writeln!(out, "  {} without a change beyond chance", counted(same.len() as u64, "figure"));
    }
    out
}

fn word(outcome: RunOutcome) -> &'static str {
    match outcome {
        RunOutcome::Pass => "passed",
        RunOutcome::Fail => "FAILED",
        RunOutcome::Unknown => "unknown",
        RunOutcome::Error => "broke",
    }
}

/// A figure's name without its unit, which stands with the value.
pub(crate) fn name(figure: &str) -> String {
    figure.trim_end_matches("_per_second").trim_end_matches("_seconds").replace('_', " ")
}

/// A figure's value with its unit.
pub(crate) fn value(figure: &str, v: f64) -> String {
    match figure {
        f if f.ends_with("_per_second") => format!("{}/s", count(v.round() as u64)),
        f if f.ends_with("_seconds") => seconds(v),
        f if f.ends_with("_share") => percent(v),
        _ => format!("{v}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use squall_checkers::Valid;

    use super::*;
    use crate::{Change, Point};

    #[test]
    fn a_trend_names_what_is_new() {
        let figures = BTreeMap::from([("ok_per_second", 1234.5), ("p99_seconds", 0.0032)]);
        let point =
            Point { label: "2026-11-21".into(), outcome: RunOutcome::Fail, valid: Valid::No, figures };
        let signature = Signature {
            signature: "set/lost\u{1b}[0m".into(),
            seen: 1,
            first: "2026-11-21".into(),
            last: "2026-11-21".into(),
            state: State::New,
        };
        let change = Change { figure: "p99_seconds", median: 0.001, spread: 0.0001, last: 0.0032 };
        let points = vec![point; 22];
        let text =
            trend(&Trend { name: "n".into(), points, changes: vec![change], signatures: vec![signature] });
        assert!(
            text.starts_with(
                "n\n  … 2 earlier runs\n  2026-11-21           FAILED  ok 1,235/s  p99 3.20 ms\n"
            ),
            "{text}"
        );
        assert!(text.contains("  CHANGED p99: 3.20 ms, before 1.00 ms\n"));
        assert!(text.ends_with("  set/lost\\u{1b}[0m: NEW\n"), "{text}");
    }

    #[test]
    fn a_comparison_tells_changes_and_counts_the_rest() {
        let difference = |figure, changed| Difference {
            name: "a".into(),
            figure,
            pairs: 8,
            first: 0.99,
            second: 0.95,
            chance: 0.01,
            changed,
        };
        let text = comparison(&Comparison {
            pairs: 8,
            only_first: vec!["b (seed 1)".into()],
            only_second: vec![],
            outcomes: vec![("a".into(), 3, RunOutcome::Pass, RunOutcome::Fail)],
            figures: vec![difference("ok_share", true), difference("p50_seconds", false)],
        });
        let expected = "8 pairs of runs\n  only in the first: b (seed 1)\n  a (seed 3): passed → FAILED\n  \
            a, ok share: 99.0 % → 95.0 % (8 pairs; by chance 1.0 % of times)\n  \
            1 figure without a change beyond chance\n";
        assert_eq!(text, expected);
    }
}
