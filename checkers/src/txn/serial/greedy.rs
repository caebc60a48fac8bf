//! A serial order in real time for long histories, one transaction at a time.
//!
//! Time is played through. A transaction is placed at the last moment at which it can be, its completion (or when
//! somebody has to read from it), so that as much as can be known of its neighbours is known: whom it reads is
//! placed before it, and before it overwrites a version, so are all who read that version; and a writer who would
//! overwrite too early what later readers need goes first. Where that leads nowhere, the last placements are
//! taken back, and a window is ordered by the search that knows all orders ([`super::rolling`]).
//!
//! An order may be missed that exists; one that is found is played through before it is believed.

use super::rolling::Rolling;
use super::times::Times;
use crate::Budget;
use crate::causal::columns::{INITIAL, Plain};
use crate::causal::order::is_serial;

/// Windows that are ordered by search, and how many placements are taken back before, in turn. A search costs more
/// than its width says, and nearly always a few neighbours are enough: so the first is narrow.
const WINDOWS: [(usize, usize); 6] = [(32, 12), (64, 28), (96, 40), (192, 120), (384, 300), (1536, 1000)];
/// One more failure is borne for so many placements.
const STEADY: usize = 5000;
/// Transactions that one placement may need placed before it, in a row.
const DEEPEST: u32 = 500;

/// Looks for a serial order of all transactions that follows their [`Times`]. It gives up when it was stuck more
/// than `patience` times, and one time for every few thousand placements.
pub fn greedy_order(p: &Plain, patience: usize, budget: &Budget) -> Option<Vec<u32>> {
    let mut greedy = Greedy::new(p);
    let (mut best, mut window, mut stuck) = (0, 0, 0);
    while let Err(why) = greedy.play(budget) {
        stuck += 1;
        let here = greedy.rolling.order.len();
        if why == Stuck::Stopped || stuck > patience + here / STEADY {
            return None;
        }
        window = if here > best { 0 } else { window + 1 };
        best = best.max(here);
        let &(width, back) = WINDOWS.get(window)?;
        greedy.take_back(back);
        // Without an order here, time is played on to the same place, and the next window is wider.
        greedy.search(width, budget);
    }
    let Rolling { order, times, .. } = greedy.rolling;
    (is_serial(p, &order) && times.are_kept(&order)).then_some(order)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stuck {
    /// Nobody can be placed.
    Here,
    /// The budget is spent.
    Stopped,
}

struct Greedy<'a> {
    p: &'a Plain,
    rolling: Rolling<'a>,
    // Beginnings and ends, see [`Times::events`].
    events: Vec<u32>,
    now: usize,
    // Of each version (a place in `Plain::writes`, or behind them the initial one of a key): its readers.
    reader_first: Vec<u32>,
    readers: Vec<u32>,
    // The latest invocation among them.
    needed: Vec<u32>,
    // Transactions that were invoked and have to write a key still, by key.
    writers: Vec<Vec<u32>>,
    // When each was placed, and what it overwrote.
    placed_at: Vec<u32>,
    overwritten: Vec<(u32, u32)>,
    busy: Vec<bool>,
    // All before it are placed.
    low: u32,
}

impl<'a> Greedy<'a> {
    fn new(p: &'a Plain) -> Self {
        let times = Times::new(p);
        let events = times.events();
        let slots = p.reads.iter().map(|r| slot(p, r.key, r.from) as u32);
        let (reader_first, reads) = crate::txn::append::versions::group(p.writes.len() + p.keys.len(), slots);
        let mut reader_of = vec![0u32; p.reads.len()];
        for t in 0..p.len() {
            reader_of[p.read_first[t] as usize..p.read_first[t + 1] as usize].fill(t as u32);
        }
        let readers: Vec<u32> = reads.iter().map(|&r| reader_of[r as usize]).collect();
        let last =
            |w: &[u32]| readers[w[0] as usize..w[1] as usize].iter().map(|&t| times.begin[t as usize]).max();
        let needed = reader_first.windows(2).map(|w| last(w).unwrap_or(0)).collect();
        Greedy {
            p,
            rolling: Rolling::new(p, times),
            events,
            now: 0,
            reader_first,
            readers,
            needed,
            writers: vec![Vec::new(); p.keys.len()],
            placed_at: Vec::with_capacity(p.len()),
            overwritten: Vec::new(),
            busy: vec![false; p.len()],
            low: 0,
        }
    }

    /// Places transactions until all are, or nobody can be.
    fn play(&mut self, budget: &Budget) -> Result<(), Stuck> {
        while let Some(&event) = self.events.get(self.now) {
            let t = event / 2;
            if self.now.is_multiple_of(4096) && budget.is_stopped() {
                return Err(Stuck::Stopped);
            }
            if self.rolling.done[t as usize] {
                // It was needed before.
            } else if event % 2 == 1 {
                self.place(t, 0)?;
            } else {
                for &key in self.p.writes_of(t) {
                    self.writers[key as usize].push(t);
                }
            }
            self.now += 1;
        }
        // What has no end.
        (self.low..self.p.len() as u32).try_for_each(|t| match self.rolling.done[t as usize] {
            true => Ok(()),
            false => self.place(t, 0),
        })
    }

    /// Places a transaction, and before it whoever has to be.
    fn place(&mut self, t: u32, deep: u32) -> Result<(), Stuck> {
        if self.busy[t as usize] || deep > DEEPEST || self.rolling.times.begin[t as usize] > self.moment() {
            return Err(Stuck::Here);
        }
        self.busy[t as usize] = true;
        let done = self.place_needed(t, deep);
        self.busy[t as usize] = false;
        done?;
        if self.rolling.done[t as usize] {
            return Ok(());
        }
        let legal = self.p.reads_of(t).iter().all(|r| self.rolling.latest[r.key as usize] == r.from);
        if !legal {
            return Err(Stuck::Here);
        }
        self.put(t);
        Ok(())
    }

    /// The time that is played.
    fn moment(&self) -> u32 {
        let times = &self.rolling.times;
        self.events.get(self.now).map_or(u32::MAX, |&event| {
            let of = if event % 2 == 1 { &times.end } else { &times.begin };
            of[event as usize / 2]
        })
    }

    fn place_needed(&mut self, t: u32, deep: u32) -> Result<(), Stuck> {
        let p = self.p;
        for r in p.reads_of(t) {
            if r.from != INITIAL && !self.rolling.done[r.from as usize] {
                self.place(r.from, deep + 1)?;
            }
        }
        for (i, &key) in p.writes_of(t).iter().enumerate() {
            let mine = p.write_first[t as usize] as usize + i;
            let (mut needed, mut before) = (self.needed[mine], Vec::new());
            for at in self.reader_first[mine]..self.reader_first[mine + 1] {
                self.ancestors(self.readers[at as usize], t, key, 3, &mut needed, &mut before);
            }
            for writer in before {
                self.place(writer, deep + 1)?;
            }
            self.earlier_writers(t, key, needed, deep)?;
        }
        // Whoever was placed meanwhile may have readers of its own.
        let mut again = true;
        while again {
            again = false;
            for &key in p.writes_of(t) {
                again |= self.current_readers(t, key, deep)?;
            }
        }
        Ok(())
    }

    /// Who is read from by a reader of `t`'s version of a key, a few steps back, and is not placed yet: those who
    /// write the key cannot come after `t`, and the latest beginning counts as the reader's own.
    fn ancestors(&self, reader: u32, t: u32, key: u32, steps: u32, needed: &mut u32, before: &mut Vec<u32>) {
        if self.rolling.done[reader as usize] {
            return;
        }
        for r in self.p.reads_of(reader) {
            if r.from == INITIAL || r.from == t || self.rolling.done[r.from as usize] {
                continue;
            }
            *needed = (*needed).max(self.rolling.times.begin[r.from as usize]);
            if self.p.writes_key(r.from, key) && !before.contains(&r.from) {
                before.push(r.from);
            }
            if steps > 1 {
                self.ancestors(r.from, t, key, steps - 1, needed, before);
            }
        }
    }

    /// Writers of a key who end before the last reader of `t`'s version begins cannot come after `t`.
    fn earlier_writers(&mut self, t: u32, key: u32, needed: u32, deep: u32) -> Result<(), Stuck> {
        let mut at = 0;
        while let Some(&u) = self.writers[key as usize].get(at) {
            at += 1;
            if self.rolling.done[u as usize] {
                at -= 1;
                self.writers[key as usize].swap_remove(at);
            } else if u != t && self.rolling.times.end[u as usize] < needed && !self.busy[u as usize] {
                self.place(u, deep + 1)?;
                at = 0;
            }
        }
        Ok(())
    }

    /// Whoever reads the present version of a key goes before it is overwritten. Says whether somebody did.
    fn current_readers(&mut self, t: u32, key: u32, deep: u32) -> Result<bool, Stuck> {
        let slot = slot(self.p, key, self.rolling.latest[key as usize]);
        for i in self.reader_first[slot]..self.reader_first[slot + 1] {
            let reader = self.readers[i as usize];
            if reader == t || self.rolling.done[reader as usize] {
                continue;
            }
            self.place(reader, deep + 1)?;
            return Ok(true);
        }
        Ok(false)
    }

    fn put(&mut self, t: u32) {
        let rolling = &mut self.rolling;
        rolling.done[t as usize] = true;
        rolling.order.push(t);
        self.placed_at.push(self.now as u32);
        for &key in self.p.writes_of(t) {
            self.overwritten.push((key, std::mem::replace(&mut rolling.latest[key as usize], t)));
        }
    }

    /// Takes back the last placements.
    fn take_back(&mut self, count: usize) {
        for _ in 0..count {
            let Some(t) = self.rolling.order.pop() else { break };
            self.rolling.done[t as usize] = false;
            self.low = self.low.min(t);
            self.now = self.now.min(self.placed_at.pop().unwrap_or(0) as usize);
            for &key in self.p.writes_of(t).iter().rev() {
                if let Some((k, before)) = self.overwritten.pop() {
                    debug_assert_eq!(k, key);
                    self.rolling.latest[k as usize] = before;
                }
                if !self.writers[key as usize].contains(&t) {
                    self.writers[key as usize].push(t);
                }
            }
        }
    }

    /// Orders the next few by search; some of them are placed, or none if there is no order.
    fn search(&mut self, width: usize, budget: &Budget) {
        while self.rolling.done.get(self.low as usize) == Some(&true) {
            self.low += 1;
        }
        self.rolling.begin(self.low, width);
        let next = self.rolling.choose(width, budget).unwrap_or_default();
        next.into_iter().for_each(|t| self.put(t));
    }
}

/// The place of a version: of a write, or behind all writes of a key's initial value.
fn slot(p: &Plain, key: u32, from: u32) -> usize {
    if from == INITIAL {
        return p.writes.len() + key as usize;
    }
    let first = p.write_first[from as usize] as usize;
    let keys = p.writes_of(from);
    first + keys.iter().position(|&k| k == key).unwrap_or_default()
}
