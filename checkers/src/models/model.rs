//! The protocol of a sequential specification.

use std::fmt::Debug;
use std::hash::Hash;

use squall_history::Op;

/// A sequential specification: states, and what each operation does to them.
///
/// An operation carries the result that was observed, so `step` is a function: it gives the one state that
/// follows, or nothing where that result is impossible. An operation whose result is unknown (`info`) gives
/// the state that follows if it took effect; that it may also never have is for the search to consider.
///
/// ```
/// use squall_checkers::models::{BadOp, Model, bad_op};
/// use squall_history::Op;
///
/// /// A number that only grows: `raise` to at least n, `read`.
/// struct MaxRegister;
///
/// #[derive(Clone, PartialEq, Eq, Hash, Debug)]
/// enum MaxOp { Raise(i64), Read(i64) }
///
/// impl Model for MaxRegister {
///     type State = i64;
///     type Op = MaxOp;
///     fn init(&self) -> i64 { 0 }
///     fn project(&self, op: &Op<'_>) -> Result<Option<MaxOp>, BadOp> {
///         match (op.f, op.input.as_int(), op.output.as_int()) {
///             ("raise", Some(n), _) => Ok(Some(MaxOp::Raise(n))),
///             ("read", _, seen) => Ok(seen.map(MaxOp::Read)), // no answer: nothing was observed
///             _ => Err(bad_op(op, "raise with a number, or read")),
///         }
///     }
///     fn step(&self, state: &i64, op: &MaxOp) -> Option<i64> {
///         match op {
///             MaxOp::Raise(n) => Some(*state.max(n)),
///             MaxOp::Read(n) => (n == state).then_some(*state),
///         }
///     }
/// }
/// ```
pub trait Model: Sync {
    /// A state. Equal states must be equal in everything that `step` can tell apart.
    type State: Clone + Eq + Hash + Debug;
    /// An operation with what was observed of it, projected once from the history.
    type Op: Clone + Eq + Hash + Debug;

    /// The state before the first operation.
    fn init(&self) -> Self::State;

    /// Reads an operation that is `ok` or `info` (`fail` says nothing and never arrives here). `Ok(None)` if
    /// it says nothing and changes nothing, as a read without an answer.
    fn project(&self, op: &Op<'_>) -> Result<Option<Self::Op>, BadOp>;

    /// The state after `op`, or nothing if `op` cannot give its observed result in `state`.
    fn step(&self, state: &Self::State, op: &Self::Op) -> Option<Self::State>;

    /// What is known of `op` in every state. Saying more than [`Effect::Any`], where it is true, makes the
    /// search faster; saying what is not true makes it wrong.
    fn effect(&self, _op: &Self::Op) -> Effect {
        Effect::Any
    }

    /// Every state that these operations could tell apart, where they are few: what may be the case when
    /// nothing is known of the past. It allows a counterexample to leave the past out.
    fn anywhere(&self, _ops: &[&Self::Op]) -> Option<Vec<Self::State>> {
        None
    }

    /// Whether `op`, if it may never take effect, can be left out beside `others`: whatever they observe, a
    /// legal order with it is legal without it. It keeps counterexamples small.
    fn pointless(&self, _op: &Self::Op, _others: &[&Self::Op]) -> bool {
        false
    }

    /// Bytes that a state holds behind pointers and shares with no other state, roughly. A search counts them
    /// to end within its memory.
    fn heap_bytes(&self, _state: &Self::State) -> usize {
        0
    }

    /// A state in words, for explanations.
    fn describe_state(&self, state: &Self::State) -> String {
        format!("{state:?}")
    }
}

/// What is known of an operation without knowing the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It never changes a state: a read.
    Observes,
    /// It is possible in every state, and the state after it does not depend on the one before: a write.
    Overwrites,
    /// It is possible in every state: an append.
    Total,
    /// Nothing is known: a cas.
    Any,
}

/// An operation that a model cannot read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("operation #{index}, `{f}` of {input} giving {output}: expected {expected}")]
pub struct BadOp {
    /// The operation's index.
    pub index: u32,
    /// Its function.
    pub f: String,
    /// Its argument, as JSON.
    pub input: String,
    /// Its answer, as JSON.
    pub output: String,
    /// What the model can read.
    pub expected: String,
}

/// The error for an operation that a model cannot read.
pub fn bad_op(op: &Op<'_>, expected: &str) -> BadOp {
    BadOp {
        index: op.index,
        f: op.f.to_owned(),
        input: op.input.to_string(),
        output: op.output.to_string(),
        expected: expected.to_owned(),
    }
}
