//! One linear order of transactions that keeps session order and reads-from, and who wrote what.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rustc_hash::FxHashMap;

use super::columns::{INITIAL, Plain};

/// All transactions in an order that keeps session order and reads-from, as near to the order of the history
/// as they allow. `None` if they are circular.
pub fn linear(p: &Plain) -> Option<Vec<u32>> {
    let n = p.len() as u32;
    let forward = |t: u32| p.reads_of(t).iter().all(|r| r.from == INITIAL || r.from < t);
    if (0..n).all(forward) {
        return Some((0..n).collect());
    }
    // Only the first of each session that is left can be next; one that waits for a writer hangs on it.
    let mut next = vec![NOBODY; n as usize];
    let mut first = vec![NOBODY; p.sessions as usize];
    for t in (0..n).rev() {
        next[t as usize] = std::mem::replace(&mut first[p.session[t as usize] as usize], t);
    }
    let mut waiting =
        Waiting { p, done: vec![false; n as usize], ready: BinaryHeap::new(), on: FxHashMap::default() };
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
    done: Vec<bool>,
    ready: BinaryHeap<Reverse<u32>>,
    on: FxHashMap<u32, Vec<u32>>,
}

impl Waiting<'_> {
    fn admit(&mut self, t: u32) {
        let missing =
            self.p.reads_of(t).iter().map(|r| r.from).find(|&w| w != INITIAL && !self.done[w as usize]);
        match missing {
            Some(writer) => self.on.entry(writer).or_default().push(t),
            None => self.ready.push(Reverse(t)),
        }
    }
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
