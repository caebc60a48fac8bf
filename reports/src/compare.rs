//! Two campaigns side by side, paired by name and seed: the same load and the same faults, on two versions of
//! a database, say.
//!
//! A change of a figure is claimed only if chance does not explain it: if the signs of the pairs' differences
//! were random, a mean difference as large as the one seen would be rarer than one in twenty (the paired
//! permutation test, exact up to [`EXACT`] pairs, beyond that by the normal approximation). That takes at
//! least six pairs.

use std::collections::BTreeMap;

use serde::Serialize;

use super::trend::middle;
use crate::{Results, RunOutcome};

/// Pairs up to which every choice of signs is tried.
const EXACT: usize = 16;
/// How rare it must be.
const RARE: f64 = 0.05;

/// What differs between two campaigns.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Runs that both have.
    pub pairs: usize,
    /// Runs that only the first has, by name and seed.
    pub only_first: Vec<String>,
    /// Runs that only the second has.
    pub only_second: Vec<String>,
    /// Pairs that went differently: name, seed, and how each went.
    pub outcomes: Vec<(String, u64, RunOutcome, RunOutcome)>,
    /// Each figure over all pairs of a name.
    pub figures: Vec<Difference>,
}

/// A figure of the runs of one name.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The runs' name.
    pub name: String,
    /// The figure; its unit is in it.
    pub figure: &'static str,
    /// Pairs that have it on both sides.
    pub pairs: usize,
    /// The median in the first campaign.
    pub first: f64,
    /// The median in the second.
    pub second: f64,
    /// How often chance would give as large a difference, from 0 to 1.
    pub chance: f64,
    /// Whether the difference is claimed.
    pub changed: bool,
}

/// Compares two campaigns. Where several runs have one name and seed, they are paired in order.
pub fn compare(first: &[Results], second: &[Results]) -> Comparison {
    let (a, b) = (by_place(first), by_place(second));
    let missing = |from: &Places<'_>, other: &Places<'_>| -> Vec<String> {
        from.keys()
            .filter(|k| !other.contains_key(*k))
            .map(|(name, seed, _)| format!("{name} (seed {seed})"))
            .collect()
    };
    let pairs: Vec<(&Results, &Results)> = a.iter().filter_map(|(k, r)| Some((*r, *b.get(k)?))).collect();
    let outcomes = pairs.iter().filter(|(a, b)| a.run.outcome != b.run.outcome);
    Comparison {
        pairs: pairs.len(),
        only_first: missing(&a, &b),
        only_second: missing(&b, &a),
        outcomes: outcomes
            .map(|(a, b)| (a.run.name.clone(), a.run.seed, a.run.outcome, b.run.outcome))
            .collect(),
        figures: differences(&pairs),
    }
}

type Places<'a> = BTreeMap<(&'a str, u64, usize), &'a Results>;

fn by_place(runs: &[Results]) -> Places<'_> {
    let mut places = Places::new();
    for r in runs {
        let nth =
            places.range((&*r.run.name, r.run.seed, 0)..=(&*r.run.name, r.run.seed, usize::MAX)).count();
        places.insert((&r.run.name, r.run.seed, nth), r);
    }
    places
}

fn differences(pairs: &[(&Results, &Results)]) -> Vec<Difference> {
    let mut values: BTreeMap<(&str, &'static str), Vec<(f64, f64)>> = BTreeMap::new();
    for (a, b) in pairs {
        let (Some(first), Some(second)) = (a.figures, b.figures) else { continue };
        let second: BTreeMap<&str, f64> = second.named().into_iter().collect();
        for (figure, x) in first.named() {
            if let Some(y) = second.get(figure) {
                values.entry((&a.run.name, figure)).or_default().push((x, *y));
            }
        }
    }
    let difference = |((name, figure), values): ((&str, &'static str), Vec<(f64, f64)>)| {
        let apart: Vec<f64> = values.iter().map(|(x, y)| y - x).collect();
        let chance = chance(&apart);
        Difference {
            name: name.to_owned(),
            figure,
            pairs: values.len(),
            first: middle(&mut values.iter().map(|(x, _)| *x).collect::<Vec<_>>()),
            second: middle(&mut values.iter().map(|(_, y)| *y).collect::<Vec<_>>()),
            chance,
            changed: chance <= RARE,
        }
    };
    values.into_iter().map(difference).collect()
}

/// How often random signs give a sum at least as far from zero as the one seen.
fn chance(apart: &[f64]) -> f64 {
    let n = apart.len();
    let sum: f64 = apart.iter().sum();
    if n == 0 || sum == 0.0 {
        return 1.0;
    }
    if n > EXACT {
        let deviation = apart.iter().map(|d| d * d).sum::<f64>().sqrt();
        return 2.0 * upper_tail(sum.abs() / deviation);
    }
    let signed = |signs: u32| -> f64 {
        apart.iter().enumerate().map(|(i, d)| if signs >> i & 1 == 1 { -d } else { *d }).sum()
    };
    // A little less than the sum seen, so that rounding does not lose sums that are equal to it.
    let limit = sum.abs() * (1.0 - 1e-9);
    let as_far = (0..1u32 << n).filter(|signs| signed(*signs).abs() >= limit).count();
    as_far as f64 / f64::from(1u32 << n)
}

/// The upper tail of the normal distribution (Abramowitz and Stegun, 26.2.17), to seven digits.
fn upper_tail(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let poly = t
        * (0.319_381_530
            + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() * poly
}

#[cfg(test)]
mod tests {
    use squall_checkers::Verdict;
    use squall_history::History;

    use super::*;
    use crate::{Facts, Figures, RunResult, results};

    fn run(name: &str, seed: u64, rate: f64) -> Results {
        let r = results(&History::default(), &[Verdict::valid("set")], &Facts::default());
        let figures = Some(Figures { ok_per_second: rate, ..Figures::default() });
        Results { figures, run: RunResult { name: name.into(), seed, ..r.run }, ..r }
    }

    fn rate(c: &Comparison) -> &Difference {
        c.figures.iter().find(|d| d.figure == "ok_per_second").unwrap()
    }

    #[test]
    fn a_change_is_claimed_beyond_chance_only() {
        let base: Vec<Results> = (0..8).map(|s| run("a", s, 1000.0 + s as f64 * 50.0)).collect();
        let slower: Vec<Results> = (0..8).map(|s| run("a", s, 980.0 + s as f64 * 50.0)).collect();
        let c = compare(&base, &slower);
        // All eight are slower by little: far less than runs differ by seed, yet 2 of 256 by chance.
        assert_eq!((rate(&c).changed, rate(&c).chance, rate(&c).pairs), (true, 2.0 / 256.0, 8));
        let mixed: Vec<Results> = (0..8)
            .map(|s| run("a", s, 1000.0 + s as f64 * 50.0 + if s % 2 == 0 { 90.0 } else { -95.0 }))
            .collect();
        assert!(!rate(&compare(&base, &mixed)).changed);
        let few = compare(&base[..5], &slower[..5]);
        assert!(!rate(&few).changed, "five pairs prove nothing: {}", rate(&few).chance);
    }

    #[test]
    fn runs_are_paired_by_name_and_seed_and_the_rest_is_named() {
        let c = compare(
            &[run("a", 1, 1.0), run("a", 1, 2.0), run("b", 1, 1.0)],
            &[run("a", 1, 1.0), run("a", 2, 1.0)],
        );
        assert_eq!(c.pairs, 1);
        assert_eq!(c.only_first, ["a (seed 1)", "b (seed 1)"]);
        assert_eq!(c.only_second, ["a (seed 2)"]);
    }

    #[test]
    fn many_pairs_agree_with_the_exact_test() {
        assert!((upper_tail(1.959_964) - 0.025).abs() < 1e-6);
        let apart: Vec<f64> = (0..16).map(|i| f64::from(i % 5) - 1.2).collect();
        let deviation = apart.iter().map(|d| d * d).sum::<f64>().sqrt();
        let approximate = 2.0 * upper_tail(apart.iter().sum::<f64>().abs() / deviation);
        assert!((chance(&apart) - approximate).abs() < 0.03, "{} {approximate}", chance(&apart));
    }
}
