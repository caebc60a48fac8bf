//! Orders of transactions: serial ones, and snapshots with commits. They are played through.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;
use squall_history::{History, Op, Outcome, Value};

use super::view::{initials, is_read, micros};

/// Whether an operation has to be in the order.
fn counts(history: &History, op: &Op<'_>) -> bool {
    op.outcome == Outcome::Ok && history.initial_operation != Some(op.index) && !micros(op).is_empty()
}

/// Plays the order through.
pub(super) fn verify_order(history: &History, body: &Json) -> Result<(), String> {
    let steps: Vec<i64> = serde_json::from_value(body["steps"].clone()).map_err(|e| e.to_string())?;
    let initial: Value = serde_json::from_value(body["initial"].clone()).map_err(|e| e.to_string())?;
    let shape = body["shape"].as_str().unwrap_or_default();
    let mut play = Play {
        history,
        initial,
        initials: initials(history),
        counts: history.ops().filter(|op| counts(history, op)).map(|op| op.index).collect(),
        versions: BTreeMap::new(),
        begun: BTreeMap::new(),
        commits: Vec::new(),
        committed: BTreeSet::new(),
    };
    for &step in &steps {
        let index = if step < 0 { -1 - step } else { step } as usize;
        if index >= history.len() || history.op(index).outcome == Outcome::Fail {
            return Err(format!("#{index} did not happen"));
        }
        if step < 0 || shape == "serial" {
            play.begin(index as u32, body["follow"].as_str().unwrap_or_default())?;
        }
        if step >= 0 {
            play.commit(index as u32, shape == "snapshot")?;
        }
    }
    let missing = play.counts.iter().find(|index| !play.committed.contains(*index));
    missing.map_or(Ok(()), |index| Err(format!("#{index} is missing")))
}

struct Play<'a> {
    history: &'a History,
    initial: Value,
    // Of keys whose initial value the history itself names.
    initials: BTreeMap<Value, Value>,
    // Of each key: (number of commits before, value).
    versions: BTreeMap<Value, Vec<(usize, Value)>>,
    begun: BTreeMap<u32, usize>,
    commits: Vec<u32>,
    committed: BTreeSet<u32>,
    // What has to be in the order.
    counts: Vec<u32>,
}

impl Play<'_> {
    /// A transaction takes its snapshot: everything that had to come before it must be committed.
    fn begin(&mut self, index: u32, follow: &str) -> Result<(), String> {
        if self.begun.insert(index, self.commits.len()).is_some() {
            return Err(format!("#{index} begins twice"));
        }
        let me = self.history.op(index as usize);
        for &other in &self.counts {
            let op = self.history.op(other as usize);
            let before = match follow {
                "realtime" => op.completed < me.invoked,
                "process" => op.process == me.process && op.index < me.index,
                _ => false,
            };
            if before && !self.committed.contains(&op.index) {
                return Err(format!("#{} comes before #{index}, but was not committed then", op.index));
            }
        }
        Ok(())
    }

    fn commit(&mut self, index: u32, exclusive: bool) -> Result<(), String> {
        let began = *self.begun.get(&index).ok_or(format!("#{index} commits before it begins"))?;
        if !self.committed.insert(index) {
            return Err(format!("#{index} commits twice"));
        }
        let op = self.history.op(index as usize);
        let mut own: BTreeMap<&Value, Value> = BTreeMap::new();
        for (f, key, value) in micros(&op) {
            let versions = self.versions.get(key).map_or(&[][..], Vec::as_slice);
            let first = self.initials.get(key).unwrap_or(&self.initial);
            let snapshot = versions.iter().rev().find(|(at, _)| *at < began).map_or(first, |(_, v)| v);
            let now = own.get(key).unwrap_or(snapshot);
            if f == "append" {
                let longer = now.as_list().unwrap_or_default().iter().chain([value]).cloned();
                own.insert(key, Value::list(longer.collect::<Vec<_>>()));
                continue;
            }
            if !is_read(f) {
                own.insert(key, value.clone());
                continue;
            }
            let empty = now.is_nil() && value.as_list().is_some_and(<[Value]>::is_empty);
            let ignored = value.is_nil() && self.history.nil_reads_may_be_unknown && !self.initial.is_nil();
            if op.outcome == Outcome::Ok && now != value && !empty && !ignored {
                return Err(format!("#{index} read {value} from key {key}, where {now} stood"));
            }
        }
        for (key, value) in own {
            let versions = self.versions.entry(key.clone()).or_default();
            if exclusive && versions.last().is_some_and(|(at, _)| *at >= began) {
                return Err(format!("#{index} overwrites key {key}, which changed after it began"));
            }
            versions.push((self.commits.len(), value));
        }
        self.commits.push(index);
        Ok(())
    }
}
