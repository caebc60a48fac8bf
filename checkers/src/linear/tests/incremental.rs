//! Judging while events arrive.

use squall_history::{Event, EventKind, Value};

use crate::linear::{Incremental, Options};
use crate::models::ModelName;
use crate::{Budget, Valid};

fn event(kind: EventKind, process: u32, time: u64, key: i64, f: &str, value: Value) -> Event {
    Event { kind, process, time, intended: time, f: f.into(), key: key.into(), value, meta: None }
}

#[test]
fn it_is_invalid_from_the_fatal_completion_on_and_names_operations_of_the_whole() {
    let mut check = Incremental::new(Options::new(ModelName::CasRegister));
    let budget = Budget::default();
    let (nil, invoke, ok) = (Value::Nil, EventKind::Invoke, EventKind::Ok);
    let mut events = Vec::new();
    for key in 0..3u32 {
        let time = u64::from(key) * 10;
        events.push(event(invoke, key, time, key.into(), "write", 1.into()));
        events.push(event(ok, key, time + 1, key.into(), "write", nil.clone()));
    }
    events.push(event(invoke, 7, 40, 1, "read", nil.clone()));
    events.push(event(invoke, 8, 41, 1, "write", 5.into()));
    for event in events {
        check.push(event);
        assert_eq!(check.judge(&budget).valid, Valid::Yes);
    }
    // The open write of 5 may explain a read of 5, but nothing explains 9.
    check.push(event(ok, 7, 50, 1, "read", 9.into()));
    let verdict = check.judge(&budget);
    assert_eq!(verdict.valid, Valid::No);
    assert!(verdict.anomalies[0].operations.contains(&3), "{verdict:?}");
    check.push(event(ok, 8, 60, 1, "write", nil));
    assert_eq!(check.judge(&budget).valid, Valid::No);
}

#[test]
fn an_open_update_explains_what_was_read() {
    let mut check = Incremental::new(Options::new(ModelName::CasRegister));
    check.push(event(EventKind::Invoke, 8, 1, 1, "write", 5.into()));
    check.push(event(EventKind::Invoke, 7, 2, 1, "read", Value::Nil));
    check.push(event(EventKind::Ok, 7, 3, 1, "read", 5.into()));
    assert_eq!(check.judge(&Budget::default()).valid, Valid::Yes);
}
