//! The recipes on a store in memory that lets somebody else in between reading and writing.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use squall_engine::{Completion, Operation, Outcome};
use squall_history::Value;

use super::{Change, Guarded, Held, invoke};

#[derive(Default)]
struct Memory {
    keys: BTreeMap<String, Held>,
    version: i64,
    // Written by somebody else before the next commit.
    meanwhile: Option<(String, Value)>,
}

impl Memory {
    fn put(&mut self, key: &str, value: Value) {
        self.version += 1;
        self.keys.insert(key.to_owned(), Held { value, version: self.version });
    }
}

#[async_trait]
impl Guarded for Memory {
    async fn look(&mut self, keys: &[String], _: bool) -> Result<(Vec<Held>, i64), Completion> {
        Ok((keys.iter().map(|k| self.keys.get(k).cloned().unwrap_or_default()).collect(), self.version))
    }

    async fn commit(
        &mut self,
        _: &Operation,
        guards: &[(String, i64)],
        changes: &[Change],
    ) -> Result<Option<i64>, Completion> {
        if let Some((key, value)) = self.meanwhile.take() {
            self.put(&key, value);
        }
        let version = |key: &String| self.keys.get(key).map_or(0, |held| held.version);
        if guards.iter().any(|(key, seen)| version(key) != *seen) {
            return Ok(None);
        }
        for change in changes {
            self.put(&change.key, change.value.clone());
        }
        Ok(Some(self.version))
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// The store never waits, so one poll does it.
fn done(store: &mut Memory, on: &'static str, f: &str, key: i64, value: &str) -> Outcome {
    let op = Operation::new(&f.into(), key.into(), json(value)).on(on);
    let Poll::Ready(completion) = pin!(invoke(store, &op)).poll(&mut Context::from_waker(Waker::noop()))
    else {
        panic!("it waits for nothing")
    };
    completion.outcome
}

fn ok(text: &str) -> Outcome {
    Outcome::Ok(json(text))
}

#[test]
fn a_queue_gives_the_oldest_and_says_when_it_is_empty() {
    let mut store = Memory::default();
    assert_eq!(done(&mut store, "queue", "dequeue", 1, "null"), ok("null"));
    assert_eq!(done(&mut store, "queue", "enqueue", 1, "7"), ok("7"));
    assert_eq!(done(&mut store, "queue", "enqueue", 1, "8"), ok("8"));
    assert_eq!(done(&mut store, "queue", "dequeue", 1, "null"), ok("7"));
    store.meanwhile = Some(("q1".into(), json("[9]")));
    assert_eq!(done(&mut store, "queue", "dequeue", 1, "null"), Outcome::Fail);
    assert_eq!(done(&mut store, "queue", "dequeue", 1, "null"), ok("9"));
}

#[test]
fn counters_count_from_zero() {
    let mut store = Memory::default();
    assert_eq!(done(&mut store, "counter", "add", 1, "5"), ok("5"));
    assert_eq!(done(&mut store, "counter", "increment", 1, "2"), ok("7"));
    assert_eq!(done(&mut store, "counter", "read", 1, "null"), ok("7"));
    assert_eq!(done(&mut store, "counter", "read", 0, "[1,2]"), ok(r#"{"1":7,"2":0}"#));
    store.meanwhile = Some(("c1".into(), 100.into()));
    assert_eq!(done(&mut store, "counter", "add", 1, "5"), Outcome::Fail);
    assert_eq!(done(&mut store, "counter", "read", 1, "null"), ok("100"));
}

#[test]
fn transfers_keep_the_total_and_nobody_owes() {
    let mut store = Memory::default();
    let transfer = |amount: i64| format!(r#"{{"from":0,"to":1,"amount":{amount},"opening":10}}"#);
    assert_eq!(done(&mut store, "bank", "transfer", 0, &transfer(4)), ok(&transfer(4)));
    assert_eq!(done(&mut store, "bank", "transfer", 0, &transfer(7)), ok("\"insufficient\""));
    let read = r#"{"0":10,"1":10,"2":10}"#;
    assert_eq!(done(&mut store, "bank", "read", 0, read), ok(r#"{"0":6,"1":14,"2":10}"#));
    store.meanwhile = Some(("b0".into(), 1.into()));
    assert_eq!(done(&mut store, "bank", "transfer", 0, &transfer(4)), Outcome::Fail);
}

#[test]
fn only_one_of_two_rows_is_inserted() {
    let mut store = Memory::default();
    store.meanwhile = Some(("k1/b".into(), 9.into()));
    assert_eq!(done(&mut store, "skew", "insert", 1, "[7,null]"), Outcome::Fail);
    assert_eq!(done(&mut store, "skew", "insert", 1, "[7,null]"), Outcome::Fail);
    assert_eq!(done(&mut store, "skew", "insert", 2, "[null,8]"), ok("[null,8]"));
    assert_eq!(store.keys["k2/b"].value, 8.into());
}

#[test]
fn transactions_see_their_own_steps_and_guard_what_they_only_read() {
    let mut store = Memory::default();
    store.put("a2", json("[5]"));
    let txn = r#"[["append",2,7],["r",1,null],["append",2,8],["r",2,null]]"#;
    let answer = r#"[["append",2,7],["r",1,null],["append",2,8],["r",2,[5,7,8]]]"#;
    assert_eq!(done(&mut store, "append", "txn", 0, txn), ok(answer));
    store.meanwhile = Some(("w1".into(), 3.into()));
    assert_eq!(done(&mut store, "wr", "txn", 0, r#"[["r",1,null],["w",2,4]]"#), Outcome::Fail);
    assert_eq!(
        done(&mut store, "wr", "txn", 0, r#"[["r",1,null],["r",2,null]]"#),
        ok(r#"[["r",1,3],["r",2,null]]"#)
    );
    assert_eq!(done(&mut store, "moon", "land", 0, "null"), Outcome::Fail);
}
