//! Reads and writes in columns: transactions of any size, a single operation being a transaction of one.
//!
//! Every read is resolved to the write whose value it returned. That needs values that are unique per key;
//! where two writes that may have happened share a value, reads of it are left unresolved and the history is
//! called ambiguous. Transactions of unknown outcome are kept only if somebody read from them: the others
//! may simply never have happened. What is wrong with a read by itself (aborted, intermediate, thin air,
//! internal) is found here.

use rustc_hash::FxHashMap;
use squall_history::{History, Op, Outcome, Value};

use crate::txn::findings::{Finding, Findings};
use crate::txn::intern::{Codes, Interner};
use crate::txn::micro::{Micro, list, micro};
use crate::txn::order::Txn;

/// The read saw the initial value.
pub const INITIAL: u32 = u32::MAX;
/// Nobody knows what the read saw, or it saw what no model can explain.
pub const UNKNOWN: u32 = u32::MAX - 1;

/// A read from another transaction (or of the initial value), or a transaction's last write of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// The key.
    pub key: u32,
    /// Reads: position of the transaction that wrote the value, or [`INITIAL`].
    pub from: u32,
}

/// A history of reads and writes.
#[derive(Clone, Debug, Default)]
pub struct Plain {
    /// Transactions that happened, in order of invocation.
    pub txns: Vec<Txn>,
    /// The session (process) of each, numbered from 0.
    pub session: Vec<u32>,
    /// Number of sessions.
    pub sessions: u32,
    /// The place of each in its session, from 1.
    pub place: Vec<u32>,
    /// Of each transaction: where its reads begin; one more entry at the end.
    pub read_first: Vec<u32>,
    /// External reads in program order; own and unresolved reads are left out.
    pub reads: Vec<Access>,
    /// Of each transaction: where its written keys begin in `writes`; one more entry at the end.
    pub write_first: Vec<u32>,
    /// Written keys, ascending within a transaction, each once.
    pub writes: Vec<u32>,
    /// Names of keys.
    pub keys: Interner,
    /// What was wrong with single reads.
    pub findings: Findings,
    /// Values that several writes share, so that reads of them cannot be resolved; as sentences.
    pub ambiguous: Vec<String>,
    /// Operations that are neither reads nor writes.
    pub ignored: u64,
    /// Written values of transactions, for explanations: (transaction, key) → code of the last value.
    pub codes: Codes,
    /// Code of the last value written, beside `writes`.
    pub written: Vec<i64>,
}

impl Plain {
    /// The reads of a transaction.
    pub fn reads_of(&self, t: u32) -> &[Access] {
        &self.reads[self.read_first[t as usize] as usize..self.read_first[t as usize + 1] as usize]
    }

    /// The keys that a transaction writes, ascending.
    pub fn writes_of(&self, t: u32) -> &[u32] {
        &self.writes[self.write_first[t as usize] as usize..self.write_first[t as usize + 1] as usize]
    }

    /// Whether a transaction writes a key.
    pub fn writes_key(&self, t: u32, key: u32) -> bool {
        let keys = self.writes_of(t);
        if keys.len() < 9 { keys.contains(&key) } else { keys.binary_search(&key).is_ok() }
    }

    /// The last value that a transaction wrote to a key.
    pub fn value(&self, t: u32, key: u32) -> Option<Value> {
        let at = self.writes_of(t).iter().position(|&k| k == key)?;
        Some(self.codes.value(self.written[self.write_first[t as usize] as usize + at]))
    }

    /// Number of transactions.
    pub fn len(&self) -> usize {
        self.txns.len()
    }

    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        self.txns.is_empty()
    }
}

#[derive(Clone, Copy, Debug)]
struct Raw {
    key: u32,
    code: i64,
    write: bool,
}

/// All events of all transactions, before reads are resolved.
#[derive(Debug, Default)]
struct Draft {
    txns: Vec<Txn>,
    first: Vec<u32>,
    events: Vec<Raw>,
    keys: Interner,
    codes: Codes,
    ignored: u64,
    // Of keys whose initial value the history itself names: its code.
    initial: FxHashMap<u32, i64>,
}

fn draft(history: &History, initial: &Value) -> Draft {
    let mut d = Draft::default();
    for op in history.ops() {
        if history.initial_operation == Some(op.index) {
            d.initial = named_initials(&op, &mut d.keys, &mut d.codes);
            continue;
        }
        let from = d.events.len();
        let ok = op.outcome == Outcome::Ok;
        let mut push = |key: &Value, value: &Value, write: bool| {
            let unknown = value.is_nil() && history.nil_reads_may_be_unknown && !initial.is_nil();
            if write || (ok && !unknown) {
                let (key, code) = (d.keys.id(key), d.codes.code(value));
                d.events.push(Raw { key, code, write });
            }
        };
        if let Some(items) = list(&op) {
            for item in items {
                match micro(item) {
                    Some(Micro::Read(key, value)) => push(key, value, false),
                    Some(Micro::Write(key, value)) => push(key, value, true),
                    Some(Micro::Append(..)) | None => d.ignored += 1,
                }
            }
        } else if !single(&op, &mut push) {
            d.ignored += 1;
            continue;
        }
        d.first.push(from as u32);
        d.txns.push(Txn {
            index: op.index,
            process: op.process,
            outcome: op.outcome,
            invoked: op.invoked,
            completed: op.completed,
        });
    }
    d.first.push(d.events.len() as u32);
    d
}

/// An operation that the history names as the one that wrote the initial values: it is no transaction, and
/// what it wrote is what its keys held before everything.
fn named_initials(op: &Op<'_>, keys: &mut Interner, codes: &mut Codes) -> FxHashMap<u32, i64> {
    let mut initial = FxHashMap::default();
    let mut write = |key: &Value, value: &Value| {
        initial.insert(keys.id(key), codes.code(value));
    };
    match list(op) {
        Some(items) => items.iter().filter_map(micro).for_each(|m| match m {
            Micro::Write(key, value) => write(key, value),
            Micro::Read(..) | Micro::Append(..) => {}
        }),
        None => drop(single(op, &mut |key, value, is_write| {
            if is_write {
                write(key, value);
            }
        })),
    }
    initial
}

/// A single read, write or compare-and-set. False if it is something else.
fn single(op: &Op<'_>, push: &mut impl FnMut(&Value, &Value, bool)) -> bool {
    match op.f {
        "read" | "r" | "get" => push(op.key, op.output, false),
        "write" | "w" | "put" => push(op.key, op.input, true),
        "cas" => {
            let Some((old, new)) = op.input.as_pair() else { return false };
            // One that did not match read something else, and nobody says what.
            if op.output.as_str() != Some("mismatch") {
                push(op.key, old, false);
                push(op.key, new, true);
            }
        }
        _ => return false,
    }
    true
}

/// Who wrote each value of one key.
#[derive(Clone, Copy, Debug)]
struct Writer {
    txn: u32,
    // Its last write of the key within its transaction?
    last: bool,
    ambiguous: bool,
}

/// Reads a history. `initial` is the value of every key before the first write.
pub fn plain(history: &History, initial: &Value) -> Plain {
    let mut d = draft(history, initial);
    let initial = d.codes.code(initial);
    let genesis = genesis(&d, initial);
    let mut out = Plain { ignored: d.ignored, ..Plain::default() };
    let source = resolve(&d, initial, genesis, &mut out);
    let kept = happened(&d, &source, genesis);
    emit(d, &source, &kept, out)
}

/// Some formats write the initial values in a transaction of its own, the only one of its session. It is no
/// transaction: initial values come before everything.
fn genesis(d: &Draft, initial: i64) -> Option<u32> {
    let candidate = (0..d.txns.len()).find(|&t| {
        let events = &d.events[d.first[t] as usize..d.first[t + 1] as usize];
        !events.is_empty() && events.iter().all(|e| e.write && e.code == initial)
    })?;
    let process = d.txns[candidate].process;
    let alone = d.txns.iter().filter(|t| t.process == process).count() == 1;
    (alone && d.txns[candidate].committed()).then_some(candidate as u32)
}

/// Of every event: reads, the event that wrote the value (or a marker); writes, themselves.
fn resolve(d: &Draft, initial: i64, genesis: Option<u32>, out: &mut Plain) -> Vec<u32> {
    let keys = d.keys.len();
    let (first, by_key) = crate::txn::append::versions::group(keys, d.events.iter().map(|e| e.key));
    let mut txn_of = vec![0u32; d.events.len()];
    for t in 0..d.txns.len() {
        txn_of[d.first[t] as usize..d.first[t + 1] as usize].fill(t as u32);
    }
    let mut source = vec![UNKNOWN; d.events.len()];
    let mut writers: FxHashMap<i64, (u32, Writer)> = FxHashMap::default();
    for key in 0..keys {
        let here = &by_key[first[key] as usize..first[key + 1] as usize];
        writers.clear();
        for (i, &e) in here.iter().enumerate() {
            let event = d.events[e as usize];
            if !event.write || Some(txn_of[e as usize]) == genesis {
                continue;
            }
            source[e as usize] = e;
            add_writer(d, &txn_of, &here[i + 1..], e, &mut writers, out);
        }
        for (i, &e) in here.iter().enumerate() {
            let event = d.events[e as usize];
            if !event.write {
                let own = here[..i].iter().rev().take_while(|&&b| txn_of[b as usize] == txn_of[e as usize]);
                let own = own.copied().find(|&b| d.events[b as usize].write);
                let initial = d.initial.get(&event.key).copied().unwrap_or(initial);
                source[e as usize] = read_from(d, &txn_of, e, own, initial, &writers, out);
            }
        }
    }
    source
}

fn add_writer(
    d: &Draft,
    txn_of: &[u32],
    later: &[u32],
    e: u32,
    writers: &mut FxHashMap<i64, (u32, Writer)>,
    out: &mut Plain,
) {
    let (event, txn) = (d.events[e as usize], txn_of[e as usize]);
    let last = !later.iter().take_while(|&&l| txn_of[l as usize] == txn).any(|&l| d.events[l as usize].write);
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
    txn_of: &[u32],
    e: u32,
    own: Option<u32>,
    initial: i64,
    writers: &FxHashMap<i64, (u32, Writer)>,
    out: &mut Plain,
) -> u32 {
    let (event, txn) = (d.events[e as usize], txn_of[e as usize]);
    let reader = d.txns[txn as usize].index;
    let (key, value) = (d.keys.name(event.key), d.codes.value(event.code));
    let mut add = |kind: &'static str, with: Option<u32>, text: String| {
        out.findings.add(kind, || Finding::new(with.into_iter().chain([reader]).collect(), text));
        UNKNOWN
    };
    if let Some(own) = own {
        if d.events[own as usize].code == event.code {
            return UNKNOWN;
        }
        let mine = d.codes.value(d.events[own as usize].code);
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

/// Which transactions happened: ok ones, and those of unknown outcome that somebody who happened read.
fn happened(d: &Draft, source: &[u32], genesis: Option<u32>) -> Vec<bool> {
    let mut kept: Vec<bool> = d.txns.iter().map(Txn::committed).collect();
    if let Some(g) = genesis {
        kept[g as usize] = false;
    }
    // Only ok transactions have reads, so one pass is enough.
    for (e, &s) in source.iter().enumerate() {
        if !d.events[e].write && s < UNKNOWN {
            let t = d.first.partition_point(|&f| f <= s) - 1;
            // A transaction without events shares its beginning with the next one.
            kept[t] = true;
        }
    }
    kept
}

fn emit(d: Draft, source: &[u32], kept: &[bool], mut out: Plain) -> Plain {
    let mut position = vec![u32::MAX; d.txns.len()];
    let mut next = 0;
    for (t, &keep) in kept.iter().enumerate() {
        if keep {
            position[t] = next;
            next += 1;
        }
    }
    let mut owner = vec![0u32; d.events.len()];
    for t in 0..d.txns.len() {
        owner[d.first[t] as usize..d.first[t + 1] as usize].fill(position[t]);
    }
    let mut sessions: FxHashMap<u32, (u32, u32)> = FxHashMap::default();
    let mut last: Vec<(u32, i64)> = Vec::new();
    for (t, _) in kept.iter().enumerate().filter(|(_, kept)| **kept) {
        let fresh = sessions.len() as u32;
        let session = sessions.entry(d.txns[t].process).or_insert((fresh, 0));
        session.1 += 1;
        out.session.push(session.0);
        out.place.push(session.1);
        out.txns.push(d.txns[t]);
        out.read_first.push(out.reads.len() as u32);
        out.write_first.push(out.writes.len() as u32);
        last.clear();
        for e in d.first[t] as usize..d.first[t + 1] as usize {
            let event = d.events[e];
            if event.write {
                last.push((event.key, event.code));
            } else if source[e] != UNKNOWN {
                let from = if source[e] == INITIAL { INITIAL } else { owner[source[e] as usize] };
                out.reads.push(Access { key: event.key, from });
            }
        }
        last.sort_by_key(|&(key, _)| key);
        for (i, &(key, code)) in last.iter().enumerate() {
            if last.get(i + 1).is_none_or(|&(next, _)| next != key) {
                out.writes.push(key);
                out.written.push(code);
            }
        }
    }
    out.read_first.push(out.reads.len() as u32);
    out.write_first.push(out.writes.len() as u32);
    out.sessions = sessions.len() as u32;
    out.keys = d.keys;
    out.codes = d.codes;
    out
}
