//! Two campaigns side by side, paired by seed: the same load and the same faults, on two versions of a database,
//! say. Runs of one name and seed are a pair; of the others, those of one seed whose names differ in the target
//! alone.
//!
//! A change of a figure is claimed only if chance does not explain it: if the signs of the pairs' differences
//! were random, a mean difference as large as the one seen would be rarer than one in twenty (the paired
//! permutation test, exact up to [`EXACT`] pairs, beyond that by the normal approximation). That takes at
//! least six pairs.

use std::collections::{BTreeMap, VecDeque};

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

/// A figure of all repeats of one combination.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The combination's name; both, where the targets differ.
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
    let mut pairs = Vec::new();
    let (left, right) = pair(first.iter().collect(), second.iter().collect(), by_name, &mut pairs);
    let (left, right) = pair(left, right, by_storm, &mut pairs);
    let named = |r: &&Results| format!("{} (seed {})", r.run.name, r.run.seed);
    let outcomes = pairs.iter().filter(|(a, b)| a.run.outcome != b.run.outcome);
    Comparison {
        pairs: pairs.len(),
        only_first: left.iter().map(named).collect(),
        only_second: right.iter().map(named).collect(),
        outcomes: outcomes.map(|p| (label(p), p.0.run.seed, p.0.run.outcome, p.1.run.outcome)).collect(),
        figures: differences(&pairs),
    }
}

type Pair<'a> = (&'a Results, &'a Results);
type Key<'a> = (&'a str, u64);

/// Moves what has one key on both sides into `pairs`, in order, and gives back the rest of each side.
fn pair<'a>(
    first: Vec<&'a Results>,
    second: Vec<&'a Results>,
    key: fn(&'a Results) -> Key<'a>,
    pairs: &mut Vec<Pair<'a>>,
) -> (Vec<&'a Results>, Vec<&'a Results>) {
    let mut waiting: BTreeMap<Key<'a>, VecDeque<&'a Results>> = BTreeMap::new();
    second.into_iter().for_each(|r| waiting.entry(key(r)).or_default().push_back(r));
    let mut left = Vec::new();
    for r in first {
        match waiting.get_mut(&key(r)).and_then(VecDeque::pop_front) {
            Some(other) => pairs.push((r, other)),
            None => left.push(r),
        }
    }
    (left, waiting.into_values().flatten().collect())
}

fn by_name(r: &Results) -> Key<'_> {
    (&r.run.name, r.run.seed)
}

/// A run's name without its target: what load and which faults it had, and which repeat it was.
fn by_storm(r: &Results) -> Key<'_> {
    let workload = format!("-{}", r.run.workload);
    let at = r.run.name.find(&workload).filter(|_| !r.run.workload.is_empty());
    (at.map_or(&r.run.name, |at| &r.run.name[at + 1..]), r.run.seed)
}

/// What a pair is called: both names where they differ.
fn label((a, b): &Pair<'_>) -> String {
    if a.run.name == b.run.name { a.run.name.clone() } else { format!("{} / {}", a.run.name, b.run.name) }
}

/// Repeats of one combination are compared together: their names end in the number of the repeat.
fn combination(pair: &Pair<'_>) -> String {
    let strip = |name: &str| match name.rsplit_once("-r") {
        Some((head, n)) if !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()) => head.to_owned(),
        _ => name.to_owned(),
    };
    let (a, b) = (strip(&pair.0.run.name), strip(&pair.1.run.name));
    if a == b { a } else { format!("{a} / {b}") }
}

fn differences(pairs: &[Pair<'_>]) -> Vec<Difference> {
    let mut values: BTreeMap<(String, &'static str), Vec<(f64, f64)>> = BTreeMap::new();
    for (a, b) in pairs {
        let (Some(first), Some(second)) = (a.figures, b.figures) else { continue };
        let second: BTreeMap<&str, f64> = second.named().into_iter().collect();
        for (figure, x) in first.named() {
            if let Some(y) = second.get(figure) {
                values.entry((combination(&(*a, *b)), figure)).or_default().push((x, *y));
            }
        }
    }
    let difference = |((name, figure), values): ((String, &'static str), Vec<(f64, f64)>)| {
        let apart: Vec<f64> = values.iter().map(|(x, y)| y - x).collect();
        let chance = chance(&apart);
        Difference {
            name,
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
    fn two_versions_of_a_target_are_paired_and_their_repeats_compared_together() {
        let of = |target: &str, slower: f64| -> Vec<Results> {
            let one = |r: u64| {
                let results = run(&format!("{target}-set-kill-r{r}"), 100 + r, 1000.0 - slower + r as f64);
                Results { run: RunResult { workload: "set".into(), ..results.run }, ..results }
            };
            (1..=7).map(one).collect()
        };
        let c = compare(&of("etcd.version=3.4", 0.0), &of("etcd.version=3.5", 20.0));
        assert_eq!((c.pairs, c.only_first.len(), c.only_second.len()), (7, 0, 0));
        assert_eq!(rate(&c).name, "etcd.version=3.4-set-kill / etcd.version=3.5-set-kill");
        assert_eq!((rate(&c).pairs, rate(&c).changed), (7, true));
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
