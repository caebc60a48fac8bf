//! The search and the definition by visibility, with every order of commits tried, agree on small histories.

use std::collections::BTreeMap;

use squall_history::{History, Value};

use super::*;
use crate::causal::columns::plain;
use crate::causal::order::is_serial;
use crate::txn::r#gen::{registers, wild};
use crate::txn::random::Random;

/// Parallel snapshot isolation as Cerone, Bernardi and Gotsman (CONCUR 2015) define it: some order of commits, and
/// what each sees, transitive and within that order, such that of two writers of a key one sees the other, and a
/// read returns the latest version that is seen. The least that can be seen is the best.
fn defined(p: &Plain) -> bool {
    let n = p.len();
    let mut order: Vec<usize> = Vec::new();
    any_order(n, &mut order, &mut |order| {
        let at = |t: usize| order.iter().position(|&x| x == t).unwrap();
        let mut sees = vec![vec![false; n]; n];
        for (a, seen_by) in sees.iter_mut().enumerate() {
            for (b, sees) in seen_by.iter_mut().enumerate() {
                let both = p.writes_of(a as u32).iter().any(|&k| p.writes_key(b as u32, k));
                let read = p.reads_of(b as u32).iter().any(|r| r.from == a as u32);
                *sees = read || (a != b && both && at(a) < at(b));
            }
        }
        for k in 0..n {
            for a in 0..n {
                for b in 0..n {
                    sees[a][b] |= sees[a][k] && sees[k][b];
                }
            }
        }
        let within = (0..n).all(|a| (0..n).all(|b| !sees[a][b] || at(a) < at(b)));
        within
            && (0..n).all(|t| {
                p.reads_of(t as u32).iter().all(|r| {
                    let seen = (0..n).filter(|&w| sees[w][t] && p.writes_key(w as u32, r.key));
                    let latest = seen.max_by_key(|&w| at(w)).map_or(INITIAL, |w| w as u32);
                    latest == r.from
                })
            })
    })
}

fn any_order(n: usize, order: &mut Vec<usize>, holds: &mut dyn FnMut(&[usize]) -> bool) -> bool {
    if order.len() == n {
        return holds(order);
    }
    for t in 0..n {
        if order.contains(&t) {
            continue;
        }
        order.push(t);
        if any_order(n, order, holds) {
            return true;
        }
        order.pop();
    }
    false
}

fn compare(h: &History, met: &mut BTreeMap<(bool, bool), u32>, what: &str) {
    let p = plain(h, &Value::Nil);
    if p.len() > 5 || p.findings.iter().next().is_some() {
        return;
    }
    for (form, truth) in [(Form::Parallel, defined(&p)), (Form::Update, updates_in_order(&p))] {
        let found = parallel(&p, form, &Budget::default()).unwrap();
        met.entry((form == Form::Update, truth)).and_modify(|n| *n += 1).or_insert(1);
        let ops: Vec<_> = h.ops().collect();
        assert_eq!(matches!(found, Found::Order), truth, "{what}: {form:?} {ops:#?}");
    }
}

/// Update serializability by orders: those who write can be put in an order, and each who only reads can be put into
/// an order of them in which every key is written in the same order.
fn updates_in_order(p: &Plain) -> bool {
    let (writers, readers): (Vec<u32>, Vec<u32>) =
        (0..p.len() as u32).partition(|&t| !p.writes_of(t).is_empty());
    let placed = |order: &[usize], of: &[u32]| order.iter().map(|&i| of[i]).collect::<Vec<u32>>();
    let by_key = |order: &[u32]| -> Vec<Vec<u32>> {
        let of_key = |k| order.iter().copied().filter(|&t| p.writes_key(t, k)).collect();
        (0..p.keys.len() as u32).map(of_key).collect()
    };
    any_order(writers.len(), &mut Vec::new(), &mut |order| {
        let order = placed(order, &writers);
        is_serial(p, &order)
            && readers.iter().all(|&reader| {
                let with: Vec<u32> = writers.iter().copied().chain([reader]).collect();
                any_order(with.len(), &mut Vec::new(), &mut |other| {
                    let other = placed(other, &with);
                    is_serial(p, &other) && by_key(&other) == by_key(&order)
                })
            })
    })
}

#[test]
fn the_definition_decides_as_the_search_does() {
    let mut random = Random::new(51);
    let mut met = BTreeMap::new();
    for round in 0..5_000 {
        let h = if round % 4 == 0 { registers(&mut random, 6, 3, 2) } else { wild(&mut random, false, 6) };
        compare(&h, &mut met, &format!("round {round}"));
    }
    assert!(met.len() == 4 && met.values().all(|&n| n > 60), "{met:?}");
}
