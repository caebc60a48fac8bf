//! A model of one's own: a number that only grows. And the check that judges histories by it.

use squall_checkers::linear::check_with;
use squall_checkers::models::{BadOp, Model, bad_op};
use squall_checkers::{Budget, Check, Verdict};
use squall_history::{History, Op};

/// Its state is the highest number so far.
pub struct Highest;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum HighestOp {
    Raise(i64),
    Read(i64),
}

impl Model for Highest {
    type State = i64;
    type Op = HighestOp;

    fn init(&self) -> i64 {
        0
    }

    fn project(&self, op: &Op<'_>) -> Result<Option<HighestOp>, BadOp> {
        match (op.f, op.input.as_int(), op.output.as_int()) {
            ("raise", Some(n), _) => Ok(Some(HighestOp::Raise(n))),
            ("read", _, seen) => Ok(seen.map(HighestOp::Read)), // no answer: nothing was observed
            _ => Err(bad_op(op, "raise with a number, or read")),
        }
    }

    fn step(&self, state: &i64, op: &HighestOp) -> Option<i64> {
        match op {
            HighestOp::Raise(n) => Some(*state.max(n)),
            HighestOp::Read(n) => (n == state).then_some(*state),
        }
    }
}

/// Whether operations could have taken effect one at a time, each between its invocation and its completion.
pub struct Judged;

impl Check for Judged {
    fn name(&self) -> &str {
        "linearizable"
    }

    fn check(&self, history: &History, budget: &Budget) -> Verdict {
        check_with(&Highest, "highest", history, true, budget)
    }
}
