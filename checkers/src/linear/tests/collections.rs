//! Queues, stacks and priority queues against brute force on every small history, and against the general
//! search on larger ones.

use squall_history::{History, Value};

use super::build::{Did, history};
use super::search::{random_shape, searched};
use super::{brute, enumerate};
use crate::bench::Dice;
use crate::linear::elements::Patterns;
use crate::linear::problem::project;
use crate::linear::{priority, queue, stack};
use crate::models::{Collection, Rule};

const RULES: [Rule; 4] = [Rule::Oldest, Rule::Any, Rule::Least, Rule::Newest];

fn judged(rule: Rule, history: &History) -> Patterns {
    let all = 0..history.len() as u32;
    match rule {
        Rule::Oldest => queue::judge(history, all, true),
        Rule::Any => queue::judge(history, all, false),
        Rule::Least => priority::judge(history, all),
        Rule::Newest => stack::judge(history, all),
    }
}

/// An operation: puts the element of this number, takes it, sees nothing, or takes without an answer.
#[derive(Clone, Copy, PartialEq)]
enum Does {
    Put(usize),
    Take(usize),
    Empty,
    Unseen,
}

/// Every way to fill a shape; elements are numbered by their puts. What is taken was put, and once.
fn fill(n: usize, open: u32, made: &mut Vec<Does>, visit: &mut impl FnMut(&[Does])) {
    let puts = made.iter().filter(|d| matches!(d, Does::Put(_))).count();
    if made.len() == n {
        if made.iter().all(|d| !matches!(d, Does::Take(e) if *e >= puts)) {
            visit(made);
        }
        return;
    }
    let mut choices = vec![Does::Put(puts)];
    if open >> made.len() & 1 == 1 {
        choices.push(Does::Unseen);
    } else {
        choices.push(Does::Empty);
        choices.extend((0..n).map(Does::Take).filter(|take| !made.contains(take)));
    }
    for choice in choices {
        made.push(choice);
        fill(n, open, made, visit);
        made.pop();
    }
}

fn did(does: &[Does], rule: Rule, value: &[i64]) -> Vec<Did> {
    let (put, take) = if rule == Rule::Newest { ("push", "pop") } else { ("enqueue", "dequeue") };
    let element = |e: usize| Value::Int(value[e]);
    let one = |d: &Does| match *d {
        Does::Put(e) => (put, element(e), Value::Nil),
        Does::Take(e) => (take, Value::Nil, element(e)),
        Does::Empty | Does::Unseen => (take, Value::Nil, Value::Nil),
    };
    does.iter().map(one).collect()
}

/// Every order of the numbers below `n`.
fn permutations(n: usize) -> Vec<Vec<i64>> {
    let mut all = vec![vec![]];
    for next in 0..n as i64 {
        let put = |p: &Vec<i64>| -> Vec<Vec<i64>> {
            (0..=p.len()).map(|at| [&p[..at], &[next], &p[at..]].concat()).collect()
        };
        all = all.iter().flat_map(put).collect();
    }
    all
}

#[derive(Default)]
struct Seen {
    valid: u64,
    invalid: u64,
    left_open: u64,
}

fn compare(rule: Rule, history: &History, seen: &mut Seen, truth: impl Fn() -> bool) {
    let told = || history.ops().collect::<Vec<_>>();
    match judged(rule, history) {
        Patterns::NotThisShape => seen.left_open += 1,
        Patterns::Linearizable => {
            assert!(truth(), "{rule:?} {:?}", told());
            seen.valid += 1;
        }
        Patterns::Broken(_) => {
            assert!(!truth(), "{rule:?} {:?}", told());
            seen.invalid += 1;
        }
    }
}

/// Every history of `n` operations of which at most `open` have no answer.
fn every(rule: Rule, n: usize, open: u32) {
    let mut seen = Seen::default();
    let model = Collection { rule };
    for set in (0..1u32 << n).filter(|set| set.count_ones() <= open) {
        enumerate::orders(n, set, &mut |shape| {
            fill(n, set, &mut Vec::new(), &mut |does| {
                let puts = does.iter().filter(|d| matches!(d, Does::Put(_))).count();
                // Only of a priority queue it matters which element is which.
                let orders =
                    if rule == Rule::Least { permutations(puts) } else { vec![(0..n as i64).collect()] };
                for values in orders {
                    let history = history(shape, &did(does, rule, &values));
                    compare(rule, &history, &mut seen, || {
                        let problem = project(&model, &history, 0..n as u32).unwrap();
                        brute::linearizable(&model, &problem)
                    });
                }
            });
        });
    }
    if n >= 4 {
        let said = seen.valid + seen.invalid;
        assert!(
            seen.valid > 0 && seen.invalid > 0 && seen.left_open < said / 20,
            "{rule:?}: {} of {said}",
            seen.left_open
        );
    }
    if open == 0 {
        assert_eq!(seen.left_open, 0, "complete where everything has an answer");
    }
}

#[test]
fn agree_with_brute_force_on_every_small_history() {
    for rule in RULES {
        for n in 1..=3 {
            every(rule, n, n as u32);
        }
        every(rule, 4, 1);
        every(rule, 5, if rule == Rule::Least { 0 } else { 1 });
    }
}

#[test]
#[ignore = "minutes: every history of up to six operations, with any number of them unanswered up to five"]
fn agree_with_brute_force_on_every_history_of_six() {
    for rule in RULES {
        every(rule, 4, 4);
        every(rule, 5, 5);
        every(rule, 6, 2);
    }
}

/// A history of clients that play with a real collection for a while, in which some answers are then swapped.
fn random_history(dice: &mut Dice, rule: Rule) -> History {
    let n = 6 + dice.roll(12) as usize;
    let open = if dice.roll(3) == 0 { 8 } else { 0 };
    let shape = random_shape(dice, n, 4, open);
    // Each takes effect at a random place within its time.
    let mut effects: Vec<(u64, usize)> = (0..n)
        .map(|i| {
            let end = shape[i].1.min(shape[i].0 + 6);
            let at = shape[i].0 + dice.roll(u64::from(end - shape[i].0)) as u32;
            (u64::from(at) << 32 | dice.roll(1 << 20), i)
        })
        .collect();
    effects.sort_unstable();
    let (mut held, mut does): (Vec<usize>, _) = (Vec::new(), vec![Does::Empty; n]);
    let mut values: Vec<i64> = (0..n as i64).collect();
    for i in 0..n {
        values.swap(i, dice.roll(n as u64) as usize);
    }
    let mut puts = 0;
    for (_, i) in effects {
        let lost = shape[i].1 == u32::MAX;
        let happens = !lost || dice.roll(2) == 0;
        if dice.roll(2) == 0 {
            does[i] = Does::Put(puts);
            if happens {
                held.push(puts);
            }
            puts += 1;
            continue;
        }
        let at = match rule {
            Rule::Oldest => 0,
            Rule::Newest => held.len().saturating_sub(1),
            Rule::Any => dice.roll(held.len().max(1) as u64) as usize,
            Rule::Least => (0..held.len()).min_by_key(|&at| values[held[at]]).unwrap_or(0),
        };
        let taken = (happens && at < held.len()).then(|| held.remove(at));
        does[i] = if lost { Does::Unseen } else { taken.map_or(Does::Empty, Does::Take) };
    }
    let takes: Vec<usize> = (0..n).filter(|&i| matches!(does[i], Does::Take(_))).collect();
    if takes.len() > 1 && dice.roll(2) == 0 {
        let at = dice.roll(takes.len() as u64 - 1) as usize;
        does.swap(takes[at], takes[at + 1]);
    }
    history(&shape, &did(&does, rule, &values))
}

#[test]
fn agree_with_the_general_search_on_random_histories() {
    let mut dice = Dice::new(41);
    for rule in RULES {
        let mut seen = Seen::default();
        for _ in 0..1000 {
            let history = random_history(&mut dice, rule);
            let model = Collection { rule };
            compare(rule, &history, &mut seen, || {
                searched(&model, &project(&model, &history, 0..history.len() as u32).unwrap())
            });
        }
        let Seen { valid, invalid, left_open } = seen;
        assert!(valid > 300 && invalid > 30 && left_open < 100, "{rule:?}: {valid} {invalid} {left_open}");
    }
}
