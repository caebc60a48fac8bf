//! A counter: `add` (or `increment`, `decrement`) of a number, `read` answering the sum, and
//! `add-and-get` answering the sum after it.

use squall_history::{Op, Outcome, Value};

use super::{BadOp, Effect, Model, bad_op};

/// A counter.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counter {
    /// The sum before the first operation.
    pub initial: i64,
}

/// An operation on a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CounterOp {
    /// So much was added.
    Add(i64),
    /// So much was added, and this was the sum then.
    AddAndGet(i64, i64),
    /// This was the sum.
    Read(i64),
}

impl Model for Counter {
    type State = i64;
    type Op = CounterOp;

    fn init(&self) -> i64 {
        self.initial
    }

    fn project(&self, op: &Op<'_>) -> Result<Option<CounterOp>, BadOp> {
        let amount = if *op.input == Value::Nil { Some(1) } else { op.input.as_int() };
        match (op.f, amount, op.output.as_int()) {
            ("add" | "increment", Some(n), _) => Ok(Some(CounterOp::Add(n))),
            ("decrement", Some(n), _) => Ok(Some(CounterOp::Add(n.wrapping_neg()))),
            ("add-and-get", Some(n), Some(sum)) => Ok(Some(CounterOp::AddAndGet(n, sum))),
            ("add-and-get", Some(n), None) if op.outcome == Outcome::Info => Ok(Some(CounterOp::Add(n))),
            ("read", _, _) if op.outcome == Outcome::Info => Ok(None),
            ("read", _, Some(sum)) => Ok(Some(CounterOp::Read(sum))),
            _ => Err(bad_op(op, "add, increment or decrement of a number, add-and-get, or read of a number")),
        }
    }

    fn step(&self, sum: &i64, op: &CounterOp) -> Option<i64> {
        match *op {
            CounterOp::Add(n) => Some(sum.wrapping_add(n)),
            CounterOp::AddAndGet(n, seen) => (sum.wrapping_add(n) == seen).then_some(seen),
            CounterOp::Read(seen) => (*sum == seen).then_some(seen),
        }
    }

    fn effect(&self, op: &CounterOp) -> Effect {
        match op {
            CounterOp::Add(0) | CounterOp::Read(_) => Effect::Observes,
            CounterOp::Add(_) => Effect::Total,
            CounterOp::AddAndGet(..) => Effect::Any,
        }
    }

    fn describe_state(&self, sum: &i64) -> String {
        format!("sum {sum}")
    }
}
