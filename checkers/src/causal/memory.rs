//! Causal memory and PRAM: for each session, one order of writes must explain all that it read.
//!
//! For a session, happens-before is saturated: whatever writes key x and comes before one of its reads of x
//! from `w` comes before `w`. The order exists exactly if nothing becomes circular and no overwritten initial
//! value was read (Bouajjani et al., POPL 2017, `CyclicHB` and `WriteHBInitRead`). For causal memory the
//! relation starts from session order and all reads-from; for PRAM from session order and the reads of this
//! session alone.

use super::columns::{INITIAL, Plain};
use super::order::Writers;
use crate::{Budget, Exhausted};

/// Where the relation starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Session order and reads-from.
    CausalMemory,
    /// Session order, and reads-from into the session at hand.
    Pram,
}

/// Why no order explains a session's reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A session read an initial value after a write that it must have seen: (writer, reader, key).
    Initial(u32, u32, u32),
    /// Transactions in a circle, each with the reason why it comes before the next.
    Circle(Vec<(u32, Why)>),
}

/// Why one transaction comes before another for a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Session order.
    Session,
    /// The second read from the first.
    Read,
    /// This transaction read this key from the second, and the first is before it.
    Seen(u32, u32),
}

/// Looks for a violation in one session. `linear` is an order that keeps session order and reads-from; causal
/// memory needs one.
pub fn session(
    p: &Plain,
    writers: &Writers,
    linear: Option<&[u32]>,
    session: u32,
    start: Start,
    budget: &Budget,
) -> Result<Option<Violation>, Exhausted> {
    let mut graph = Saturation::new(p, session, start);
    graph.restrict(linear);
    if linear.is_some_and(|order| graph.explained_by(order)) {
        return Ok(None);
    }
    loop {
        budget.spend(graph.held_bytes())?;
        let Some(order) = graph.topological() else {
            return Ok(Some(Violation::Circle(graph.circle())));
        };
        graph.clocks(&order);
        match graph.saturate(writers) {
            Step::Done => return Ok(None),
            Step::Grown => {}
            Step::Wrong(violation) => return Ok(Some(violation)),
        }
    }
}

/// An order of everything in a session's past, if one explains its reads: before each of its transactions stands
/// just what that has to have seen.
pub fn explanation(
    p: &Plain,
    writers: &Writers,
    linear: Option<&[u32]>,
    session: u32,
    start: Start,
    budget: &Budget,
) -> Option<Vec<u32>> {
    let mut graph = Saturation::new(p, session, start);
    graph.restrict(linear);
    loop {
        budget.spend(graph.held_bytes()).ok()?;
        let order = graph.topological()?;
        graph.clocks(&order);
        match graph.saturate(writers) {
            Step::Done => return Some(graph.told(&order)),
            Step::Grown => {}
            Step::Wrong(_) => return None,
        }
    }
}

enum Step {
    Done,
    Grown,
    Wrong(Violation),
}

struct Saturation<'a> {
    p: &'a Plain,
    session: u32,
    start: Start,
    // Transactions that the session can know of, ascending; and the place of each in this list.
    members: Vec<u32>,
    local: Vec<u32>,
    mine: Vec<u32>,
    edges: Vec<Vec<(u32, Why)>>,
    clock: Vec<u32>,
}

impl<'a> Saturation<'a> {
    fn new(p: &'a Plain, session: u32, start: Start) -> Self {
        let mine = (0..p.len() as u32).filter(|&t| p.session[t as usize] == session).collect();
        Saturation {
            p,
            session,
            start,
            members: Vec::new(),
            local: Vec::new(),
            mine,
            edges: Vec::new(),
            clock: Vec::new(),
        }
    }

    fn learns(&self, t: u32) -> bool {
        self.start == Start::CausalMemory || self.p.session[t as usize] == self.session
    }

    /// Everything in the past of the session's last transaction; the rest may come after all of it.
    fn restrict(&mut self, linear: Option<&[u32]>) {
        let p = self.p;
        let mut known = vec![0u32; p.sessions as usize];
        if let Some(&last) = self.mine.last() {
            known[self.session as usize] = p.place[last as usize];
        }
        // For PRAM only this session learns, so its own transactions in any order will do.
        for &t in linear.unwrap_or(&self.mine).iter().rev() {
            if p.place[t as usize] <= known[p.session[t as usize] as usize] && self.learns(t) {
                for r in p.reads_of(t).iter().filter(|r| r.from != INITIAL) {
                    let of = &mut known[p.session[r.from as usize] as usize];
                    *of = (*of).max(p.place[r.from as usize]);
                }
            }
        }
        let inside = |&t: &u32| p.place[t as usize] <= known[p.session[t as usize] as usize];
        self.members = (0..p.len() as u32).filter(inside).collect();
        self.local = vec![u32::MAX; p.len()];
        for (i, &t) in self.members.iter().enumerate() {
            self.local[t as usize] = i as u32;
        }
    }

    /// Whether the linear order itself explains every read of the session.
    fn explained_by(&self, linear: &[u32]) -> bool {
        let mut latest: rustc_hash::FxHashMap<u32, u32> = rustc_hash::FxHashMap::default();
        linear.iter().filter(|&&t| self.local[t as usize] != u32::MAX).all(|&t| {
            let legal = self.p.session[t as usize] != self.session
                || self
                    .p
                    .reads_of(t)
                    .iter()
                    .all(|r| latest.get(&r.key).copied().unwrap_or(INITIAL) == r.from);
            for &key in self.p.writes_of(t) {
                latest.insert(key, t);
            }
            legal
        })
    }

    fn base_edges(&mut self) {
        let p = self.p;
        self.edges = vec![Vec::new(); self.members.len()];
        let mut last = vec![u32::MAX; p.sessions as usize];
        for (i, &t) in self.members.iter().enumerate() {
            let before = std::mem::replace(&mut last[p.session[t as usize] as usize], i as u32);
            if before != u32::MAX {
                self.edges[before as usize].push((i as u32, Why::Session));
            }
            if self.learns(t) {
                for r in p.reads_of(t).iter().filter(|r| r.from != INITIAL) {
                    self.edges[self.local[r.from as usize] as usize].push((i as u32, Why::Read));
                }
            }
        }
    }

    fn topological(&mut self) -> Option<Vec<u32>> {
        if self.edges.is_empty() {
            self.base_edges();
        }
        let mut waits = vec![0u32; self.members.len()];
        for &(to, _) in self.edges.iter().flatten() {
            waits[to as usize] += 1;
        }
        let mut order: Vec<u32> = (0..waits.len() as u32).filter(|&i| waits[i as usize] == 0).collect();
        let mut at = 0;
        while at < order.len() {
            for &(to, _) in &self.edges[order[at] as usize] {
                waits[to as usize] -= 1;
                if waits[to as usize] == 0 {
                    order.push(to);
                }
            }
            at += 1;
        }
        (order.len() == waits.len()).then_some(order)
    }

    fn clocks(&mut self, order: &[u32]) {
        let (p, width) = (self.p, self.p.sessions as usize);
        self.clock.clear();
        self.clock.resize(self.members.len() * width, 0);
        for &i in order {
            let t = self.members[i as usize] as usize;
            let from = i as usize * width;
            let own = &mut self.clock[from + p.session[t] as usize];
            *own = (*own).max(p.place[t]);
            for &(to, _) in &self.edges[i as usize] {
                let to = to as usize * width;
                for s in 0..width {
                    self.clock[to + s] = self.clock[to + s].max(self.clock[from + s]);
                }
            }
        }
    }

    fn row(&self, t: u32) -> &[u32] {
        let width = self.p.sessions as usize;
        let at = self.local[t as usize] as usize * width;
        &self.clock[at..at + width]
    }

    fn saturate(&mut self, writers: &Writers) -> Step {
        let p = self.p;
        let mut fresh = Vec::new();
        for &t in &self.mine {
            let mut past = self.row(t).to_vec();
            past[self.session as usize] -= 1;
            for r in p.reads_of(t) {
                for known in writers.last_within(p, r.key, &past) {
                    if r.from == INITIAL {
                        return Step::Wrong(Violation::Initial(known, t, r.key));
                    }
                    let ordered =
                        self.row(r.from)[p.session[known as usize] as usize] >= p.place[known as usize];
                    if known != r.from && !ordered {
                        fresh.push((known, r.from, Why::Seen(t, r.key)));
                    }
                }
            }
        }
        if fresh.is_empty() {
            return Step::Done;
        }
        for (from, to, why) in fresh {
            self.edges[self.local[from as usize] as usize].push((self.local[to as usize], why));
        }
        Step::Grown
    }

    /// Members, each of the session's own as early as its past allows.
    fn told(&self, order: &[u32]) -> Vec<u32> {
        let p = self.p;
        let mut done = vec![false; self.members.len()];
        let mut told = Vec::with_capacity(self.members.len());
        for &t in &self.mine {
            let known = self.row(t);
            for &i in order {
                let m = self.members[i as usize];
                if p.place[m as usize] <= known[p.session[m as usize] as usize] && !done[i as usize] && m != t
                {
                    done[i as usize] = true;
                    told.push(m);
                }
            }
            done[self.local[t as usize] as usize] = true;
            told.push(t);
        }
        told
    }

    /// A shortest circle, once there is one.
    fn circle(&self) -> Vec<(u32, Why)> {
        let n = self.members.len();
        let mut best: Vec<(u32, Why)> = Vec::new();
        // A circle has a conflict in it, unless a session read what it wrote only later.
        let conflicts =
            |start: &u32| self.edges[*start as usize].iter().any(|(_, why)| matches!(why, Why::Seen(..)));
        let mut starts: Vec<u32> = (0..n as u32).filter(conflicts).collect();
        if starts.is_empty() {
            starts = (0..n as u32).collect();
        }
        for start in starts {
            let mut parent: Vec<Option<(u32, Why)>> = vec![None; n];
            let mut queue = std::collections::VecDeque::from([start]);
            'search: while let Some(here) = queue.pop_front() {
                for &(to, why) in &self.edges[here as usize] {
                    if to == start {
                        let mut path = vec![(self.members[here as usize], why)];
                        let mut at = here;
                        while at != start {
                            let (before, why) = parent[at as usize].expect("every node met has a parent");
                            path.push((self.members[before as usize], why));
                            at = before;
                        }
                        path.reverse();
                        if best.is_empty() || path.len() < best.len() {
                            best = path;
                        }
                        break 'search;
                    }
                    if parent[to as usize].is_none() {
                        parent[to as usize] = Some((here, why));
                        queue.push_back(to);
                    }
                }
            }
            if best.len() == 2 {
                break;
            }
        }
        best
    }

    fn held_bytes(&self) -> u64 {
        let width = u64::from(self.p.sessions);
        self.members.len() as u64 * (width * 4 + 64)
    }
}
