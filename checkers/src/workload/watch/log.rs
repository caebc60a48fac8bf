//! What is known of the log of changes: from those who made them, and from those who watched.

use std::collections::{BTreeMap, BTreeSet};

use squall_history::Value;

use super::{Change, Facts, Said, bad};
use crate::Anomaly;

/// See the module. Revisions of which nobody knows anything are absent.
#[derive(Debug, Default)]
pub(super) struct Log<'f, 'a> {
    /// What must be told.
    revisions: BTreeMap<i64, BTreeMap<&'a Value, Entry<'a>>>,
    /// What each key held from a revision on, told or not: a delete of nothing is no event, and leaves nothing.
    of_key: BTreeMap<&'a Value, BTreeMap<i64, &'a Value>>,
    /// Which change made a revision, where that is known.
    made: BTreeMap<i64, &'f Change<'a>>,
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
        let mut puts = Puts::of(facts);
        for slice in &facts.slices {
            for told in slice.told().filter(|told| !told.value.is_nil()) {
                puts.place((told.key, told.value), told.revision, slice, found);
            }
        }
        log.placed = puts.seen.values().copied().collect();
        log.one_change_a_revision(facts, found);
        for (at, change) in log.made.clone() {
            for (key, value) in change.puts() {
                log.insert(key, value, at, Source::Wrote(change.index));
            }
        }
        let unseen = |c: &&Change<'a>| c.said == Said::Unknown && !puts.seen.contains_key(&c.index);
        log.loose =
            facts.changes.iter().filter(unseen).flat_map(|c| c.writes.iter().map(|(key, _)| *key)).collect();
        for slice in &facts.slices {
            for told in slice.told() {
                log.told(told.key, told.value, told.revision, slice.index, found);
            }
        }
        log.known_deletes();
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

    /// A delete whose revision is known must be told of if something was certainly there. (One that was told of
    /// already is there.)
    fn known_deletes(&mut self) {
        for (at, change) in self.made.clone() {
            for key in change.deletes() {
                if matches!(self.before(key, at), Before::Present(_)) {
                    self.insert(key, &Value::Nil, at, Source::Wrote(change.index));
                }
                self.of_key.entry(key).or_default().entry(at).or_insert(&Value::Nil);
            }
        }
    }

    /// Two changes never share a revision.
    fn one_change_a_revision(&mut self, facts: &'f Facts<'a>, found: &mut Vec<Anomaly>) {
        let acknowledged = facts.changes.iter().filter_map(|c| Some((c.at()?, c)));
        for (at, change) in acknowledged.chain(self.placed.clone()) {
            let other = *self.made.entry(at).or_insert(change);
            if other.index != change.index {
                let text = format!("#{} and #{} both made revision {at}.", other.index, change.index);
                found.push(bad("revision-given-twice", text, vec![other.index, change.index]));
            }
        }
    }

    /// The change that made a revision, if that is known.
    pub fn maker(&self, at: i64) -> Option<&'f Change<'a>> {
        self.made.get(&at).copied()
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

    /// Whether nothing can have happened to a key in between that is not known: every revision was watched, or it
    /// is known who made it, or nobody is left who may have made it.
    fn is_whole(&self, key: &Value, from: i64, to: i64) -> bool {
        if !self.loose.contains(key) {
            return true;
        }
        let mut at = from;
        while at <= to {
            match self.covered.range(..=at).next_back() {
                Some((_, end)) if *end >= at => at = end + 1,
                _ if self.made.contains_key(&at) => at += 1,
                _ => return false,
            }
        }
        true
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
