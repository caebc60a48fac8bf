//! A serial order in real time for long histories, a window at a time.
//!
//! A few hundred transactions are ordered together with everyone who reads from them later; the first half of
//! that order is kept, and the window moves on. What is kept is never reconsidered, so an order may be missed
//! that exists; one that is found is played through before it is believed.

use rustc_hash::FxHashMap;
use squall_history::Value;

use super::greedy::greedy_order;
use super::problem::{Follow, Problem, Shape};
use super::solve::{Solution, solve};
use super::times::Times;
use crate::Budget;
use crate::causal::columns::{Access, INITIAL, Plain};
use crate::causal::order::is_serial;
use crate::txn::append::versions::group;
use crate::txn::order::Txn;

/// Transactions in a window: narrow ones are quick, wide ones see mistakes coming.
const WINDOWS: [usize; 3] = [96, 384, 1536];
/// It grows up to this if nothing can be kept.
const WIDEST: usize = 4096;

/// Looks for a serial order of all transactions that follows real time.
pub fn rolling_order(p: &Plain, budget: &Budget) -> Option<Vec<u32>> {
    greedy_order(p, p.len(), budget).or_else(|| windows_order(p, budget))
}

fn windows_order(p: &Plain, budget: &Budget) -> Option<Vec<u32>> {
    WINDOWS.iter().find_map(|&window| roll(p, window, budget))
}

fn roll(p: &Plain, window: usize, budget: &Budget) -> Option<Vec<u32>> {
    let mut rolling = Rolling::new(p, Times::new(p));
    let mut width = window;
    while rolling.order.len() < p.len() {
        rolling.admit(width);
        let kept = rolling.advance(width, budget)?;
        if kept > 0 {
            width = window;
        } else if width >= WIDEST {
            return None;
        } else {
            width *= 2;
        }
    }
    is_serial(p, &rolling.order).then_some(rolling.order)
}

pub(super) struct Rolling<'a> {
    p: &'a Plain,
    pub times: Times,
    // Reads by whom they read; the last row holds those of initial values.
    reader_first: Vec<u32>,
    readers: Vec<u32>,
    reader_of: Vec<u32>,
    // Reads of the initial value, by key.
    initial: FxHashMap<u32, Vec<u32>>,
    pub latest: Vec<u32>,
    pub done: Vec<bool>,
    next: u32,
    window: Vec<u32>,
    pub order: Vec<u32>,
}

impl<'a> Rolling<'a> {
    pub fn new(p: &'a Plain, times: Times) -> Self {
        let n = p.len() as u32;
        let (reader_first, readers) =
            group(p.len() + 1, p.reads.iter().map(|r| if r.from == INITIAL { n } else { r.from }));
        let mut reader_of = vec![0u32; p.reads.len()];
        for t in 0..p.len() {
            reader_of[p.read_first[t] as usize..p.read_first[t + 1] as usize].fill(t as u32);
        }
        let mut initial: FxHashMap<u32, Vec<u32>> = FxHashMap::default();
        for &r in &readers[reader_first[p.len()] as usize..] {
            initial.entry(p.reads[r as usize].key).or_default().push(r);
        }
        Rolling {
            p,
            times,
            reader_first,
            readers,
            reader_of,
            initial,
            latest: vec![INITIAL; p.keys.len()],
            done: vec![false; p.len()],
            next: 0,
            window: Vec::new(),
            order: Vec::with_capacity(p.len()),
        }
    }

    fn admit(&mut self, width: usize) {
        while self.window.len() < width && (self.next as usize) < self.p.len() {
            self.window.push(self.next);
            self.next += 1;
        }
    }

    /// Everyone outside the window who still has to read a version that the window makes or may overwrite.
    fn outside(&self) -> Vec<u32> {
        let mut found = Vec::new();
        let mut add = |reads: &[u32], key: u32| {
            let of_key = reads.iter().filter(|&&r| self.p.reads[r as usize].key == key);
            found.extend(of_key.map(|&r| self.reader_of[r as usize]));
        };
        let row = |t: u32| {
            &self.readers[self.reader_first[t as usize] as usize..self.reader_first[t as usize + 1] as usize]
        };
        for &t in &self.window {
            for &key in self.p.writes_of(t) {
                add(row(t), key);
                match self.latest[key as usize] {
                    INITIAL => add(self.initial.get(&key).map_or(&[], Vec::as_slice), key),
                    w => add(row(w), key),
                }
            }
        }
        found.retain(|&t| !self.done[t as usize] && self.window.binary_search(&t).is_err());
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Begins a window with the first transactions, from `low` on, that are not done.
    pub fn begin(&mut self, low: u32, width: usize) {
        self.next = low;
        self.window.clear();
        while self.window.len() < width && (self.next as usize) < self.p.len() {
            if !self.done[self.next as usize] {
                self.window.push(self.next);
            }
            self.next += 1;
        }
    }

    /// Orders the window and keeps the first half. Gives how many were kept; `None` if there is no order.
    fn advance(&mut self, width: usize, budget: &Budget) -> Option<usize> {
        let kept = self.choose(width, budget)?;
        for &t in &kept {
            self.done[t as usize] = true;
            self.order.push(t);
            self.p.writes_of(t).iter().for_each(|&key| self.latest[key as usize] = t);
        }
        let done = &self.done;
        self.window.retain(|&t| !done[t as usize]);
        Some(kept.len())
    }

    /// What comes next: the first half of an order of the window. `None` if there is no order.
    pub fn choose(&self, width: usize, budget: &Budget) -> Option<Vec<u32>> {
        let outside = self.outside();
        let mut members: Vec<u32> = self.window.iter().chain(&outside).copied().collect();
        members.sort_unstable();
        let (local, fixed) = self.local(&members)?;
        let problem = Problem::new(&local, Shape::Serial, Follow::Realtime);
        let wish: Vec<u32> = local.txns.iter().map(|t| t.completed).collect();
        let Ok(Solution::Order(order)) = solve(&problem, &wish, budget) else { return None };
        let everything = self.next as usize == self.p.len();
        let most = if everything { members.len() } else { width / 2 };
        let whole = order.iter().take(most).take_while(|&&i| fixed[i as usize]);
        Some(whole.map(|&i| members[i as usize]).collect())
    }

    /// The members as a history of their own that begins with the present state; and which of them are whole.
    fn local(&self, members: &[u32]) -> Option<(Plain, Vec<bool>)> {
        let p = self.p;
        let mut local = Plain::default();
        let mut fixed = Vec::with_capacity(members.len());
        for (i, &t) in members.iter().enumerate() {
            let inside = self.window.binary_search(&t).is_ok();
            let mut whole = inside;
            let (invoked, completed) = (self.times.begin[t as usize], self.times.end[t as usize]);
            local.txns.push(Txn { invoked, completed, ..p.txns[t as usize] });
            local.session.push(i as u32);
            local.place.push(1);
            local.read_first.push(local.reads.len() as u32);
            local.write_first.push(local.writes.len() as u32);
            for r in p.reads_of(t) {
                let key = local.keys.id(&Value::Int(i64::from(r.key)));
                let from = if r.from == self.latest[r.key as usize] {
                    INITIAL
                } else if r.from != INITIAL && self.window.binary_search(&r.from).is_ok() {
                    members.binary_search(&r.from).ok()? as u32
                } else if r.from != INITIAL && !self.done[r.from as usize] {
                    // Its writer is not here yet.
                    whole = false;
                    continue;
                } else {
                    // Overwritten already.
                    return None;
                };
                local.reads.push(Access { key, from });
            }
            let mut keys: Vec<u32> = if inside {
                p.writes_of(t).iter().map(|&k| local.keys.id(&Value::Int(i64::from(k)))).collect()
            } else {
                Vec::new()
            };
            keys.sort_unstable();
            local.writes.extend(keys);
            fixed.push(whole);
        }
        local.read_first.push(local.reads.len() as u32);
        local.write_first.push(local.writes.len() as u32);
        local.sessions = members.len() as u32;
        Some((local, fixed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::causal::columns::plain;
    use crate::txn::gen_store::Store;

    #[test]
    fn long_histories_of_a_serial_store_are_ordered() {
        for (seed, sessions) in [(1, 3), (2, 10), (3, 25)] {
            let h = Store { transactions: 2000, sessions, lists: false, ..Store::default() }.run(seed);
            let p = plain(&h, &Value::Nil);
            assert!(windows_order(&p, &Budget::default()).is_some(), "seed {seed}");
            let order = greedy_order(&p, p.len(), &Budget::default()).expect("an order");
            assert!(Times::new(&p).are_kept(&order), "seed {seed}: not in real time");
        }
    }
}
