//! A legal order, put together from what the search recorded.
//!
//! The record names the operations that took effect one by one, and at which step of the search each did.
//! An operation that was spare when it completed is not among them; it is put where it made no difference:
//! in a state that it does not change, or just before an operation that overwrites what it did. Every
//! operation so gets a moment within its own time, and the order is that of these moments.

use super::events::steps;
use super::expand::TraceNode;
use super::problem::Call;
use super::spec::Spec;
use crate::models::Effect;

/// Where an operation stands: the gap before `path[gap]`, the moment, and whether it is hidden there.
type Place = (usize, u32, bool);

/// The calls that took effect, in a legal order. Nothing if the record does not explain all completions,
/// which would be a mistake of ours.
pub(crate) fn order<S: Spec>(
    spec: &mut S,
    calls: &[Call],
    effects: &[Effect],
    path: &[TraceNode],
) -> Option<Vec<u32>> {
    let mut first = vec![0u32; calls.len()];
    let mut last = vec![u32::MAX; calls.len()];
    for (at, step) in steps(calls).0.iter().enumerate() {
        let side = if step.completes { &mut last } else { &mut first };
        side[step.call as usize] = at as u32;
    }
    let mut states = vec![spec.init()];
    let mut used = vec![false; calls.len()];
    for node in path {
        used[node.call as usize] = true;
        let state = *states.last().expect("it starts with one");
        states.push(spec.step(state, calls[node.call as usize].class));
    }
    let mut placed: Vec<(Place, u32)> = Vec::new();
    for (i, call) in calls.iter().enumerate().filter(|(i, c)| !used[*i] && !c.is_open()) {
        let (from, to) = (first[i], last[i]);
        let mut gap = path.partition_point(|node| node.step < from);
        let place = loop {
            if gap > path.len() || gap > 0 && path[gap - 1].step > to {
                return None;
            }
            if spec.step(states[gap], call.class) == states[gap] {
                let after = if gap > 0 { path[gap - 1].step } else { 0 };
                break (gap, after.max(from), false);
            }
            let next = path.get(gap).filter(|node| from <= node.step && node.step <= to);
            let total = matches!(effects[call.class as usize], Effect::Total | Effect::Overwrites);
            if let Some(next) = next.filter(|_| total) {
                let class = calls[next.call as usize].class;
                if effects[class as usize] == Effect::Overwrites {
                    break (gap, next.step, true);
                }
            }
            gap += 1;
        };
        placed.push((place, i as u32));
    }
    placed.sort_by_key(|&((gap, moment, hidden), _)| (gap, hidden, moment));
    let mut order = Vec::with_capacity(calls.len());
    let mut rest = placed.into_iter().peekable();
    for gap in 0..=path.len() {
        while let Some((_, call)) = rest.next_if(|((g, ..), _)| *g == gap) {
            order.push(call);
        }
        order.extend(path.get(gap).map(|node| node.call));
    }
    Some(order)
}
