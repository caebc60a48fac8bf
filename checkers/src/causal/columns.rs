//! Reads and writes in columns: transactions of any size, a single operation being a transaction of one.
//!
//! Every read is resolved to the write whose value it returned. That needs values that are unique per key;
//! where two writes that may have happened share a value, reads of it are left unresolved and the history is
//! called ambiguous. Transactions of unknown outcome are kept only if somebody read from them: the others
//! may simply never have happened. What is wrong with a read by itself (aborted, intermediate, thin air,
//! internal) is found here.

use rustc_hash::FxHashMap;
use squall_history::{Accesses, History, Value};

use super::draft::Draft;
use super::resolve::{owners, resolve};
use crate::txn::findings::Findings;
use crate::txn::intern::{Codes, Interner};
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
    /// Operations that are neither reads nor writes, and did not fail.
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

    /// Why nothing can be said of the history, if there are operations of which nobody knows what they read and wrote.
    pub fn unreadable(&self) -> Option<String> {
        let several = if self.ignored == 1 { "operation is" } else { "operations are" };
        let text = || {
            format!(
                "{} {several} neither reads nor writes of single values: what they did is unknown",
                self.ignored
            )
        };
        (self.ignored > 0).then(text)
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

/// Reads a history. `initial` is the value of every key before the first write.
pub fn plain(history: &History, initial: &Value) -> Plain {
    from_draft(Draft::of_history(history, initial), initial)
}

/// The same, of a history in columns, which is taken: it is not needed any more.
pub fn plain_of_accesses(accesses: Accesses, initial: &Value) -> Plain {
    let draft = Draft::of_accesses(&accesses, initial);
    drop(accesses);
    from_draft(draft, initial)
}

fn from_draft(mut d: Draft, initial: &Value) -> Plain {
    let initial = d.codes.code(initial);
    let genesis = genesis(&d, initial);
    let owner = owners(&d);
    let mut out = Plain { ignored: d.ignored, ..Plain::default() };
    let source = resolve(&d, &owner, initial, genesis, &mut out);
    let kept = happened(&d, &owner, &source, genesis);
    emit(d, owner, &source, &kept, out)
}

/// Some formats write the initial values in a transaction of its own, the only one of its session. It is no
/// transaction: initial values come before everything.
fn genesis(d: &Draft, initial: i64) -> Option<u32> {
    let candidate = (0..d.txns.len()).find(|&t| {
        let writes_initial = |e| {
            let event = d.event(e);
            event.write && event.code == initial
        };
        !d.events_of(t).is_empty() && d.events_of(t).all(writes_initial)
    })?;
    let process = d.txns[candidate].process;
    let alone = d.txns.iter().filter(|t| t.process == process).count() == 1;
    (alone && d.txns[candidate].committed()).then_some(candidate as u32)
}

/// Which transactions happened: ok ones, and those of unknown outcome that somebody who happened read.
fn happened(d: &Draft, owner: &[u32], source: &[u32], genesis: Option<u32>) -> Vec<bool> {
    let mut kept: Vec<bool> = d.txns.iter().map(Txn::committed).collect();
    if let Some(g) = genesis {
        kept[g as usize] = false;
    }
    // Only ok transactions have reads, so one pass is enough.
    for (e, &s) in source.iter().enumerate() {
        if s < UNKNOWN && !d.event(e as u32).write {
            kept[owner[s as usize] as usize] = true;
        }
    }
    kept
}

/// Transactions that happened, by their new places; `owner` becomes the place of each event's transaction.
fn emit(d: Draft, mut owner: Vec<u32>, source: &[u32], kept: &[bool], mut out: Plain) -> Plain {
    let mut position = vec![u32::MAX; d.txns.len()];
    for (next, (t, _)) in kept.iter().enumerate().filter(|(_, kept)| **kept).enumerate() {
        position[t] = next as u32;
    }
    for t in &mut owner {
        *t = position[*t as usize];
    }
    let mut sessions = Sessions::default();
    let mut last: Vec<(u32, i64)> = Vec::new();
    for (t, _) in kept.iter().enumerate().filter(|(_, kept)| **kept) {
        let (session, place) = sessions.next(d.txns[t].process);
        out.session.push(session);
        out.place.push(place);
        out.txns.push(d.txns[t]);
        out.read_first.push(out.reads.len() as u32);
        out.write_first.push(out.writes.len() as u32);
        last.clear();
        for e in d.events_of(t) {
            let event = d.event(e);
            if event.write {
                last.push((event.key, event.code));
                continue;
            }
            match source[e as usize] {
                UNKNOWN => {}
                INITIAL => out.reads.push(Access { key: event.key, from: INITIAL }),
                writer => out.reads.push(Access { key: event.key, from: owner[writer as usize] }),
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
    out.sessions = sessions.count.len() as u32;
    out.keys = d.keys;
    out.codes = d.codes;
    out
}

/// Processes become sessions, numbered as they come.
#[derive(Default)]
struct Sessions {
    number: FxHashMap<u32, u32>,
    // Transactions of each so far.
    count: Vec<u32>,
}

impl Sessions {
    /// The session of a process's next transaction, and its place there, from 1.
    fn next(&mut self, process: u32) -> (u32, u32) {
        let session = *self.number.entry(process).or_insert(self.count.len() as u32);
        if session as usize == self.count.len() {
            self.count.push(0);
        }
        self.count[session as usize] += 1;
        (session, self.count[session as usize])
    }
}
