//! Who deleted what: a delete has no value that would name it.
//!
//! A revision whose maker is known has that maker's deletes and no others. Every other delete that somebody was told
//! of needs a change without an answer that may have made it: one that deletes all that was deleted there, that had begun
//! by then, and before which no later revision was there. Each of those made one revision at most.

use std::collections::{BTreeMap, BTreeSet};

use squall_history::Value;

use super::log::Log;
use super::{Change, Facts, Said, bad};
use crate::Anomaly;

/// Deletes at a revision whose maker is not known.
#[derive(Debug)]
struct Orphan<'a> {
    keys: BTreeSet<&'a Value>,
    /// Who was told of it first: its rank, and the operation.
    told: (u32, u32),
}

/// See the module. `before` says the greatest revision that was certainly there before a rank.
pub(super) fn have_their_makers(
    facts: &Facts<'_>,
    log: &Log<'_, '_>,
    before: impl Fn(u32) -> i64,
    found: &mut Vec<Anomaly>,
) {
    let mut orphans: BTreeMap<i64, Orphan<'_>> = BTreeMap::new();
    for slice in &facts.slices {
        for told in slice.told().filter(|told| told.value.is_nil()) {
            let (key, at) = (told.key, told.revision);
            match log.maker(at) {
                Some(maker) if maker.invoked < slice.completed && maker.deletes().any(|k| k == key) => {}
                Some(maker) => {
                    let text = format!(
                        "#{} was told that key {key} was deleted at revision {at}, which #{} made without deleting it.",
                        slice.index, maker.index
                    );
                    found.push(bad("invented", text, vec![slice.index, maker.index]));
                }
                None => {
                    let by = (slice.completed, slice.index);
                    let orphan =
                        orphans.entry(at).or_insert_with(|| Orphan { keys: BTreeSet::new(), told: by });
                    orphan.keys.insert(key);
                    orphan.told = orphan.told.min(by);
                }
            }
        }
    }
    let makers: Vec<&Change<'_>> =
        facts.changes.iter().filter(|c| c.said == Said::Unknown && c.puts().next().is_none()).collect();
    let may = |maker: &Change<'_>, at: i64, orphan: &Orphan<'_>| {
        let deletes: BTreeSet<&Value> = maker.deletes().collect();
        maker.invoked < orphan.told.0 && before(maker.invoked) < at && orphan.keys.is_subset(&deletes)
    };
    let all: Vec<(i64, Orphan<'_>)> = orphans.into_iter().collect();
    let choices: Vec<Vec<usize>> = all
        .iter()
        .map(|(at, orphan)| (0..makers.len()).filter(|&m| may(makers[m], *at, orphan)).collect())
        .collect();
    let mut of_maker: Vec<Option<usize>> = vec![None; makers.len()];
    for (i, (at, orphan)) in all.iter().enumerate() {
        if !place(i, &choices, &mut of_maker, &mut vec![false; makers.len()]) {
            let keys: Vec<String> = orphan.keys.iter().map(|k| k.to_string()).collect();
            let text = format!(
                "#{} was told that key {} was deleted at revision {at}, which nobody can have done.",
                orphan.told.1,
                keys.join(" and ")
            );
            found.push(bad("invented", text, vec![orphan.told.1]));
        }
    }
}

/// Finds a maker for a revision, others making room where they can: an augmenting path. Its depth is bounded by the
/// number of deletes without an answer.
fn place(i: usize, choices: &[Vec<usize>], of_maker: &mut [Option<usize>], seen: &mut [bool]) -> bool {
    for &maker in &choices[i] {
        if std::mem::replace(&mut seen[maker], true) {
            continue;
        }
        if of_maker[maker].is_none_or(|other| place(other, choices, of_maker, seen)) {
            of_maker[maker] = Some(i);
            return true;
        }
    }
    false
}
