//! Replicas: transactions of several puts, as fast as they go. Now and then a worker asks its own node for the digest
//! of its state at the last full [`STEP`] of revisions, so that several nodes are asked about the same one and a run
//! says when they parted; and at the end every node is asked about the last.
//!
//! For stores in which every node holds everything under one order of revisions. Before a node says its digest it
//! has to have everything that was acknowledged before it was asked, so a replica that is merely behind is none
//! that differs.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value as Json;
use squall_checkers::txn::watch::Watch;
use squall_checkers::workload::replicas::Replicas as Agree;
use squall_checkers::{Budget, Check, Live, Verdict};
use squall_engine::generator::{Context, Generator, Next};
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
    /// The share of operations that ask for a digest while the others go on.
    looks: f64,
}

impl Default for Options {
    fn default() -> Self {
        Options { keys: 50, puts: 3, looks: 0.01 }
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
        if !(0.0..1.0).contains(&o.looks) {
            return Err(Error::Config("the `looks` of `replicas` is a share, from 0 to less than 1".into()));
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

    fn generator(&self, setting: &Setting) -> Box<dyn Generator> {
        Box::new(Traffic {
            options: self.options.clone(),
            nodes: setting.nodes,
            change: "change".into(),
            digest: "digest".into(),
            known: 0,
        })
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

    fn live(&self, _consistency: &str) -> Option<Box<dyn Live>> {
        Some(Box::new(Digests(Watch::new(Box::new(Agree), Budget::default(), LIVE_EVERY))))
    }

    fn floors(&self) -> Vec<(&'static str, u64)> {
        vec![("change", 20)]
    }
}

/// While a run goes on it is judged again after so many digests at the earliest.
const LIVE_EVERY: usize = 3;

/// Judges digests; of changes the check has nothing to learn.
struct Digests(Watch);

impl Live for Digests {
    fn push(&mut self, event: Event) {
        if &*event.f == "digest" {
            Live::push(&mut self.0, event);
        }
    }

    fn judge(&mut self, budget: &Budget) -> Verdict {
        Live::judge(&mut self.0, budget)
    }
}

/// Revisions between two that are asked about in the main phase: few enough that nodes that differ are soon found
/// out, and so many that a node is still asked about the one that another has answered for.
const STEP: i64 = 500;
/// A revision that every store has: etcd counts from it, empty.
const FIRST: i64 = 1;

/// The main phase.
#[derive(Debug)]
struct Traffic {
    options: Options,
    nodes: usize,
    change: Arc<str>,
    digest: Arc<str>,
    /// The highest revision that was acknowledged.
    known: i64,
}

impl Generator for Traffic {
    fn next(&mut self, ctx: &mut Context) -> Next {
        if ctx.rng.unit() >= self.options.looks {
            return Next::Op(change(&self.change, ctx, self.options.keys, self.options.puts), ctx.due);
        }
        let (node, revision) = (ctx.worker % self.nodes, (self.known / STEP * STEP).max(FIRST));
        Next::Op(digest(&self.digest, node, revision), ctx.due)
    }

    fn update(&mut self, event: &Event) {
        if event.kind == EventKind::Ok && *event.f == *self.change {
            self.known = self.known.max(event.value.as_int().unwrap_or(0));
        }
    }

    fn listens(&self) -> bool {
        true
    }
}

/// What a node has at a revision, asked on that node.
fn digest(f: &Arc<str>, node: usize, revision: i64) -> Operation {
    Operation::read(f, Value::Int(node as i64), revision.into()).on("replica").at(node)
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
        Next::Op(digest(&"digest".into(), node, end), ctx.due)
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
        for (_, op) in drawn(&workload(), 50).iter().filter(|(_, op)| &*op.f == "change") {
            let puts = op.value.as_list().unwrap();
            assert_eq!(puts.len(), 3);
            assert!(puts.iter().all(|put| seen.insert(put.as_pair().unwrap().1.clone())));
        }
        let refused = |options| Replicas::build(&options).is_err();
        assert!(refused(serde_json::json!({ "keys": 2 })) && refused(serde_json::json!({ "looks": 1 })));
    }

    /// `change` acknowledged at a revision, or what a node answered.
    fn told(f: &str, process: u32, key: Value, value: Value) -> Event {
        let (kind, f) = (EventKind::Ok, f.into());
        Event { kind, process, time: 1, intended: 1, f, key, value, meta: None }
    }

    #[test]
    fn workers_look_at_their_own_nodes_at_the_last_full_step_of_revisions() {
        let looking = Replicas { options: Options { looks: 0.5, ..Options::default() } };
        let mut traffic = looking.generator(&SETTING);
        let mut asked = |step: u64| -> Vec<Operation> {
            let all = (0..40).map(|i| ask(&mut *traffic, i as usize % 4, step * 40 + i).unwrap());
            let all = all.filter(|op| &*op.f == "digest").collect();
            traffic.update(&told("change", 0, Value::Nil, (STEP * 2 + 7).into()));
            traffic.update(&told("change", 1, Value::Nil, (STEP - 1).into()));
            all
        };
        for expected in [FIRST, STEP * 2] {
            let looks = asked(u64::from(expected > FIRST));
            assert!((10..30).contains(&looks.len()), "{}", looks.len());
            assert!(looks.iter().all(|op| op.value == expected.into() && op.read_only));
            assert!(looks.iter().all(|op| op.key == Value::Int(op.node.unwrap() as i64)));
            assert!((0..3).all(|node| looks.iter().any(|op| op.node == Some(node))));
        }
    }

    #[test]
    fn a_difference_is_seen_while_the_run_goes_on() {
        let mut live = workload().live("linearizable").unwrap();
        let mut say = |node: i64, digest: &str| {
            let answer = told("digest", node as u32, node.into(), Value::list([digest.into(), 0.into()]));
            let invoke = Event { kind: EventKind::Invoke, value: STEP.into(), ..answer.clone() };
            live.push(told("change", 9, Value::Nil, STEP.into()));
            live.push(invoke);
            live.push(answer);
            live.judge(&Budget::default()).valid
        };
        use squall_checkers::Valid;
        let verdicts = [say(0, "a"), say(1, "a"), say(2, "a"), say(0, "a"), say(1, "b"), say(2, "a")];
        assert_eq!(verdicts[..5].iter().filter(|v| **v == Valid::No).count(), 0);
        assert_eq!(verdicts[5], Valid::No);
    }

    #[test]
    fn every_node_is_asked_for_the_same_revision_until_it_has_answered() {
        let mut last = workload().finish(&SETTING).unwrap();
        assert_eq!(ask(&mut *last, 1, 0), None, "the end is not known yet");
        assert_eq!(&*ask(&mut *last, 0, 0).unwrap().f, "change");
        last.update(&told("change", 0, Value::Nil, 9.into()));
        for node in 0..3usize {
            let asked = ask(&mut *last, node, 1).unwrap();
            assert_eq!((&*asked.f, asked.node, asked.value), ("digest", Some(node), 9.into()));
            assert_eq!(asked.key, Value::Int(node as i64));
        }
        last.update(&told("digest", 0, 1.into(), Value::list([9.into()])));
        assert_eq!(ask(&mut *last, 1, 2), None);
        assert!(ask(&mut *last, 2, 2).is_some() && ask(&mut *last, 3, 2).is_none());
    }
}
