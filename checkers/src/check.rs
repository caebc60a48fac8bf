//! The protocol that every check implements.

use squall_history::{Event, History};

use crate::{Budget, Verdict};

/// Judges a history. Pure: the same history and budget give the same verdict.
pub trait Check: Send + Sync {
    /// The name under which its verdict stands in results, such as `linearizable`.
    fn name(&self) -> &str;

    /// Judges. Runs to the end or until the budget is spent; must not panic on any history.
    fn check(&self, history: &History, budget: &Budget) -> Verdict;
}

/// Judges while operations arrive.
pub trait Live: Send {
    /// Takes the next event. Events come in order of time, invocations first where times are equal.
    fn push(&mut self, event: Event);

    /// Judges what has been seen so far: `invalid` is final, `valid` means not violated yet.
    fn judge(&mut self, budget: &Budget) -> Verdict;
}
