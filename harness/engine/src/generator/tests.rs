//! Generators by their promises: how many, how fast, whose, in which order, and always by (seed, w, i).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use squall_history::{Event, EventKind, Value};

use super::{
    Context, EachProcess, Generator, Limit, Mix, Next, Phases, Rate, Reserve, Sequence, Stagger, TimeLimit,
    draw,
};
use crate::operation::Operation;
use crate::seed::Seed;

const SECOND: u64 = 1_000_000_000;

fn named(f: &str) -> Box<dyn Generator> {
    let f: Arc<str> = f.into();
    Box::new(draw(move |ctx| Operation::new(&f, Value::Nil, Value::Int(ctx.rng.below(1000) as i64))))
}

fn ask(generator: &mut dyn Generator, worker: usize, workers: usize, index: u64, time: u64) -> Next {
    generator.next(&mut Context::new(Seed(9), worker, workers, worker as u32, index, time))
}

fn f_of(next: &Next) -> &str {
    match next {
        Next::Op(op, _) => &op.f,
        Next::Pending => "pending",
        Next::Done => "done",
    }
}

fn completion(process: u32, kind: EventKind) -> Event {
    let f = "a".into();
    Event { kind, process, time: 0, intended: 0, f, key: Value::Nil, value: Value::Nil, meta: None }
}

#[test]
fn a_limit_counts_all_workers_together() {
    let mut limited = Limit::new(5, named("a"));
    let given =
        (0..9).filter(|i| matches!(ask(&mut limited, *i as usize % 3, 3, *i, 0), Next::Op(..))).count();
    assert_eq!(given, 5);
}

#[test]
fn a_time_limit_ends_by_what_is_due_and_by_the_clock() {
    let mut limited =
        TimeLimit::new(Duration::from_secs(1), Box::new(Stagger::new(Duration::ZERO, named("a"))));
    assert_eq!(f_of(&ask(&mut limited, 0, 1, 0, 5 * SECOND)), "a", "it counts from the first question");
    assert_eq!(f_of(&ask(&mut limited, 0, 1, 1, 6 * SECOND - 1)), "a");
    assert_eq!(ask(&mut limited, 0, 1, 2, 6 * SECOND), Next::Done);
}

#[test]
fn open_load_has_its_mean_rate_and_does_not_depend_on_who_is_late() {
    let due = |late: u64| {
        let mut rate = Rate::new(1000.0, SECOND, named("a"));
        let mut dues = Vec::new();
        for index in 0..2000 {
            for worker in 0..4 {
                // Asked at quite other times: what is due is due.
                match ask(&mut rate, worker, 4, index, index * late) {
                    Next::Op(op, due) => dues.push((worker, op.value, due)),
                    other => panic!("{other:?}"),
                }
            }
        }
        dues
    };
    let dues = due(0);
    assert_eq!(dues, due(123_456_789));
    let last = dues.iter().map(|d| d.2).max().unwrap() - SECOND;
    assert!((75 * SECOND / 10..85 * SECOND / 10).contains(&last), "8000 at 1000 a second took {last} ns");
}

#[test]
fn a_mix_keeps_its_shares_and_goes_on_with_what_is_left() {
    let mut mix = Mix::new(vec![(3.0, named("a")), (1.0, Box::new(Limit::new(100, named("b"))))]);
    let mut counts = BTreeMap::<String, u64>::new();
    for i in 0..4000 {
        *counts.entry(f_of(&ask(&mut mix, 0, 1, i, 0)).to_owned()).or_default() += 1;
    }
    assert_eq!(counts["b"], 100);
    assert_eq!(counts["a"], 3900);
    let mut even = Mix::new(vec![(3.0, named("a")), (1.0, named("b"))]);
    let a = (0..4000).filter(|i| f_of(&ask(&mut even, 0, 1, *i, 0)) == "a").count();
    assert!((2850..3150).contains(&a), "{a}");
}

#[test]
fn reserved_workers_have_their_own_task_and_numbering() {
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let spy = |name: &'static str| -> Box<dyn Generator> {
        let seen = seen.clone();
        Box::new(draw(move |ctx| {
            seen.lock().unwrap().push((name, ctx.worker, ctx.workers));
            Operation::new(&name.into(), Value::Nil, Value::Nil)
        }))
    };
    let mut reserve = Reserve::new(vec![(2, spy("a")), (1, spy("b"))], spy("rest"));
    for worker in 0..5 {
        ask(&mut reserve, worker, 5, 0, 0);
    }
    assert_eq!(
        *seen.lock().unwrap(),
        [("a", 0, 2), ("a", 1, 2), ("b", 0, 1), ("rest", 0, 2), ("rest", 1, 2)]
    );
}

#[test]
fn a_phase_waits_for_every_worker_and_every_answer() {
    let op = |f: &str| Operation::new(&f.into(), Value::Nil, Value::Nil);
    let mut phases = Phases::new(vec![
        Box::new(Sequence::new([op("one"), op("one")])),
        Box::new(Sequence::new([op("two"), op("two")])),
    ]);
    assert_eq!(f_of(&ask(&mut phases, 0, 2, 0, 0)), "one");
    assert_eq!(f_of(&ask(&mut phases, 1, 2, 0, 0)), "one");
    phases.update(&completion(0, EventKind::Ok));
    assert_eq!(ask(&mut phases, 0, 2, 1, 0), Next::Pending, "the other one's answer is not in");
    phases.update(&completion(1, EventKind::Info));
    assert_eq!(ask(&mut phases, 0, 2, 1, 0), Next::Pending, "the other one has not heard that it is done");
    assert_eq!(f_of(&ask(&mut phases, 1, 2, 1, 0)), "two");
    assert_eq!(f_of(&ask(&mut phases, 0, 2, 1, 0)), "two");
    phases.update(&completion(0, EventKind::Ok));
    phases.update(&completion(1, EventKind::Ok));
    assert_eq!(ask(&mut phases, 0, 2, 2, 0), Next::Done);
}

#[test]
fn a_fresh_process_begins_anew() {
    let mut each = EachProcess::new(|process| {
        let first = Operation::new(&format!("hello-{process}").into(), Value::Nil, Value::Nil);
        Box::new(Sequence::new([first])) as Box<dyn Generator>
    });
    let mut ask = |process| each.next(&mut Context::new(Seed(1), 0, 1, process, 0, 0));
    assert_eq!(f_of(&ask(0)), "hello-0");
    assert_eq!(ask(0), Next::Done);
    assert_eq!(f_of(&ask(7)), "hello-7");
}
