//! The general search against brute force.

use squall_history::Value;

use super::{brute, enumerate};
use crate::Budget;
use crate::bench::Dice;
use crate::linear::problem::{Call, Problem};
use crate::linear::search::{Found, Task, search};
use crate::linear::spec::Interned;
use crate::models::{Effect, LockOp, Model, Mutex, Register, RegisterOp};

pub(crate) fn searched<M: Model>(model: &M, problem: &Problem<M::Op>) -> bool {
    let effects: Vec<Effect> = problem.classes.iter().map(|op| model.effect(op)).collect();
    let mut spec = Interned::new(model, &problem.classes);
    match search(&mut spec, Task::new(&problem.calls, &effects), &Budget::default()).found {
        Found::Linearizable => true,
        Found::Fatal { .. } => false,
        Found::Spent { .. } => panic!("small histories fit any budget"),
    }
}

/// A shape of `n` operations of at most `clients` clients, one in `open` of which never completes.
pub(crate) fn random_shape(dice: &mut Dice, n: usize, clients: usize, open: u64) -> Vec<(u32, u32)> {
    let mut made: Vec<(u32, u32)> = Vec::new();
    let mut pending: Vec<usize> = Vec::new();
    let mut rank = 0;
    while made.len() < n || !pending.is_empty() {
        let invoke = made.len() < n && pending.len() < clients && dice.roll(2) == 0;
        if invoke || pending.is_empty() {
            if open > 0 && dice.roll(open) == 0 {
                made.push((rank, u32::MAX));
            } else {
                pending.push(made.len());
                made.push((rank, 0));
            }
        } else {
            let at = dice.roll(pending.len() as u64) as usize;
            made[pending.swap_remove(at)].1 = rank;
        }
        rank += 1;
    }
    made
}

pub(crate) fn compare<M: Model>(model: &M, problem: &Problem<M::Op>) -> bool {
    let expected = brute::linearizable(model, problem);
    assert_eq!(searched(model, problem), expected, "{:?} {:?}", problem.classes, problem.calls);
    expected
}

pub(crate) fn exhaustive<M: Model>(model: &M, classes: &[M::Op], n: usize) {
    let mut problem = Problem { calls: Vec::new(), classes: classes.to_vec() };
    let (mut valid, mut all) = (0, 0);
    for open in 0..1u32 << n {
        enumerate::orders(n, open, &mut |shape| {
            enumerate::labels(n, classes.len(), &mut |label| {
                problem.calls = enumerate::calls(shape, label);
                valid += u64::from(compare(model, &problem));
                all += 1;
            });
        });
    }
    assert!(valid > 0 && valid < all, "both answers occur");
}

pub(crate) fn register() -> (Register, Vec<RegisterOp>) {
    let v = |i: i64| Value::Int(i);
    let ops = vec![
        RegisterOp::Read(v(0)),
        RegisterOp::Read(v(1)),
        RegisterOp::Write(v(0)),
        RegisterOp::Write(v(1)),
        RegisterOp::Write(v(2)),
        RegisterOp::Read(v(2)),
        RegisterOp::Cas(v(0), v(1)),
        RegisterOp::Cas(v(1), v(2)),
        RegisterOp::Cas(v(1), v(0)),
        RegisterOp::Cas(v(1), v(1)),
        RegisterOp::Mismatch(v(1)),
        RegisterOp::Mismatch(v(0)),
    ];
    (Register { initial: v(0), nil_reads_unknown: false }, ops)
}

#[test]
fn agrees_with_brute_force_on_every_small_register_history() {
    let (model, ops) = register();
    for n in 1..=3 {
        exhaustive(&model, &ops, n);
    }
    exhaustive(&model, &ops[..5], 4);
}

#[test]
fn agrees_with_brute_force_on_every_small_mutex_history() {
    for n in 1..=4 {
        exhaustive(&Mutex, &[LockOp::Acquire, LockOp::Release], n);
    }
}

/// Random histories of up to nine operations whose classes are drawn from a few of `ops`.
pub(crate) fn random<M: Model>(model: &M, ops: &[M::Op], rounds: usize) {
    let mut dice = Dice::new(7);
    let mut answers = [0, 0];
    for round in 0..rounds {
        let n = 4 + round % 6;
        let shape = random_shape(&mut dice, n, 5, if round % 2 == 0 { 0 } else { 4 });
        // Few classes, so that equal operations and legal orders are common.
        let offset = dice.roll(ops.len() as u64) as usize;
        let classes: Vec<M::Op> = ops.iter().cycle().skip(offset).take(6).cloned().collect();
        let label: Vec<u32> = (0..n).map(|_| dice.roll(classes.len() as u64) as u32).collect();
        let calls: Vec<Call> = enumerate::calls(&shape, &label);
        answers[usize::from(compare(model, &Problem { calls, classes }))] += 1;
    }
    assert!(answers.iter().all(|&n| n > rounds / 100), "{answers:?}");
}

#[test]
fn agrees_with_brute_force_on_random_register_histories() {
    let (model, ops) = register();
    random(&model, &ops, 30_000);
}

#[test]
#[ignore = "minutes: every history of up to five operations over six classes, six over three"]
fn agrees_with_brute_force_on_every_register_history_of_six() {
    let (model, ops) = register();
    exhaustive(&model, &ops[1..7], 4);
    exhaustive(&model, &[ops[0].clone(), ops[3].clone(), ops[6].clone(), ops[8].clone()], 5);
    exhaustive(&model, &[ops[0].clone(), ops[3].clone(), ops[2].clone()], 6);
}
