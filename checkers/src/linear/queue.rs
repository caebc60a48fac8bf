//! Queues whose every element is enqueued once: four patterns, O(n log n).
//!
//! Elements can be looked at alone, or in pairs. A FIFO queue is linearizable exactly if none of these occurs
//! (T. Henzinger, A. Sezgin, V. Vafeiadis, "Aspect-oriented linearizability proofs", CONCUR 2013; near-linear
//! algorithms: Z. Lee & U. Mathur, OOPSLA 2025):
//!
//! * an element comes out that did not go in before;
//! * an element comes out twice;
//! * a went in before b, yet b came out before a, or a never did (not for an unordered queue);
//! * the queue was seen to be empty, though at every moment of that dequeue some element was certainly in it.
//!
//! An enqueue without an answer that nobody saw the element of is left out. A dequeue without an answer may
//! have taken any element: then only what it cannot excuse is looked for, and the rest is for the search.

use rustc_hash::FxHashMap;
use squall_history::{History, NEVER, Outcome, Value};

/// What the patterns say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Patterns {
    NotThisShape,
    Linearizable,
    Broken(Broken),
}

/// The pattern that occurs, with the operations that show it, by history index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    pub shape: &'static str,
    pub operations: Vec<u32>,
}

/// One element's way. Ranks; `NEVER` where something did not happen.
#[derive(Clone, Copy, Debug)]
struct Element {
    enqueue: u32,
    enqueued: (u32, u32),
    dequeue: Option<u32>,
    dequeued: (u32, u32),
}

const GONE: (u32, u32) = (NEVER, NEVER);

/// Judges the operations with these indexes. `ordered`: elements come out in the order in which they went in.
pub(crate) fn judge(
    history: &History,
    indexes: impl Iterator<Item = u32> + Clone,
    ordered: bool,
) -> Patterns {
    let mut numbers: FxHashMap<&Value, u32> = FxHashMap::default();
    let mut elements: Vec<Element> = Vec::new();
    for index in indexes.clone() {
        let op = history.op(index as usize);
        match op.f {
            _ if op.outcome == Outcome::Fail => {}
            "enqueue" if !op.input.is_nil() => {
                if numbers.insert(op.input, elements.len() as u32).is_some() {
                    return Patterns::NotThisShape;
                }
                let enqueued = (op.invoked, op.completed);
                elements.push(Element { enqueue: index, enqueued, dequeue: None, dequeued: GONE });
            }
            "dequeue" => {}
            _ => return Patterns::NotThisShape,
        }
    }
    let broken = |shape, operations: Vec<u32>| Patterns::Broken(Broken { shape, operations });
    let mut unseen = false;
    let mut empties: Vec<(u32, u32, u32)> = Vec::new();
    for index in indexes {
        let op = history.op(index as usize);
        match op.outcome {
            _ if op.f != "dequeue" => {}
            Outcome::Fail => {}
            Outcome::Info => unseen = true,
            Outcome::Ok if op.output.is_nil() => empties.push((op.invoked, op.completed, index)),
            Outcome::Ok => {
                let Some(&number) = numbers.get(op.output) else {
                    return broken("unmatched-dequeue", vec![index]);
                };
                let element = &mut elements[number as usize];
                if let Some(first) = element.dequeue {
                    return broken("duplicate-dequeue", vec![element.enqueue, first, index]);
                }
                if op.completed < element.enqueued.0 {
                    return broken("dequeue-before-enqueue", vec![index, element.enqueue]);
                }
                (element.dequeue, element.dequeued) = (Some(index), (op.invoked, op.completed));
            }
        }
    }
    // What may never have gone in and was not seen says nothing; what may have been taken unseen is excused.
    elements.retain(|e| e.dequeue.is_some() || e.enqueued.1 != NEVER && !unseen);
    let found = if ordered { reordered(&elements) } else { None }.or_else(|| not_empty(&elements, &empties));
    match found {
        Some(found) => Patterns::Broken(found),
        None if unseen => Patterns::NotThisShape,
        None => Patterns::Linearizable,
    }
}

fn operations(elements: &[Element]) -> Vec<u32> {
    let mut all: Vec<u32> = elements.iter().flat_map(|e| [Some(e.enqueue), e.dequeue]).flatten().collect();
    all.sort_unstable();
    all
}

/// a in before b, b out before a.
fn reordered(elements: &[Element]) -> Option<Broken> {
    let mut by_start: Vec<&Element> = elements.iter().collect();
    let mut by_end = by_start.clone();
    by_start.sort_unstable_by_key(|e| e.enqueued.0);
    by_end.sort_unstable_by_key(|e| e.enqueued.1);
    let mut ends = by_end.into_iter().peekable();
    // Of those that went in earlier, the one that came out last.
    let mut latest: Option<&Element> = None;
    for b in by_start {
        while let Some(a) = ends.next_if(|a| a.enqueued.1 < b.enqueued.0) {
            if latest.is_none_or(|l| l.dequeued.0 < a.dequeued.0) {
                latest = Some(a);
            }
        }
        if let Some(a) = latest.filter(|a| b.dequeued.1 < a.dequeued.0) {
            return Some(Broken { shape: "reordered-dequeue", operations: operations(&[*a, *b]) });
        }
    }
    None
}

/// A dequeue that saw nothing while something was in the queue all the time.
fn not_empty(elements: &[Element], empties: &[(u32, u32, u32)]) -> Option<Broken> {
    if empties.is_empty() {
        return None;
    }
    let mut inside: Vec<&Element> = elements.iter().filter(|e| e.enqueued.1 < e.dequeued.0).collect();
    inside.sort_unstable_by_key(|e| e.enqueued.1);
    // Stretches of time in which there was always something, with the elements that make them.
    let mut stretches: Vec<(u32, u32, usize, usize)> = Vec::new();
    for (i, element) in inside.iter().enumerate() {
        let (from, to) = (element.enqueued.1, element.dequeued.0);
        match stretches.last_mut() {
            Some((_, end, _, last)) if from < *end => (*end, *last) = ((*end).max(to), i),
            _ => stretches.push((from, to, i, i)),
        }
    }
    for &(invoked, completed, index) in empties {
        let at = stretches.partition_point(|s| s.0 < invoked);
        let Some(&(_, end, first, last)) = at.checked_sub(1).and_then(|at| stretches.get(at)) else {
            continue;
        };
        if end > completed {
            let mut shown = operations(&cover(&inside[first..=last], invoked, completed));
            shown.push(index);
            shown.sort_unstable();
            return Some(Broken { shape: "impossible-empty", operations: shown });
        }
    }
    None
}

/// The fewest of these elements of which one is inside at every moment between the two.
fn cover(inside: &[&Element], from: u32, to: u32) -> Vec<Element> {
    let mut cover = Vec::new();
    let mut reached = from;
    while reached <= to {
        let reaching = inside.iter().filter(|e| e.enqueued.1 < reached).max_by_key(|e| e.dequeued.0);
        let Some(next) = reaching.filter(|e| e.dequeued.0 > reached || e.dequeued.0 == NEVER) else { break };
        cover.push(**next);
        reached = next.dequeued.0;
    }
    cover
}
