//! The runs of one name over time: verdicts, figures, and which anomalies are new, known or gone.
//!
//! A figure is marked as changed if its last value lies outside of what the runs before it were spread over:
//! further from their median than three times the scaled median absolute deviation and than a tenth of the
//! median. With fewer than [`BASIS`] earlier values nothing is claimed.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use squall_checkers::Valid;

use crate::{Results, RunOutcome};

/// Earlier runs without which no change is claimed.
pub const BASIS: usize = 5;
/// Earlier runs that are looked at.
const WINDOW: usize = 20;

/// The runs of one name, in the order of time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trend {
    /// The runs' name.
    pub name: String,
    /// One for each run.
    pub points: Vec<Point>,
    /// Figures of the last run that stand out.
    pub changes: Vec<Change>,
    /// Anomalies by signature.
    pub signatures: Vec<Signature>,
}

/// One run of a trend.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Point {
    /// When or which campaign, as the caller names it.
    pub label: String,
    /// How it went.
    pub outcome: RunOutcome,
    /// Its verdict.
    pub valid: Valid,
    /// Its figures by name.
    pub figures: BTreeMap<&'static str, f64>,
}

/// A figure whose last value is not what it was.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The figure's name; its unit is in it.
    pub figure: &'static str,
    /// The median of the runs before.
    pub median: f64,
    /// How far runs before lay from it: the scaled median absolute deviation.
    pub spread: f64,
    /// The last value.
    pub last: f64,
}

/// When an anomaly was seen.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Signature {
    /// Check, anomaly, model, shape.
    pub signature: String,
    /// Runs in which it was seen.
    pub seen: usize,
    /// Label of the first.
    pub first: String,
    /// Label of the last.
    pub last: String,
    /// What that means for the last run.
    pub state: State,
}

/// How an anomaly stands in the last run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Seen in the last run for the first time.
    New,
    /// Seen in the last run and before.
    Known,
    /// Not seen in the last run.
    Gone,
    /// Seen before; nothing that showed it was run last.
    Untested,
}

/// Folds runs, given with their labels in the order of time, into a trend for each name.
pub fn trends(runs: &[(String, &Results)]) -> Vec<Trend> {
    let mut by_name: BTreeMap<&str, Vec<(&str, &Results)>> = BTreeMap::new();
    for (label, results) in runs {
        by_name.entry(&results.run.name).or_default().push((label, results));
    }
    by_name.into_iter().map(|(name, runs)| trend(name, &runs)).collect()
}

fn trend(name: &str, runs: &[(&str, &Results)]) -> Trend {
    let points: Vec<Point> = runs
        .iter()
        .map(|(label, r)| Point {
            label: (*label).to_owned(),
            outcome: r.run.outcome,
            valid: r.run.valid,
            figures: r.figures.iter().flat_map(|f| f.named()).collect(),
        })
        .collect();
    // A run is a night of its own here.
    let each: Vec<(&str, &[&Results])> =
        runs.iter().map(|(label, r)| (*label, std::slice::from_ref(r))).collect();
    let changes = points.last().map(|last| last.figures.keys().filter_map(|f| change(f, &points)).collect());
    Trend {
        name: name.to_owned(),
        changes: changes.unwrap_or_default(),
        signatures: signatures(&each),
        points,
    }
}

fn change(figure: &'static str, points: &[Point]) -> Option<Change> {
    let (last, before) = points.split_last()?;
    let last = *last.figures.get(figure)?;
    let mut before: Vec<f64> =
        before.iter().rev().filter_map(|p| p.figures.get(figure).copied()).take(WINDOW).collect();
    if before.len() < BASIS {
        return None;
    }
    let median = middle(&mut before);
    let mut away: Vec<f64> = before.iter().map(|v| (v - median).abs()).collect();
    // 1.4826 makes it the standard deviation where values are spread normally.
    let spread = 1.4826 * middle(&mut away);
    let far = (last - median).abs();
    (far > 3.0 * spread && far > 0.1 * median.abs()).then_some(Change { figure, median, spread, last })
}

/// The median; sorts on the way. Of at least one value.
pub(crate) fn middle(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    if n % 2 == 1 { values[n / 2] } else { f64::midpoint(values[n / 2 - 1], values[n / 2]) }
}

/// Every anomaly of several nights, each with all of its runs, in the order of time: which are new tonight (the
/// last), which were seen before, and which are gone. One whose runs were not run tonight is neither.
pub fn triage(nights: &[(String, Vec<&Results>)]) -> Vec<Signature> {
    let nights: Vec<(&str, &[&Results])> = nights.iter().map(|(l, r)| (l.as_str(), r.as_slice())).collect();
    signatures(&nights)
}

/// Where one anomaly was seen.
#[derive(Default)]
struct Sightings<'a> {
    /// Nights, ascending.
    nights: Vec<usize>,
    /// Names of runs.
    names: BTreeSet<&'a str>,
}

fn signatures(nights: &[(&str, &[&Results])]) -> Vec<Signature> {
    let mut seen: BTreeMap<&str, Sightings<'_>> = BTreeMap::new();
    for (i, (_, runs)) in nights.iter().enumerate() {
        for r in *runs {
            for anomaly in r.run.checks.values().flat_map(|c| &c.anomalies) {
                let sightings = seen.entry(&anomaly.signature).or_default();
                sightings.names.insert(&r.run.name);
                if sightings.nights.last() != Some(&i) {
                    sightings.nights.push(i);
                }
            }
        }
    }
    let latest = nights.len().saturating_sub(1);
    let tonight: BTreeSet<&str> = nights.last().iter().flat_map(|n| n.1).map(|r| &*r.run.name).collect();
    let told = seen.into_iter().filter_map(|(signature, at)| {
        let (first, last) = (*at.nights.first()?, *at.nights.last()?);
        let looked_for = at.names.iter().any(|name| tonight.contains(name));
        let state = match (first == latest, last == latest) {
            (true, _) => State::New,
            (false, true) => State::Known,
            (false, false) if looked_for => State::Gone,
            (false, false) => State::Untested,
        };
        let label = |i: usize| nights[i].0.to_owned();
        Some(Signature {
            signature: signature.to_owned(),
            seen: at.nights.len(),
            first: label(first),
            last: label(last),
            state,
        })
    });
    let mut all: Vec<Signature> = told.collect();
    all.sort_by_key(|s| (s.state as u8, std::cmp::Reverse(s.seen)));
    all
}

#[cfg(test)]
mod tests {
    use squall_checkers::{Anomaly, Verdict};
    use squall_history::History;

    use super::*;
    use crate::{Facts, Figures, results};

    fn run(p99: f64, signature: Option<&str>) -> Results {
        let anomaly = |s: &str| Anomaly {
            kind: "lost".into(),
            signature: s.into(),
            explanation: String::new(),
            operations: vec![],
            details: Default::default(),
        };
        let verdict = Verdict::from_anomalies("set", signature.map(anomaly).into_iter().collect());
        let figures = Some(Figures { p99_seconds: Some(p99), ..Figures::default() });
        Results { figures, ..results(&History::default(), &[verdict], &Facts::default()) }
    }

    fn only(runs: &[Results]) -> Trend {
        let labelled: Vec<_> = runs.iter().enumerate().map(|(i, r)| (format!("night {i}"), r)).collect();
        trends(&labelled).remove(0)
    }

    #[test]
    fn a_figure_changed_if_it_left_the_spread_of_the_runs_before() {
        let steady = [0.010, 0.011, 0.009, 0.010, 0.012];
        let with = |last: f64| {
            let runs: Vec<Results> = steady.iter().chain([&last]).map(|p| run(*p, None)).collect();
            only(&runs).changes
        };
        assert_eq!(with(0.012), [], "as before");
        let changed = with(0.030);
        assert_eq!((changed.len(), changed[0].figure, changed[0].last), (1, "p99_seconds", 0.030));
        assert_eq!(changed[0].median, 0.010);
        let few: Vec<Results> = [0.01, 0.01, 9.0].iter().map(|p| run(*p, None)).collect();
        assert_eq!(only(&few).changes, [], "too few to tell");
    }

    #[test]
    fn signatures_are_new_known_or_gone() {
        let runs = [run(0.0, Some("gone")), run(0.0, Some("known")), run(0.0, None), run(0.0, Some("known"))];
        let told = only(&runs).signatures;
        let told: Vec<_> =
            told.iter().map(|s| (s.signature.as_str(), s.seen, s.state, s.last.as_str())).collect();
        assert_eq!(told, [("known", 2, State::Known, "night 3"), ("gone", 1, State::Gone, "night 0")]);
        assert_eq!(only(&[run(0.0, None), run(0.0, Some("x"))]).signatures[0].state, State::New);
    }

    #[test]
    fn an_anomaly_is_gone_only_where_it_was_looked_for() {
        let named = |name: &str, signature: Option<&str>| {
            let r = run(0.0, signature);
            Results { run: crate::RunResult { name: name.into(), ..r.run }, ..r }
        };
        let first = [named("a", Some("x")), named("b", Some("y")), named("c", Some("z"))];
        let second = [named("a", None), named("b", Some("y")), named("d", Some("w"))];
        let nights = [("1".to_owned(), first.iter().collect()), ("2".to_owned(), second.iter().collect())];
        let told: Vec<_> = triage(&nights).into_iter().map(|s| (s.signature, s.state)).collect();
        let expected = [("w", State::New), ("y", State::Known), ("x", State::Gone), ("z", State::Untested)];
        assert_eq!(told, expected.map(|(s, state)| (s.to_owned(), state)));
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!([middle(&mut [3.0, 1.0, 2.0]), middle(&mut [4.0, 1.0, 2.0, 3.0])], [2.0, 2.5]);
    }
}
