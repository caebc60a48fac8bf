//! The twin: tries every order, with nothing clever in it.

use crate::linear::problem::{Call, Problem};
use crate::models::Model;

/// Whether some order of the calls is legal. Exponential; for small histories.
pub(crate) fn linearizable<M: Model>(model: &M, problem: &Problem<M::Op>) -> bool {
    let done = vec![false; problem.calls.len()];
    explore(model, problem, &done, &model.init())
}

fn explore<M: Model>(model: &M, problem: &Problem<M::Op>, done: &[bool], state: &M::State) -> bool {
    let calls = &problem.calls;
    let waiting = |c: &&(usize, &Call)| !done[c.0];
    let all: Vec<(usize, &Call)> = calls.iter().enumerate().collect();
    if all.iter().filter(waiting).all(|(_, c)| c.is_open()) {
        return true;
    }
    let deadline = all.iter().filter(waiting).map(|(_, c)| c.completed).min().unwrap_or(u32::MAX);
    all.iter().filter(waiting).filter(|(_, c)| c.invoked < deadline).any(|&(i, c)| {
        let Some(next) = model.step(state, &problem.classes[c.class as usize]) else { return false };
        let mut done = done.to_vec();
        done[i] = true;
        explore(model, problem, &done, &next)
    })
}
