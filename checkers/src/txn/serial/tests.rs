use std::collections::BTreeMap;

use super::problem::{Follow, Problem, Shape};
use super::solve::{Solution, solve};
use crate::Budget;
use crate::causal::columns::plain;
use crate::txn::brute::{self, plain as definitions};
use crate::txn::r#gen::{registers, wild};
use crate::txn::random::Random;
use squall_history::{History, Value};

fn holds(h: &History, shape: Shape, follow: Follow) -> bool {
    let p = plain(h, &Value::Nil);
    if p.findings.iter().next().is_some() {
        return false;
    }
    let problem = Problem::new(&p, shape, follow);
    let wish: Vec<u32> = (0..problem.nodes() as u32).collect();
    match solve(&problem, &wish, &Budget::default()).unwrap() {
        Solution::Order(order) => {
            assert_eq!(order.len(), problem.nodes());
            true
        }
        Solution::Circle(circle) | Solution::Contradiction(_, circle) => {
            assert!(circle.len() > 1);
            false
        }
    }
}

#[test]
fn every_order_decides_plain_transactions() {
    let mut random = Random::new(31);
    let mut met: BTreeMap<(&str, bool), u32> = BTreeMap::new();
    for round in 0..12_000 {
        let h = if round % 3 == 0 { registers(&mut random, 6, 3, 2) } else { wild(&mut random, false, 4) };
        let all = definitions(&h);
        if all.len() > 6 {
            continue;
        }
        let mut cases: Vec<(&str, bool, Shape, Follow)> = Vec::new();
        for (name, given, follow) in [
            ("serializable", brute::Follow::Nothing, Follow::Nothing),
            ("strong session serializable", brute::Follow::Process, Follow::Process),
            ("strict serializable", brute::Follow::Realtime, Follow::Realtime),
        ] {
            cases.push((name, brute::serializable(&all, given), Shape::Serial, follow));
        }
        if all.len() <= 4 {
            for (si, prefix, given, follow) in [
                ("si", "prefix", brute::Follow::Nothing, Follow::Nothing),
                ("strong session si", "strong session prefix", brute::Follow::Process, Follow::Process),
                ("strong si", "strong prefix", brute::Follow::Realtime, Follow::Realtime),
            ] {
                cases.push((si, brute::snapshots(&all, given, true), Shape::Snapshot, follow));
                cases.push((prefix, brute::snapshots(&all, given, false), Shape::Prefix, follow));
            }
        }
        for (name, truth, shape, follow) in cases {
            *met.entry((name, truth)).or_default() += 1;
            let ops: Vec<_> = h.ops().collect();
            assert_eq!(holds(&h, shape, follow), truth, "round {round}: {name}\n{ops:#?}");
        }
    }
    assert!(met.len() == 18 && met.values().all(|&n| n > 100), "{met:?}");
}
