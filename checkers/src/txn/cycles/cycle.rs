//! A cycle, and what it is called.

use crate::txn::graph::Kind;

/// A cycle: edge `i` leads from `nodes[i]` to the next node, the last one back to the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cycle {
    /// The nodes, in order.
    pub nodes: Vec<u32>,
    /// The kind of the edge that leaves each node.
    pub kinds: Vec<Kind>,
}

/// Names of cycles by what they are made of, plain, with process order, with real time.
pub const NAMES: [[&str; 3]; 5] = [
    ["G0", "G0-process", "G0-realtime"],
    ["G1c", "G1c-process", "G1c-realtime"],
    ["G-single", "G-single-process", "G-single-realtime"],
    ["G-nonadjacent", "G-nonadjacent-process", "G-nonadjacent-realtime"],
    ["G2-item", "G2-item-process", "G2-item-realtime"],
];

impl Cycle {
    /// Number of edges.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are no edges.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// What the cycle is called: `G0` of overwrites only; `G1c` if reads take part; `G-single` with exactly one
    /// anti-dependency; `G-nonadjacent` with several, of which no two are neighbours; else `G2-item`. With
    /// `-realtime` or `-process` if such edges are needed. (Adya 1999; Kingsbury and Alvaro 2020.)
    pub fn name(&self) -> &'static str {
        let kinds: Vec<Kind> = self.kinds.iter().copied().filter(|&k| k != Kind::Pass).collect();
        let has = |k: Kind| kinds.contains(&k);
        let anti = kinds.iter().filter(|&&k| k == Kind::Rw).count();
        let adjacent = (0..kinds.len())
            .any(|i| kinds[i] == Kind::Rw && kinds[(i + 1) % kinds.len()] == Kind::Rw && kinds.len() > 1);
        let family = match anti {
            0 if has(Kind::Wr) => 1,
            0 => 0,
            1 => 2,
            _ if !adjacent => 3,
            _ => 4,
        };
        let order = if has(Kind::Realtime) {
            2
        } else if has(Kind::Process) {
            1
        } else {
            0
        };
        NAMES[family][order]
    }

    /// Cuts a closed walk that meets a node twice into simple cycles, and gives the first that `keep` accepts.
    pub fn simple(self, keep: &impl Fn(&Cycle) -> bool) -> Option<Cycle> {
        let n = self.nodes.len();
        for i in 0..n {
            for j in i + 1..n {
                if self.nodes[i] == self.nodes[j] {
                    let inner = Cycle { nodes: self.nodes[i..j].to_vec(), kinds: self.kinds[i..j].to_vec() };
                    let mut outer = self;
                    outer.nodes.drain(i..j);
                    outer.kinds.drain(i..j);
                    return inner.simple(keep).or_else(|| outer.simple(keep));
                }
            }
        }
        keep(&self).then_some(self)
    }

    /// Merges neighbouring edges of process order and real time, which both are transitive.
    pub fn shortcut(mut self) -> Cycle {
        let order = |k: Kind| matches!(k, Kind::Process | Kind::Realtime);
        let mut i = 0;
        while i < self.nodes.len() && self.nodes.len() > 2 {
            let next = (i + 1) % self.nodes.len();
            if order(self.kinds[i]) && order(self.kinds[next]) {
                self.kinds[i] = self.kinds[i].max(self.kinds[next]);
                self.nodes.remove(next);
                self.kinds.remove(next);
                i = i.saturating_sub(usize::from(next == 0));
            } else {
                i += 1;
            }
        }
        self
    }

    /// Begins the cycle at its smallest node, so that equal cycles look equal.
    pub fn rotate(mut self) -> Cycle {
        if let Some(at) = (0..self.nodes.len()).min_by_key(|&i| self.nodes[i]) {
            self.nodes.rotate_left(at);
            self.kinds.rotate_left(at);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Kind::{Pass, Process, Realtime, Rw, Wr, Ww};

    fn cycle(kinds: &[Kind]) -> Cycle {
        Cycle { nodes: (0..kinds.len() as u32).collect(), kinds: kinds.to_vec() }
    }

    #[test]
    fn names_follow_the_edges() {
        let cases: [(&[Kind], &str); 10] = [
            (&[Ww, Ww], "G0"),
            (&[Ww, Wr], "G1c"),
            (&[Ww, Realtime], "G0-realtime"),
            (&[Wr, Process, Realtime], "G1c-realtime"),
            (&[Rw, Wr], "G-single"),
            (&[Rw, Pass, Process], "G-single-process"),
            (&[Rw, Wr, Rw, Ww], "G-nonadjacent"),
            (&[Rw, Rw], "G2-item"),
            (&[Rw, Pass, Rw], "G2-item"),
            (&[Rw, Wr, Rw], "G2-item"),
        ];
        for (kinds, name) in cases {
            assert_eq!(cycle(kinds).name(), name, "{kinds:?}");
        }
    }

    #[test]
    fn orders_merge_and_walks_come_apart() {
        let merged = cycle(&[Rw, Process, Realtime, Process]).shortcut();
        assert_eq!((merged.nodes, merged.kinds), (vec![0, 1], vec![Rw, Realtime]));
        let around = cycle(&[Process, Rw, Process]).shortcut();
        assert_eq!((around.nodes, around.kinds), (vec![1, 2], vec![Rw, Process]));
        let eight = Cycle { nodes: vec![0, 1, 2, 1], kinds: vec![Rw, Ww, Ww, Wr] };
        let kept = eight.simple(&|c| c.name() == "G-single").unwrap();
        assert_eq!(kept.nodes, vec![0, 1]);
    }
}
