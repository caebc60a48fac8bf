//! One linear order of transactions that keeps session order and reads-from, and who wrote what.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rustc_hash::FxHashMap;

use super::columns::{INITIAL, Plain};
use crate::txn::append::versions::group;

/// All transactions in an order that keeps session order and reads-from, as near to the order of the history
/// as they allow. `None` if they are circular.
pub fn linear(p: &Plain) -> Option<Vec<u32>> {
    linear_with(p, &[])
}

/// The same, of orders in which of each of `pairs` the first comes before the second.
pub fn linear_with(p: &Plain, pairs: &[(u32, u32)]) -> Option<Vec<u32>> {
    let n = p.len() as u32;
    let forward = |t: u32| p.reads_of(t).iter().all(|r| r.from == INITIAL || r.from < t);
    if pairs.iter().all(|&(a, b)| a < b) && (0..n).all(forward) {
        return Some((0..n).collect());
    }
    let (pair_first, by_second) = match pairs {
        [] => (Vec::new(), Vec::new()),
        _ => group(n as usize, pairs.iter().map(|&(_, second)| second)),
    };
    let before: Vec<u32> = by_second.into_iter().map(|at| pairs[at as usize].0).collect();
    // Only the first of each session that is left can be next; one that waits for a writer hangs on it.
    let mut next = vec![NOBODY; n as usize];
    let mut first = vec![NOBODY; p.sessions as usize];
    for t in (0..n).rev() {
        next[t as usize] = std::mem::replace(&mut first[p.session[t as usize] as usize], t);
    }
    let mut waiting = Waiting {
        p,
        pair_first,
        before,
        done: vec![false; n as usize],
        ready: BinaryHeap::new(),
        on: FxHashMap::default(),
    };
    first.iter().filter(|&&t| t != NOBODY).for_each(|&t| waiting.admit(t));
    let mut order = Vec::with_capacity(n as usize);
    while let Some(Reverse(t)) = waiting.ready.pop() {
        order.push(t);
        waiting.done[t as usize] = true;
        if next[t as usize] != NOBODY {
            waiting.admit(next[t as usize]);
        }
        for reader in waiting.on.remove(&t).unwrap_or_default() {
            waiting.admit(reader);
        }
    }
    (order.len() == n as usize).then_some(order)
}

const NOBODY: u32 = u32::MAX;

/// The first of each session that is left: ready, or waiting for one writer that it read from.
struct Waiting<'a> {
    p: &'a Plain,
    // Of each transaction: where those begin in `before` that must precede it. Without any: empty.
    pair_first: Vec<u32>,
    before: Vec<u32>,
    done: Vec<bool>,
    ready: BinaryHeap<Reverse<u32>>,
    on: FxHashMap<u32, Vec<u32>>,
}

impl Waiting<'_> {
    fn admit(&mut self, t: u32) {
        let read = self.p.reads_of(t).iter().map(|r| r.from).filter(|&w| w != INITIAL);
        let paired = match self.pair_first.get(t as usize..t as usize + 2) {
            Some(row) => &self.before[row[0] as usize..row[1] as usize],
            None => &[],
        };
        let missing = read.chain(paired.iter().copied()).find(|&w| !self.done[w as usize]);
        match missing {
            Some(writer) => self.on.entry(writer).or_default().push(t),
            None => self.ready.push(Reverse(t)),
        }
    }
}

/// How often an order is corrected before a graph is built.
const CORRECTIONS: usize = 6;

/// Pairs of transactions that an order has the wrong way round.
#[derive(Debug)]
pub struct Wrong {
    pairs: Vec<(u32, u32)>,
    // With more of them than this an order is not nearly right, and they cost more than a graph does.
    most: usize,
    hopeless: bool,
}

impl Wrong {
    /// The first must come before the second; before the initial value nothing can come.
    #[inline]
    pub fn add(&mut self, first: u32, second: u32) {
        if second == INITIAL || self.pairs.len() >= self.most {
            self.hopeless = true;
        } else {
            self.pairs.push((first, second));
        }
    }
}

/// An order that keeps session order, reads-from and all that a model demands: `order`, or what it becomes when it
/// is corrected a few times. `violated` adds what an order (beside it, the places of transactions in it) has the
/// wrong way round, at least one pair if there are any; its error ends the matter. The pairs are kept from then on, as
/// the model demands them of every order. Where no order was found, nothing is known.
pub fn corrected<E>(
    p: &Plain,
    order: &[u32],
    mut violated: impl FnMut(&[u32], &[u32], &mut Wrong) -> Result<(), E>,
) -> Result<Option<Vec<u32>>, E> {
    let mut order = order.to_vec();
    let mut at = vec![0u32; p.len()];
    let mut wrong = Wrong { pairs: Vec::new(), most: p.len() + 1000, hopeless: false };
    for _ in 0..CORRECTIONS {
        for (i, &t) in order.iter().enumerate() {
            at[t as usize] = i as u32;
        }
        let known = wrong.pairs.len();
        violated(&order, &at, &mut wrong)?;
        if wrong.hopeless {
            break;
        }
        if wrong.pairs.len() == known {
            return Ok(Some(order));
        }
        wrong.pairs.sort_unstable();
        wrong.pairs.dedup();
        let Some(next) = linear_with(p, &wrong.pairs) else { break };
        order = next;
    }
    Ok(None)
}

/// Whether every read sees the last write before it in this order: then the order is a serial execution.
pub fn is_serial(p: &Plain, order: &[u32]) -> bool {
    let mut latest = vec![INITIAL; p.keys.len()];
    order.iter().all(|&t| {
        let legal = p.reads_of(t).iter().all(|r| latest[r.key as usize] == r.from);
        for &key in p.writes_of(t) {
            latest[key as usize] = t;
        }
        legal
    })
}

/// The writers of each key, by session and then by place.
#[derive(Clone, Debug)]
pub struct Writers {
    // Of each key: where its runs begin; one more entry at the end.
    key_first: Vec<u32>,
    // (session, where its writers begin in `writers`); writers end where the next run's begin.
    runs: Vec<(u32, u32)>,
    writers: Vec<u32>,
}

impl Writers {
    /// Collects them.
    pub fn new(p: &Plain) -> Self {
        let mut all: Vec<(u32, u32, u32)> = Vec::with_capacity(p.writes.len());
        for t in 0..p.len() as u32 {
            for &key in p.writes_of(t) {
                all.push((key, p.session[t as usize], t));
            }
        }
        all.sort_unstable();
        let mut w = Writers {
            key_first: Vec::with_capacity(p.keys.len() + 1),
            runs: Vec::new(),
            writers: Vec::with_capacity(all.len()),
        };
        let mut at = 0;
        for key in 0..p.keys.len() as u32 {
            w.key_first.push(w.runs.len() as u32);
            let mut session = u32::MAX;
            while at < all.len() && all[at].0 == key {
                if all[at].1 != session {
                    session = all[at].1;
                    w.runs.push((session, at as u32));
                }
                w.writers.push(all[at].2);
                at += 1;
            }
        }
        w.key_first.push(w.runs.len() as u32);
        w.runs.push((u32::MAX, at as u32));
        w
    }

    /// For every session that wrote the key: its last writer no later than the clock says.
    pub fn last_within<'a>(
        &'a self,
        p: &'a Plain,
        key: u32,
        clock: &'a [u32],
    ) -> impl Iterator<Item = u32> + 'a {
        let runs = self.key_first[key as usize] as usize..self.key_first[key as usize + 1] as usize;
        runs.filter_map(move |i| {
            let (session, from) = self.runs[i];
            let limit = clock[session as usize];
            let run = &self.writers[from as usize..self.runs[i + 1].1 as usize];
            // Most of the time everything is visible.
            let seen = match run.last() {
                Some(&last) if p.place[last as usize] <= limit => run.len(),
                _ => run.partition_point(|&t| p.place[t as usize] <= limit),
            };
            seen.checked_sub(1).map(|last| run[last])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::causal::columns::plain;
    use crate::causal::convergence;
    use crate::causal::isolation::{self, Axiom};
    use crate::txn::gen_store::Store;
    use squall_history::Value;

    #[test]
    fn an_order_keeps_pairs_or_there_is_none() {
        let h = Store { transactions: 50, sessions: 50, lists: false, ..Store::default() }.run(1);
        let p = Plain { read_first: vec![0; 51], sessions: 50, ..plain(&h, &Value::Nil) };
        let p = Plain { session: (0..50).collect(), reads: Vec::new(), ..p };
        let order = linear_with(&p, &[(30, 2), (2, 1), (40, 1)]).expect("an order");
        let place = |t: u32| order.iter().position(|&o| o == t).expect("all are there");
        assert_eq!(order.len(), 50);
        assert!(place(30) < place(2) && place(2) < place(1) && place(40) < place(1), "{order:?}");
        assert_eq!(linear_with(&p, &[(3, 2), (2, 1), (1, 3)]), None);
    }

    #[test]
    fn orders_of_a_sound_store_are_corrected() {
        for seed in 1..4 {
            let h = Store { transactions: 3000, lists: false, ..Store::default() }.run(seed);
            let p = plain(&h, &Value::Nil);
            let order = linear(&p).expect("an order");
            assert!(!is_serial(&p, &order), "seed {seed}: there is nothing to correct");
            let agreeing = convergence::agreeing(&p, &order, &crate::Budget::default());
            assert!(agreeing.is_ok_and(|order| order.is_some()), "seed {seed}");
            for axiom in [Axiom::ReadCommitted, Axiom::ReadAtomic, Axiom::SessionReadAtomic] {
                assert!(isolation::agrees(&p, axiom, &order), "seed {seed}: {axiom:?}");
            }
        }
    }

    #[test]
    fn what_an_order_cannot_keep_is_not_found() {
        let h = Store { transactions: 20, lists: false, ..Store::default() }.run(1);
        let p = plain(&h, &Value::Nil);
        let order = linear(&p).expect("an order");
        // Whatever the order, it is asked for its opposite.
        let opposite = |order: &[u32], _: &[u32], wrong: &mut Wrong| {
            wrong.add(order[1], order[0]);
            Ok::<_, ()>(())
        };
        assert_eq!(corrected(&p, &order, opposite), Ok(None));
        let initial = |_: &[u32], _: &[u32], wrong: &mut Wrong| {
            wrong.add(0, INITIAL);
            Ok::<_, ()>(())
        };
        assert_eq!(corrected(&p, &order, initial), Ok(None));
        assert_eq!(corrected(&p, &order, |_, _, _| Err("out of time")), Err("out of time"));
        assert_eq!(corrected(&p, &order, |_, _, _| Ok::<_, ()>(())), Ok(Some(order)));
    }
}
