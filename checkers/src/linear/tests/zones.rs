//! Zones against brute force and against the general search.

use squall_history::{History, Value};

use super::build::{Did, history};
use super::search::{random_shape, searched};
use super::{brute, enumerate};
use crate::bench::{Dice, Load, Values};
use crate::linear::problem::project;
use crate::linear::zones::{Broken, Zones, judge};
use crate::models::Register;

fn model() -> Register {
    Register { initial: 0.into(), nil_reads_unknown: false }
}

fn zones(history: &History) -> Zones {
    judge(history, 0..history.len() as u32, &0.into(), false)
}

/// Operation `i` of `n` under a label: 0 is the write of its own value i + 1, else a read of `label` - 1.
fn did(label: &[u32]) -> Vec<Did> {
    let one = |(i, &l): (usize, &u32)| match l {
        0 => ("write", Value::Int(i as i64 + 1), Value::Nil),
        l => ("read", Value::Nil, Value::Int(i64::from(l) - 1)),
    };
    label.iter().enumerate().map(one).collect()
}

fn compare(history: &History) -> bool {
    let problem = project(&model(), history, 0..history.len() as u32).unwrap();
    let expected = brute::linearizable(&model(), &problem);
    match zones(history) {
        Zones::NotThisShape => panic!("writes are unique"),
        answer => assert_eq!(answer == Zones::Linearizable, expected, "{answer:?} {problem:?}"),
    }
    expected
}

fn exhaustive(n: usize, opens: u32) {
    let (mut valid, mut all) = (0u64, 0u64);
    for open in 0..opens {
        enumerate::orders(n, open, &mut |shape| {
            enumerate::labels(n, n + 2, &mut |label| {
                // Reads that are open say nothing, and reads of one unwritten value are like those of another.
                let dull = |(i, &l): (usize, &u32)| {
                    l > 0 && (open >> i & 1 == 1)
                        || l > 1 && label[l as usize - 2] != 0 && l as usize - 2 != i
                };
                if label.iter().enumerate().any(dull) {
                    return;
                }
                valid += u64::from(compare(&history(shape, &did(label))));
                all += 1;
            });
        });
    }
    assert!(valid > 0 && valid < all);
}

#[test]
fn agrees_with_brute_force_on_every_small_history() {
    for n in 1..=4 {
        exhaustive(n, 1 << n);
    }
    exhaustive(5, 1);
}

#[test]
#[ignore = "minutes: every history of up to six operations"]
fn agrees_with_brute_force_on_every_history_of_six() {
    exhaustive(5, 1 << 5);
    exhaustive(6, 1 << 6);
}

#[test]
fn agrees_with_the_general_search_on_random_histories() {
    let mut dice = Dice::new(3);
    let mut answers = [0, 0];
    for round in 0..4000 {
        let n = 6 + dice.roll(30) as usize;
        let shape = random_shape(&mut dice, n, 4, if round % 3 == 0 { 6 } else { 0 });
        // Reads see a write invoked not long ago.
        let mut writes: Vec<i64> = vec![0];
        let mut made: Vec<Did> = Vec::new();
        for i in 0..n {
            if dice.roll(3) == 0 {
                writes.push(i as i64 + 1);
                made.push(("write", Value::Int(i as i64 + 1), Value::Nil));
            } else {
                let back = dice.roll(3).min(writes.len() as u64 - 1) as usize;
                made.push(("read", Value::Nil, Value::Int(writes[writes.len() - 1 - back])));
            }
        }
        let history = history(&shape, &made);
        let problem = project(&model(), &history, 0..history.len() as u32).unwrap();
        let expected = searched(&model(), &problem);
        assert_eq!(zones(&history) == Zones::Linearizable, expected, "{problem:?}");
        answers[usize::from(expected)] += 1;
    }
    assert!(answers.iter().all(|&n| n > 200), "{answers:?}");
}

#[test]
fn long_histories_of_busy_clients_pass_and_other_shapes_are_left_alone() {
    let load = Load { operations: 5000, clients: 12, info_ppm: 50_000, seed: 5 };
    assert_eq!(zones(&crate::bench::register(load, 1, Values::Unique)), Zones::Linearizable);
    assert_eq!(zones(&crate::bench::register(load, 1, Values::Few(5))), Zones::NotThisShape);
}

#[test]
fn the_broken_rule_is_named() {
    let write = |v: i64| ("write", Value::Int(v), Value::Nil);
    let read = |v: i64| ("read", Value::Nil, Value::Int(v));
    let after = [(0, 1), (2, 3), (4, 5), (6, 7)];
    let broken = |made: &[Did]| match zones(&history(&after[..made.len()], made)) {
        Zones::Broken(broken) => broken,
        other => panic!("{other:?}"),
    };
    assert_eq!(broken(&[write(1), read(9)]), Broken::ThinAir { read: 1 });
    assert_eq!(broken(&[read(2), write(2)]), Broken::ReadBeforeWrite { read: 0, write: 1 });
    assert_eq!(broken(&[write(1), write(2), read(1)]), Broken::Backward { outer: 1.into(), inner: 2.into() });
    let (a, b) = (1.into(), 2.into());
    assert_eq!(
        zones(&history(&[(0, 3), (1, 2), (4, 5), (6, 7)], &[write(1), write(2), read(1), read(2)])),
        Zones::Broken(Broken::Forward { a: b, b: a })
    );
}
