#![allow(clippy::needless_range_loop, reason = "matrices read best by index")]

use std::collections::BTreeMap;

use squall_history::{NEVER, Outcome};

use super::*;
use crate::txn::random::Random;

/// A graph of a few transactions with random dependencies and random times.
fn random_graph(random: &mut Random) -> (Vec<Txn>, Edges) {
    let n = 2 + random.below(4) as usize;
    let mut ranks: Vec<u32> = (0..2 * n as u32).collect();
    for i in (1..ranks.len()).rev() {
        // Mostly near their place, so that some pairs are apart in time and some are not.
        let j = i.saturating_sub(random.below(4) as usize);
        ranks.swap(i, j);
    }
    let mut times: Vec<(u32, u32)> =
        (0..n).map(|i| (ranks[2 * i].min(ranks[2 * i + 1]), ranks[2 * i].max(ranks[2 * i + 1]))).collect();
    times.sort_unstable();
    let mut busy: Vec<u32> = Vec::new();
    let txns = (0..n)
        .map(|i| {
            let (invoked, completed) = times[i];
            let free = busy.iter().position(|&until| until < invoked && random.below(2) == 0);
            let process = free.unwrap_or_else(|| {
                busy.push(0);
                busy.len() - 1
            });
            busy[process] = completed;
            Txn {
                index: i as u32,
                process: process as u32,
                outcome: Outcome::Ok,
                invoked,
                completed: if random.one_in(9) { NEVER } else { completed },
            }
        })
        .map(|t| Txn { outcome: if t.completed == NEVER { Outcome::Info } else { Outcome::Ok }, ..t })
        .collect();
    let mut edges = Edges::default();
    for _ in 0..random.below(2 * n as u64 + 1) {
        let kind = [Kind::Ww, Kind::Wr, Kind::Rw][random.below(3) as usize];
        edges.push(random.below(n as u64) as u32, random.below(n as u64) as u32, kind);
    }
    (txns, edges)
}

/// Every simple cycle over all edges (real time and process order in full), as name → shortest length.
fn all_cycles(txns: &[Txn], edges: &Edges) -> BTreeMap<&'static str, usize> {
    let n = txns.len();
    let mut out: Vec<Vec<(usize, Kind)>> = vec![Vec::new(); n];
    for (a, b, kind) in edges.iter() {
        out[a as usize].push((b as usize, kind));
    }
    for a in 0..n {
        for b in 0..n {
            if txns[a].completed < txns[b].invoked {
                let same = txns[a].process == txns[b].process;
                out[a].push((b, if same { Kind::Process } else { Kind::Realtime }));
            }
        }
    }
    let mut names = BTreeMap::new();
    for start in 0..n {
        let mut path = vec![start];
        let mut taken = Vec::new();
        extend(start, &out, &mut path, &mut taken, &mut names);
    }
    names
}

fn extend(
    start: usize,
    out: &[Vec<(usize, Kind)>],
    path: &mut Vec<usize>,
    taken: &mut Vec<Kind>,
    names: &mut BTreeMap<&'static str, usize>,
) {
    for &(next, kind) in &out[path[path.len() - 1]] {
        taken.push(kind);
        if next == start {
            let cycle = Cycle { nodes: path.iter().map(|&p| p as u32).collect(), kinds: taken.clone() };
            let shortest = names.entry(cycle.name()).or_insert(usize::MAX);
            *shortest = (*shortest).min(cycle.len());
        } else if next > start && !path.contains(&next) {
            path.push(next);
            extend(start, out, path, taken, names);
            path.pop();
        }
        taken.pop();
    }
}

#[test]
fn levels_and_names_agree_with_all_simple_cycles() {
    let mut random = Random::new(11);
    let mut met: BTreeMap<&str, u32> = BTreeMap::new();
    for round in 0..60_000 {
        let (txns, edges) = random_graph(&mut random);
        let names = all_cycles(&txns, &edges);
        let input = Input { txns: &txns, edges: &edges, helpers: 0, realtime: true };
        let report = analyze(input, &Budget::default());
        for family in 0..5 {
            for order in 0..3 {
                let truth = (0..=family).any(|f| (0..=order).any(|o| names.contains_key(NAMES[f][o])));
                assert_eq!(
                    report.levels.exists[family][order],
                    truth,
                    "round {round}: {} in {:?} of {txns:?} {names:?}",
                    NAMES[family][order],
                    edges.iter().collect::<Vec<_>>()
                );
                let proven =
                    (0..=family).any(|f| (0..=order).any(|o| report.named.contains_key(NAMES[f][o])));
                assert_eq!(proven, truth, "round {round}: a family that exists is proven");
            }
        }
        for (&name, named) in &report.named {
            *met.entry(name).or_default() += 1;
            let shortest = *names.get(name).expect("a name is only given to a real cycle");
            assert_eq!(named.cycle.name(), name);
            if !name.contains('-') || ["G-single", "G2-item"].contains(&name) {
                assert_eq!(named.cycle.len(), shortest, "round {round}: {name}");
            }
        }
        for name in ["G0", "G1c", "G-single", "G2-item", "G0-process", "G0-realtime"] {
            assert_eq!(report.named.contains_key(name), names.contains_key(name), "round {round}: {name}");
        }
    }
    assert_eq!(met.len(), 15, "every name was met: {met:?}");
}

#[test]
fn helpers_are_never_seen() {
    // 0 and 1 read before 2 and 3 wrote, through helper 4; 2 was read by 0.
    let txns: Vec<Txn> = (0..4)
        .map(|i| Txn { index: i, process: i, outcome: Outcome::Ok, invoked: i, completed: 10 + i })
        .collect();
    let mut edges = Edges::default();
    for reader in [0, 1] {
        edges.push(reader, 4, Kind::Rw);
    }
    for writer in [2, 3] {
        edges.push(4, writer, Kind::Pass);
    }
    edges.push(2, 0, Kind::Wr);
    let report =
        analyze(Input { txns: &txns, edges: &edges, helpers: 1, realtime: true }, &Budget::default());
    assert_eq!(report.named.keys().copied().collect::<Vec<_>>(), ["G-single"]);
    assert_eq!(report.named["G-single"].cycle.nodes, [0, 2]);
    assert_eq!(report.named["G-single"].cycle.kinds, [Kind::Rw, Kind::Wr]);
}
