//! One object's operations as an algorithm sees them: numbered classes, ranks, nothing else.

use squall_history::{History, NEVER, Outcome};

use crate::models::{BadOp, Model};

/// An operation of one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// Equal for operations that do and observe the same.
    pub class: u32,
    /// Rank of its invocation.
    pub invoked: u32,
    /// Rank of its completion; `NEVER` if it may take effect at any time or never.
    pub completed: u32,
    /// Its place in the history.
    pub index: u32,
}

impl Call {
    /// Whether it may never take effect.
    pub(crate) fn is_open(&self) -> bool {
        self.completed == NEVER
    }
}

/// The operations of one object, by invocation, and what their classes are.
#[derive(Clone, Debug)]
pub(crate) struct Problem<O> {
    pub calls: Vec<Call>,
    pub classes: Vec<O>,
}

/// Projects the operations with these indexes (ascending) through a model.
pub(crate) fn project<M: Model>(
    model: &M,
    history: &History,
    indexes: impl Iterator<Item = u32>,
) -> Result<Problem<M::Op>, BadOp> {
    let mut numbers = rustc_hash::FxHashMap::default();
    let mut problem = Problem { calls: Vec::new(), classes: Vec::new() };
    for index in indexes {
        let op = history.op(index as usize);
        if op.outcome == Outcome::Fail {
            continue;
        }
        let Some(projected) = model.project(&op)? else { continue };
        let fresh = problem.classes.len() as u32;
        let class = *numbers.entry(projected).or_insert_with_key(|o| {
            problem.classes.push(o.clone());
            fresh
        });
        problem.calls.push(Call { class, invoked: op.invoked, completed: op.completed, index });
    }
    Ok(problem)
}
