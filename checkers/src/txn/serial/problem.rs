//! What has to be ordered: transactions as one moment each, or as a snapshot and a commit.
//!
//! A model that asks for an order of moments becomes: nodes, edges that any order must keep, and for every
//! read the demand that no other writer of its key commits between the writer that was read and the read.

use crate::causal::columns::{INITIAL, Plain};
use crate::txn::graph::{Edges, Kind};
use crate::txn::order::{process_edges, realtime_edges};

/// How a transaction takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// At one moment: serializability, sequential consistency.
    Serial,
    /// It reads a snapshot and commits later; of two writers of a key one commits before the other's
    /// snapshot: snapshot isolation.
    Snapshot,
    /// The same, but writers may overlap: prefix consistency.
    Prefix,
}

/// What order must be kept beside the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Follow {
    /// None.
    Nothing,
    /// That of each process.
    Process,
    /// Real time.
    Realtime,
}

/// A read of another transaction's write, or of the initial value.
#[derive(Clone, Copy, Debug)]
pub struct Read {
    /// Who read.
    pub reader: u32,
    /// The key.
    pub key: u32,
    /// Whom, or [`INITIAL`].
    pub from: u32,
}

/// Nodes and what is demanded of their order.
#[derive(Clone, Debug)]
pub struct Problem<'a> {
    /// The transactions.
    pub p: &'a Plain,
    /// How they take effect.
    pub shape: Shape,
    /// Edges between nodes that hold in any case.
    pub base: Edges,
    /// All reads, by reader.
    pub reads: Vec<Read>,
}

impl<'a> Problem<'a> {
    /// States a model as a problem of order.
    pub fn new(p: &'a Plain, shape: Shape, follow: Follow) -> Self {
        let mut problem =
            Problem { p, shape, base: Edges::default(), reads: Vec::with_capacity(p.reads.len()) };
        let mut order = Edges::default();
        let members: Vec<u32> = (0..p.len() as u32).collect();
        match follow {
            Follow::Nothing => {}
            Follow::Process => process_edges(&p.txns, &members, &mut order),
            Follow::Realtime => realtime_edges(&p.txns, &members, &mut order),
        }
        for (a, b, kind) in order.iter() {
            problem.base.push(problem.commit(a), problem.begin(b), kind);
        }
        for t in 0..p.len() as u32 {
            if shape != Shape::Serial {
                problem.base.push(problem.begin(t), problem.commit(t), Kind::Pass);
            }
            for r in p.reads_of(t) {
                problem.reads.push(Read { reader: t, key: r.key, from: r.from });
                if r.from != INITIAL {
                    problem.base.push(problem.commit(r.from), problem.begin(t), Kind::Wr);
                }
            }
        }
        problem
    }

    /// Number of nodes.
    pub fn nodes(&self) -> usize {
        self.p.len() * if self.shape == Shape::Serial { 1 } else { 2 }
    }

    /// The node at which a transaction reads.
    pub fn begin(&self, t: u32) -> u32 {
        if self.shape == Shape::Serial { t } else { 2 * t }
    }

    /// The node at which its writes take effect.
    pub fn commit(&self, t: u32) -> u32 {
        if self.shape == Shape::Serial { t } else { 2 * t + 1 }
    }

    /// The transaction of a node.
    pub fn txn(&self, node: u32) -> u32 {
        if self.shape == Shape::Serial { node } else { node / 2 }
    }

    /// Whether the node is where the transaction's writes take effect.
    pub fn commits(&self, node: u32) -> bool {
        self.shape == Shape::Serial || node % 2 == 1
    }

    /// The edge that puts one writer of a key before another.
    pub fn before(&self, first: u32, second: u32) -> (u32, u32) {
        let into = match self.shape {
            Shape::Snapshot => self.begin(second),
            Shape::Serial | Shape::Prefix => self.commit(second),
        };
        (self.commit(first), into)
    }
}
