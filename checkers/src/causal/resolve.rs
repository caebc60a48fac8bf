//! Who wrote what each read returned.
//!
//! Nearly always a value was written once, by a transaction that happened, as its last write of the key, and
//! was read by others. One table of all writes finds those. A key where anything else turns up is *odd*, and
//! is looked at again by itself, with care: only there can a finding or an ambiguity be.

use rustc_hash::FxHashMap;

use super::columns::{INITIAL, Plain, UNKNOWN};
use super::draft::Draft;
use crate::txn::findings::Finding;

/// Of every read: the event that wrote its value, or a marker. What stands at writes means nothing.
pub(super) fn resolve(
    d: &Draft,
    owner: &[u32],
    initial: i64,
    genesis: Option<u32>,
    out: &mut Plain,
) -> Vec<u32> {
    let mut source = vec![UNKNOWN; d.events()];
    let odd = usual(d, owner, initial, genesis, &mut source);
    odd_keys(d, owner, initial, genesis, &odd, &mut source, out);
    source
}

/// The transaction of every event.
pub(super) fn owners(d: &Draft) -> Vec<u32> {
    let mut owner = vec![0u32; d.events()];
    for t in 0..d.txns.len() {
        owner[d.first[t] as usize..d.first[t + 1] as usize].fill(t as u32);
    }
    owner
}

/// Finds the usual sources; gives which keys are odd.
fn usual(d: &Draft, owner: &[u32], initial: i64, genesis: Option<u32>, source: &mut [u32]) -> Vec<bool> {
    let mut odd = vec![false; d.keys.len()];
    let mut overwritten = vec![false; d.events()];
    // Of each key: the transaction that wrote it last in the order of events, and the event.
    let mut mine = vec![(u32::MAX, 0u32); d.keys.len()];
    // Reads of what the reader itself had written need no source.
    let mut own = vec![false; d.events()];
    for e in 0..d.events() as u32 {
        let event = d.event(e);
        let last = &mut mine[event.key as usize];
        let is_mine = last.0 == owner[e as usize];
        if event.write {
            if is_mine {
                overwritten[last.1 as usize] = true;
            }
            *last = (owner[e as usize], e);
        } else if is_mine {
            own[e as usize] = true;
            // It must return that write.
            odd[event.key as usize] |= d.event(last.1).code != event.code;
        }
    }
    let table = Table::new(d, |e| Some(owner[e as usize]) != genesis, &mut odd);
    for e in 0..d.events() as u32 {
        let event = d.event(e);
        if event.write || own[e as usize] {
            continue;
        }
        let writer = table.find(d, event.key, event.code);
        if writer == NONE {
            let initial = d.initial.get(&event.key).copied().unwrap_or(initial);
            source[e as usize] = INITIAL;
            odd[event.key as usize] |= event.code != initial;
            continue;
        }
        let txn = owner[writer as usize];
        source[e as usize] = writer;
        let usual =
            txn != owner[e as usize] && d.txns[txn as usize].possible() && !overwritten[writer as usize];
        odd[event.key as usize] |= !usual;
    }
    odd
}

const NONE: u32 = u32::MAX;

/// Writes by key and value. Values that are unique everywhere, the usual ones, are found by themselves.
enum Table {
    /// By value, counted from the least.
    ByValue(i64, Vec<u32>),
    /// By key and value, in open addressing; its length is a power of two.
    ByBoth(Vec<u32>),
}

impl Table {
    /// Takes all writes that count. Keys where two wrote the same are marked as odd, and have one of them.
    fn new(d: &Draft, counts: impl Fn(u32) -> bool, odd: &mut [bool]) -> Self {
        let (mut least, mut most, mut count) = (i64::MAX, i64::MIN, 0usize);
        for event in (0..d.events() as u32).map(|e| d.event(e)).filter(|event| event.write) {
            (least, most, count) = (least.min(event.code), most.max(event.code), count + 1);
        }
        let span = if count == 0 { 0 } else { most.abs_diff(least) };
        if span < 8 * count as u64 + 64
            && let Some(slots) = by_value(d, &counts, least, span as usize + 1, odd)
        {
            return Table::ByValue(least, slots);
        }
        let mut slots = vec![NONE; (2 * count).next_power_of_two()];
        for e in (0..d.events() as u32).filter(|&e| d.event(e).write && counts(e)) {
            let event = d.event(e);
            let mut at = slot(&slots, event.key, event.code);
            while slots[at] != NONE {
                let other = d.event(slots[at]);
                if (other.key, other.code) == (event.key, event.code) {
                    odd[event.key as usize] = true;
                    break;
                }
                at = (at + 1) & (slots.len() - 1);
            }
            slots[at] = e;
        }
        Table::ByBoth(slots)
    }

    fn find(&self, d: &Draft, key: u32, code: i64) -> u32 {
        match self {
            Table::ByValue(least, slots) => {
                let at = if code < *least { u64::MAX } else { code.abs_diff(*least) };
                let found = usize::try_from(at).ok().and_then(|at| slots.get(at)).copied().unwrap_or(NONE);
                if found == NONE || d.event(found).key == key { found } else { NONE }
            }
            Table::ByBoth(slots) => {
                let mut at = slot(slots, key, code);
                while slots[at] != NONE {
                    let event = d.event(slots[at]);
                    if (event.key, event.code) == (key, code) {
                        break;
                    }
                    at = (at + 1) & (slots.len() - 1);
                }
                slots[at]
            }
        }
    }
}

/// `None` if two keys share a value.
fn by_value(
    d: &Draft,
    counts: &impl Fn(u32) -> bool,
    least: i64,
    length: usize,
    odd: &mut [bool],
) -> Option<Vec<u32>> {
    let mut slots = vec![NONE; length];
    for e in (0..d.events() as u32).filter(|&e| d.event(e).write && counts(e)) {
        let event = d.event(e);
        let slot = &mut slots[event.code.abs_diff(least) as usize];
        if *slot != NONE {
            if d.event(*slot).key != event.key {
                return None;
            }
            odd[event.key as usize] = true;
        }
        *slot = e;
    }
    Some(slots)
}

fn slot(slots: &[u32], key: u32, code: i64) -> usize {
    let hash = (code as u64 ^ u64::from(key) << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (hash >> 20) as usize & (slots.len() - 1)
}

/// Who wrote a value of one key.
#[derive(Clone, Copy, Debug)]
struct Writer {
    txn: u32,
    // Its last write of the key within its transaction?
    last: bool,
    ambiguous: bool,
}

/// Looks at odd keys, one after the other.
fn odd_keys(
    d: &Draft,
    owner: &[u32],
    initial: i64,
    genesis: Option<u32>,
    odd: &[bool],
    source: &mut [u32],
    out: &mut Plain,
) {
    if !odd.contains(&true) {
        return;
    }
    let events: Vec<u32> = (0..d.events() as u32).filter(|&e| odd[d.event(e).key as usize]).collect();
    let (first, by_key) =
        crate::txn::append::versions::group(d.keys.len(), events.iter().map(|&e| d.event(e).key));
    let by_key: Vec<u32> = by_key.into_iter().map(|at| events[at as usize]).collect();
    let mut writers: FxHashMap<i64, (u32, Writer)> = FxHashMap::default();
    for key in (0..d.keys.len()).filter(|&k| odd[k]) {
        let here = &by_key[first[key] as usize..first[key + 1] as usize];
        writers.clear();
        for (i, &e) in here.iter().enumerate() {
            if d.event(e).write && Some(owner[e as usize]) != genesis {
                add_writer(d, owner, &here[i + 1..], e, &mut writers, out);
            }
        }
        for (i, &e) in here.iter().enumerate() {
            if !d.event(e).write {
                let own = here[..i].iter().rev().take_while(|&&b| owner[b as usize] == owner[e as usize]);
                let own = own.copied().find(|&b| d.event(b).write);
                let initial = d.initial.get(&(key as u32)).copied().unwrap_or(initial);
                source[e as usize] = read_from(d, owner, e, own, initial, &writers, out);
            }
        }
    }
}

fn add_writer(
    d: &Draft,
    owner: &[u32],
    later: &[u32],
    e: u32,
    writers: &mut FxHashMap<i64, (u32, Writer)>,
    out: &mut Plain,
) {
    let (event, txn) = (d.event(e), owner[e as usize]);
    let last = !later.iter().take_while(|&&l| owner[l as usize] == txn).any(|&l| d.event(l).write);
    let writer = Writer { txn, last, ambiguous: false };
    let Some((_, other)) = writers.get_mut(&event.code) else {
        writers.insert(event.code, (e, writer));
        return;
    };
    let possible = |t: u32| d.txns[t as usize].possible();
    match (possible(other.txn), possible(txn)) {
        (true, true) if other.txn == txn => {
            writers.insert(event.code, (e, writer));
        }
        (true, true) => {
            if !other.ambiguous && out.ambiguous.len() < 8 {
                out.ambiguous.push(format!(
                    "#{} and #{} both wrote {} to key {}: who is read cannot be told",
                    d.txns[other.txn as usize].index,
                    d.txns[txn as usize].index,
                    d.codes.value(event.code),
                    d.keys.name(event.key)
                ));
            }
            other.ambiguous = true;
        }
        // A failed write certainly did not happen.
        (false, true) => {
            writers.insert(event.code, (e, writer));
        }
        (true | false, false) => {}
    }
}

fn read_from(
    d: &Draft,
    owner: &[u32],
    e: u32,
    own: Option<u32>,
    initial: i64,
    writers: &FxHashMap<i64, (u32, Writer)>,
    out: &mut Plain,
) -> u32 {
    let (event, txn) = (d.event(e), owner[e as usize]);
    let reader = d.txns[txn as usize].index;
    let (key, value) = (d.keys.name(event.key), d.codes.value(event.code));
    let mut add = |kind: &'static str, with: Option<u32>, text: String| {
        out.findings.add(kind, || Finding::new(with.into_iter().chain([reader]).collect(), text));
        UNKNOWN
    };
    if let Some(own) = own {
        if d.event(own).code == event.code {
            return UNKNOWN;
        }
        let mine = d.codes.value(d.event(own).code);
        let text = format!("#{reader} read {value} from key {key} after it had written {mine} itself.");
        return add("internal", None, text);
    }
    let Some(&(source, writer)) = writers.get(&event.code) else {
        if event.code == initial {
            return INITIAL;
        }
        return add(
            "ThinAirRead",
            None,
            format!("#{reader} read {value} from key {key}, which nobody wrote."),
        );
    };
    if writer.ambiguous {
        return UNKNOWN;
    }
    if writer.txn == txn {
        let text = format!("#{reader} read {value} from key {key} before it wrote that itself.");
        return add("future-read", None, text);
    }
    let by = d.txns[writer.txn as usize];
    if !by.possible() {
        if event.code == initial {
            return INITIAL;
        }
        let text =
            format!("#{reader} read {value} from key {key}, which the failed #{} had written.", by.index);
        return add("G1a", Some(by.index), text);
    }
    if !writer.last {
        let text = format!(
            "#{reader} read {value} from key {key}, which #{} overwrote in the same transaction.",
            by.index
        );
        add("G1b", Some(by.index), text);
    }
    source
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
