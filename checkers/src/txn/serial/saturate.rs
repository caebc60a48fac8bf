//! What the order of neighbouring writers of a key must be, before anything is chosen.
//!
//! A version and its readers stand together: of two writers of a key, all of one's readers come before the
//! other. So a path from the second writer to any reader of the first turns the two round.

use super::graph::{Added, Growing};
use super::problem::Problem;
use super::solve::{Settled, Side, settle};
use crate::causal::columns::INITIAL;
use crate::txn::append::versions::group;
use crate::txn::graph::Kind;

/// How many writers behind each one are looked at.
const NEIGHBOURS: usize = 6;

/// Writers of each key and readers of each version.
#[derive(Clone, Debug)]
pub struct Versions {
    key_first: Vec<u32>,
    // By key; indexes into `Plain::writes`.
    by_key: Vec<u32>,
    // Transaction of each write.
    writer: Vec<u32>,
    reader_first: Vec<u32>,
    // By writer; indexes into `Problem::reads`.
    readers: Vec<u32>,
}

impl Versions {
    /// Collects them.
    pub fn new(problem: &Problem<'_>) -> Self {
        let p = problem.p;
        let mut writer = vec![0u32; p.writes.len()];
        for t in 0..p.len() {
            writer[p.write_first[t] as usize..p.write_first[t + 1] as usize].fill(t as u32);
        }
        let (key_first, by_key) = group(p.keys.len(), p.writes.iter().copied());
        let of = problem.reads.iter().map(|r| if r.from == INITIAL { p.len() as u32 } else { r.from });
        let (reader_first, readers) = group(p.len() + 1, of);
        Versions { key_first, by_key, writer, reader_first, readers }
    }

    fn readers<'a>(&'a self, problem: &'a Problem<'_>, t: u32, key: u32) -> impl Iterator<Item = u32> + 'a {
        let row = self.reader_first[t as usize] as usize..self.reader_first[t as usize + 1] as usize;
        let reads = self.readers[row].iter().map(|&r| problem.reads[r as usize]);
        reads.filter(move |r| r.key == key).map(|r| r.reader)
    }

    /// Edges of "all of `first` before `second`" that time does not give anyway.
    fn side(&self, problem: &Problem<'_>, first: u32, second: u32, key: u32) -> Side {
        let (from, to) = problem.before(first, second);
        let mut side = vec![Added { from, to, kind: Kind::Ww, key, choice: 0 }];
        let commit = problem.commit(second);
        side.extend(self.readers(problem, first, key).filter(|&r| r != second).map(|r| Added {
            from: problem.begin(r),
            to: commit,
            kind: Kind::Rw,
            key,
            choice: 0,
        }));
        side
    }

    /// Collects what neighbours force. An error is a contradiction: whom to blame, and edges that show it.
    pub fn forced(
        &self,
        problem: &Problem<'_>,
        graph: &mut Growing,
        found: &mut Vec<Side>,
    ) -> Result<(), (u32, Side)> {
        let mut order: Vec<u32> = Vec::new();
        for key in 0..problem.p.keys.len() as u32 {
            let row = self.key_first[key as usize] as usize..self.key_first[key as usize + 1] as usize;
            order.clear();
            order.extend(self.by_key[row].iter().map(|&w| self.writer[w as usize]));
            order.sort_unstable_by_key(|&t| graph.at[problem.commit(t) as usize]);
            for i in 0..order.len() {
                for j in i + 1..order.len().min(i + 1 + NEIGHBOURS) {
                    let (a, b) = (order[i], order[j]);
                    let forward = self.side(problem, a, b, key);
                    // In the present order, and nothing against it: no need to ask.
                    let agrees = forward.iter().all(|e| graph.at[e.from as usize] < graph.at[e.to as usize]);
                    if agrees && self.apart(problem, graph, a, b) {
                        break;
                    }
                    match settle(graph, forward, self.side(problem, b, a, key)) {
                        Settled::Forced(side) => {
                            let news: Side =
                                side.into_iter().filter(|e| graph.reaches(e.from, e.to).is_none()).collect();
                            if !news.is_empty() {
                                found.push(news);
                            }
                        }
                        Settled::Open(..) => {}
                        Settled::Never(blame, side) => return Err((blame, side)),
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether one transaction was over before the other began, and the edges know it.
    fn apart(&self, problem: &Problem<'_>, graph: &mut Growing, a: u32, b: u32) -> bool {
        let (x, y) = (&problem.p.txns[a as usize], &problem.p.txns[b as usize]);
        x.completed < y.invoked && graph.reaches(problem.commit(a), problem.begin(b)).is_some()
    }
}
