//! Queue patterns, inclusion chains and version sweeps against brute force.

use squall_history::{Builder, Event, EventKind, History, Meta, Order, Value};

use super::build::{Did, history};
use super::search::random_shape;
use super::{brute, enumerate};
use crate::bench::Dice;
use crate::linear::elements::Patterns;
use crate::linear::problem::project;
use crate::linear::queue;
use crate::linear::set::{self, Chain};
use crate::linear::versions;
use crate::models::{Collection, Model, Register, Rule, Set, VersionedRegister};

fn truth<M: Model>(model: &M, history: &History) -> bool {
    brute::linearizable(model, &project(model, history, 0..history.len() as u32).unwrap())
}

/// Every history of `n` operations from the words, `opens` of the sets of open ones; `check` says whether
/// the algorithm found it linearizable, if it is for it to say.
fn exhaustive<M: Model>(
    model: &M,
    n: usize,
    opens: u32,
    words: &[Did],
    check: impl Fn(&History) -> Option<bool>,
) {
    let (mut said, mut valid) = (0u64, 0u64);
    for open in 0..opens {
        enumerate::orders(n, open, &mut |shape| {
            enumerate::labels(n, words.len(), &mut |label| {
                let twice =
                    |l: &u32| !words[*l as usize].1.is_nil() && label.iter().filter(|m| *m == l).count() > 1;
                let answered = |i: usize| open >> i & 1 == 1 && !words[label[i] as usize].2.is_nil();
                if label.iter().any(twice) || (0..n).any(answered) {
                    return;
                }
                let did: Vec<Did> = label.iter().map(|&l| words[l as usize].clone()).collect();
                let history = history(shape, &did);
                if let Some(answer) = check(&history) {
                    assert_eq!(answer, truth(model, &history), "{:?}", history.ops().collect::<Vec<_>>());
                    said += 1;
                    valid += u64::from(answer);
                }
            });
        });
    }
    assert!(valid > 0 && valid < said, "{valid} of {said}");
}

fn queue_words() -> Vec<Did> {
    const N: Value = Value::Nil;
    let i = Value::Int;
    vec![
        ("enqueue", i(1), N),
        ("enqueue", i(2), N),
        ("dequeue", N, i(1)),
        ("dequeue", N, i(2)),
        ("dequeue", N, N),
        ("enqueue", i(3), N),
        ("dequeue", N, i(3)),
    ]
}

fn queue_says(history: &History, ordered: bool) -> Option<bool> {
    match queue::judge(history, 0..history.len() as u32, ordered) {
        Patterns::NotThisShape => None,
        answer => Some(answer == Patterns::Linearizable),
    }
}

fn every_queue(n: usize, opens: u32, words: usize) {
    for (rule, ordered) in [(Rule::Oldest, true), (Rule::Any, false)] {
        let says = |history: &History| queue_says(history, ordered);
        exhaustive(&Collection { rule }, n, opens, &queue_words()[..words], says);
    }
}

#[test]
fn queues_agree_with_brute_force_on_every_small_history() {
    for n in 1..=4 {
        every_queue(n, 1 << n, 5);
    }
}

#[test]
#[ignore = "minutes: every history of up to six operations"]
fn queues_agree_with_brute_force_on_every_history_of_six() {
    every_queue(5, 1 << 5, 5);
    every_queue(5, 1, 7);
    every_queue(6, 1, 5);
}

/// Random histories of the words, each update once.
fn random<M: Model>(model: &M, words: &[Did], rounds: usize, check: impl Fn(&History) -> Option<bool>) {
    let mut dice = Dice::new(23);
    let (mut said, mut valid) = (0, 0);
    for round in 0..rounds {
        let n = 5 + dice.roll(4) as usize;
        let shape = random_shape(&mut dice, n, 4, if round % 3 == 0 { 6 } else { 0 });
        let mut did: Vec<Did> = Vec::new();
        for place in &shape {
            let mut word = words[dice.roll(words.len() as u64) as usize].clone();
            while !word.1.is_nil() && did.contains(&word) {
                word = words[dice.roll(words.len() as u64) as usize].clone();
            }
            if place.1 == u32::MAX {
                word.2 = Value::Nil;
            }
            did.push(word);
        }
        let history = history(&shape, &did);
        if let Some(answer) = check(&history) {
            assert_eq!(answer, truth(model, &history), "{:?}", history.ops().collect::<Vec<_>>());
            said += 1;
            valid += usize::from(answer);
        }
    }
    assert!(valid > said / 100 && said > rounds / 3, "{valid} of {said} of {rounds}");
}

#[test]
fn queues_agree_with_brute_force_on_random_histories() {
    for (rule, ordered) in [(Rule::Oldest, true), (Rule::Any, false)] {
        random(&Collection { rule }, &queue_words(), 8000, |history| queue_says(history, ordered));
    }
}

fn set_words() -> Vec<Did> {
    const N: Value = Value::Nil;
    let i = Value::Int;
    let list = |items: &[i64]| Value::list(items.iter().map(|&v| i(v)).collect::<Vec<_>>());
    vec![
        ("add", i(1), N),
        ("add", i(2), N),
        ("read", N, list(&[])),
        ("read", N, list(&[1])),
        ("read", N, list(&[2])),
        ("read", N, list(&[1, 2])),
        ("add", i(3), N),
        ("read", N, list(&[1, 3])),
    ]
}

fn set_says(history: &History) -> Option<bool> {
    match set::judge(history, 0..history.len() as u32) {
        Chain::NotThisShape => None,
        answer => Some(answer == Chain::Linearizable),
    }
}

#[test]
fn sets_agree_with_brute_force_on_every_small_history() {
    for n in 1..=3 {
        exhaustive(&Set::default(), n, 1 << n, &set_words(), set_says);
    }
    exhaustive(&Set::default(), 4, 1 << 4, &set_words()[..6], set_says);
}

#[test]
#[ignore = "minutes: every history of up to six operations"]
fn sets_agree_with_brute_force_on_every_history_of_six() {
    exhaustive(&Set::default(), 4, 1 << 4, &set_words(), set_says);
    exhaustive(&Set::default(), 5, 1 << 5, &set_words(), set_says);
    exhaustive(&Set::default(), 6, 1, &set_words()[..6], set_says);
}

#[test]
fn sets_agree_with_brute_force_on_random_histories() {
    random(&Set::default(), &set_words(), 8000, set_says);
}

/// A versioned history: each operation with the revision that it notes.
fn versioned(shape: &[(u32, u32)], did: &[(Did, Option<i64>)]) -> History {
    let plain: Vec<Did> = did.iter().map(|(d, _)| d.clone()).collect();
    let history = history(shape, &plain);
    let mut builder = Builder::new(Order::AsGiven);
    let mut events: Vec<(u32, Event)> = Vec::new();
    for op in history.ops() {
        let event = |kind, rank: u32, value: &Value, meta| Event {
            kind,
            process: op.process,
            time: u64::from(rank),
            intended: u64::from(rank),
            f: op.f.into(),
            key: Value::Nil,
            value: value.clone(),
            meta,
        };
        events.push((op.invoked, event(EventKind::Invoke, op.invoked, op.input, None)));
        if op.completed != u32::MAX {
            let meta =
                did[op.index as usize].1.map(|r| Box::new(Meta { revision: Some(r), ..Meta::default() }));
            events.push((op.completed, event(EventKind::Ok, op.completed, op.output, meta)));
        }
    }
    events.sort_by_key(|(rank, _)| *rank);
    for (_, event) in events {
        builder.push(event).unwrap();
    }
    builder.finish().unwrap()
}

#[test]
fn versions_agree_with_brute_force_on_random_histories() {
    let register = Register { initial: 0.into(), nil_reads_unknown: false };
    let mut dice = Dice::new(5);
    let (mut valid, mut refused) = (0, 0);
    for round in 0..20_000 {
        let n = 2 + dice.roll(5) as usize;
        let shape = random_shape(&mut dice, n, 3, if round % 4 == 0 { 6 } else { 0 });
        let mut did: Vec<(Did, Option<i64>)> = Vec::new();
        for _ in 0..n {
            let v = 1 + dice.roll(3) as i64;
            let word: Did = match dice.roll(5) {
                0 | 1 => ("write", Value::Int(v), Value::Nil),
                2 => ("cas", Value::list([Value::Int(v - 1), Value::Int(v)]), Value::Nil),
                _ => ("read", Value::Nil, Value::Int(v)),
            };
            did.push((word, Some(v + dice.roll(2) as i64)));
        }
        let history = versioned(&shape, &did);
        let model = VersionedRegister { history: &history, register: register.clone() };
        let expected = truth(&model, &history);
        let says = versions::linearizable(&history, 0..history.len() as u32, &register);
        let open = shape.iter().any(|s| s.1 == u32::MAX);
        assert!(!says || expected, "{:?}", history.ops().collect::<Vec<_>>());
        assert!(says || !expected || open, "{:?}", history.ops().collect::<Vec<_>>());
        valid += usize::from(says);
        refused += usize::from(!says && !open);
    }
    assert!(valid > 200 && refused > 200, "{valid} {refused}");
}
