//! Definitions of causal models by trying every order. Only for tests.

use crate::txn::brute::{Follow, Plain, State, precedes, run};
use crate::txn::micro::Micro;
use squall_history::{Outcome, Value};

/// Calls `accept` with every order of `items` that keeps `before`, until it says yes.
pub fn any_order(
    items: &[usize],
    before: &dyn Fn(usize, usize) -> bool,
    accept: &mut dyn FnMut(&[usize]) -> bool,
) -> bool {
    fn go(
        left: &mut Vec<usize>,
        done: &mut Vec<usize>,
        before: &dyn Fn(usize, usize) -> bool,
        accept: &mut dyn FnMut(&[usize]) -> bool,
    ) -> bool {
        if left.is_empty() {
            return accept(done);
        }
        for i in 0..left.len() {
            let x = left[i];
            if left.iter().any(|&y| y != x && before(y, x)) {
                continue;
            }
            left.remove(i);
            done.push(x);
            if go(left, done, before, accept) {
                return true;
            }
            done.pop();
            left.insert(i, x);
        }
        false
    }
    go(&mut items.to_vec(), &mut Vec::new(), before, accept)
}

fn is_read_of(m: &Micro<'_>, key: &Value, value: &Value) -> bool {
    matches!(m, Micro::Read(k, v) if *k == key && *v == value)
}

/// Session order and reads-from, transitively closed; `None` if circular. Needs unique values.
pub fn happens_before(all: &[&Plain<'_>]) -> Option<Vec<Vec<bool>>> {
    let n = all.len();
    let mut hb = vec![vec![false; n]; n];
    for a in 0..n {
        for b in 0..n {
            let wrote = all[a].micros.iter().any(|m| match m {
                Micro::Write(k, v) => {
                    a != b
                        && all[b].txn.outcome == Outcome::Ok
                        && all[b].micros.iter().any(|m| is_read_of(m, k, v))
                }
                Micro::Read(..) | Micro::Append(..) => false,
            });
            hb[a][b] = wrote || precedes(&all[a].txn, &all[b].txn, Follow::Process);
        }
    }
    for k in 0..n {
        for a in 0..n {
            for b in 0..n {
                hb[a][b] |= hb[a][k] && hb[k][b];
            }
        }
    }
    (0..n).all(|i| !hb[i][i]).then_some(hb)
}

/// Runs transactions in order, with reads checked only where `checked` says so.
fn explains(all: &[&Plain<'_>], order: &[usize], checked: &dyn Fn(usize) -> bool) -> bool {
    let mut state = State::new();
    for &i in order {
        let mut t = all[i].clone();
        if !checked(i) {
            t.micros.retain(|m| !matches!(m, Micro::Read(..)));
        }
        match run(&state, &t) {
            Some(next) => state = next,
            None => return false,
        }
    }
    true
}

/// For every transaction, some order of what it knows explains what it read.
pub fn weak_causal(all: &[&Plain<'_>]) -> bool {
    let Some(hb) = happens_before(all) else { return false };
    (0..all.len()).all(|t| {
        let known: Vec<usize> = (0..all.len()).filter(|&x| x == t || hb[x][t]).collect();
        any_order(&known, &|a, b| hb[a][b], &mut |order| explains(all, order, &|i| i == t))
    })
}

/// One order of all transactions such that each explains its reads by what it knows, in that order.
pub fn convergent(all: &[&Plain<'_>]) -> bool {
    let Some(hb) = happens_before(all) else { return false };
    let everyone: Vec<usize> = (0..all.len()).collect();
    any_order(&everyone, &|a, b| hb[a][b], &mut |order| {
        (0..all.len()).all(|t| {
            let known: Vec<usize> = order.iter().copied().filter(|&x| x == t || hb[x][t]).collect();
            explains(all, &known, &|i| i == t)
        })
    })
}

/// For every process, one order of everything, keeping `before`, explains what it read.
fn per_process(all: &[&Plain<'_>], before: &dyn Fn(usize, usize, u32) -> bool) -> bool {
    let everyone: Vec<usize> = (0..all.len()).collect();
    let mut processes: Vec<u32> = all.iter().map(|t| t.txn.process).collect();
    processes.sort_unstable();
    processes.dedup();
    processes.into_iter().all(|p| {
        any_order(&everyone, &|a, b| before(a, b, p), &mut |order| {
            explains(all, order, &|i| all[i].txn.process == p)
        })
    })
}

/// Causal memory.
pub fn memory(all: &[&Plain<'_>]) -> bool {
    let Some(hb) = happens_before(all) else { return false };
    per_process(all, &|a, b, _| hb[a][b])
}

/// PRAM.
pub fn pram(all: &[&Plain<'_>]) -> bool {
    per_process(all, &|a, b, _| precedes(&all[a].txn, &all[b].txn, Follow::Process))
}

type ReadsFrom = Vec<Vec<(Value, Option<usize>)>>;

/// Reads of a transaction with the position of their writer, where that is another one; `None` within if the
/// initial value was read. `None` if some read is of a value that nobody finally wrote, or of an own one
/// wrongly.
fn reads_from(all: &[&Plain<'_>]) -> Option<ReadsFrom> {
    let mut found = Vec::new();
    for (i, t) in all.iter().enumerate() {
        let (mut own, mut reads) = (State::new(), Vec::new());
        for m in &t.micros {
            match m {
                Micro::Write(k, v) => {
                    own.insert((*k).clone(), (*v).clone());
                }
                Micro::Read(k, v) if t.txn.outcome == Outcome::Ok => match own.get(*k) {
                    Some(mine) if mine == *v => {}
                    Some(_) => return None,
                    None if v.is_nil() => reads.push(((*k).clone(), None)),
                    None => {
                        let writer = (0..all.len()).find(|&w| w != i && last_write(all[w], k) == Some(v))?;
                        reads.push(((*k).clone(), Some(writer)));
                    }
                },
                Micro::Read(..) | Micro::Append(..) => {}
            }
        }
        found.push(reads);
    }
    Some(found)
}

fn last_write<'a>(t: &Plain<'a>, key: &Value) -> Option<&'a Value> {
    t.micros.iter().rev().find_map(|m| match m {
        Micro::Write(k, v) if *k == key => Some(*v),
        Micro::Write(..) | Micro::Read(..) | Micro::Append(..) => None,
    })
}

/// Which transactions an axiom takes as seen by a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sees {
    EarlierReads,
    AllReads,
    AllReadsAndSession,
}

/// Some order of commits that keeps reads-from (and session order) fulfils the axiom.
pub fn axiom(all: &[&Plain<'_>], sees: Sees, sessions: bool) -> bool {
    let Some(reads) = reads_from(all) else { return false };
    let wr = |a: usize, b: usize| reads[b].iter().any(|(_, w)| *w == Some(a));
    let so = |a: usize, b: usize| precedes(&all[a].txn, &all[b].txn, Follow::Process);
    let everyone: Vec<usize> = (0..all.len()).collect();
    any_order(&everyone, &|a, b| wr(a, b) || (sessions && so(a, b)), &mut |order| {
        let at = |t: usize| order.iter().position(|&x| x == t);
        (0..all.len()).all(|t| {
            reads[t].iter().enumerate().all(|(i, (key, from))| {
                (0..all.len()).filter(|&w| Some(w) != *from && last_write(all[w], key).is_some()).all(|w| {
                    let seen = match sees {
                        Sees::EarlierReads => reads[t][..i].iter().any(|(_, r)| *r == Some(w)),
                        Sees::AllReads => wr(w, t),
                        Sees::AllReadsAndSession => wr(w, t) || so(w, t),
                    };
                    !seen || from.is_some_and(|f| at(w) < at(f))
                })
            })
        })
    })
}

/// Adya's PL-2: committed, final values only, and no circle of reads.
pub fn read_committed(all: &[&Plain<'_>]) -> bool {
    let mut without: Vec<Plain<'_>> = all.iter().map(|&t| t.clone()).collect();
    // Reads after own writes do not matter here.
    for t in &mut without {
        let mut own: Vec<&Value> = Vec::new();
        t.micros.retain(|m| match m {
            Micro::Write(k, _) => {
                own.push(k);
                true
            }
            Micro::Read(k, _) => !own.contains(k),
            Micro::Append(..) => true,
        });
    }
    let refs: Vec<&Plain<'_>> = without.iter().collect();
    let Some(reads) = reads_from(&refs) else { return false };
    let everyone: Vec<usize> = (0..all.len()).collect();
    any_order(&everyone, &|a, b| reads[b].iter().any(|(_, w)| *w == Some(a)), &mut |_| true)
}
