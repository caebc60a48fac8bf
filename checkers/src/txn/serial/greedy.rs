//! A serial order in real time, without search: for histories of stores that are what they promise.
//!
//! Invocations and completions pass by in their order. A transaction takes effect at the latest when it is completed,
//! and only after what it has to follow: whom it read from, whoever still reads what it overwrites, and whoever
//! writes the same key and would otherwise hide what is read later. Nothing is ever taken back, so an order may be
//! missed that exists; what is found is played through before it is believed.

use squall_history::NEVER;

use crate::causal::columns::{INITIAL, Plain};
use crate::causal::order::is_serial;

/// Looks for a serial order of all transactions that follows real time. Linear but for the number of transactions
/// that are open at a time.
pub fn greedy_order(p: &Plain) -> Option<Vec<u32>> {
    let mut events: Vec<(u32, u32)> = Vec::with_capacity(p.len() * 2);
    for (t, txn) in p.txns.iter().enumerate() {
        events.push((txn.invoked, (t as u32) << 1));
        if txn.completed != NEVER {
            events.push((txn.completed, ((t as u32) << 1) | 1));
        }
    }
    events.sort_unstable();
    let mut greedy = Greedy::new(p);
    for (_, event) in events {
        let t = event >> 1;
        if event & 1 == 0 {
            greedy.state[t as usize] = State::Open;
            greedy.open.push(t);
        } else {
            if !greedy.apply(t) {
                return None;
            }
            let state = &greedy.state;
            greedy.open.retain(|&o| state[o as usize] != State::Done);
        }
    }
    Some(greedy.order).filter(|order| order.len() == p.len() && is_serial(p, order))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Unknown,
    Open,
    // On the way: who comes back to it goes round in a circle.
    Begun,
    Done,
}

struct Greedy<'a> {
    p: &'a Plain,
    state: Vec<State>,
    open: Vec<u32>,
    // Of each key: who wrote what it holds now.
    latest: Vec<u32>,
    // Readers of each write (by its place in `Plain::writes`), and after these of each key's initial value.
    first: Vec<u32>,
    readers: Vec<u32>,
    // Of each of these: the last invocation of a reader.
    used: Vec<u32>,
    order: Vec<u32>,
}

impl<'a> Greedy<'a> {
    fn new(p: &'a Plain) -> Self {
        let slots = p.writes.len() + p.keys.len();
        let mut first = vec![0u32; slots + 1];
        let mut used = vec![0u32; slots];
        let each = |visit: &mut dyn FnMut(usize, u32)| {
            for t in 0..p.len() as u32 {
                p.reads_of(t).iter().for_each(|r| visit(slot(p, r.from, r.key), t));
            }
        };
        each(&mut |slot, t| {
            first[slot + 1] += 1;
            used[slot] = used[slot].max(p.txns[t as usize].invoked);
        });
        for i in 0..slots {
            first[i + 1] += first[i];
        }
        let mut next = first.clone();
        let mut readers = vec![0u32; p.reads.len()];
        each(&mut |slot, t| {
            readers[next[slot] as usize] = t;
            next[slot] += 1;
        });
        Greedy {
            p,
            state: vec![State::Unknown; p.len()],
            open: Vec::new(),
            latest: vec![INITIAL; p.keys.len()],
            first,
            readers,
            used,
            order: Vec::with_capacity(p.len()),
        }
    }

    /// Lets a transaction take effect, after all that it has to follow. False if that cannot be.
    fn apply(&mut self, t: u32) -> bool {
        match self.state[t as usize] {
            State::Done => return true,
            State::Unknown | State::Begun => return false,
            State::Open => self.state[t as usize] = State::Begun,
        }
        let p = self.p;
        if !p.writes_of(t).iter().all(|&key| self.rivals(t, key)) {
            return false;
        }
        if !p.reads_of(t).iter().all(|r| r.from == INITIAL || self.apply(r.from)) {
            return false;
        }
        if !p.writes_of(t).iter().all(|&key| self.readers_of_latest(t, key)) {
            return false;
        }
        if !p.reads_of(t).iter().all(|r| self.latest[r.key as usize] == r.from) {
            return false;
        }
        for &key in p.writes_of(t) {
            self.latest[key as usize] = t;
        }
        self.state[t as usize] = State::Done;
        self.order.push(t);
        true
    }

    /// Open writers of the key that are completed before somebody begins to read what `t` writes: they come first.
    fn rivals(&mut self, t: u32, key: u32) -> bool {
        let used = self.used[slot(self.p, t, key)];
        for i in 0..self.open.len() {
            let o = self.open[i];
            let first = o != t
                && self.state[o as usize] == State::Open
                && self.p.writes_key(o, key)
                && self.p.txns[o as usize].completed < used;
            if first && !self.apply(o) {
                return false;
            }
        }
        true
    }

    /// Whoever reads what the key holds now has to do so before it is overwritten.
    fn readers_of_latest(&mut self, t: u32, key: u32) -> bool {
        let slot = slot(self.p, self.latest[key as usize], key);
        (self.first[slot]..self.first[slot + 1]).all(|i| {
            let reader = self.readers[i as usize];
            reader == t || self.apply(reader)
        })
    }
}

/// Where the readers of a write, or of an initial value, are.
fn slot(p: &Plain, writer: u32, key: u32) -> usize {
    if writer == INITIAL {
        return p.writes.len() + key as usize;
    }
    let place = p.writes_of(writer).iter().position(|&k| k == key);
    p.write_first[writer as usize] as usize + place.expect("who was read has written")
}

#[cfg(test)]
mod tests {
    use squall_history::Value;

    use super::*;
    use crate::causal::columns::plain;
    use crate::txn::gen_store::Store;
    use crate::txn::random::Random;

    #[test]
    fn histories_of_a_serial_store_are_ordered_in_real_time() {
        for seed in 0..10 {
            let h = Store { transactions: 3_000, lists: false, sessions: 12, ..Store::default() }.run(seed);
            let p = plain(&h, &Value::Nil);
            let order = greedy_order(&p).unwrap_or_else(|| panic!("seed {seed}"));
            let mut latest = 0;
            for t in order.iter().map(|&t| p.txns[t as usize]) {
                latest = latest.max(t.invoked);
                assert!(t.completed >= latest, "seed {seed}");
            }
        }
    }

    #[test]
    fn what_has_no_order_gets_none() {
        let mut random = Random::new(8);
        let (mut found, mut none) = (0, 0);
        for _ in 0..3_000 {
            let h = crate::txn::r#gen::registers(&mut random, 8, 3, 2);
            let p = plain(&h, &Value::Nil);
            match greedy_order(&p) {
                Some(order) => {
                    found += 1;
                    assert!(is_serial(&p, &order));
                }
                None => none += 1,
            }
        }
        assert!(found > 100 && none > 100, "{found} {none}");
    }
}
