//! Sentences about dependencies between list-append transactions.

use serde_json::{Map, Value as Json, json};

use super::columns::{Append, Columns, Read};
use super::versions::{NONE, Versions};
use crate::txn::explain::Step;
use crate::txn::graph::Kind;

/// Looks up why one transaction depends on another.
#[derive(Clone, Copy, Debug)]
pub struct Explainer<'a> {
    /// The columns.
    pub columns: &'a Columns,
    /// The version orders.
    pub versions: &'a Versions,
}

impl Explainer<'_> {
    fn appends_of(&self, txn: u32) -> impl Iterator<Item = (u32, Append)> + '_ {
        let all = &self.columns.appends;
        let from = all.partition_point(|a| a.txn < txn);
        all[from..]
            .iter()
            .take_while(move |a| a.txn == txn)
            .enumerate()
            .map(move |(i, &a)| ((from + i) as u32, a))
    }

    fn reads_of(&self, txn: u32) -> impl Iterator<Item = (u32, Read)> + '_ {
        let all = &self.columns.reads;
        let from = all.partition_point(|r| r.txn < txn);
        all[from..]
            .iter()
            .take_while(move |r| r.txn == txn)
            .enumerate()
            .map(move |(i, &r)| ((from + i) as u32, r))
    }

    fn writer(&self, append: u32) -> Option<u32> {
        if append == NONE {
            return None;
        }
        let txn = self.columns.appends[append as usize].txn;
        self.columns.txns[txn as usize].possible().then_some(txn)
    }

    /// The last known element among the first `len` of a key, with its writer.
    fn last_known(&self, key: u32, len: usize) -> Option<(u32, u32)> {
        self.versions.writers(key)[..len].iter().rev().find_map(|&a| self.writer(a).map(|t| (a, t)))
    }

    fn place(&self, append: u32) -> Option<usize> {
        let key = self.columns.appends[append as usize].key;
        self.versions.writers(key).iter().position(|&a| a == append)
    }

    fn name(&self, txn: u32) -> u32 {
        self.columns.txns[txn as usize].index
    }

    /// Why `from` comes before `to`, for this kind of edge.
    pub fn step(&self, from: u32, to: u32, kind: Kind) -> Step {
        let found = match kind {
            Kind::Ww => self.overwrote(from, to),
            Kind::Wr => self.observed(from, to),
            Kind::Rw => self.missed(from, to),
            Kind::Process | Kind::Realtime | Kind::Pass => None,
        };
        found.unwrap_or_else(|| {
            Step::order(&self.columns.txns[from as usize], &self.columns.txns[to as usize], kind)
        })
    }

    fn overwrote(&self, from: u32, to: u32) -> Option<Step> {
        self.appends_of(to).find_map(|(id, append)| {
            let writers = self.versions.writers(append.key).len();
            let place = self.place(id);
            let (before, txn) = self.last_known(append.key, place.unwrap_or(writers))?;
            if txn != from {
                return None;
            }
            let (old, new) = (self.value(before), self.columns.codes.value(append.value));
            let key = self.columns.keys.name(append.key);
            let how =
                if place.is_some() { "" } else { " (nobody read it, so it lies behind all that was read)" };
            let text = format!(
                "#{} appended {new} to key {key} after #{} had appended {old}{how}",
                self.name(to),
                self.name(from)
            );
            Some(Step::new(text, details(key, &[("from_value", &old), ("to_value", &new)])))
        })
    }

    fn observed(&self, from: u32, to: u32) -> Option<Step> {
        self.reads_of(to).find_map(|(_, read)| {
            let (append, txn) = self.last_known(read.key, read.len as usize)?;
            if txn != from {
                return None;
            }
            let (key, value) = (self.columns.keys.name(read.key), self.value(append));
            let text = format!(
                "#{} read {value} from key {key}, which #{} had appended",
                self.name(to),
                self.name(from)
            );
            Some(Step::new(text, details(key, &[("value", &value)])))
        })
    }

    fn missed(&self, from: u32, to: u32) -> Option<Step> {
        self.appends_of(to).find_map(|(id, append)| {
            let place = self.place(id);
            let seen = self.reads_of(from).find(|(r, read)| {
                let odd = self.columns.odd.binary_search(r).is_ok();
                read.key == append.key && !odd && place.is_none_or(|p| p >= read.len as usize)
            })?;
            let (key, value) = (self.columns.keys.name(append.key), self.columns.codes.value(append.value));
            let state = match seen.1.len {
                0 => "nothing".to_owned(),
                n => format!(
                    "{n} element{} up to {}",
                    if n == 1 { "" } else { "s" },
                    self.columns.codes.value(self.columns.spines[append.key as usize][n as usize - 1])
                ),
            };
            let text = format!(
                "#{} read {state} from key {key}, and so did not see {value}, which #{} appended",
                self.name(from),
                self.name(to)
            );
            Some(Step::new(text, details(key, &[("value", &value)])))
        })
    }

    fn value(&self, append: u32) -> squall_history::Value {
        self.columns.codes.value(self.columns.appends[append as usize].value)
    }
}

fn details(key: &squall_history::Value, values: &[(&str, &squall_history::Value)]) -> Map<String, Json> {
    let mut map = Map::new();
    map.insert("key".to_owned(), json!(key));
    for (name, value) in values {
        map.insert((*name).to_owned(), json!(value));
    }
    map
}
