//! Parallel snapshot isolation and update serializability of plain reads and writes: whether the writers of every
//! key can be ordered so that no cycle of dependencies has at most one anti-dependency; or none but those of
//! transactions that only read, and no two of these.
//!
//! The first is the model by Cerone and Gotsman, "Analysing Snapshot Isolation" (PODC 2016), theorem 10, the second
//! PL-3U of Adya's thesis (1999), given that no read is wrong by itself. Reads name their writers, so what is open is the order of writers. Where a
//! transaction read a key from `w` and depends on another writer `u` of it, `u` must come before `w`; that is
//! applied until nothing follows any more. Then two writers that are still open are ordered one way, and the
//! other way if that leads to a contradiction.
//!
//! Who depends on whom is kept for all pairs, a bit each, so only histories of up to [`MOST`] transactions are
//! decided.

use crate::causal::columns::{INITIAL, Plain};
use crate::{Budget, Exhausted};

/// Transactions of the longest history that is decided.
pub const MOST: usize = 2000;
/// Contradictions after which the search gives up.
const CONTRADICTIONS: u64 = 20_000;

/// A contradiction: `reader` read `key` from `from`, but depends on `other`, who must have overwritten that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clash {
    /// Who read.
    pub reader: u32,
    /// The key.
    pub key: u32,
    /// Whom, or [`INITIAL`].
    pub from: u32,
    /// The writer that was missed.
    pub other: u32,
}

/// Which cycles are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// With two or more anti-dependencies: parallel snapshot isolation.
    Parallel,
    /// With two or more transactions that only read: update serializability. Anti-dependencies of those that write
    /// are dependencies like others.
    Update,
}

/// What the search found.
#[derive(Clone, Debug)]
pub enum Found {
    /// They can be ordered.
    Order,
    /// There is none: the last contradiction, and how many there were before.
    Clash(Clash, u64),
    /// Dependencies alone are circular.
    Circle,
}

/// Looks for orders of writers.
pub fn parallel(p: &Plain, form: Form, budget: &Budget) -> Result<Found, Exhausted> {
    if p.len() > MOST {
        return Err(Exhausted::Memory);
    }
    let mut search = Search::new(p, form);
    for t in 0..p.len() as u32 {
        for r in p.reads_of(t).iter().filter(|r| r.from != INITIAL) {
            if !search.join(r.from, t) {
                return Ok(Found::Circle);
            }
        }
    }
    search.run(budget)
}

struct Search<'a> {
    p: &'a Plain,
    form: Form,
    words: usize,
    // Of each transaction: whom it reaches, itself not included.
    reach: Vec<u64>,
    // Words that changed, with what they were, to take choices back.
    trail: Vec<(u32, u64)>,
    // Of each key: its writers.
    writers: Vec<Vec<u32>>,
    // Ways not taken: how long the trail was, and the edge.
    open: Vec<(usize, u32, u32)>,
}

impl<'a> Search<'a> {
    fn new(p: &'a Plain, form: Form) -> Self {
        let words = p.len().div_ceil(64);
        let mut writers = vec![Vec::new(); p.keys.len()];
        for t in 0..p.len() as u32 {
            p.writes_of(t).iter().for_each(|&key| writers[key as usize].push(t));
        }
        Search {
            p,
            form,
            words,
            reach: vec![0; words * p.len()],
            trail: Vec::new(),
            writers,
            open: Vec::new(),
        }
    }

    fn reaches(&self, from: u32, to: u32) -> bool {
        self.reach[from as usize * self.words + to as usize / 64] >> (to % 64) & 1 == 1
    }

    /// Adds a dependency and all that follows from it. False if that is circular.
    fn join(&mut self, from: u32, to: u32) -> bool {
        if from == to || self.reaches(to, from) {
            return false;
        }
        if self.reaches(from, to) {
            return true;
        }
        let mut gained: Vec<u64> = self.row(to).to_vec();
        gained[to as usize / 64] |= 1 << (to % 64);
        for x in 0..self.p.len() as u32 {
            if x != from && !self.reaches(x, from) {
                continue;
            }
            for (w, &bits) in gained.iter().enumerate() {
                let at = x as usize * self.words + w;
                let have = self.reach[at];
                if have | bits != have {
                    self.trail.push((at as u32, have));
                    self.reach[at] = have | bits;
                }
            }
        }
        true
    }

    fn row(&self, t: u32) -> &[u64] {
        &self.reach[t as usize * self.words..(t as usize + 1) * self.words]
    }

    fn run(&mut self, budget: &Budget) -> Result<Found, Exhausted> {
        let mut contradictions = 0;
        loop {
            budget.spend(8 * (self.reach.len() + 2 * self.trail.len()) as u64)?;
            let clash = self.saturate();
            let Some(clash) = clash else {
                match self.undecided() {
                    // Later in the history is the better guess for later.
                    Some((u, v)) => {
                        self.open.push((self.trail.len(), v, u));
                        self.join(u, v);
                        continue;
                    }
                    None => return Ok(Found::Order),
                }
            };
            let Some((length, u, v)) = self.open.pop() else {
                return Ok(Found::Clash(clash, contradictions));
            };
            contradictions += 1;
            if contradictions > CONTRADICTIONS {
                return Err(Exhausted::Time);
            }
            for (at, before) in self.trail.drain(length..).rev() {
                self.reach[at as usize] = before;
            }
            // The two were open, so this cannot be circular.
            self.join(u, v);
        }
    }

    /// Applies what follows until nothing does.
    fn saturate(&mut self) -> Option<Clash> {
        let mut again = true;
        while again {
            again = false;
            for t in 0..self.p.len() as u32 {
                for r in self.p.reads_of(t) {
                    for i in 0..self.writers[r.key as usize].len() {
                        let u = self.writers[r.key as usize][i];
                        if u == t || u == r.from {
                            continue;
                        }
                        let clash = Clash { reader: t, key: r.key, from: r.from, other: u };
                        if !self.reaches(u, t) {
                            let overwrites = r.from == INITIAL || self.reaches(r.from, u);
                            if self.orders_reader(t) && overwrites && !self.reaches(t, u) {
                                self.join(t, u);
                                again = true;
                            }
                            continue;
                        }
                        if r.from != INITIAL && self.reaches(u, r.from) {
                            continue;
                        }
                        if r.from == INITIAL || !self.join(u, r.from) {
                            return Some(clash);
                        }
                        again = true;
                    }
                }
            }
        }
        None
    }

    /// Whether what overwrites a transaction's reads comes after it.
    fn orders_reader(&self, t: u32) -> bool {
        self.form == Form::Update && !self.p.writes_of(t).is_empty()
    }

    /// Two writers of a key that are not ordered yet, the earlier in the history first.
    fn undecided(&self) -> Option<(u32, u32)> {
        self.writers.iter().find_map(|all| {
            let pairs = all.iter().enumerate().flat_map(|(i, &u)| all[i + 1..].iter().map(move |&v| (u, v)));
            pairs.into_iter().find(|&(u, v)| !self.reaches(u, v) && !self.reaches(v, u))
        })
    }
}

#[cfg(test)]
#[path = "parallel_tests.rs"]
mod tests;
