use squall_history::EventKind::{self, Fail, Info, Invoke, Ok};
use squall_history::{History, Value};

use super::*;
use crate::txn::r#gen::Recorder;
use crate::{Budget, Check, Valid, Verdict};

/// A history from (event, process, function, value as JSON).
fn history(events: &[(EventKind, u32, &str, &str)]) -> History {
    let mut recorder = Recorder::default();
    for &(kind, process, f, value) in events {
        recorder.push(kind, process, f, serde_json::from_str::<Value>(value).unwrap());
    }
    recorder.finish()
}

/// Operations one after the other by process 0: (function, what was asked, what came back).
fn serial(ops: &[(&str, &str, &str)]) -> History {
    let events: Vec<_> = ops.iter().flat_map(|&(f, a, b)| [(Invoke, 0, f, a), (Ok, 0, f, b)]).collect();
    history(&events)
}

fn judge(check: &dyn Check, h: &History) -> (Valid, Vec<String>) {
    let v: Verdict = check.check(h, &Budget::default());
    (v.valid, v.anomalies.into_iter().map(|a| a.kind).collect())
}

fn yes() -> (Valid, Vec<String>) {
    (Valid::Yes, Vec::new())
}

fn no(kinds: &[&str]) -> (Valid, Vec<String>) {
    (Valid::No, kinds.iter().map(|k| (*k).to_owned()).collect())
}

#[test]
fn bank_totals() {
    let read = |v: &'static str| ("read", "null", v);
    let bank = bank::Bank::default();
    assert_eq!(judge(&bank, &serial(&[read(r#"{"0":10,"1":0}"#), read(r#"{"0":4,"1":6}"#)])), yes());
    let bad = serial(&[
        read(r#"{"0":10,"1":0}"#),
        read(r#"{"0":4,"1":5}"#),
        read(r#"{"0":11,"1":-1}"#),
        read(r#"{"0":10,"2":0}"#),
        read(r#"{"0":10,"1":null}"#),
    ]);
    assert_eq!(judge(&bank, &bad), no(&["wrong-total", "negative-value", "unexpected-key", "nil-balance"]));
    assert_eq!(
        judge(&bank::Bank { total: Some(11), ..bank }, &serial(&[read(r#"{"0":10}"#)])),
        no(&["wrong-total"])
    );
    assert_eq!(judge(&bank::Bank::default(), &serial(&[])).0, Valid::Unknown);
}

#[test]
fn long_forks() {
    let read = |v: &'static str| ("read", "null", v);
    let fork = long_fork::LongFork;
    let good = serial(&[read(r#"[["r",0,1],["r",1,null]]"#), read(r#"[["r",1,1],["r",0,1]]"#)]);
    assert_eq!(judge(&fork, &good), yes());
    let bad = serial(&[read(r#"[["r",0,1],["r",1,null]]"#), read(r#"[["r",1,1],["r",0,null]]"#)]);
    assert_eq!(judge(&fork, &bad), no(&["long-fork"]));
    let twice = serial(&[read(r#"[["r",0,1]]"#), read(r#"[["r",0,2]]"#)]);
    assert_eq!(judge(&fork, &twice).0, Valid::Unknown);
}

#[test]
fn later_writes_are_not_seen_without_earlier_ones() {
    let check = causal_reverse::CausalReverse;
    let write = |v: &'static str| ("write", v, v);
    let good = serial(&[write("1"), write("2"), ("read", "null", "[1,2]"), ("read", "null", "[1]")]);
    assert_eq!(judge(&check, &good), yes());
    assert_eq!(
        judge(&check, &serial(&[write("1"), write("2"), ("read", "null", "[2]")])),
        no(&["causal-reverse"])
    );
    let overlapping = history(&[
        (Invoke, 0, "write", "1"),
        (Invoke, 1, "write", "2"),
        (Ok, 0, "write", "1"),
        (Ok, 1, "write", "2"),
        (Invoke, 0, "read", "null"),
        (Ok, 0, "read", "[2]"),
    ]);
    assert_eq!(judge(&check, &overlapping), yes());
}

#[test]
fn a_read_may_see_a_counter_as_it_was_at_any_moment_while_it_lasted() {
    for (seen, valid) in [("5", Valid::Yes), ("4", Valid::Yes), ("3", Valid::No), ("6", Valid::No)] {
        let taken_meanwhile = history(&[
            (Invoke, 0, "add", "5"),
            (Ok, 0, "add", "5"),
            (Invoke, 0, "add", "-1"),
            (Invoke, 1, "read", "null"),
            (Ok, 0, "add", "-1"),
            (Ok, 1, "read", seen),
        ]);
        assert_eq!(judge(&counter::Counter, &taken_meanwhile).0, valid, "{seen}");
    }
}

#[test]
fn counters_stay_in_bounds() {
    let check = counter::Counter;
    let add = |v: &'static str| ("add", v, v);
    assert_eq!(
        judge(&check, &serial(&[add("2"), ("read", "null", "2"), add("-1"), ("read", "null", "1")])),
        yes()
    );
    assert_eq!(judge(&check, &serial(&[add("2"), ("read", "null", "1")])), no(&["out-of-bounds"]));
    for (seen, valid) in
        [("0", Valid::Yes), ("2", Valid::Yes), ("-1", Valid::Yes), ("3", Valid::No), ("-2", Valid::No)]
    {
        let unknown = history(&[
            (Invoke, 0, "add", "2"),
            (Info, 0, "add", "2"),
            (Invoke, 1, "add", "-1"),
            (Info, 1, "add", "-1"),
            (Invoke, 2, "add", "5"),
            (Fail, 2, "add", "5"),
            (Invoke, 3, "read", "null"),
            (Ok, 3, "read", seen),
        ]);
        assert_eq!(judge(&check, &unknown).0, valid, "{seen}");
    }
}

#[test]
fn identifiers_are_unique() {
    let generate = |v: &'static str| ("generate", "null", v);
    assert_eq!(judge(&unique_ids::UniqueIds, &serial(&[generate("1"), generate("2")])), yes());
    assert_eq!(judge(&unique_ids::UniqueIds, &serial(&[generate("1"), generate("1")])), no(&["duplicated"]));
}

#[test]
fn one_insert_of_a_pair() {
    let insert = |kind, process, v: &'static str| (kind, process, "insert", v);
    let one = history(&[
        insert(Invoke, 0, "[7,[1,null]]"),
        insert(Invoke, 1, "[7,[null,2]]"),
        insert(Ok, 0, "[7,[1,null]]"),
        insert(Fail, 1, "null"),
    ]);
    assert_eq!(judge(&write_skew::WriteSkew, &one), yes());
    assert_eq!(
        judge(
            &write_skew::WriteSkew,
            &serial(&[
                ("insert", "[7,[1,null]]", "[7,[1,null]]"),
                ("insert", "[7,[null,2]]", "[7,[null,2]]")
            ])
        ),
        no(&["G2"])
    );
}

#[test]
fn sets_lose_nothing() {
    let add = |v: &'static str| ("add", v, v);
    assert_eq!(judge(&set::Set, &serial(&[add("1"), add("2"), ("read", "null", "[2,1]")])), yes());
    assert_eq!(
        judge(&set::Set, &serial(&[add("1"), add("2"), ("read", "null", "[1,3]")])),
        no(&["lost", "unexpected"])
    );
    assert_eq!(judge(&set::Set, &serial(&[add("1")])).0, Valid::Unknown);
    let recovered = history(&[
        (Invoke, 0, "add", "1"),
        (Info, 0, "add", "1"),
        (Invoke, 1, "read", "null"),
        (Ok, 1, "read", "[1]"),
    ]);
    let v = set::Set.check(&recovered, &Budget::default());
    assert_eq!((v.valid, &v.details["recovered_count"]), (Valid::Yes, &serde_json::json!(1)));
}

#[test]
fn elements_are_followed_through_all_reads() {
    let add = |v: &'static str| ("add", v, v);
    let read = |v: &'static str| ("read", "null", v);
    let full = set_full::SetFull::default();
    assert_eq!(judge(&full, &serial(&[add("1"), read("[1]")])), yes());
    assert_eq!(judge(&full, &serial(&[add("1"), read("[1]"), add("2"), read("[2]")])), no(&["lost"]));
    let stale = serial(&[add("1"), read("[]"), read("[1]")]);
    assert_eq!(judge(&full, &stale), yes());
    assert_eq!(judge(&set_full::SetFull { linearizable: true }, &stale), no(&["stale"]));
    assert_eq!(judge(&full, &serial(&[add("1"), read("[1,1]")])), no(&["duplicated"]));
    assert_eq!(judge(&full, &serial(&[add("1")])).0, Valid::Unknown);
    // Seen before it was acknowledged, and gone afterwards.
    let seen = history(&[
        (Invoke, 0, "add", "1"),
        (Invoke, 1, "read", "null"),
        (Ok, 1, "read", "[1]"),
        (Invoke, 1, "read", "null"),
        (Ok, 1, "read", "[]"),
        (Info, 0, "add", "1"),
    ]);
    assert_eq!(judge(&full, &seen), no(&["lost"]));
}

#[test]
fn queues_return_what_went_in() {
    let put = |v: &'static str| ("enqueue", v, v);
    let take = |v: &'static str| ("dequeue", "null", v);
    assert_eq!(judge(&queue::Queue, &serial(&[put("1"), take("1"), take("null")])), yes());
    assert_eq!(
        judge(&queue::Queue, &serial(&[put("1"), take("1"), take("1"), take("2")])),
        no(&["unexpected", "unexpected"])
    );
    let total = queue::TotalQueue::default();
    assert_eq!(judge(&total, &serial(&[put("1"), put("2"), take("1"), ("drain", "null", "[2]")])), yes());
    let bad = serial(&[put("1"), put("2"), take("2"), take("2"), take("3")]);
    assert_eq!(judge(&total, &bad), no(&["lost", "duplicated", "unexpected"]));
    let again = serial(&[put("2"), take("2"), take("2")]);
    assert_eq!(judge(&queue::TotalQueue { at_least_once: true, seen_empty: false }, &again), yes());
}

#[test]
fn what_a_dequeue_without_an_answer_may_have_taken_is_not_lost() {
    let put = [(Invoke, 0, "enqueue", "1"), (Ok, 0, "enqueue", "1")];
    let two = [(Invoke, 0, "enqueue", "2"), (Ok, 0, "enqueue", "2")];
    let empty = [(Invoke, 0, "dequeue", "null"), (Ok, 0, "dequeue", "null")];
    let unseen = [(Invoke, 1, "dequeue", "null"), (Info, 1, "dequeue", "null")];
    let careful = queue::TotalQueue { at_least_once: false, seen_empty: true };
    let judge = |events: &[&[_]]| judge(&careful, &history(&events.concat()));
    assert_eq!(judge(&[&put, &empty]), no(&["lost"]));
    assert_eq!(judge(&[&put, &unseen, &empty]), yes());
    assert_eq!(judge(&[&put, &two, &unseen, &empty]), no(&["lost", "lost"]), "it took one of them");
    assert_eq!(judge(&[&empty, &put]), yes(), "nobody looked since it went in");
}

#[test]
fn numbers_only_grow() {
    let read = |v: &'static str| ("read", "null", v);
    let check = monotonic::Monotonic;
    assert_eq!(judge(&check, &serial(&[read("1"), read("1"), read("2")])), yes());
    assert_eq!(judge(&check, &serial(&[read("2"), read("1")])), no(&["non-monotonic"]));
    let crossed = history(&[
        (Invoke, 0, "read", "null"),
        (Ok, 0, "read", r#"{"x":1,"y":0}"#),
        (Invoke, 1, "read", "null"),
        (Ok, 1, "read", r#"{"x":0,"y":1}"#),
    ]);
    assert_eq!(judge(&check, &crossed), no(&["non-monotonic"]));
}
