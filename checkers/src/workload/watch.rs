//! Watch: what watchers were told, against what was changed and what other watchers were told.
//!
//! Functions: `change`, whose argument is a list of `[key, value]` made at one moment (`null` deletes the key) and
//! whose answer is the revision it made, or `null` where it changed nothing; `watch`, whose argument is `[from, …]`
//! and whose answer is a list of answers of the store, each a list of events in the order they came: `[revision,
//! key, value]`, with `value` `null` for a delete and a fourth item, the value before, if the store says; or
//! `[revision]` alone, a bookmark: everything up to there was told. A watch that came too late answers
//! `["compacted", revision]`. `compact` asks for that, its argument is the revision.
//!
//! A slice covers every revision from the one it asked for up to the last it was told of. In it, everything that
//! an acknowledged change or another watcher shows to be there must be, once, in order, each revision in one
//! answer, and nothing else. How late a watcher is told is not judged, nor whether a value before is given at all:
//! it may be compacted away.

mod deletes;
mod facts;
mod log;

use squall_history::{History, Value};

use self::facts::{Change, Facts, Said, Slice, Watched};
use self::log::{Before, Log};
use super::report::{anomaly, few};
use crate::{Anomaly, Budget, Check, Verdict};

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub struct Watch;

const NAME: &str = "watch";

impl Check for Watch {
    fn name(&self) -> &str {
        NAME
    }

    fn check(&self, history: &History, _: &Budget) -> Verdict {
        let facts = match Facts::of(history) {
            Ok(facts) => facts,
            Err(why) => return Verdict::unknown(NAME, why),
        };
        let events: usize = facts.slices.iter().map(|s| s.told().count()).sum();
        if events == 0 {
            return Verdict::unknown(NAME, "no watcher was told of anything");
        }
        let mut found = Vec::new();
        facts.slices.iter().for_each(|slice| well_formed(slice, &mut found));
        let log = Log::of(&facts, &mut found);
        let known = Known::of(&facts);
        revisions_in_order(&facts, &log, &known, &mut found);
        let there = |rank| known.before(rank).map_or(0, |(revision, _)| revision);
        deletes::have_their_makers(&facts, &log, there, &mut found);
        let mut before = (0, 0);
        for slice in &facts.slices {
            complete(slice, &log, &mut found);
            values_before(slice, &log, &mut before, &mut found);
        }
        facts.compacted.iter().for_each(|c| too_much(c, &facts, &mut found));
        let last = facts.changes.iter().filter_map(|c| c.at().map(|at| (at, c.index))).max();
        let unwatched = facts.changes.iter().filter(|c| c.at().is_some_and(|at| !log.covers(at, at))).count();
        let errors = found.len();
        let verdict = match last.filter(|(at, _)| errors == 0 && !log.covers(*at, *at)) {
            Some((at, index)) => Verdict::unknown(
                NAME,
                format!("no watcher came as far as revision {at}, the last that was acknowledged (#{index})"),
            ),
            None => Verdict::from_anomalies(NAME, few(found)),
        };
        verdict
            .with("change_count", facts.changes.iter().filter(|c| c.at().is_some()).count())
            .with("watch_count", facts.slices.len())
            .with("empty_count", facts.slices.iter().filter(|s| s.answers.is_empty()).count())
            .with("event_count", events)
            .with("revision_count", log.revisions())
            .with("unwatched_count", unwatched)
            .with("compacted_count", facts.compacted.len())
            .with("value_before_count", before.0)
            .with("no_value_before_count", before.1)
            .with("error_count", errors)
    }
}

fn bad(kind: &str, text: String, operations: Vec<u32>) -> Anomaly {
    anomaly(NAME, kind, text, operations)
}

/// What was certainly there when: ranks with the greatest revision that was known by then, and to whom.
struct Known(Vec<(u32, i64, u32)>);

impl Known {
    fn of(facts: &Facts<'_>) -> Self {
        let made = facts.changes.iter().filter_map(|c| Some((c.completed, c.at()?, c.index)));
        let told = facts
            .slices
            .iter()
            .filter_map(|s| Some((s.completed, s.told().map(|told| told.revision).max()?, s.index)));
        let mut ends: Vec<(u32, i64, u32)> = made.chain(told).collect();
        ends.sort_unstable();
        let mut greatest = (i64::MIN, 0);
        for (_, revision, by) in &mut ends {
            greatest = greatest.max((*revision, *by));
            (*revision, *by) = greatest;
        }
        Known(ends)
    }

    /// The greatest revision that was there before this rank, and who knew it.
    fn before(&self, rank: u32) -> Option<(i64, u32)> {
        let next = self.0.partition_point(|end| end.0 < rank);
        self.0[..next].last().map(|(_, revision, by)| (*revision, *by))
    }
}

/// Revisions grow with time: a change makes a later one than any that was there before it began.
fn revisions_in_order(facts: &Facts<'_>, log: &Log<'_, '_>, known: &Known, found: &mut Vec<Anomaly>) {
    let acknowledged = facts.changes.iter().filter_map(|c| Some((c.at()?, c)));
    for (at, change) in acknowledged.chain(log.placed()) {
        if let Some((newer, by)) = known.before(change.invoked).filter(|(newer, _)| *newer >= at) {
            let text = format!(
                "#{} made revision {at}, although revision {newer} was there before it began, as #{by} shows.",
                change.index
            );
            found.push(bad("revision-went-back", text, vec![by, change.index]));
        }
    }
}

/// A slice by itself: in order, nothing twice, each revision in one answer.
fn well_formed(slice: &Slice<'_>, found: &mut Vec<Anomaly>) {
    let me = slice.index;
    let (mut last, mut marked) = (None::<(i64, usize)>, slice.from - 1);
    let mut seen: std::collections::BTreeSet<(i64, &Value)> = Default::default();
    for (answer, item) in slice.items() {
        let Watched::Event(told) = item else {
            marked = marked.max(item.revision());
            continue;
        };
        let at = told.revision;
        if at < slice.from {
            let text = format!("#{me} watched from revision {} and was told of {at}.", slice.from);
            found.push(bad("before-its-start", text, vec![me]));
        } else if at <= marked {
            let text = format!(
                "#{me} was told of revision {at} after it had been told that everything up to {marked} was there."
            );
            found.push(bad("late", text, vec![me]));
        }
        if !seen.insert((at, told.key)) {
            let text = format!("#{me} was told twice of key {} at revision {at}.", told.key);
            found.push(bad("repeated", text, vec![me]));
        } else if let Some((before, _)) = last.filter(|(before, _)| *before > at) {
            let text = format!("#{me} was told of revision {at} after {before}.");
            found.push(bad("out-of-order", text, vec![me]));
        } else if last.is_some_and(|(before, its)| before == at && its != answer) {
            let text = format!("#{me} was told of revision {at} in two answers.");
            found.push(bad("torn", text, vec![me]));
        }
        last = Some((at, answer));
    }
}

/// Everything that is known to be there, between the first revision and the last.
fn complete(slice: &Slice<'_>, log: &Log<'_, '_>, found: &mut Vec<Anomaly>) {
    let told: std::collections::BTreeSet<(i64, &Value)> =
        slice.told().map(|told| (told.revision, told.key)).collect();
    for (at, entries) in log.between(slice.from, slice.reach()) {
        let missing: Vec<_> = entries.iter().filter(|(key, _)| !told.contains(&(at, *key))).collect();
        let Some((key, entry)) = missing.first() else { continue };
        let (kind, of) = if missing.len() == entries.len() {
            ("missed", format!("not of {at}"))
        } else {
            ("torn", format!("of {at} only in part, without key {key}"))
        };
        let text = format!(
            "#{} was told of revisions {} to {}, and {of}: {}.",
            slice.index,
            slice.from,
            slice.reach(),
            entry.told_by(key, at)
        );
        found.push(bad(kind, text, vec![slice.index, entry.by()]));
    }
}

/// Where the store says what was there before, it is what was there before.
fn values_before(slice: &Slice<'_>, log: &Log<'_, '_>, count: &mut (u64, u64), found: &mut Vec<Anomaly>) {
    for told in slice.told() {
        let Some(said) = told.before else { continue };
        let known = log.before(told.key, told.revision);
        let right = match known {
            Before::Unknown => true,
            Before::Absent => said.is_nil(),
            // It may be compacted away; whoever never says it is counted.
            Before::Present(value) => said.is_nil() || said == value,
        };
        if said.is_nil() && matches!(known, Before::Present(_)) {
            count.1 += 1;
        } else {
            count.0 += 1;
        }
        if !right {
            let was = match known {
                Before::Present(value) => value.to_string(),
                _ => "nothing".to_owned(),
            };
            let text = format!(
                "#{} was told that key {} held {said} before revision {}; it held {was}.",
                slice.index, told.key, told.revision
            );
            found.push(bad("wrong-value-before", text, vec![slice.index]));
        }
    }
}

/// A watch is refused as compacted only for revisions that somebody asked to be compacted, where that is known.
fn too_much(refused: &facts::Compacted, facts: &Facts<'_>, found: &mut Vec<Anomaly>) {
    let asked = facts.compactions.iter().filter(|c| c.invoked < refused.completed).map(|c| c.at).max();
    let most = if facts.compactions.is_empty() { i64::MAX } else { asked.unwrap_or(0) };
    if refused.from >= refused.at || refused.at > most {
        let text = format!(
            "#{} watched from revision {} and was told that everything before {} is compacted; {}.",
            refused.index,
            refused.from,
            refused.at,
            if refused.at > most { "nobody had asked for that" } else { "it is not before that" }
        );
        found.push(bad("compacted-too-much", text, vec![refused.index]));
    }
}

#[cfg(test)]
mod brute;
#[cfg(test)]
mod tests;
