//! Locks against brute force on every small history, and against the general search on larger ones.

use squall_history::{Builder, Event, EventKind, History, NEVER, Order, Value};

use super::search::{random_shape, searched};
use super::{brute, enumerate};
use crate::bench::Dice;
use crate::linear::lock::{self, Locks};
use crate::linear::problem::{Call, Problem, project};
use crate::models::{FencedMutex, FencedOp, LockOp, Model, Mutex, OwnerMutex, OwnerOp};

/// Whether a lock's answer is right; an order is tried out.
fn right<M: Model>(model: &M, problem: &Problem<M::Op>, answer: &Locks, truth: bool) -> bool {
    let Locks::Order(order) = answer else { return !truth };
    let calls = |n: &u32| problem.calls[*n as usize];
    let (mut state, mut latest) = (Some(model.init()), 0);
    for call in order.iter().map(calls) {
        if call.completed < latest {
            return false;
        }
        latest = latest.max(call.invoked);
        state = state.and_then(|s| model.step(&s, &problem.classes[call.class as usize]));
    }
    let all = (0..problem.calls.len() as u32).all(|i| calls(&i).is_open() || order.contains(&i));
    truth && state.is_some() && all
}

fn every_mutex(n: usize) {
    let mut problem = Problem { calls: Vec::new(), classes: vec![LockOp::Acquire, LockOp::Release] };
    let mut seen = [0, 0];
    for open in 0..1u32 << n {
        enumerate::orders(n, open, &mut |shape| {
            enumerate::labels(n, 2, &mut |label| {
                problem.calls = enumerate::calls(shape, label);
                let truth = brute::linearizable(&Mutex, &problem);
                let answer = lock::anyones(&problem);
                assert!(right(&Mutex, &problem, &answer, truth), "{answer:?} {truth} {:?}", problem.calls);
                seen[usize::from(truth)] += 1;
            });
        });
    }
    assert!(n < 2 || seen.iter().all(|&n| n > 0));
}

#[test]
fn anyones_locks_agree_with_brute_force_on_every_history_of_up_to_five() {
    (1..=5).for_each(every_mutex);
}

#[test]
#[ignore = "a minute: every history of six operations"]
fn anyones_locks_agree_with_brute_force_on_every_history_of_six() {
    every_mutex(6);
}

#[test]
fn anyones_locks_agree_with_the_general_search_on_random_histories() {
    let mut dice = Dice::new(29);
    let mut seen = [0, 0];
    for round in 0..6000 {
        let n = 6 + dice.roll(30) as usize;
        let shape = random_shape(&mut dice, n, 6, if round % 2 == 0 { 5 } else { 0 });
        let mut acquires = false;
        let label: Vec<u32> = (0..n)
            .map(|_| {
                // Mostly in turn.
                acquires = acquires == (dice.roll(12) == 0);
                u32::from(!acquires)
            })
            .collect();
        let calls: Vec<Call> = enumerate::calls(&shape, &label);
        let problem = Problem { calls, classes: vec![LockOp::Acquire, LockOp::Release] };
        let truth = searched(&Mutex, &problem);
        let answer = lock::anyones(&problem);
        assert!(right(&Mutex, &problem, &answer, truth), "{answer:?} {truth} {:?}", problem.calls);
        seen[usize::from(truth)] += 1;
    }
    assert!(seen.iter().all(|&n| n > 500), "{seen:?}");
}

/// Every way to give operations to processes that do one at a time, and nothing after one without an answer.
/// Processes are numbered as they appear.
fn owners(shape: &[(u32, u32)], made: &mut Vec<u32>, visit: &mut impl FnMut(&[u32])) {
    if made.len() == shape.len() {
        return visit(made);
    }
    let known = made.iter().max().map_or(0, |p| p + 1);
    for process in 0..=known {
        let idle = |(i, p): (usize, &u32)| *p != process || shape[i].1 < shape[made.len()].0;
        if made.iter().enumerate().all(idle) {
            made.push(process);
            owners(shape, made, visit);
            made.pop();
        }
    }
}

fn build(shape: &[(u32, u32)], by: &[u32], label: &[u32], token: impl Fn(usize) -> Value) -> History {
    let mut events: Vec<(u32, usize, bool)> = Vec::new();
    for (i, &(invoked, completed)) in shape.iter().enumerate() {
        events.push((invoked, i, false));
        if completed != NEVER {
            events.push((completed, i, true));
        }
    }
    events.sort_unstable();
    let mut builder = Builder::new(Order::AsGiven);
    for (rank, i, completes) in events {
        let (kind, time) = (if completes { EventKind::Ok } else { EventKind::Invoke }, u64::from(rank));
        let f = if label[i] == 0 { "acquire" } else { "release" };
        let value = if completes && label[i] == 0 { token(i) } else { Value::Nil };
        let (process, key) = (by[i], Value::Nil);
        let event = Event { kind, process, time, intended: time, f: f.into(), key, value, meta: None };
        builder.push(event).unwrap();
    }
    builder.finish().unwrap()
}

fn owner(op: &OwnerOp) -> (bool, u32) {
    match *op {
        OwnerOp::Acquire(by) => (true, by),
        OwnerOp::Release(by) => (false, by),
    }
}

fn fenced(op: &FencedOp) -> (bool, u32) {
    match *op {
        FencedOp::Acquire(by, _) => (true, by),
        FencedOp::Release(by) => (false, by),
    }
}

fn every_owned(n: usize, open: u32) {
    let mut seen = [0, 0];
    for set in (0..1u32 << n).filter(|set| set.count_ones() <= open) {
        enumerate::orders(n, set, &mut |shape| {
            owners(shape, &mut Vec::new(), &mut |by| {
                enumerate::labels(n, 2, &mut |label| {
                    let history = build(shape, by, label, |_| Value::Nil);
                    let problem = project(&OwnerMutex, &history, 0..n as u32).unwrap();
                    let truth = brute::linearizable(&OwnerMutex, &problem);
                    let answer = lock::owned(&OwnerMutex, &problem, owner);
                    assert!(answer != Locks::NotThisShape);
                    let told = || history.ops().collect::<Vec<_>>();
                    assert!(right(&OwnerMutex, &problem, &answer, truth), "{answer:?} {truth} {:?}", told());
                    seen[usize::from(truth)] += 1;
                });
            });
        });
    }
    assert!(n < 2 || seen.iter().all(|&n| n > 0));
}

/// With tokens from few, and sometimes none; only shapes in which somebody acquires twice.
fn every_fenced(n: usize, open: u32) {
    let tokens = [Value::Nil, Value::Int(1), Value::Int(2)];
    let mut seen = [0, 0];
    for set in (0..1u32 << n).filter(|set| set.count_ones() <= open) {
        enumerate::orders(n, set, &mut |shape| {
            owners(shape, &mut Vec::new(), &mut |by| {
                enumerate::labels(n, 4, &mut |label| {
                    // 0 to 2 acquire with a token, 3 releases.
                    let f: Vec<u32> = label.iter().map(|&l| u32::from(l == 3)).collect();
                    if (0..n).any(|i| set >> i & 1 == 1 && (1..3).contains(&label[i])) {
                        return;
                    }
                    let history = build(shape, by, &f, |i| tokens[label[i] as usize].clone());
                    let problem = project(&FencedMutex, &history, 0..n as u32).unwrap();
                    let truth = brute::linearizable(&FencedMutex, &problem);
                    let answer = lock::owned(&FencedMutex, &problem, fenced);
                    let told = || history.ops().collect::<Vec<_>>();
                    assert!(right(&FencedMutex, &problem, &answer, truth), "{answer:?} {truth} {:?}", told());
                    seen[usize::from(truth)] += 1;
                });
            });
        });
    }
    assert!(n < 2 || seen.iter().all(|&n| n > 0));
}

#[test]
fn owned_and_fenced_locks_agree_with_brute_force_on_every_small_history() {
    for n in 1..=4 {
        every_owned(n, n as u32);
    }
    every_owned(5, 1);
    for n in 1..=3 {
        every_fenced(n, n as u32);
    }
}

#[test]
#[ignore = "minutes: every history of up to six operations"]
fn owned_and_fenced_locks_agree_with_brute_force_on_every_history_of_six() {
    every_owned(5, 5);
    every_owned(6, 6);
    every_fenced(4, 4);
    every_fenced(5, 1);
}
