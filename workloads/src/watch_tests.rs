use std::collections::BTreeSet;

use squall_engine::generator::Context;

use super::*;
use crate::common::testing::{SETTING, ask, drawn, is_decided_by_its_seed};

fn workload() -> Watch {
    Watch { options: Options::default() }
}

fn told(process: u32, f: &str, answer: &str) -> Event {
    let value = serde_json::from_str(answer).unwrap();
    let (kind, time, f, key) = (EventKind::Ok, 1, f.into(), Value::Nil);
    Event { kind, process, time, intended: time, f, key, value, meta: None }
}

#[test]
fn some_watch_on_node_after_node_and_the_others_change_keys() {
    is_decided_by_its_seed(&workload());
    let (mut values, mut nodes, mut several) = (BTreeSet::new(), BTreeSet::new(), 0);
    for (worker, op) in drawn(&workload(), 200) {
        assert_eq!(op.read_only, worker < 2, "two of four workers watch");
        if op.read_only {
            nodes.extend(op.node);
            continue;
        }
        let writes = op.value.as_list().unwrap();
        several += usize::from(writes.len() > 1);
        let keys: BTreeSet<_> = writes.iter().map(|w| w.as_pair().unwrap().0).collect();
        assert_eq!(keys.len(), writes.len(), "a key once a change");
        let puts: Vec<_> = writes.iter().map(|w| w.as_pair().unwrap().1).filter(|v| !v.is_nil()).collect();
        assert!(writes.len() == 1 || !puts.is_empty(), "of several one shows where they are");
        puts.into_iter().for_each(|value| assert!(values.insert(value.clone()), "{value} was used before"));
    }
    assert!(nodes.len() == 3 && several > 50);
}

#[test]
fn a_watcher_goes_on_after_what_it_was_told_and_looks_back_now_and_then() {
    let mut traffic = workload().generator(&SETTING);
    ask(&mut *traffic, 0, 0).unwrap();
    traffic.update(&told(4, "watch", "[[[2,1,10],[5,1,11]],[[7]]]"));
    let from = |op: Operation| op.value.as_list().unwrap()[0].as_int().unwrap();
    let mut at = |event: &str, i: u64| {
        traffic.update(&told(4, "watch", event));
        from(ask(&mut *traffic, 0, i).unwrap())
    };
    assert_eq!(at("[[[2,1,10],[5,1,11]],[[7]]]", 1), 8);
    assert_eq!(at("[]", 2), 8, "nothing new");
    assert_eq!(at("[\"compacted\",20]", 3), 20, "the oldest that there is");
    // Only with a move, which needs another stream.
    assert!((1..10).all(|i| at("[[[50,1,11]]]", i) == 51));
    let back = (0..100).filter(|i| at("[[[50,1,11]]]", i * 10) < 51).count();
    assert!((5..40).contains(&back), "{back}");
}

#[test]
fn at_the_end_the_whole_log_is_read_on_every_node() {
    let setting = Setting { workers: 6, ..SETTING };
    let mut last = workload().finish(&setting).unwrap();
    let next = |last: &mut Box<dyn Generator>, worker: usize| {
        last.next(&mut Context::new(setting.seed, worker, 6, worker as u32, 9, 1))
    };
    assert_eq!(next(&mut last, 0), Next::Pending, "the end is not known yet");
    assert_eq!(next(&mut last, 5), Next::Done);
    for _ in 0..2 {
        // It is tried again until it is acknowledged.
        assert!(matches!(next(&mut last, 3), Next::Op(op, _) if &*op.f == "change"));
    }
    last.update(&told(9, "change", "9"));
    assert_eq!(next(&mut last, 3), Next::Done);
    for worker in 0..3 {
        let Next::Op(op, _) = next(&mut last, worker) else { panic!("worker {worker} watches") };
        assert_eq!(
            (op.node, op.value),
            (Some(worker), Value::list([1.into(), 500.into(), Value::Bool(false)]))
        );
    }
    last.update(&told(1, "watch", "[[[2,1,10]],[[9,1,11]]]"));
    assert_eq!(next(&mut last, 1), Next::Done);
    last.update(&told(2, "watch", "[[[2,1,10]]]"));
    assert!(matches!(next(&mut last, 2), Next::Op(op, _) if op.value.as_list().unwrap()[0] == 3.into()));
}

#[test]
fn options_that_make_no_sense_are_refused() {
    for bad in
        ["{\"keys\": 0}", "{\"wait\": \"0s\"}", "{\"look_back\": 2}", "{\"stay\": 0}", "{\"prefix\": 1}"]
    {
        assert!(Watch::build(&serde_json::from_str(bad).unwrap()).is_err(), "{bad}");
    }
}
