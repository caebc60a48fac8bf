//! Who wrote each element of each spine, and what follows from that alone: aborted, intermediate, duplicate
//! and thin-air reads, dirty and lost updates.

use rustc_hash::{FxHashMap, FxHashSet};
use squall_history::{Outcome, Value};

use super::columns::{Columns, Update};
use crate::txn::findings::{Finding, Findings};

/// No such append.
pub const NONE: u32 = u32::MAX;

/// Version orders of all keys.
#[derive(Clone, Debug, Default)]
pub struct Versions {
    /// Of each key: where its spine begins in `writer`; one more entry at the end.
    pub first: Vec<u32>,
    /// Of each element of each spine: the append that wrote it, or [`NONE`].
    pub writer: Vec<u32>,
    /// Of each key: where its appends begin in `by_key`; one more entry at the end.
    pub append_first: Vec<u32>,
    /// Appends (indexes into `Columns::appends`) by key, in order.
    pub by_key: Vec<u32>,
    /// Whether each append's element was read by anyone, or cannot be told from another one's.
    pub observed: Vec<bool>,
    /// Elements that several transactions may have appended to the same key: (key, element, two appends).
    pub ambiguous: Vec<(u32, i64, u32, u32)>,
}

/// Positions of things with a key, grouped by key.
pub fn group(keys: usize, of: impl Iterator<Item = u32> + Clone) -> (Vec<u32>, Vec<u32>) {
    let mut first = vec![0u32; keys + 1];
    let mut count = 0;
    for key in of.clone() {
        first[key as usize + 1] += 1;
        count += 1;
    }
    for k in 0..keys {
        first[k + 1] += first[k];
    }
    let mut next = first.clone();
    let mut grouped = vec![0u32; count];
    for (i, key) in of.enumerate() {
        grouped[next[key as usize] as usize] = i as u32;
        next[key as usize] += 1;
    }
    (first, grouped)
}

impl Versions {
    /// The spine's writers of a key.
    pub fn writers(&self, key: u32) -> &[u32] {
        &self.writer[self.first[key as usize] as usize..self.first[key as usize + 1] as usize]
    }

    /// The appends to a key.
    pub fn appends(&self, key: u32) -> &[u32] {
        &self.by_key[self.append_first[key as usize] as usize..self.append_first[key as usize + 1] as usize]
    }
}

/// Finds the writer of every element. Adds `duplicate-elements` and `thin-air-read` to the findings.
pub fn versions(c: &mut Columns) -> Versions {
    let keys = c.keys.len();
    let (append_first, by_key) = group(keys, c.appends.iter().map(|a| a.key));
    let mut v = Versions {
        first: Vec::with_capacity(keys + 1),
        writer: Vec::with_capacity(c.appends.len()),
        append_first,
        by_key,
        observed: vec![false; c.appends.len()],
        ambiguous: Vec::new(),
    };
    let mut table: FxHashMap<i64, u32> = FxHashMap::default();
    let mut dense: Vec<u32> = Vec::new();
    let mut findings = std::mem::take(&mut c.findings);
    c.scattered.sort_unstable();
    for key in 0..keys as u32 {
        v.first.push(v.writer.len() as u32);
        let lookup = Lookup::new(c, &mut v, key, &mut table, &mut dense);
        let from = v.writer.len();
        for (at, &value) in c.spines[key as usize].iter().enumerate() {
            let append = lookup.get(value);
            if append == NONE {
                unknown_element(c, &v, key, value, at, &mut findings);
            } else if v.observed[append as usize] && v.writer[from..].contains(&append) {
                duplicate_element(c, key, value, at, &mut findings);
                v.writer.push(NONE);
                continue;
            } else {
                v.observed[append as usize] = true;
            }
            v.writer.push(append);
        }
        for &(_, value) in scattered(c, key) {
            let append = lookup.get(value);
            if append != NONE {
                v.observed[append as usize] = true;
            }
        }
    }
    v.first.push(v.writer.len() as u32);
    c.findings = findings;
    v
}

fn scattered(c: &Columns, key: u32) -> &[(u32, i64)] {
    let from = c.scattered.partition_point(|&(k, _)| k < key);
    let to = c.scattered.partition_point(|&(k, _)| k <= key);
    &c.scattered[from..to]
}

enum Lookup<'a> {
    Dense(i64, &'a [u32]),
    Sparse(&'a FxHashMap<i64, u32>),
}

impl<'a> Lookup<'a> {
    fn new(
        c: &Columns,
        v: &mut Versions,
        key: u32,
        table: &'a mut FxHashMap<i64, u32>,
        dense: &'a mut Vec<u32>,
    ) -> Self {
        let range = v.append_first[key as usize] as usize..v.append_first[key as usize + 1] as usize;
        let appends = &v.by_key[range];
        let least = appends.iter().map(|&a| c.appends[a as usize].value).min().unwrap_or(0);
        let most = appends.iter().map(|&a| c.appends[a as usize].value).max().unwrap_or(0);
        let span = most.abs_diff(least);
        let is_dense = span < 4 * appends.len() as u64 + 64;
        dense.clear();
        table.clear();
        if is_dense {
            dense.resize(span as usize + 1, NONE);
        }
        let mut clashes = Vec::new();
        for &a in appends {
            let value = c.appends[a as usize].value;
            let slot = if is_dense {
                &mut dense[value.abs_diff(least) as usize]
            } else {
                table.entry(value).or_insert(NONE)
            };
            if *slot == NONE {
                *slot = a;
                continue;
            }
            // A failed append certainly did not happen, so the other one wrote what was read.
            let other = *slot;
            let happened = |a: u32| c.txns[c.appends[a as usize].txn as usize].possible();
            match (happened(other), happened(a)) {
                (true, true) => clashes.push((key, value, other, a)),
                (false, true) => *slot = a,
                (true, false) | (false, false) => {}
            }
        }
        for &(_, value, a, b) in &clashes {
            v.observed[a as usize] = true;
            v.observed[b as usize] = true;
            if is_dense {
                dense[value.abs_diff(least) as usize] = NONE;
            } else {
                table.insert(value, NONE);
            }
        }
        v.ambiguous.extend(clashes);
        if is_dense { Lookup::Dense(least, dense) } else { Lookup::Sparse(table) }
    }

    fn get(&self, value: i64) -> u32 {
        match self {
            Lookup::Dense(least, slots) => {
                if value < *least {
                    return NONE;
                }
                usize::try_from(value.abs_diff(*least))
                    .ok()
                    .and_then(|i| slots.get(i))
                    .copied()
                    .unwrap_or(NONE)
            }
            Lookup::Sparse(table) => table.get(&value).copied().unwrap_or(NONE),
        }
    }
}

/// The first ok transaction that read at least `len` elements of a key, by index.
fn reader_of(c: &Columns, key: u32, len: usize) -> Option<u32> {
    c.reads.iter().find(|r| r.key == key && r.len as usize >= len).map(|r| c.txns[r.txn as usize].index)
}

fn unknown_element(c: &Columns, v: &Versions, key: u32, value: i64, at: usize, findings: &mut Findings) {
    if v.ambiguous.iter().any(|&(k, x, ..)| (k, x) == (key, value)) {
        return;
    }
    findings.add("thin-air-read", || {
        let reader = reader_of(c, key, at + 1);
        let who = reader.map_or_else(|| "A transaction".to_owned(), |i| format!("#{i}"));
        let text = format!(
            "{who} read {} from key {}, which nobody appended.",
            c.codes.value(value),
            c.keys.name(key)
        );
        Finding::new(reader.into_iter().collect(), text)
    });
}

fn duplicate_element(c: &Columns, key: u32, value: i64, at: usize, findings: &mut Findings) {
    findings.add("duplicate-elements", || {
        let reader = reader_of(c, key, at + 1);
        let who = reader.map_or_else(|| "A transaction".to_owned(), |i| format!("#{i}"));
        let text = format!(
            "{who} read {} twice from key {}, but it was appended once.",
            c.codes.value(value),
            c.keys.name(key)
        );
        Finding::new(reader.into_iter().collect(), text)
    });
}

/// Aborted and intermediate reads, dirty and lost updates.
pub fn judge_versions(c: &mut Columns, v: &Versions) {
    let mut findings = std::mem::take(&mut c.findings);
    let (read_first, reads) = group(c.keys.len(), c.reads.iter().map(|r| r.key));
    for key in 0..c.keys.len() as u32 {
        let here = &reads[read_first[key as usize] as usize..read_first[key as usize + 1] as usize];
        aborted(c, v, key, here, &mut findings);
        intermediate(c, v, key, here, &mut findings);
        dirty_update(c, v, key, &mut findings);
        own_order(c, v, key, &mut findings);
    }
    lost_update(c, &mut findings);
    c.findings = findings;
}

fn outcome(c: &Columns, append: u32) -> Outcome {
    c.txns[c.appends[append as usize].txn as usize].outcome
}

/// G1a: a read of an element that a failed transaction appended.
fn aborted(c: &Columns, v: &Versions, key: u32, reads: &[u32], findings: &mut Findings) {
    let writers = v.writers(key);
    for (at, &a) in writers.iter().enumerate() {
        if a == NONE || outcome(c, a) != Outcome::Fail {
            continue;
        }
        for &r in reads {
            let read = c.reads[r as usize];
            if read.len as usize <= at || c.odd.binary_search(&r).is_ok() {
                continue;
            }
            let writer = c.txns[c.appends[a as usize].txn as usize].index;
            let reader = c.txns[read.txn as usize].index;
            findings.add("G1a", || {
                let text = format!(
                    "#{reader} read {} from key {}, which the failed #{writer} had appended.",
                    c.codes.value(c.spines[key as usize][at]),
                    c.keys.name(key)
                );
                Finding::new(vec![writer, reader], text)
            });
        }
    }
}

/// G1b: a read whose last element is not its writer's last append to that key.
fn intermediate(c: &Columns, v: &Versions, key: u32, reads: &[u32], findings: &mut Findings) {
    let appends = v.appends(key);
    // Appends of a transaction to one key are neighbours here, in their own order.
    let not_last = |a: u32| {
        let at = appends.partition_point(|&x| x <= a);
        appends.get(at).is_some_and(|&next| c.appends[next as usize].txn == c.appends[a as usize].txn)
    };
    let writers = v.writers(key);
    for &r in reads {
        let read = c.reads[r as usize];
        if read.len == 0 || c.odd.binary_search(&r).is_ok() {
            continue;
        }
        let a = writers[read.len as usize - 1];
        if a == NONE || c.appends[a as usize].txn == read.txn || !not_last(a) {
            continue;
        }
        let writer = c.txns[c.appends[a as usize].txn as usize].index;
        let reader = c.txns[read.txn as usize].index;
        findings.add("G1b", || {
            let text = format!(
                "#{reader} read key {} when {} was its last element, but #{writer}, which appended that, \
                 appended more to the key in the same transaction.",
                c.keys.name(key),
                c.codes.value(c.spines[key as usize][read.len as usize - 1]),
            );
            Finding::new(vec![writer, reader], text)
        });
    }
}

/// A committed append on top of a failed one.
fn dirty_update(c: &Columns, v: &Versions, key: u32, findings: &mut Findings) {
    let mut failed: Option<u32> = None;
    for &a in v.writers(key) {
        if a == NONE {
            continue;
        }
        match (outcome(c, a), failed) {
            (Outcome::Fail, None) => failed = Some(a),
            (Outcome::Ok, Some(dirty)) => {
                let name = |a: u32| c.txns[c.appends[a as usize].txn as usize].index;
                let (under, over) = (name(dirty), name(a));
                findings.add("dirty-update", || {
                    let text = format!(
                        "#{over} appended {} to key {} on top of {}, which the failed #{under} had appended.",
                        c.codes.value(c.appends[a as usize].value),
                        c.keys.name(key),
                        c.codes.value(c.appends[dirty as usize].value),
                    );
                    Finding::new(vec![under, over], text)
                });
                failed = None;
            }
            (Outcome::Ok, None) | (Outcome::Fail, Some(_)) | (Outcome::Info, _) => {}
        }
    }
}

/// A transaction's appends to one key must be read in their own order, and none left out before another.
fn own_order(c: &Columns, v: &Versions, key: u32, findings: &mut Findings) {
    let appends = v.appends(key);
    let several = appends.windows(2).any(|w| c.appends[w[0] as usize].txn == c.appends[w[1] as usize].txn);
    if !several {
        return;
    }
    let place: FxHashMap<u32, usize> =
        v.writers(key).iter().enumerate().filter(|(_, a)| **a != NONE).map(|(at, &a)| (a, at)).collect();
    let known = |a: u32| place.contains_key(&a) || !v.observed[a as usize];
    for pair in appends.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        if c.appends[a as usize].txn != c.appends[b as usize].txn || !known(a) || !known(b) {
            continue;
        }
        // What nobody read lies behind everything that was read.
        let (Some(second), first) = (place.get(&b), place.get(&a)) else { continue };
        if first.is_some_and(|first| first < second) {
            continue;
        }
        let writer = c.txns[c.appends[a as usize].txn as usize].index;
        let reader = reader_of(c, key, second + 1);
        findings.add("incompatible-order", || {
            let text = format!(
                "#{writer} appended {} to key {} and then {}, but {} read the second without the first before it.",
                c.codes.value(c.appends[a as usize].value),
                c.keys.name(key),
                c.codes.value(c.appends[b as usize].value),
                reader.map_or_else(|| "a transaction".to_owned(), |i| format!("#{i}")),
            );
            Finding::new(reader.into_iter().chain([writer]).collect(), text)
        });
    }
}

/// Two committed transactions that read the same state of a key and then both appended to it.
fn lost_update(c: &Columns, findings: &mut Findings) {
    let mut updates: Vec<Update> = c.updates.clone();
    updates.sort_unstable();
    let odd_keys: FxHashSet<u32> = c.odd.iter().map(|&r| c.reads[r as usize].key).collect();
    for pair in updates.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        if (a.key, a.len) != (b.key, b.len) || a.txn == b.txn {
            continue;
        }
        // Where the lists of a key disagree, equal lengths need not be equal states.
        if odd_keys.contains(&a.key) {
            continue;
        }
        let (x, y) = (c.txns[a.txn as usize].index, c.txns[b.txn as usize].index);
        findings.add("lost-update", || {
            let state: Vec<Value> =
                c.spines[a.key as usize][..a.len as usize].iter().map(|&e| c.codes.value(e)).collect();
            let text = format!(
                "#{x} and #{y} both read {} from key {} and then both appended to it: one of them did not see \
                 the other's update.",
                Value::list(state),
                c.keys.name(a.key)
            );
            Finding::new(vec![x, y], text)
        });
    }
}
