//! What is known of the log of changes: from those who made them, and from those who watched.

use std::collections::{BTreeMap, BTreeSet};

use squall_history::Value;

use super::{Change, Facts, Said, bad};
use crate::Anomaly;

/// See the module. Revisions of which nobody knows anything are absent.
#[derive(Debug, Default)]
pub(super) struct Log<'f, 'a> {
    revisions: BTreeMap<i64, BTreeMap<&'a Value, Entry<'a>>>,
    of_key: BTreeMap<&'a Value, BTreeMap<i64, &'a Value>>,
    /// What watchers covered: disjoint, first revision to last.
    covered: BTreeMap<i64, i64>,
    /// Changes without an answer that were seen, with their revision.
    placed: Vec<(i64, &'f Change<'a>)>,
    /// Keys of those that were not: they may have been changed where nobody watched.
    loose: BTreeSet<&'a Value>,
}

/// What a key was changed to, and who says so.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    value: &'a Value,
    source: Source,
}

#[derive(Clone, Copy, Debug)]
enum Source {
    Wrote(u32),
    Told(u32),
}

impl Entry<'_> {
    /// The operation that says so.
    pub fn by(&self) -> u32 {
        match self.source {
            Source::Wrote(index) | Source::Told(index) => index,
        }
    }

    /// In words.
    pub fn told_by(&self, key: &Value, at: i64) -> String {
        let what = match self.value {
            Value::Nil => format!("deleted key {key}"),
            value => format!("wrote {value} to key {key}"),
        };
        match self.source {
            Source::Wrote(index) => format!("#{index} {what} there"),
            Source::Told(index) => format!("#{index} was told that revision {at} {what}"),
        }
    }
}

/// What a key held just before a revision.
#[derive(Clone, Copy, Debug)]
pub(super) enum Before<'a> {
    Present(&'a Value),
    Absent,
    Unknown,
}

impl<'f, 'a> Log<'f, 'a> {
    /// Puts together what is known; where two say different things, that is found.
    pub fn of(facts: &'f Facts<'a>, found: &mut Vec<Anomaly>) -> Self {
        let mut log = Log::default();
        log.cover(facts);
        for change in &facts.changes {
            if let Some(at) = change.at() {
                log.write(change, at);
            }
        }
        let mut puts = Puts::of(facts);
        for slice in &facts.slices {
            for told in slice.told().filter(|told| !told.value.is_nil()) {
                puts.place((told.key, told.value), told.revision, slice, found);
            }
        }
        log.placed = puts.seen.values().copied().collect();
        for (at, change) in log.placed.clone() {
            log.write(change, at);
        }
        let unseen =
            facts.changes.iter().filter(|c| c.said == Said::Unknown && !puts.seen.contains_key(&c.index));
        log.loose = unseen.flat_map(|c| c.writes.iter().map(|(key, _)| *key)).collect();
        for slice in &facts.slices {
            for told in slice.told() {
                log.told(told.key, told.value, told.revision, slice.index, found);
            }
        }
        log.acknowledged_deletes(facts);
        deletes_have_their_makers(&log, facts, found);
        log.one_change_a_revision(facts, found);
        log
    }

    fn cover(&mut self, facts: &Facts<'_>) {
        let mut spans: Vec<(i64, i64)> = facts.slices.iter().map(|s| (s.from, s.reach())).collect();
        spans.retain(|(from, to)| from <= to);
        spans.sort_unstable();
        for (from, to) in spans {
            match self.covered.last_entry() {
                Some(mut last) if *last.get() >= from - 1 => {
                    let end = last.get_mut();
                    *end = (*end).max(to);
                }
                _ => drop(self.covered.insert(from, to)),
            }
        }
    }

    fn write(&mut self, change: &Change<'a>, at: i64) {
        for (key, value) in change.puts() {
            self.insert(key, value, at, Source::Wrote(change.index));
        }
    }

    fn insert(&mut self, key: &'a Value, value: &'a Value, at: i64, source: Source) -> Entry<'a> {
        self.of_key.entry(key).or_default().entry(at).or_insert(value);
        *self.revisions.entry(at).or_default().entry(key).or_insert(Entry { value, source })
    }

    fn told(&mut self, key: &'a Value, value: &'a Value, at: i64, by: u32, found: &mut Vec<Anomaly>) {
        let there = self.insert(key, value, at, Source::Told(by));
        if there.value != value {
            let text = format!(
                "#{by} was told that key {key} became {value} at revision {at}, and {}.",
                there.told_by(key, at)
            );
            found.push(bad("contradiction", text, vec![by, there.by()]));
        }
    }

    /// An acknowledged delete must be told of if something was certainly there. (One that was told of already is
    /// there.)
    fn acknowledged_deletes(&mut self, facts: &Facts<'a>) {
        let mut deletes: Vec<(i64, &'a Value, u32)> = Vec::new();
        for change in &facts.changes {
            if let Some(at) = change.at() {
                deletes.extend(change.deletes().map(|key| (at, key, change.index)));
            }
        }
        deletes.sort_unstable();
        for (at, key, by) in deletes {
            if matches!(self.before(key, at), Before::Present(_)) {
                self.insert(key, &Value::Nil, at, Source::Wrote(by));
            }
        }
    }

    /// Two changes never share a revision.
    fn one_change_a_revision(&self, facts: &Facts<'_>, found: &mut Vec<Anomaly>) {
        let mut of: BTreeMap<i64, &Change<'_>> = BTreeMap::new();
        let acknowledged = facts.changes.iter().filter_map(|c| Some((c.at()?, c)));
        for (at, change) in acknowledged.chain(self.placed()) {
            if let Some(other) = of.insert(at, change).filter(|other| other.index != change.index) {
                let text = format!("#{} and #{} both made revision {at}.", other.index, change.index);
                found.push(bad("revision-given-twice", text, vec![other.index, change.index]));
            }
        }
    }

    /// Known revisions with their changes, from the first to the last of these.
    pub fn between(
        &self,
        from: i64,
        to: i64,
    ) -> impl Iterator<Item = (i64, &BTreeMap<&'a Value, Entry<'a>>)> {
        // A slice that was told nothing ends before it begins.
        self.revisions
            .range(from..=to.max(from))
            .take_while(move |(at, _)| **at <= to)
            .map(|(at, e)| (*at, e))
    }

    /// Changes without an answer that were seen, with the revision that they made.
    pub fn placed(&self) -> impl Iterator<Item = (i64, &'f Change<'a>)> {
        self.placed.iter().copied()
    }

    /// How many revisions are known.
    pub fn revisions(&self) -> usize {
        self.revisions.len()
    }

    /// Whether watchers were told of everything from the first to the last of these.
    pub fn covers(&self, from: i64, to: i64) -> bool {
        from > to || self.covered.range(..=from).next_back().is_some_and(|(_, end)| *end >= to)
    }

    /// Whether nothing can have happened to a key in between that is not known.
    fn is_whole(&self, key: &Value, from: i64, to: i64) -> bool {
        !self.loose.contains(key) || self.covers(from, to)
    }

    /// What a key held just before a revision.
    pub fn before(&self, key: &Value, at: i64) -> Before<'a> {
        let last = self.of_key.get(key).and_then(|changes| changes.range(..at).next_back());
        match last {
            Some((then, value)) if self.is_whole(key, then + 1, at - 1) => {
                if value.is_nil() {
                    Before::Absent
                } else {
                    Before::Present(value)
                }
            }
            None if self.is_whole(key, 1, at - 1) => Before::Absent,
            _ => Before::Unknown,
        }
    }
}

/// Who made which put, and at which revision it was seen.
struct Puts<'f, 'a> {
    by: BTreeMap<(&'a Value, &'a Value), &'f Change<'a>>,
    /// Of changes without an answer.
    seen: BTreeMap<u32, (i64, &'f Change<'a>)>,
}

impl<'f, 'a> Puts<'f, 'a> {
    fn of(facts: &'f Facts<'a>) -> Self {
        let all = facts.changes.iter().flat_map(|c| c.puts().map(move |put| (put, c)));
        Puts { by: all.collect(), seen: BTreeMap::new() }
    }

    fn place(
        &mut self,
        (key, value): (&'a Value, &'a Value),
        at: i64,
        slice: &super::Slice<'_>,
        found: &mut Vec<Anomaly>,
    ) {
        let me = slice.index;
        let told = format!("#{me} was told that {value} was written to key {key} at revision {at}");
        let Some(&change) = self.by.get(&(key, value)) else {
            found.push(bad("invented", format!("{told}, which nobody wrote."), vec![me]));
            return;
        };
        let by = change.index;
        let mut wrong = |kind: &str, why: String| {
            found.push(bad(kind, format!("{told}; {why}."), vec![me, by]));
        };
        if change.invoked > slice.completed {
            return wrong("invented", format!("#{by}, which wrote it, began later"));
        }
        match change.said {
            Said::At(its) if its == at => {}
            Said::At(its) => wrong("wrong-revision", format!("#{by}, which wrote it, was given {its}")),
            Said::Failed => wrong("invented", format!("#{by}, which was to write it, failed")),
            Said::Nothing => {
                wrong("invented", format!("#{by}, which wrote it, was told that nothing was changed"))
            }
            Said::Unknown => {
                let (first, _) = *self.seen.entry(by).or_insert((at, change));
                if first != at {
                    wrong("contradiction", format!("what #{by} wrote was seen at revision {first} before"));
                }
            }
        }
    }
}

/// Each delete that somebody was told of has somebody who may have made it, each of those at one revision.
fn deletes_have_their_makers(log: &Log<'_, '_>, facts: &Facts<'_>, found: &mut Vec<Anomaly>) {
    let mut sure: BTreeSet<(i64, &Value)> = BTreeSet::new();
    // Without an answer and without a put that shows where they are: each may be anywhere, once.
    let mut anywhere: BTreeMap<&Value, Vec<&Change<'_>>> = BTreeMap::new();
    let acknowledged = facts.changes.iter().filter_map(|c| Some((c.at()?, c)));
    for (at, change) in acknowledged.chain(log.placed()) {
        sure.extend(change.deletes().map(|key| (at, key)));
    }
    for change in facts.changes.iter().filter(|c| c.said == Said::Unknown && c.puts().next().is_none()) {
        change.deletes().for_each(|key| anywhere.entry(key).or_default().push(change));
    }
    for slice in &facts.slices {
        for told in slice.told().filter(|told| told.value.is_nil()) {
            let (key, at) = (told.key, told.revision);
            let may = anywhere.get(key).is_some_and(|all| all.iter().any(|c| c.invoked < slice.completed));
            if !sure.contains(&(at, key)) && !may {
                let text = format!(
                    "#{} was told that key {key} was deleted at revision {at}, which nobody did.",
                    slice.index
                );
                found.push(bad("invented", text, vec![slice.index]));
            }
        }
    }
    for (key, makers) in anywhere {
        let unexplained: Vec<i64> = log
            .of_key
            .get(key)
            .into_iter()
            .flatten()
            .filter(|(at, value)| value.is_nil() && !sure.contains(&(**at, key)))
            .map(|(at, _)| *at)
            .collect();
        if unexplained.len() > makers.len() {
            let text = format!(
                "Watchers were told that key {key} was deleted at revisions {unexplained:?} without an acknowledged \
                 delete, and only {} may have done that.",
                makers.len()
            );
            found.push(bad("invented", text, makers.iter().map(|c| c.index).collect()));
        }
    }
}
