//! Vector clocks of happens-before: for each transaction, how much of each session it knows.
//!
//! Clocks are made in a linear order and handed to a visitor. One is dropped once nobody can still learn from
//! it (its session has gone on and all its readers were visited), unless all are to be kept: most histories
//! then need room for about as many clocks as there are sessions.

use super::columns::{INITIAL, Plain};
use crate::{Budget, Exhausted};

const NO_ROW: u32 = u32::MAX;

/// Clocks in memory.
#[derive(Clone, Debug)]
pub struct Clocks {
    width: usize,
    rows: Vec<u32>,
    free: Vec<u32>,
    row: Vec<u32>,
}

impl Clocks {
    /// The clock of a visited transaction, itself included. Panics if it was dropped.
    pub fn of(&self, t: u32) -> &[u32] {
        let row = self.row[t as usize] as usize;
        &self.rows[row * self.width..(row + 1) * self.width]
    }

    /// Whether `a` happens before `b` or is `b`; `b`'s clock must still be there.
    pub fn before(&self, p: &Plain, a: u32, b: u32) -> bool {
        self.of(b)[p.session[a as usize] as usize] >= p.place[a as usize]
    }

    fn take_row(&mut self) -> u32 {
        if let Some(row) = self.free.pop() {
            let at = row as usize * self.width;
            self.rows[at..at + self.width].fill(0);
            return row;
        }
        let row = (self.rows.len() / self.width) as u32;
        self.rows.resize(self.rows.len() + self.width, 0);
        row
    }

    fn join(&mut self, into: u32, from: u32) {
        let (a, b) = (into as usize * self.width, from as usize * self.width);
        if a == b {
            return;
        }
        let (low, high) = self.rows.split_at_mut(a.max(b));
        let width = self.width;
        let (target, source) = if a < b {
            (&mut low[a..a + width], &high[..width])
        } else {
            (&mut high[..width], &low[b..b + width])
        };
        for (t, &s) in target.iter_mut().zip(source) {
            *t = (*t).max(s);
        }
    }
}

/// Visits every transaction in a linear order, with the clock of what it knows before it acts.
pub fn visit(
    p: &Plain,
    order: &[u32],
    keep_all: bool,
    budget: &Budget,
    mut visitor: impl FnMut(u32, &[u32], &Clocks),
) -> Result<Clocks, Exhausted> {
    let n = p.len();
    let mut clocks = Clocks {
        width: (p.sessions as usize).max(1),
        rows: Vec::new(),
        free: Vec::new(),
        row: vec![NO_ROW; n],
    };
    // How many still need each clock: later readers, and the next of the session.
    let mut needed = vec![0u32; n];
    let mut last = vec![u32::MAX; p.sessions as usize];
    for t in 0..n {
        for r in p.reads_of(t as u32).iter().filter(|r| r.from != INITIAL) {
            needed[r.from as usize] += 1;
        }
        let before = &mut last[p.session[t] as usize];
        if *before != u32::MAX {
            needed[*before as usize] += 1;
        }
        *before = t as u32;
    }
    last.fill(u32::MAX);
    for (i, &t) in order.iter().enumerate() {
        if i % 1024 == 0 {
            budget.spend(4 * clocks.rows.len() as u64)?;
        }
        let row = clocks.take_row();
        clocks.row[t as usize] = row;
        let before = std::mem::replace(&mut last[p.session[t as usize] as usize], t);
        if before != u32::MAX {
            clocks.join(row, clocks.row[before as usize]);
        }
        for r in p.reads_of(t).iter().filter(|r| r.from != INITIAL) {
            clocks.join(row, clocks.row[r.from as usize]);
        }
        visitor(t, clocks.of(t), &clocks);
        let own = row as usize * clocks.width + p.session[t as usize] as usize;
        clocks.rows[own] = p.place[t as usize];
        if keep_all {
            continue;
        }
        let learned = p.reads_of(t).iter().map(|r| r.from).filter(|&f| f != INITIAL);
        for from in learned.chain(Some(before).filter(|&b| b != u32::MAX)) {
            needed[from as usize] -= 1;
            if needed[from as usize] == 0 {
                clocks.free.push(std::mem::replace(&mut clocks.row[from as usize], NO_ROW));
            }
        }
        if needed[t as usize] == 0 {
            clocks.free.push(std::mem::replace(&mut clocks.row[t as usize], NO_ROW));
        }
    }
    Ok(clocks)
}
