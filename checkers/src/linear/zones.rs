//! Registers whose every write has its own value: zones, O(n log n).
//!
//! P. Gibbons & E. Korach, "Testing shared memories", SIAM J. Comput. 26(4), 1997. The operations on one
//! value are a *cluster*: its write and the reads that saw it. Between the earliest completion and the
//! latest invocation of a cluster the register must hold its value (a *forward* zone), or, where that
//! interval is turned around, at some moment within it (a *backward* zone). Such a history is linearizable
//! exactly if every read saw a value that was written, no read completed before its write was invoked, no
//! two forward zones overlap, and no backward zone lies within a forward one.
//!
//! The initial value is a write completed before everything. A write that may never have taken effect and
//! that nobody saw says nothing and is left out.

use squall_history::{History, NEVER, Op, Outcome, Value};

use super::numbers::Numbers;

/// What the zones say of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Zones {
    /// Some value is written twice, or something other than reads and writes occurs.
    NotThisShape,
    /// There is a legal order.
    Linearizable,
    /// There is none; the reads and writes of these values alone show it.
    Broken(Broken),
}

/// Which rule is broken, by operation index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The read saw a value that nobody wrote.
    ThinAir { read: u32 },
    /// The read completed before the write of its value was invoked.
    ReadBeforeWrite { read: u32, write: u32 },
    /// Both values must have been held at one moment.
    Forward { a: Value, b: Value },
    /// The second value must have been held at some moment during all of which the first was.
    Backward { outer: Value, inner: Value },
}

/// One value's operations, summed up. Ranks are moved up by one, so that the initial write fits below all.
#[derive(Clone, Copy, Debug)]
struct Cluster {
    write_invoked: u32,
    /// The earliest completion; 0 is the initial write's.
    first_end: u32,
    /// The latest invocation.
    last_start: u32,
    open: bool,
}

/// Names of the functions, as numbers of this history.
struct Functions {
    read: Option<u16>,
    write: Option<u16>,
}

/// Judges the operations with these indexes.
pub(crate) fn judge(
    history: &History,
    indexes: impl Iterator<Item = u32> + Clone,
    initial: &Value,
    nil_reads_unknown: bool,
) -> Zones {
    let f = Functions { read: history.function("read"), write: history.function("write") };
    let Some((mut clusters, numbers)) = writes(history, indexes.clone(), &f, initial) else {
        return Zones::NotThisShape;
    };
    if let Some(broken) = reads(history, indexes.clone(), &f, nil_reads_unknown, &numbers, &mut clusters) {
        return Zones::Broken(broken);
    }
    let Some((one, other, forward)) = conflict(&clusters) else { return Zones::Linearizable };
    let (mut a, mut b) = (initial.clone(), initial.clone());
    for index in indexes {
        let op = history.op(index as usize);
        if Some(op.f_id) == f.write && op.outcome != Outcome::Fail {
            let number = numbers.get(op.input);
            if number == Some(one) {
                a = op.input.clone();
            }
            if number == Some(other) {
                b = op.input.clone();
            }
        }
    }
    Zones::Broken(if forward { Broken::Forward { a, b } } else { Broken::Backward { outer: a, inner: b } })
}

/// A cluster for the initial value and for every write; nothing if two have one value.
fn writes(
    history: &History,
    indexes: impl Iterator<Item = u32> + Clone,
    f: &Functions,
    initial: &Value,
) -> Option<(Vec<Cluster>, Numbers)> {
    let other = |op: &Op<'_>| op.outcome != Outcome::Fail && Some(op.f_id) != f.read;
    let written = indexes.clone().map(|i| history.op(i as usize)).filter(other);
    if written.clone().any(|op| Some(op.f_id) != f.write) {
        return None;
    }
    let mut numbers = Numbers::for_values(written.map(|op| op.input).chain([initial]));
    let count = numbers.expected();
    let mut clusters = Vec::with_capacity(count + 1);
    clusters.push(Cluster { write_invoked: 0, first_end: 0, last_start: 0, open: false });
    numbers.insert(initial, 0);
    for index in indexes {
        let op = history.op(index as usize);
        if !other(&op) {
            continue;
        }
        if !numbers.insert(op.input, clusters.len() as u32) {
            return None;
        }
        let invoked = op.invoked + 1;
        let first_end = if op.completed == NEVER { NEVER } else { op.completed + 1 };
        let open = op.completed == NEVER;
        clusters.push(Cluster { write_invoked: invoked, first_end, last_start: invoked, open });
    }
    Some((clusters, numbers))
}

/// Adds the reads to their clusters, unless one of them cannot be.
fn reads(
    history: &History,
    indexes: impl Iterator<Item = u32>,
    f: &Functions,
    nil_reads_unknown: bool,
    numbers: &Numbers,
    clusters: &mut [Cluster],
) -> Option<Broken> {
    let mut early = None;
    for index in indexes {
        let op = history.op(index as usize);
        if op.outcome != Outcome::Ok || Some(op.f_id) != f.read || nil_reads_unknown && op.output.is_nil() {
            continue;
        }
        let Some(number) = numbers.get(op.output) else { return Some(Broken::ThinAir { read: index }) };
        let cluster = &mut clusters[number as usize];
        if op.completed + 1 < cluster.write_invoked {
            early = early.or(Some((index, number)));
        }
        cluster.first_end = cluster.first_end.min(op.completed + 1);
        cluster.last_start = cluster.last_start.max(op.invoked + 1);
        // Seen, so it took effect.
        cluster.open = false;
    }
    let (read, number) = early?;
    let invoked = clusters[number as usize].write_invoked - 1;
    let write = history.ops().find(|op| op.invoked == invoked)?.index;
    Some(Broken::ReadBeforeWrite { read, write })
}

/// Two clusters that cannot both be, and whether both zones are forward; else the first is and holds the second.
fn conflict(clusters: &[Cluster]) -> Option<(u32, u32, bool)> {
    // Zones as (start, end), packed to sort fast; the clusters are found again by their bounds.
    let pack = |start: u32, end: u32| u64::from(start) << 32 | u64::from(end);
    let mut forward: Vec<u64> = Vec::new();
    let mut backward: Vec<u64> = Vec::new();
    for cluster in clusters.iter().filter(|c| !c.open) {
        if cluster.first_end < cluster.last_start {
            forward.push(pack(cluster.first_end, cluster.last_start));
        } else if cluster.write_invoked > 0 {
            backward.push(pack(cluster.last_start, cluster.first_end));
        }
    }
    // By writes they come nearly sorted, which the stable sort uses.
    forward.sort();
    backward.sort();
    let (start, end) = (|zone: u64| (zone >> 32) as u32, |zone: u64| zone as u32);
    let find = |zone: u64, forward: bool| {
        let bounds = |c: &Cluster| {
            if forward { (c.first_end, c.last_start) } else { (c.last_start, c.first_end) }
        };
        let same = |c: &Cluster| !c.open && bounds(c) == (start(zone), end(zone));
        clusters.iter().position(same).map(|i| i as u32)
    };
    if let Some(pair) = forward.windows(2).find(|pair| start(pair[1]) < end(pair[0])) {
        return Some((find(pair[0], true)?, find(pair[1], true)?, true));
    }
    let mut at = 0;
    for &inner in &backward {
        while at < forward.len() && end(forward[at]) < start(inner) {
            at += 1;
        }
        // Forward zones are disjoint here, so only this one can hold it.
        let Some(&outer) = forward.get(at) else { break };
        if start(outer) < start(inner) && end(inner) < end(outer) {
            return Some((find(outer, true)?, find(inner, false)?, false));
        }
    }
    None
}
