//! Every built-in model: what it claims of its operations is true, and the search agrees with brute force.

use std::collections::BTreeSet;

use squall_history::{History, Value};

use super::search::{exhaustive, random, register};
use crate::models::{
    Access, Collection, CollectionOp, Counter, CounterOp, Effect, FencedMutex, FencedOp, KvAppend, KvOp,
    Model, MultiRegister, OwnerMutex, OwnerOp, RegisterOp, Rule, Semaphore, SemaphoreOp, Set, SetOp,
    VersionedOp, VersionedRegister,
};

/// Walks states up to `depth` operations deep and checks [`Effect`] in each.
fn effects_hold<M: Model>(model: &M, ops: &[M::Op], depth: usize) {
    let mut states = vec![model.init()];
    for _ in 0..depth {
        let next: Vec<M::State> =
            states.iter().flat_map(|s| ops.iter().filter_map(|op| model.step(s, op))).collect();
        for state in next {
            if !states.contains(&state) {
                states.push(state);
            }
        }
    }
    for op in ops {
        let after: Vec<Option<M::State>> = states.iter().map(|s| model.step(s, op)).collect();
        match model.effect(op) {
            Effect::Any => {}
            Effect::Total => assert!(after.iter().all(Option::is_some), "{op:?}"),
            Effect::Overwrites => {
                assert!(after.iter().all(|a| a.is_some() && *a == after[0]), "{op:?}");
            }
            Effect::Observes => {
                assert!(states.iter().zip(&after).all(|(s, a)| a.as_ref().is_none_or(|a| a == s)), "{op:?}");
            }
        }
    }
}

fn holds<M: Model>(model: &M, ops: &[M::Op]) {
    effects_hold(model, ops, 3);
    for n in 1..=2 {
        exhaustive(model, ops, n);
    }
    exhaustive(model, &ops[..ops.len().min(5)], 3);
    random(model, ops, 6000);
}

fn collection(rule: Rule) {
    let ops = [
        CollectionOp::Put(1.into()),
        CollectionOp::Put(2.into()),
        CollectionOp::Take(1.into()),
        CollectionOp::Take(2.into()),
        CollectionOp::Empty,
        CollectionOp::TakeUnseen,
        CollectionOp::Put(1.into()),
        CollectionOp::Put(0.into()),
        CollectionOp::Take(1.into()),
        CollectionOp::Put(2.into()),
    ];
    holds(&Collection { rule }, &ops);
}

#[test]
fn register_claims_hold() {
    let (model, ops) = register();
    effects_hold(&model, &ops, 3);
}

#[test]
fn fifo_queue() {
    collection(Rule::Oldest);
}

#[test]
fn stack() {
    collection(Rule::Newest);
}

#[test]
fn priority_queue() {
    collection(Rule::Least);
}

#[test]
fn unordered_queue() {
    collection(Rule::Any);
}

#[test]
fn an_unseen_dequeue_of_a_pool_may_take_any_element() {
    // Whatever element has to be gone, the model's own choice must be able to make it so.
    let model = Collection { rule: Rule::Any };
    let two = [1, 2].iter().fold(model.init(), |s, &i| model.step(&s, &CollectionOp::Put(i.into())).unwrap());
    for left in [1, 2] {
        // Only 3 - left may be gone when `left` is taken and then nothing is seen.
        let taken = model.step(&two, &CollectionOp::Take(left.into())).unwrap();
        let emptied = model.step(&taken, &CollectionOp::TakeUnseen).unwrap();
        assert!(model.step(&emptied, &CollectionOp::Empty).is_some());
    }
}

#[test]
fn locks() {
    let ops = [OwnerOp::Acquire(0), OwnerOp::Acquire(1), OwnerOp::Release(0), OwnerOp::Release(1)];
    holds(&OwnerMutex, &ops);
    let ops = [
        FencedOp::Acquire(0, Some(1)),
        FencedOp::Acquire(1, Some(2)),
        FencedOp::Acquire(1, None),
        FencedOp::Release(0),
        FencedOp::Release(1),
        FencedOp::Acquire(0, Some(3)),
    ];
    holds(&FencedMutex, &ops);
    let ops =
        [SemaphoreOp::Acquire(1), SemaphoreOp::Acquire(2), SemaphoreOp::Release(1), SemaphoreOp::Release(2)];
    holds(&Semaphore { permits: 2 }, &ops);
}

#[test]
fn set() {
    let read = |items: &[i64]| SetOp::Read(items.iter().map(|&i| Value::Int(i)).collect::<BTreeSet<_>>());
    let ops = [
        SetOp::Add(1.into()),
        SetOp::Add(2.into()),
        SetOp::Remove(1.into()),
        read(&[1]),
        read(&[1, 2]),
        read(&[]),
        read(&[2]),
    ];
    holds(&Set::default(), &ops);
}

#[test]
fn counter() {
    let ops = [
        CounterOp::Add(1),
        CounterOp::Add(-1),
        CounterOp::Read(1),
        CounterOp::AddAndGet(1, 2),
        CounterOp::Read(0),
        CounterOp::Add(2),
        CounterOp::Add(0),
        CounterOp::Read(3),
    ];
    holds(&Counter { initial: 0 }, &ops);
}

#[test]
fn kv_append() {
    let (put, append, get) =
        (|s: &str| KvOp::Put(s.into()), |s: &str| KvOp::Append(s.into()), |s: &str| KvOp::Get(s.into()));
    let ops =
        [put("a"), append("b"), get("ab"), append("a"), get("a"), get(""), get("aa"), put("b"), get("ba")];
    holds(&KvAppend, &ops);
}

#[test]
fn multi_register() {
    let r = |k: i64, v: i64| Access::Read(k.into(), v.into());
    let w = |k: i64, v: i64| Access::Write(k.into(), v.into());
    let ops = [
        vec![w(0, 1)],
        vec![r(0, 1), w(1, 1)],
        vec![r(0, 0), r(1, 0)],
        vec![w(0, 2), w(1, 2)],
        vec![r(0, 1), r(1, 1)],
        vec![w(0, 0)],
        vec![r(0, 2), r(1, 1)],
    ];
    holds(&MultiRegister { initial: 0.into(), nil_reads_unknown: false }, &ops);
}

#[test]
fn versioned_register() {
    let (register, _) = register();
    let history = History::default();
    let op = |op, version| VersionedOp { op, version };
    let ops = [
        op(RegisterOp::Write(1.into()), Some(2)),
        op(RegisterOp::Read(1.into()), Some(2)),
        op(RegisterOp::Write(1.into()), Some(3)),
        op(RegisterOp::Write(2.into()), None),
        op(RegisterOp::Read(2.into()), Some(3)),
        op(RegisterOp::Cas(1.into(), 2.into()), Some(4)),
        op(RegisterOp::Read(1.into()), Some(3)),
        op(RegisterOp::Read(1.into()), None),
        op(RegisterOp::Mismatch(1.into()), None),
    ];
    holds(&VersionedRegister { history: &history, register }, &ops);
}
