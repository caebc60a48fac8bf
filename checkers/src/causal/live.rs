//! Causal models of reads and writes, judged while operations arrive.
//!
//! A transaction is looked at once it is complete and so is everything that it read from: what it knows (its
//! vector clock) is then final, and says at once which writers it knew must come before the ones that it read.
//! These conflicts and happens-before go into a graph that has no cycle. An edge that would close one, or a read
//! that is wrong by itself, is a *suspicion*; only then is the history so far judged as a whole, by the check that
//! would judge it at the end, so a run is never stopped for less.
//!
//! Deliberately weaker than judging every prefix: what a transaction read from one that is still open is looked at
//! when that one ends. Once nothing that was read from is open any more, whatever the whole would show was found.
//!
//! As in [`crate::txn::append::live`], the first suspicion that the model allows, values that are not unique, and
//! reads of versions older than the last [`REMEMBERED`] transactions turn to judging the whole whenever it has grown
//! by a twentieth; after [`LONGEST`] operations nothing more is kept.

use rustc_hash::FxHashMap;
use squall_history::{BadEvent, Event, EventKind, Value};

use super::columns::INITIAL;
use crate::txn::acyclic::Acyclic;
use crate::txn::intern::{Codes, Interner};
use crate::txn::micro::{Micro, micro};
use crate::txn::models::{Model, implied, model};
use crate::txn::watch::{Pace, history_of};
use crate::{Budget, Check, Live, Valid, Verdict};

/// Operations that are watched.
pub const LONGEST: usize = 2_000_000;
/// Transactions whose clocks are kept.
pub const REMEMBERED: usize = 200_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not ended, or not looked at yet.
    Open,
    Failed,
    /// Its clock is final.
    Settled,
}

#[derive(Clone, Debug)]
struct Txn {
    session: u32,
    place: u32,
    // The one before in the same session.
    before: u32,
    state: State,
    ended: bool,
    observed: bool,
    reads: Vec<(u32, u32)>,
    // Keys that it writes.
    writes: Vec<u32>,
    // Who waits for it to be settled.
    waiting: Vec<u32>,
    clock: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Write {
    txn: u32,
    // Its last write of the key?
    last: bool,
}

/// A check that is fed events.
pub struct LiveCausal {
    check: Box<dyn Check>,
    events: Vec<Event>,
    // Of each process its open operation, and the key of that.
    open: FxHashMap<u32, (u32, Value)>,
    txns: Vec<Txn>,
    // Of each session its last transaction, and how many it had.
    sessions: FxHashMap<u32, (u32, u32, u32)>,
    keys: Interner,
    codes: Codes,
    by_value: FxHashMap<(u32, i64), Write>,
    // Of each key and session: settled writers, by place.
    writers: Vec<Vec<(u32, Vec<u32>)>>,
    graph: Acyclic,
    settled: std::collections::VecDeque<u32>,
    pace: Pace,
    suspect: bool,
    coarse: bool,
    bad: Option<String>,
    found: Option<Verdict>,
}

impl std::fmt::Debug for LiveCausal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveCausal")
            .field("check", &self.check.name())
            .field("txns", &self.txns.len())
            .finish()
    }
}

impl LiveCausal {
    /// Whether violations of a model can be watched for: of those that causal convergence implies.
    pub fn follows(wanted: &Model) -> bool {
        model("causal").is_some_and(|causal| implied(causal).iter().any(|m| m.name == wanted.name))
    }

    /// Watches for violations of such a model by the `check` that knows it. Where the whole has to be judged again
    /// and again, that is done after every `floor` completions at most. The initial value is nil.
    pub fn new(check: Box<dyn Check>, floor: usize) -> Self {
        LiveCausal {
            check,
            events: Vec::new(),
            open: FxHashMap::default(),
            txns: Vec::new(),
            sessions: FxHashMap::default(),
            keys: Interner::default(),
            codes: Codes::default(),
            by_value: FxHashMap::default(),
            writers: Vec::new(),
            graph: Acyclic::default(),
            settled: std::collections::VecDeque::new(),
            pace: Pace::new(floor),
            suspect: false,
            coarse: false,
            bad: None,
            found: None,
        }
    }

    /// Whether the history is still followed event by event.
    pub fn is_exact(&self) -> bool {
        !self.coarse
    }

    fn invoke(&mut self, event: &Event) {
        let t = self.txns.len() as u32;
        let fresh = self.sessions.len() as u32;
        let session = self.sessions.entry(event.process).or_insert((fresh, u32::MAX, 0));
        session.2 += 1;
        let before = std::mem::replace(&mut session.1, t);
        let mut txn = Txn {
            session: session.0,
            place: session.2,
            before,
            state: State::Open,
            ended: false,
            observed: false,
            reads: Vec::new(),
            writes: Vec::new(),
            waiting: Vec::new(),
            clock: Vec::new(),
        };
        self.graph.add();
        if before != u32::MAX {
            self.graph.join(before, t);
        }
        let steps = steps(event, &event.key);
        for (i, (_, key, value)) in steps.iter().enumerate().filter(|(_, s)| s.0) {
            let last = !steps[i + 1..].iter().any(|(write, k, _)| *write && k == key);
            let (key, code) = (self.key(key), self.codes.code(value));
            if last {
                txn.writes.push(key);
            }
            // Values that are not unique cannot be followed.
            self.coarse |= self.by_value.insert((key, code), Write { txn: t, last }).is_some();
        }
        self.txns.push(txn);
        self.open.insert(event.process, (t, event.key.clone()));
    }

    fn key(&mut self, key: &Value) -> u32 {
        let id = self.keys.id(key);
        self.writers.resize(self.writers.len().max(id as usize + 1), Vec::new());
        id
    }

    fn complete(&mut self, event: &Event) {
        let Some((t, key)) = self.open.remove(&event.process) else { return };
        self.txns[t as usize].ended = true;
        match event.kind {
            EventKind::Fail => {
                self.suspect |= self.txns[t as usize].observed;
                self.txns[t as usize].state = State::Failed;
                // What comes after it in its session waits for nothing.
                self.wake(t);
                return;
            }
            EventKind::Ok => self.answer(t, event, &key),
            EventKind::Info | EventKind::Invoke => {}
        }
        self.settle(t);
    }

    /// Finds whom a transaction read.
    fn answer(&mut self, t: u32, event: &Event, key: &Value) {
        let mut own: Vec<(u32, i64)> = Vec::new();
        let single = is_single(&event.f);
        // Without an answer, nobody knows what was read.
        self.coarse |= !single && event.value.is_nil();
        for (write, key, value) in steps(event, key) {
            let (key, code) = (self.key(&key), self.codes.code(&value));
            if write && single {
                continue;
            }
            if write {
                own.retain(|&(k, _)| k != key);
                own.push((key, code));
                // An answer that wrote something else than was asked for.
                self.coarse |= self.by_value.get(&(key, code)).is_none_or(|w| w.txn != t);
                continue;
            }
            if let Some(&(_, mine)) = own.iter().find(|&&(k, _)| k == key) {
                self.suspect |= mine != code;
                continue;
            }
            let from = match self.by_value.get(&(key, code)).copied() {
                None => {
                    self.suspect |= !value.is_nil();
                    INITIAL
                }
                Some(write) => {
                    let by = &mut self.txns[write.txn as usize];
                    by.observed = true;
                    self.suspect |= !write.last || write.txn == t || by.state == State::Failed;
                    self.suspect |= write.txn != t && !self.graph.join(write.txn, t);
                    write.txn
                }
            };
            if from != t {
                self.txns[t as usize].reads.push((key, from));
            }
        }
    }

    /// Looks at a transaction, and at all who waited for it, if what it knows is final.
    fn settle(&mut self, t: u32) {
        let mut todo = vec![t];
        while let Some(t) = todo.pop() {
            if self.suspect || self.coarse {
                return;
            }
            let txn = &self.txns[t as usize];
            if !txn.ended || txn.state != State::Open {
                continue;
            }
            let before = self.before(t);
            let missing = txn
                .reads
                .iter()
                .map(|r| r.1)
                .chain(before)
                .find(|&w| w != INITIAL && self.txns[w as usize].state == State::Open);
            if let Some(missing) = missing {
                self.txns[missing as usize].waiting.push(t);
                continue;
            }
            self.learn(t, before);
            todo.append(&mut self.txns[t as usize].waiting);
        }
    }

    fn wake(&mut self, t: u32) {
        for waiting in std::mem::take(&mut self.txns[t as usize].waiting) {
            self.settle(waiting);
        }
    }

    /// The transaction before in the same session that did not fail.
    fn before(&self, t: u32) -> Option<u32> {
        let mut before = self.txns[t as usize].before;
        while before != u32::MAX && self.txns[before as usize].state == State::Failed {
            before = self.txns[before as usize].before;
        }
        Some(before).filter(|&b| b != u32::MAX)
    }

    /// Makes the clock of a transaction, and finds the conflicts that it shows.
    fn learn(&mut self, t: u32, before: Option<u32>) {
        let mut clock: Vec<u32> = vec![0; self.sessions.len()];
        let reads = self.txns[t as usize].reads.clone();
        for from in reads.iter().map(|r| r.1).filter(|&w| w != INITIAL).chain(before) {
            let known = &self.txns[from as usize];
            if known.clock.is_empty() {
                // Too old to be remembered.
                self.coarse = true;
                return;
            }
            for (mine, &theirs) in clock.iter_mut().zip(&known.clock) {
                *mine = (*mine).max(theirs);
            }
        }
        for &(key, from) in &reads {
            self.conflicts(t, key, from, &clock);
        }
        let txn = &mut self.txns[t as usize];
        clock[txn.session as usize] = txn.place;
        (txn.clock, txn.state) = (clock, State::Settled);
        txn.reads = Vec::new();
        let session = txn.session;
        for key in std::mem::take(&mut txn.writes) {
            let of_key = &mut self.writers[key as usize];
            match of_key.iter_mut().find(|(s, _)| *s == session) {
                Some((_, all)) => all.push(t),
                None => of_key.push((session, vec![t])),
            }
        }
        self.settled.push_back(t);
        if self.settled.len() > REMEMBERED
            && let Some(oldest) = self.settled.pop_front()
        {
            self.txns[oldest as usize].clock = Vec::new();
        }
    }

    /// Writers of a key that `t` knows come before the one that it read.
    fn conflicts(&mut self, t: u32, key: u32, from: u32, clock: &[u32]) {
        let of_key = std::mem::take(&mut self.writers[key as usize]);
        for (session, all) in &of_key {
            let limit = clock[*session as usize];
            let seen = all.partition_point(|&w| self.txns[w as usize].place <= limit);
            let Some(&known) = seen.checked_sub(1).map(|at| &all[at]) else { continue };
            if known == from || known == t {
                continue;
            }
            if from == INITIAL {
                self.suspect = true;
            } else {
                let theirs = self.txns[from as usize].clock.get(*session as usize).copied().unwrap_or(0);
                if theirs < self.txns[known as usize].place {
                    self.suspect |= !self.graph.join(known, from);
                }
            }
        }
        self.writers[key as usize] = of_key;
    }

    fn let_go(&mut self) {
        self.graph = Acyclic::default();
        (self.txns, self.writers) = (Vec::new(), Vec::new());
        self.by_value = FxHashMap::default();
        self.settled.clear();
    }

    fn whole(&self, budget: &Budget) -> Result<Verdict, BadEvent> {
        Ok(self.check.check(&history_of(&self.events)?, budget))
    }
}

/// Whether an operation reads or writes one object.
fn is_single(f: &str) -> bool {
    matches!(f, "read" | "r" | "get" | "write" | "w" | "put")
}

/// Reads and writes of an event, in their order: whether it is a write, the key, the value. `key` is that of a
/// single operation.
fn steps(event: &Event, key: &Value) -> Vec<(bool, Value, Value)> {
    if is_single(&event.f) && !event.value.as_list().is_some_and(|i| i.iter().any(|i| micro(i).is_some())) {
        let write = matches!(&*event.f, "write" | "w" | "put");
        return vec![(write, key.clone(), event.value.clone())];
    }
    let items = event.value.as_list().unwrap_or_default();
    let step = |item: &Value| match micro(item)? {
        Micro::Read(key, value) => Some((false, key.clone(), value.clone())),
        Micro::Write(key, value) => Some((true, key.clone(), value.clone())),
        Micro::Append(..) => None,
    };
    items.iter().filter_map(step).collect()
}

impl Live for LiveCausal {
    fn push(&mut self, event: Event) {
        if self.bad.is_some() || self.found.is_some() {
            return;
        }
        if self.events.len() >= 2 * LONGEST {
            self.bad = Some(format!("after {LONGEST} operations nothing is watched any more"));
            self.events = Vec::new();
            self.let_go();
            return;
        }
        self.pace.count(&event);
        if !self.coarse {
            match event.kind {
                EventKind::Invoke => self.invoke(&event),
                EventKind::Ok | EventKind::Fail | EventKind::Info => self.complete(&event),
            }
            // A comparison may have written or not.
            self.coarse |= &*event.f == "cas";
            if self.coarse {
                self.let_go();
            }
        }
        self.events.push(event);
    }

    fn judge(&mut self, budget: &Budget) -> Verdict {
        if let Some(found) = &self.found {
            return found.clone();
        }
        if let Some(why) = &self.bad {
            return Verdict::unknown(self.check.name(), why.clone());
        }
        let due = if self.coarse { self.pace.is_due() } else { self.suspect };
        if !due {
            return Verdict::valid(self.check.name());
        }
        self.pace.judged();
        let verdict =
            self.whole(budget).unwrap_or_else(|bad| Verdict::unknown(self.check.name(), bad.to_string()));
        if verdict.valid == Valid::No {
            self.found = Some(verdict.clone());
        } else if !self.coarse {
            self.coarse = true;
            self.let_go();
        }
        verdict
    }
}

#[cfg(test)]
#[path = "live_tests.rs"]
mod tests;
