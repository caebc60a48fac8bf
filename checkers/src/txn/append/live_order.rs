//! What must come before what, as far as a model asks, in a graph that grows and has no cycle.

use rustc_hash::FxHashMap;

use super::kept::Kept;
use crate::txn::acyclic::Acyclic;
use crate::txn::models::{Model, forbids};

/// Which cycles are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cycles {
    /// Of dependencies. A node is a transaction.
    Dependencies,
    /// With anti-dependencies, no two of them next to each other. A transaction is two nodes, its beginning and its
    /// commit: dependencies lead from commits to beginnings, anti-dependencies from beginnings to commits.
    Snapshot,
    /// All. A node is a transaction.
    All,
}

/// What order counts as a dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Follow {
    Nothing,
    Process,
    Realtime,
}

/// Why one transaction comes before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edge {
    Dependency,
    AntiDependency,
}

/// The graph, and who came last in time.
#[derive(Debug)]
pub(super) struct LiveOrder {
    cycles: Cycles,
    follow: Follow,
    graph: Acyclic,
    // Completed, and not before anything else that is completed.
    frontier: Vec<u32>,
    // The last that was completed of each process.
    last: FxHashMap<u32, u32>,
}

impl LiveOrder {
    /// For the cycles that a model forbids.
    pub fn new(model: &'static Model) -> Self {
        let any = |names: &[&str]| names.iter().any(|name| forbids(model, name));
        let cycles = ["G0", "G1c", "G-single", "G-nonadjacent", "G2-item"];
        let with = |order: &str, of: &[&str]| of.iter().any(|n| forbids(model, &format!("{n}{order}")));
        let orders = ["", "-process", "-realtime"];
        let follow = if with("-realtime", &cycles) {
            Follow::Realtime
        } else if with("-process", &cycles) || any(&["fractured-read-process", "causality-violation-process"])
        {
            Follow::Process
        } else {
            Follow::Nothing
        };
        let single = ["lost-update", "fractured-read", "causality-violation", "non-monotonic-atomic-view"];
        let cycles = if orders.iter().any(|o| with(o, &["G2-item"])) {
            Cycles::All
        } else if orders.iter().any(|o| with(o, &["G-single", "G-nonadjacent"]) || with(o, &single)) {
            Cycles::Snapshot
        } else {
            Cycles::Dependencies
        };
        LiveOrder {
            cycles,
            follow,
            graph: Acyclic::default(),
            frontier: Vec::new(),
            last: FxHashMap::default(),
        }
    }

    /// Whether nothing is there, or not any more.
    pub fn is_empty(&self) -> bool {
        self.graph.is_empty()
    }

    /// Forgets everything.
    pub fn let_go(&mut self) {
        (self.graph, self.frontier, self.last) = (Acyclic::default(), Vec::new(), FxHashMap::default());
    }

    /// A transaction begins, behind all that is over.
    pub fn invoke(&mut self, kept: &Kept, t: u32) {
        self.graph.add();
        if self.cycles == Cycles::Snapshot {
            self.graph.add();
            self.graph.join(2 * t, 2 * t + 1);
        }
        // Nothing leads away from it yet, so nothing can be circular.
        match self.follow {
            Follow::Nothing => {}
            Follow::Process => {
                if let Some(&before) = self.last.get(&kept.process(t)) {
                    self.edge(before, t, Edge::Dependency);
                }
            }
            Follow::Realtime => {
                for i in 0..self.frontier.len() {
                    self.edge(self.frontier[i], t, Edge::Dependency);
                }
            }
        }
    }

    /// A transaction is completed.
    pub fn commit(&mut self, kept: &Kept, t: u32) {
        match self.follow {
            Follow::Nothing => {}
            Follow::Process => drop(self.last.insert(kept.process(t), t)),
            Follow::Realtime => {
                let invoked = kept.invoked(t);
                self.frontier.retain(|&f| kept.ended(f) >= invoked);
                self.frontier.push(t);
            }
        }
    }

    /// Adds what comes before what, if cycles of such are looked for. False if that would close one.
    pub fn edge(&mut self, from: u32, to: u32, edge: Edge) -> bool {
        match (self.cycles, edge) {
            _ if from == to => true,
            (Cycles::Dependencies, Edge::AntiDependency) => true,
            (Cycles::Dependencies | Cycles::All, _) => self.graph.join(from, to),
            (Cycles::Snapshot, Edge::Dependency) => self.graph.join(2 * from + 1, 2 * to),
            (Cycles::Snapshot, Edge::AntiDependency) => self.graph.join(2 * from, 2 * to + 1),
        }
    }
}
