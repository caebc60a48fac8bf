//! Replicas: transactions of several puts, as fast as they go, and at the end every node is asked for the digest of
//! the same revision of its own state.
//!
//! For stores in which every node holds everything under one order of revisions. Before a node says its digest it
//! has to have everything that was acknowledged before it was asked, so a replica that is merely behind is none
//! that differs.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value as Json;
use squall_checkers::Check;
use squall_checkers::workload::replicas::Replicas as Agree;
use squall_engine::generator::{Context, Generator, Next, draw};
use squall_engine::protocol::{Setting, Workload, options};
use squall_engine::{Error, Operation};
use squall_history::{Event, EventKind, Value};

use crate::common::number;

/// Options of the workload.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    /// Keys.
    keys: u64,
    /// Puts of one transaction.
    puts: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options { keys: 50, puts: 3 }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Replicas {
    options: Options,
}

impl Replicas {
    pub(crate) fn build(given: &Json) -> Result<Arc<dyn Workload>, Error> {
        let o: Options = options("replicas", given)?;
        if o.puts == 0 || o.keys < o.puts {
            return Err(Error::Config("`replicas` needs puts >= 1 and no more of them than keys".into()));
        }
        Ok(Arc::new(Replicas { options: o }))
    }
}

impl Workload for Replicas {
    fn name(&self) -> &str {
        "replicas"
    }

    fn functions(&self) -> Vec<&'static str> {
        vec!["watch.change", "replica.digest"]
    }

    fn generator(&self, _setting: &Setting) -> Box<dyn Generator> {
        let (Options { keys, puts }, f) = (self.options.clone(), Arc::<str>::from("change"));
        Box::new(draw(move |ctx: &mut Context| change(&f, ctx, keys, puts)))
    }

    fn finish(&self, setting: &Setting) -> Option<Box<dyn Generator>> {
        Some(Box::new(Last {
            nodes: setting.nodes,
            end: None,
            marks: 0,
            tries: vec![0; setting.nodes],
            said: vec![false; setting.nodes],
        }))
    }

    /// Replicas that differ for good keep no promise.
    fn checks(&self, _consistency: &str) -> Result<Vec<Box<dyn Check>>, Error> {
        Ok(vec![Box::new(Agree)])
    }

    fn floors(&self) -> Vec<(&'static str, u64)> {
        vec![("change", 20)]
    }
}

/// Puts of values that are unique over the run, to neighbouring keys.
fn change(f: &Arc<str>, ctx: &mut Context, keys: u64, puts: u64) -> Operation {
    let first = ctx.rng.below(keys);
    let put = |i: u64| {
        let (key, value) = ((first + i) % keys, number(ctx) * puts + i + 1);
        Value::list([Value::Int(key as i64), Value::Int(value as i64)])
    };
    Operation::new(f, Value::Nil, Value::list((0..puts).map(put).collect::<Vec<_>>())).on("watch")
}

/// Tries to mark the end, and to have a node answer, at most.
const TRIES_MAX: u64 = 50;

/// A last change, by the first worker; then every node is asked, each by a worker of its own as far as there are any.
#[derive(Debug)]
struct Last {
    nodes: usize,
    end: Option<i64>,
    marks: u64,
    tries: Vec<u64>,
    said: Vec<bool>,
}

impl Generator for Last {
    fn next(&mut self, ctx: &mut Context) -> Next {
        let Some(end) = self.end else {
            if ctx.worker > 0 {
                return if self.marks < TRIES_MAX { Next::Pending } else { Next::Done };
            }
            if self.marks == TRIES_MAX {
                return Next::Done;
            }
            self.marks += 1;
            return Next::Op(change(&"change".into(), ctx, 1, 1), ctx.due);
        };
        let mine = (ctx.worker..self.nodes).step_by(ctx.workers);
        let mut left = mine.filter(|&node| !self.said[node] && self.tries[node] < TRIES_MAX);
        let Some(node) = left.next() else { return Next::Done };
        self.tries[node] += 1;
        let ask = Operation::read(&"digest".into(), Value::Int(node as i64), end.into());
        Next::Op(ask.on("replica").at(node), ctx.due)
    }

    fn update(&mut self, event: &Event) {
        if event.kind != EventKind::Ok {
            return;
        }
        match (&*event.f, event.key.as_int()) {
            ("change", _) => self.end = self.end.max(event.value.as_int()),
            (_, Some(node)) => self.said[node as usize] = true,
            _ => {}
        }
    }

    fn listens(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::testing::{SETTING, ask, drawn, is_decided_by_its_seed};

    fn workload() -> Replicas {
        Replicas { options: Options::default() }
    }

    #[test]
    fn every_transaction_puts_unique_values_to_several_keys() {
        is_decided_by_its_seed(&workload());
        let mut seen = std::collections::BTreeSet::new();
        for (_, op) in drawn(&workload(), 50) {
            let puts = op.value.as_list().unwrap();
            assert_eq!(puts.len(), 3);
            assert!(puts.iter().all(|put| seen.insert(put.as_pair().unwrap().1.clone())));
        }
        assert!(Replicas::build(&serde_json::json!({ "keys": 2 })).is_err());
    }

    #[test]
    fn every_node_is_asked_for_the_same_revision_until_it_has_answered() {
        let mut last = workload().finish(&SETTING).unwrap();
        assert_eq!(ask(&mut *last, 1, 0), None, "the end is not known yet");
        assert_eq!(&*ask(&mut *last, 0, 0).unwrap().f, "change");
        let told = |f: &str, key: Value, value: Value| Event {
            kind: EventKind::Ok,
            process: 0,
            time: 1,
            intended: 1,
            f: f.into(),
            key,
            value,
            meta: None,
        };
        last.update(&told("change", Value::Nil, 9.into()));
        for node in 0..3usize {
            let asked = ask(&mut *last, node, 1).unwrap();
            assert_eq!((&*asked.f, asked.node, asked.value), ("digest", Some(node), 9.into()));
            assert_eq!(asked.key, Value::Int(node as i64));
        }
        last.update(&told("digest", 1.into(), Value::list([9.into()])));
        assert_eq!(ask(&mut *last, 1, 2), None);
        assert!(ask(&mut *last, 2, 2).is_some() && ask(&mut *last, 3, 2).is_none());
    }
}
