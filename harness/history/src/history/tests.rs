use super::*;

fn event(kind: EventKind, process: u32, time: u64, f: &str, value: Value) -> Event {
    Event { kind, process, time, intended: time, f: f.into(), key: Value::Nil, value, meta: None }
}

#[test]
fn at_equal_times_invocations_come_before_completions() {
    let mut b = Builder::new(Order::ByTime);
    b.push(event(EventKind::Invoke, 0, 1, "write", 1.into())).unwrap();
    b.push(event(EventKind::Ok, 0, 5, "write", 1.into())).unwrap();
    b.push(event(EventKind::Invoke, 1, 5, "read", Value::Nil)).unwrap();
    b.push(event(EventKind::Ok, 1, 9, "read", Value::Nil)).unwrap();
    let h = b.finish().unwrap();
    assert!(h.op(1).invoked < h.op(0).completed, "the two overlap");
}

#[test]
fn what_is_not_completed_never_completes() {
    let mut b = Builder::new(Order::AsGiven);
    b.push(event(EventKind::Invoke, 0, 1, "write", 1.into())).unwrap();
    b.push(event(EventKind::Invoke, 1, 1, "write", 2.into())).unwrap();
    b.push(event(EventKind::Info, 1, 2, "write", 2.into())).unwrap();
    let h = b.finish().unwrap();
    assert_eq!((h.op(0).outcome, h.op(0).completed, h.op(0).end), (Outcome::Info, NEVER, u64::MAX));
    assert_eq!((h.op(1).outcome, h.op(1).completed, h.op(1).end), (Outcome::Info, NEVER, 2));
}

#[test]
fn impossible_events_are_refused() {
    let mut b = Builder::new(Order::AsGiven);
    assert!(matches!(
        b.push(event(EventKind::Ok, 0, 1, "read", Value::Nil)),
        Err(BadEvent::NotInvoked { process: 0, .. })
    ));
    b.push(event(EventKind::Invoke, 0, 4, "read", Value::Nil)).unwrap();
    assert!(matches!(
        b.push(event(EventKind::Invoke, 0, 5, "read", Value::Nil)),
        Err(BadEvent::StillOpen { process: 0, .. })
    ));
    assert!(matches!(
        b.push(event(EventKind::Ok, 0, 5, "write", Value::Nil)),
        Err(BadEvent::OtherFunction { process: 0, .. })
    ));
    assert!(matches!(
        b.push(event(EventKind::Invoke, 1, 2, "read", Value::Nil)),
        Err(BadEvent::TimeBackwards { time: 2, before: 5 })
    ));
}

#[test]
fn keys_and_due_times_cost_nothing_until_used() {
    let mut b = Builder::new(Order::AsGiven);
    b.push(event(EventKind::Invoke, 0, 1, "read", Value::Nil)).unwrap();
    assert!(!b.history_mut().is_keyed());
    let mut keyed = event(EventKind::Invoke, 1, 3, "read", Value::Nil);
    keyed.key = 7.into();
    keyed.intended = 2;
    b.push(keyed).unwrap();
    let h = b.finish().unwrap();
    assert_eq!((h.op(0).key, h.op(0).intended), (&Value::Nil, 1));
    assert_eq!((h.op(1).key, h.op(1).intended), (&Value::Int(7), 2));
}
