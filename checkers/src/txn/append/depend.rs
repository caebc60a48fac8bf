//! Dependencies between list-append transactions, read off the version orders.
//!
//! An edge is a fact about every execution that could have produced the history (as long as no anomaly of
//! the version orders themselves was found). A committed append that nobody read lies behind all that was
//! read, and behind every read of the whole; where many such meet many readers, helper nodes stand between.

use super::columns::Columns;
use super::versions::{NONE, Versions, group};
use crate::txn::graph::{Edges, Kind};
use crate::txn::order::Txn;

/// Above this many direct edges, readers and unread appends of a key are joined through helper nodes.
const DIRECT: usize = 256;

/// Edges between transactions, and how many helper nodes they use beyond the transactions.
#[derive(Clone, Debug, Default)]
pub struct Dependencies {
    /// The edges.
    pub edges: Edges,
    /// Helper nodes, numbered from the number of transactions.
    pub helpers: u32,
}

struct Key<'a> {
    c: &'a Columns,
    // Transactions that wrote each element of the spine; `NONE` where unknown or failed.
    writers: Vec<u32>,
    // Per position: the nearest known writer at or before, and at or after it.
    before: Vec<u32>,
    after: Vec<u32>,
    // Of each transaction: whether it surely happened.
    happened: Vec<bool>,
    // Those of them with an append that nobody read.
    unread: Vec<u32>,
    // Transactions that read the whole spine.
    last_readers: Vec<u32>,
}

/// Finds all dependencies.
pub fn dependencies(c: &Columns, v: &Versions) -> Dependencies {
    let mut out = Dependencies::default();
    let (read_first, reads) = group(c.keys.len(), c.reads.iter().map(|r| r.key));
    let mut key = Key {
        c,
        writers: Vec::new(),
        before: Vec::new(),
        after: Vec::new(),
        happened: happened(c, v),
        unread: Vec::new(),
        last_readers: Vec::new(),
    };
    for k in 0..c.keys.len() as u32 {
        key.load(v, k);
        key.write_edges(&mut out.edges);
        let here = &reads[read_first[k as usize] as usize..read_first[k as usize + 1] as usize];
        key.read_edges(here, &mut out.edges);
        key.unread_edges(&mut out);
    }
    out
}

/// A transaction happened if it says so, or if an element of it was read.
pub fn happened(c: &Columns, v: &Versions) -> Vec<bool> {
    let mut happened: Vec<bool> = c.txns.iter().map(Txn::committed).collect();
    for &a in v.writer.iter().filter(|&&a| a != NONE) {
        let txn = c.appends[a as usize].txn as usize;
        happened[txn] |= c.txns[txn].possible();
    }
    happened
}

impl Key<'_> {
    fn load(&mut self, v: &Versions, k: u32) {
        let c = self.c;
        self.writers.clear();
        self.writers.extend(v.writers(k).iter().map(|&a| {
            let txn = if a == NONE { NONE } else { c.appends[a as usize].txn };
            if txn != NONE && c.txns[txn as usize].possible() { txn } else { NONE }
        }));
        self.before.clear();
        let mut last = NONE;
        for &w in &self.writers {
            last = if w == NONE { last } else { w };
            self.before.push(last);
        }
        self.after.clear();
        self.after.resize(self.writers.len(), NONE);
        let mut next = NONE;
        for (at, &w) in self.writers.iter().enumerate().rev() {
            next = if w == NONE { next } else { w };
            self.after[at] = next;
        }
        self.unread.clear();
        for &a in v.appends(k) {
            let txn = c.appends[a as usize].txn;
            if self.happened[txn as usize] && !v.observed[a as usize] && self.unread.last() != Some(&txn) {
                self.unread.push(txn);
            }
        }
        self.last_readers.clear();
    }

    fn write_edges(&self, edges: &mut Edges) {
        let mut last = NONE;
        for &w in &self.writers {
            if w == NONE {
                continue;
            }
            if last != NONE {
                edges.push(last, w, Kind::Ww);
            }
            last = w;
        }
        for &u in &self.unread {
            if last != NONE {
                edges.push(last, u, Kind::Ww);
            }
        }
    }

    fn read_edges(&mut self, reads: &[u32], edges: &mut Edges) {
        for &r in reads {
            let read = self.c.reads[r as usize];
            if !self.c.odd.is_empty() && self.c.odd.binary_search(&r).is_ok() {
                continue;
            }
            let len = read.len as usize;
            if len > 0 && self.before[len - 1] != NONE {
                edges.push(self.before[len - 1], read.txn, Kind::Wr);
            }
            match self.after.get(len) {
                Some(&next) if next != NONE => edges.push(read.txn, next, Kind::Rw),
                Some(_) | None => {
                    if self.last_readers.last() != Some(&read.txn) {
                        self.last_readers.push(read.txn);
                    }
                }
            }
        }
    }

    /// Whoever read everything that was ever read comes before whoever appended what nobody read.
    fn unread_edges(&mut self, out: &mut Dependencies) {
        if self.unread.is_empty() || self.last_readers.is_empty() {
            return;
        }
        if self.unread.len() * self.last_readers.len() <= DIRECT {
            for &r in &self.last_readers {
                for &u in &self.unread {
                    out.edges.push(r, u, Kind::Rw);
                }
            }
            return;
        }
        let (readers, unread) = (&self.last_readers, &self.unread);
        let both: Vec<u32> = readers.iter().copied().filter(|r| unread.binary_search(r).is_ok()).collect();
        let nodes = self.c.txns.len() as u32;
        let (hub, other) = (nodes + out.helpers, nodes + out.helpers + 1);
        out.helpers += 2;
        // No transaction may come before itself: those that did both enter by `other`, which leads only to
        // those that did not read, and meet each other directly.
        for &r in readers {
            let into = if both.binary_search(&r).is_ok() { other } else { hub };
            out.edges.push(r, into, Kind::Rw);
        }
        for &u in unread {
            out.edges.push(hub, u, Kind::Pass);
            if both.binary_search(&u).is_err() {
                out.edges.push(other, u, Kind::Pass);
            }
        }
        for pair in both.windows(2) {
            out.edges.push(pair[0], pair[1], Kind::Rw);
            out.edges.push(pair[1], pair[0], Kind::Rw);
        }
    }
}
