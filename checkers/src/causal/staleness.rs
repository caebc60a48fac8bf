//! Bounded staleness: how old, in versions and in seconds, what a read returns may be.
//!
//! A read is stale by a write that was completed before the read began and invoked after the write that was
//! read was completed: certainly newer, certainly done. Counted per key; operations that overlap never count,
//! so what is reported is a lower bound.

use serde_json::json;
use squall_history::{History, NEVER, Outcome, Value};

use super::columns::{INITIAL, Plain, plain};
use crate::{Anomaly, Budget, Check, Verdict};

/// Judges reads by how stale they certainly were.
#[derive(Clone, Debug)]
pub struct BoundedStaleness {
    /// The value of every key before the first write.
    pub initial: Value,
    /// Most versions that a read may lag behind.
    pub max_versions: Option<u64>,
    /// Most seconds that may have passed since what it returned was overwritten.
    pub max_seconds: Option<f64>,
}

/// How stale one read certainly was.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Staleness {
    /// Newer versions that were done before the read began.
    pub versions: u64,
    /// Nanoseconds from the completion of the first of these to the beginning of the read.
    pub nanos: u64,
}

/// Of each external read (beside `Plain::reads`): how stale it was.
pub fn staleness(p: &Plain, history: &History) -> Vec<Staleness> {
    // Committed writes of each key: (invoked, completed, end in nanoseconds).
    let mut writes: Vec<Vec<(u32, u32, u64)>> = vec![Vec::new(); p.keys.len()];
    for (t, txn) in p.txns.iter().enumerate().filter(|(_, t)| t.outcome == Outcome::Ok) {
        let end = history.op(txn.index as usize).end;
        for &key in p.writes_of(t as u32) {
            writes[key as usize].push((txn.invoked, txn.completed, end));
        }
    }
    writes.iter_mut().for_each(|list| list.sort_unstable());
    // The earliest completion among a write and all that were invoked after it.
    let earliest: Vec<Vec<(u32, u64)>> = writes
        .iter()
        .map(|list| {
            let mut least = (NEVER, u64::MAX);
            let mut from_here: Vec<(u32, u64)> = list
                .iter()
                .rev()
                .map(|&(_, completed, end)| {
                    least = least.min((completed, end));
                    least
                })
                .collect();
            from_here.reverse();
            from_here
        })
        .collect();
    let mut found = Vec::with_capacity(p.reads.len());
    for (t, txn) in p.txns.iter().enumerate() {
        let start = history.op(txn.index as usize).start;
        for r in p.reads_of(t as u32) {
            let list = &writes[r.key as usize];
            let after = match r.from {
                INITIAL => 0,
                w => {
                    let done = p.txns[w as usize].completed;
                    list.partition_point(|&(invoked, ..)| invoked <= done)
                }
            };
            let before = list.partition_point(|&(invoked, ..)| invoked < txn.invoked).max(after);
            let versions = list[after..before].iter().filter(|w| w.1 < txn.invoked).count() as u64;
            let nanos = match earliest[r.key as usize].get(after) {
                Some(&(completed, end)) if completed < txn.invoked => start.saturating_sub(end),
                Some(_) | None => 0,
            };
            found.push(Staleness { versions, nanos });
        }
    }
    found
}

impl Check for BoundedStaleness {
    fn name(&self) -> &str {
        "bounded-staleness"
    }

    fn check(&self, history: &History, _: &Budget) -> Verdict {
        let p = plain(history, &self.initial);
        let all = staleness(&p, history);
        if all.is_empty() {
            return Verdict::unknown("bounded-staleness", "nothing was read");
        }
        let seconds = |s: Staleness| s.nanos as f64 / 1e9;
        let mut found = Vec::new();
        for t in 0..p.len() {
            let from = p.read_first[t] as usize;
            for (i, r) in p.reads_of(t as u32).iter().enumerate() {
                let s = all[from + i];
                let late = self.max_versions.is_some_and(|most| s.versions > most)
                    || self.max_seconds.is_some_and(|most| seconds(s) > most);
                if late && found.len() < 8 {
                    let index = p.txns[t].index;
                    let text = format!(
                        "#{index} read key {} {} versions and {:.3} s behind what was written.",
                        p.keys.name(r.key),
                        s.versions,
                        seconds(s)
                    );
                    found.push(Anomaly {
                        kind: "stale-read".to_owned(),
                        signature: "bounded-staleness/stale-read".to_owned(),
                        explanation: text,
                        operations: vec![index],
                        details: serde_json::Map::new(),
                    });
                }
            }
        }
        let worst = all.iter().map(|s| s.versions).max().unwrap_or(0);
        let longest = all.iter().map(|&s| seconds(s)).fold(0.0, f64::max);
        let mut verdict = Verdict::from_anomalies("bounded-staleness", found)
            .with("stale_reads", all.iter().filter(|s| s.versions > 0).count())
            .with("worst_versions", worst)
            .with("worst_seconds", json!(longest));
        if !p.ambiguous.is_empty() {
            verdict
                .warnings
                .push(format!("reads of ambiguous values were left out: {}", p.ambiguous.join("; ")));
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Valid;
    use crate::txn::r#gen::registers;
    use crate::txn::random::Random;

    #[test]
    fn staleness_is_what_the_definition_says() {
        let mut random = Random::new(61);
        let (mut stale, mut valid) = (0, 0);
        for _ in 0..2000 {
            let h = registers(&mut random, 12, 3, 2);
            let p = plain(&h, &Value::Nil);
            let all = staleness(&p, &h);
            let mut at = 0;
            for t in 0..p.len() as u32 {
                for r in p.reads_of(t) {
                    let reader = p.txns[t as usize];
                    let newer = (0..p.len() as u32).filter(|&w| {
                        let x = p.txns[w as usize];
                        let after = r.from == INITIAL || p.txns[r.from as usize].completed < x.invoked;
                        p.writes_key(w, r.key) && after && x.completed < reader.invoked
                    });
                    let ends: Vec<u64> = newer.map(|w| h.op(p.txns[w as usize].index as usize).end).collect();
                    let nanos = ends.iter().min().map_or(0, |e| h.op(reader.index as usize).start - e);
                    assert_eq!(all[at], Staleness { versions: ends.len() as u64, nanos });
                    stale += u32::from(!ends.is_empty());
                    at += 1;
                }
            }
            let check = BoundedStaleness { initial: Value::Nil, max_versions: Some(1), max_seconds: None };
            let says = check.check(&h, &Budget::default());
            assert_eq!(says.valid == Valid::No, all.iter().any(|s| s.versions > 1));
            valid += u32::from(says.valid == Valid::Yes);
        }
        assert!(stale > 500 && valid > 500, "{stale} {valid}");
    }
}
