//! One linear order of transactions that keeps session order and reads-from, and who wrote what.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::columns::{INITIAL, Plain};

/// All transactions in an order that keeps session order and reads-from, as near to the order of the history
/// as they allow. `None` if they are circular.
pub fn linear(p: &Plain) -> Option<Vec<u32>> {
    let n = p.len() as u32;
    let forward = |t: u32| p.reads_of(t).iter().all(|r| r.from == INITIAL || r.from < t);
    if (0..n).all(forward) {
        return Some((0..n).collect());
    }
    let mut waits = vec![0u32; n as usize];
    let mut next = vec![u32::MAX; n as usize];
    let mut last = vec![u32::MAX; p.sessions as usize];
    let mut readers: Vec<(u32, u32)> = Vec::new();
    for t in 0..n {
        let before = &mut last[p.session[t as usize] as usize];
        if *before != u32::MAX {
            next[*before as usize] = t;
            waits[t as usize] += 1;
        }
        *before = t;
        for r in p.reads_of(t).iter().filter(|r| r.from != INITIAL) {
            readers.push((r.from, t));
            waits[t as usize] += 1;
        }
    }
    readers.sort_unstable();
    let mut ready: BinaryHeap<Reverse<u32>> =
        (0..n).filter(|&t| waits[t as usize] == 0).map(Reverse).collect();
    let mut order = Vec::with_capacity(n as usize);
    while let Some(Reverse(t)) = ready.pop() {
        order.push(t);
        let from = readers.partition_point(|&(w, _)| w < t);
        let reads = readers[from..].iter().take_while(|&&(w, _)| w == t).map(|&(_, reader)| reader);
        let session = Some(next[t as usize]).filter(|&s| s != u32::MAX);
        for follower in reads.chain(session) {
            waits[follower as usize] -= 1;
            if waits[follower as usize] == 0 {
                ready.push(Reverse(follower));
            }
        }
    }
    (order.len() == n as usize).then_some(order)
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
