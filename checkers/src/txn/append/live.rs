//! List-append, judged while operations arrive: each completion adds its dependencies to a graph that has no
//! cycle, at a cost that does not grow with the run.
//!
//! What is found so is a *suspicion*: a dependency that would close a cycle of the kind that the model forbids, or a
//! read that contradicts what is known. Only then is the history so far judged as a whole, by the check that
//! would judge it at the end, so a run is never stopped for less. Nothing that this check would call invalid
//! passes without a suspicion: the first invalid prefix is found at its last event.
//!
//! Weak models allow some of what is suspicious. From the first suspicion that turns out to be allowed, and where
//! transactions are not of the plain form (an answer that does not repeat its question; a key with very many
//! appends that nobody read), the history is judged as a whole whenever it has grown by a twentieth: an
//! anomaly may then be found that much later.
//!
//! A transaction takes about three hundred bytes. After [`LONGEST`] of them nothing more is kept, and the run's end
//! has to judge.

use rustc_hash::FxHashMap;
use squall_history::{Event, EventKind, Value};

use super::check::ListAppend;
use super::columns::contradicts_itself;
use super::kept::{Kept, NOTHING, Step};
use super::live_order::{Edge, LiveOrder};
use crate::txn::models::{Model, forbids};
use crate::txn::watch::Pace;
use crate::{Budget, Check, Live, Valid, Verdict};

/// Operations that are watched.
pub const LONGEST: usize = 4_000_000;
/// Pairs of readers and unread appends of one key that are joined one by one.
const PAIRS: usize = 4096;

const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Append {
    txn: u32,
    observed: bool,
    // The one before by the same transaction to the same key, and whether there is one after.
    before: u32,
    more: bool,
}

#[derive(Clone, Debug, Default)]
struct Key {
    spine: Vec<i64>,
    // The append behind each element.
    writer: Vec<u32>,
    // Transactions that read all of it.
    readers: Vec<u32>,
    // Transactions that happened, with an append that nobody read.
    unread: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Status {
    first_append: u32,
    happened: bool,
    failed: bool,
}

/// A check that is fed events.
#[derive(Debug)]
pub struct LiveAppend {
    model: &'static Model,
    lost_updates: bool,
    kept: Kept,
    status: Vec<Status>,
    keys: Vec<Key>,
    appends: Vec<Append>,
    by_value: FxHashMap<(u32, i64), u32>,
    updates: FxHashMap<(u32, u32), u32>,
    order: LiveOrder,
    pace: Pace,
    suspect: bool,
    /// From now on only the whole tells.
    coarse: bool,
    bad: Option<String>,
    found: Option<Verdict>,
}

impl LiveAppend {
    /// Watches for violations of a model. Where the whole has to be judged again and again, that is done after
    /// every `floor` completions at most.
    pub fn new(model: &'static Model, floor: usize) -> Self {
        LiveAppend {
            model,
            lost_updates: forbids(model, "lost-update"),
            kept: Kept::default(),
            status: Vec::new(),
            keys: Vec::new(),
            appends: Vec::new(),
            by_value: FxHashMap::default(),
            updates: FxHashMap::default(),
            order: LiveOrder::new(model),
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

    fn invoke(&mut self, event: Event) -> Result<(), squall_history::BadEvent> {
        let t = self.kept.invoke(event)?;
        self.keys.resize_with(self.kept.keys.len(), Key::default);
        let first_append = self.appends.len() as u32;
        self.status.push(Status { first_append, happened: false, failed: false });
        if self.coarse {
            return Ok(());
        }
        if self.kept.is_odd(t) {
            self.give_up();
            return Ok(());
        }
        for i in 0..self.kept.steps(t).len() {
            let step = self.kept.steps(t)[i];
            if step.append {
                self.announce(t, step);
            }
        }
        self.order.invoke(&self.kept, t);
        Ok(())
    }

    fn announce(&mut self, t: u32, step: Step) {
        let a = self.appends.len() as u32;
        // What two appended cannot be told apart.
        self.suspect |= self.by_value.insert((step.key, step.number), a).is_some();
        let mine = self.status[t as usize].first_append;
        let before = (mine..a).rev().find(|&b| self.by_key(b) == Some(step.key)).unwrap_or(NONE);
        if before != NONE {
            self.appends[before as usize].more = true;
        }
        self.appends.push(Append { txn: t, observed: false, before, more: false });
    }

    /// The key of an append.
    fn by_key(&self, a: u32) -> Option<u32> {
        let t = self.appends[a as usize].txn;
        let nth = a - self.status[t as usize].first_append;
        self.kept.steps(t).iter().filter(|s| s.append).nth(nth as usize).map(|s| s.key)
    }

    fn edge(&mut self, from: u32, to: u32, edge: Edge) {
        self.suspect |= !self.order.edge(from, to, edge);
    }

    fn complete(&mut self, event: Event) -> Result<(), squall_history::BadEvent> {
        let t = self.kept.end(&event)?;
        self.pace.count(&event);
        match event.kind {
            EventKind::Ok if self.coarse => {
                let plain = self.kept.fits(t, &event.value);
                if plain {
                    self.lengthen(t, &event.value);
                }
                if !plain || !self.note_prefixes(t, &event.value) {
                    self.kept.keep(t, event.value);
                }
            }
            EventKind::Ok => self.answered(t, event.value),
            EventKind::Fail => {
                self.status[t as usize].failed = true;
                self.suspect |= self.status[t as usize].happened;
            }
            EventKind::Info | EventKind::Invoke => {}
        }
        Ok(())
    }

    fn answered(&mut self, t: u32, answer: Value) {
        if !self.kept.fits(t, &answer) {
            self.kept.keep(t, answer);
            self.give_up();
            return;
        }
        let items = answer.as_list().unwrap_or_default();
        let known = self.suspect;
        for (i, item) in items.iter().enumerate() {
            if let Some(seen) = read_of(item) {
                let key = self.kept.steps(t)[i].key;
                self.suspect |= !self.extend(key, seen);
            }
        }
        if !self.note_prefixes(t, &answer) {
            self.kept.keep(t, answer.clone());
            self.suspect = true;
        } else if known == self.suspect {
            self.reads(t);
        }
        self.suspect |= contradicts_itself(items);
        self.happen(t);
        self.order.commit(&self.kept, t);
    }

    /// Keeps each read as a length. False if one is no prefix of what its key is known to hold.
    fn note_prefixes(&mut self, t: u32, answer: &Value) -> bool {
        let items = answer.as_list().unwrap_or_default();
        for (i, item) in items.iter().enumerate() {
            let Some(seen) = read_of(item) else { continue };
            let spine = &self.keys[self.kept.steps(t)[i].key as usize].spine;
            let codes = &mut self.kept.codes;
            let prefix =
                seen.len() <= spine.len() && spine.iter().zip(seen).all(|(&s, v)| s == codes.code(v));
            if !prefix {
                return false;
            }
            let nil = item.as_list().is_some_and(|i| i[2].is_nil());
            self.kept.saw(t, i, if nil { NOTHING } else { seen.len() as i64 });
        }
        true
    }

    /// Lengthens what keys are known to hold, and no more.
    fn lengthen(&mut self, t: u32, answer: &Value) {
        for (i, item) in answer.as_list().unwrap_or_default().iter().enumerate() {
            let Some(seen) = read_of(item) else { continue };
            let spine = &mut self.keys[self.kept.steps(t)[i].key as usize].spine;
            let codes = &mut self.kept.codes;
            if spine.iter().zip(seen).all(|(&s, v)| s == codes.code(v)) {
                spine.extend(seen.iter().skip(spine.len()).map(|v| codes.code(v)));
            }
        }
    }

    /// Lengthens what a key is known to hold. False if the list disagrees with it, or holds what it cannot.
    fn extend(&mut self, key: u32, seen: &[Value]) -> bool {
        let spine = &self.keys[key as usize].spine;
        let codes = &mut self.kept.codes;
        if !spine.iter().zip(seen).all(|(&s, v)| s == codes.code(v)) {
            return false;
        }
        let from = spine.len();
        let mut sound = true;
        for v in seen.iter().skip(from) {
            let code = self.kept.codes.code(v);
            let a = self.by_value.get(&(key, code)).copied().unwrap_or(NONE);
            sound &= self.observe(key, code, a);
        }
        if seen.len() > from {
            let last = self.last_writer(key, seen.len());
            for u in self.keys[key as usize].unread.clone() {
                self.edge_from(last, u);
            }
        }
        sound
    }

    /// An element is seen behind all others for the first time.
    fn observe(&mut self, key: u32, code: i64, a: u32) -> bool {
        let at = self.keys[key as usize].spine.len();
        let last = self.last_writer(key, at);
        let k = &mut self.keys[key as usize];
        k.spine.push(code);
        let readers = std::mem::take(&mut k.readers);
        let append = self.appends.get(a as usize).copied();
        let sound = append.is_some_and(|append| {
            let in_order = append.before == NONE || self.appends[append.before as usize].observed;
            !append.observed && !self.status[append.txn as usize].failed && in_order
        });
        k.writer.push(if sound { a } else { NONE });
        let Some(append) = append.filter(|_| sound) else { return false };
        self.appends[a as usize].observed = true;
        self.edge_from(last, append.txn);
        for r in readers {
            self.edge(r, append.txn, Edge::AntiDependency);
        }
        self.happen(append.txn);
        if self.keys[key as usize].unread.contains(&append.txn) && !self.has_unread(append.txn, key) {
            self.keys[key as usize].unread.retain(|&u| u != append.txn);
        }
        true
    }

    fn has_unread(&self, t: u32, key: u32) -> bool {
        let first = self.status[t as usize].first_append as usize;
        let appends = self.kept.steps(t).iter().filter(|s| s.append).enumerate();
        appends.into_iter().any(|(nth, s)| s.key == key && !self.appends[first + nth].observed)
    }

    /// The transaction behind the nearest known element before a place; [`NONE`] if there is none.
    fn last_writer(&self, key: u32, before: usize) -> u32 {
        let writers = &self.keys[key as usize].writer[..before];
        let known = writers.iter().rev().find(|&&a| a != NONE);
        known.map_or(NONE, |&a| self.appends[a as usize].txn)
    }

    fn edge_from(&mut self, from: u32, to: u32) {
        if from != NONE {
            self.edge(from, to, Edge::Dependency);
        }
    }

    /// Dependencies of what a transaction read.
    fn reads(&mut self, t: u32) {
        let steps: Vec<Step> = self.kept.steps(t).to_vec();
        let mut appended: Vec<u32> = Vec::new();
        for (i, step) in steps.iter().enumerate() {
            if step.append {
                appended.push(step.key);
                continue;
            }
            let len = step.number.max(0) as usize;
            if self.lost_updates && !steps[..i].iter().any(|s| s.key == step.key) {
                self.update(t, step.key, len, &steps[i..]);
            }
            let key = &self.keys[step.key as usize];
            if let Some(&a) = len.checked_sub(1).and_then(|at| key.writer.get(at)).filter(|a| **a != NONE) {
                let append = self.appends[a as usize];
                // An intermediate state.
                self.suspect |= append.more && append.txn != t;
            }
            self.edge_from(self.last_writer(step.key, len), t);
            let key = &mut self.keys[step.key as usize];
            match key.writer[len..].iter().find(|&&a| a != NONE) {
                Some(&next) => self.edge(t, self.appends[next as usize].txn, Edge::AntiDependency),
                None => {
                    if key.readers.last() != Some(&t) {
                        key.readers.push(t);
                    }
                    let many = key.readers.len() * key.unread.len() > PAIRS;
                    for u in key.unread.clone() {
                        self.edge(t, u, Edge::AntiDependency);
                    }
                    if many {
                        return self.give_up();
                    }
                }
            }
        }
    }

    /// Two that read the same state of a key and both append to it.
    fn update(&mut self, t: u32, key: u32, len: usize, later: &[Step]) {
        if later.iter().any(|s| s.append && s.key == key) {
            let other = *self.updates.entry((key, len as u32)).or_insert(t);
            self.suspect |= other != t;
        }
    }

    /// A transaction certainly happened: what it appended and nobody read lies behind all that was read.
    fn happen(&mut self, t: u32) {
        if std::mem::replace(&mut self.status[t as usize].happened, true) {
            return;
        }
        let steps: Vec<Step> = self.kept.steps(t).iter().copied().filter(|s| s.append).collect();
        let first = self.status[t as usize].first_append as usize;
        for (nth, step) in steps.iter().enumerate() {
            let key = &mut self.keys[step.key as usize];
            if self.appends[first + nth].observed || key.unread.last() == Some(&t) {
                continue;
            }
            key.unread.push(t);
            let (at, readers) = (key.spine.len(), key.readers.clone());
            let many = readers.len() * key.unread.len() > PAIRS;
            self.edge_from(self.last_writer(step.key, at), t);
            for r in readers {
                self.edge(r, t, Edge::AntiDependency);
            }
            if many {
                return self.give_up();
            }
        }
    }

    /// From now on only the whole tells.
    fn give_up(&mut self) {
        self.coarse = true;
    }

    /// Lets go of what followed events one by one.
    fn let_go(&mut self) {
        self.order.let_go();
        self.by_value = FxHashMap::default();
        self.updates = FxHashMap::default();
        self.appends = Vec::new();
        for key in &mut self.keys {
            (key.writer, key.readers, key.unread) = (Vec::new(), Vec::new(), Vec::new());
        }
    }

    fn is_due(&self) -> bool {
        if self.coarse { self.pace.is_due() } else { self.suspect }
    }
}

/// The list that a read saw; nil is the empty one.
fn read_of(item: &Value) -> Option<&[Value]> {
    match item.as_list()? {
        [f, _, value] if f.as_str() != Some("append") => Some(value.as_list().unwrap_or_default()),
        _ => None,
    }
}

impl Live for LiveAppend {
    fn push(&mut self, event: Event) {
        if self.bad.is_some() || self.found.is_some() {
            return;
        }
        let pushed = match event.kind {
            EventKind::Invoke if self.kept.len() >= LONGEST => {
                self.bad = Some(format!("after {LONGEST} operations nothing is watched any more"));
                self.let_go();
                self.kept = Kept::default();
                return;
            }
            EventKind::Invoke => self.invoke(event),
            EventKind::Ok | EventKind::Fail | EventKind::Info => self.complete(event),
        };
        if let Err(bad) = pushed {
            self.bad = Some(bad.to_string());
        }
        if self.coarse && !self.order.is_empty() {
            self.let_go();
        }
    }

    fn judge(&mut self, budget: &Budget) -> Verdict {
        if let Some(found) = &self.found {
            return found.clone();
        }
        if let Some(why) = &self.bad {
            return Verdict::unknown("list-append", why.clone());
        }
        if !self.is_due() {
            return Verdict::valid("list-append");
        }
        self.pace.judged();
        let spine = |key: u32| self.keys[key as usize].spine.as_slice();
        let verdict = match self.kept.history(&spine) {
            Ok(history) => ListAppend { model: self.model, realtime: true }.check(&history, budget),
            Err(bad) => Verdict::unknown("list-append", bad.to_string()),
        };
        if verdict.valid == Valid::No {
            self.found = Some(verdict.clone());
        } else if !self.coarse {
            self.give_up();
            self.let_go();
        }
        verdict
    }
}

#[cfg(test)]
#[path = "live_tests.rs"]
mod tests;
