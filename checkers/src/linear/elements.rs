//! What happened to each element of a collection whose every element goes in once.
//!
//! Queues, stacks and priority queues are read the same way: by functions that put and functions that take.
//! Times are ranks. An element is *certainly inside* from the completion of its put to the invocation of its
//! take: its *core*, which is empty where the two overlap.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use squall_history::{History, NEVER, Outcome};

use super::numbers::Numbers;

/// What a fast algorithm for collections says.
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
pub(crate) struct Element {
    pub put: u32,
    pub entering: (u32, u32),
    pub take: Option<u32>,
    pub leaving: (u32, u32),
}

/// An operation that is no put: invocation, completion, history index.
pub(crate) type Other = (u32, u32, u32);

/// All that happened to a collection.
#[derive(Clone, Debug)]
pub(crate) struct Elements {
    /// By invocation of their puts. A put without an answer whose element nobody took is left out: without it
    /// whatever was legal still is.
    pub elements: Vec<Element>,
    /// Takes that saw nothing inside.
    pub empties: Vec<Other>,
    /// Takes without an answer: each may have taken any element, or nothing.
    pub unseen: Vec<Other>,
}

const GONE: (u32, u32) = (NEVER, NEVER);

impl Element {
    /// Whether there is a time at which it is certainly inside.
    pub(crate) fn has_core(&self) -> bool {
        self.entering.1 < self.leaving.0
    }
}

/// Reads the operations with these indexes; what is already decided by one element alone is an error.
pub(crate) fn read(
    history: &History,
    indexes: impl Iterator<Item = u32> + Clone,
    put: &str,
    take: &str,
) -> Result<Elements, Patterns> {
    let puts = |&i: &u32| {
        let op = history.op(i as usize);
        op.f == put && op.outcome != Outcome::Fail
    };
    let mut numbers = Numbers::for_values(indexes.clone().filter(puts).map(|i| history.op(i as usize).input));
    let mut all = Elements { elements: Vec::new(), empties: Vec::new(), unseen: Vec::new() };
    for index in indexes.clone() {
        let op = history.op(index as usize);
        if op.outcome == Outcome::Fail || op.f == take {
            continue;
        }
        if op.f != put || op.input.is_nil() || !numbers.insert(op.input, all.elements.len() as u32) {
            return Err(Patterns::NotThisShape);
        }
        let entering = (op.invoked, op.completed);
        all.elements.push(Element { put: index, entering, take: None, leaving: GONE });
    }
    let broken = |shape, operations: Vec<u32>| Err(Patterns::Broken(Broken { shape, operations }));
    for index in indexes {
        let op = history.op(index as usize);
        let other = (op.invoked, op.completed, index);
        match op.outcome {
            _ if op.f != take => {}
            Outcome::Fail => {}
            Outcome::Info => all.unseen.push(other),
            Outcome::Ok if op.output.is_nil() => all.empties.push(other),
            Outcome::Ok => {
                let Some(number) = numbers.get(op.output) else {
                    return broken("unmatched-dequeue", vec![index]);
                };
                let element = &mut all.elements[number as usize];
                if let Some(first) = element.take {
                    return broken("duplicate-dequeue", vec![element.put, first, index]);
                }
                if op.completed < element.entering.0 {
                    return broken("dequeue-before-enqueue", vec![index, element.put]);
                }
                (element.take, element.leaving) = (Some(index), (op.invoked, op.completed));
            }
        }
    }
    all.elements.retain(|e| e.take.is_some() || e.entering.1 != NEVER);
    Ok(all)
}

/// Judges by `found`, which says what is wrong when takes without an answer took nothing. Where there are
/// such takes, only what they cannot excuse is wrong: what is left when elements that nobody was seen to take
/// are not looked at. And what is right when each of them took an element is right: which one it took is
/// guessed, the better guess being the lesser in `order`. What neither shows is for the search.
pub(crate) fn judge(
    all: &Elements,
    order: impl Fn(&Element, &Element) -> Ordering,
    found: impl Fn(&[Element]) -> Option<Broken>,
) -> Patterns {
    if all.unseen.is_empty() {
        return found(&all.elements).map_or(Patterns::Linearizable, Patterns::Broken);
    }
    let taken: Vec<Element> = all.elements.iter().filter(|e| e.take.is_some()).copied().collect();
    if let Some(broken) = found(&taken) {
        return Patterns::Broken(broken);
    }
    match found(&guessed(all, order)) {
        Some(_) => Patterns::NotThisShape,
        None => Patterns::Linearizable,
    }
}

/// The elements after each take without an answer took, at some time from its invocation, the best of those
/// that were certainly inside by then; or, where there was none, one that may have gone in and out at once.
/// That an element leaves earlier than never only allows more.
fn guessed(all: &Elements, order: impl Fn(&Element, &Element) -> Ordering) -> Vec<Element> {
    let mut elements = all.elements.clone();
    let mut left: Vec<usize> = (0..elements.len()).filter(|&i| elements[i].take.is_none()).collect();
    left.sort_by(|&a, &b| order(&elements[a], &elements[b]));
    // By when they are inside; each is called by its place in `left`, the best first.
    let mut entering: Vec<(u32, usize)> =
        left.iter().zip(0..).map(|(&i, place)| (elements[i].entering.1, place)).collect();
    entering.sort_unstable();
    let mut entering = entering.into_iter().peekable();
    let mut inside: BinaryHeap<Reverse<usize>> = BinaryHeap::new();
    let mut without: Vec<u32> = Vec::new();
    for &(invoked, ..) in &all.unseen {
        while let Some((_, place)) = entering.next_if(|(inside, _)| *inside < invoked) {
            inside.push(Reverse(place));
        }
        match inside.pop() {
            Some(Reverse(place)) => elements[left[place]].leaving = (invoked, NEVER),
            None => without.push(invoked),
        }
    }
    let mut rest: Vec<usize> =
        inside.into_iter().map(|Reverse(place)| place).chain(entering.map(|(_, place)| place)).collect();
    rest.sort_unstable();
    for (invoked, place) in without.into_iter().zip(rest) {
        elements[left[place]].leaving = (invoked, NEVER);
    }
    elements
}

/// The operations on these elements, ascending.
pub(crate) fn operations(elements: &[Element]) -> Vec<u32> {
    let mut all: Vec<u32> = elements.iter().flat_map(|e| [Some(e.put), e.take]).flatten().collect();
    all.sort_unstable();
    all
}

/// A take that saw nothing while something was certainly inside all the time.
pub(crate) fn not_empty(elements: &[Element], empties: &[Other]) -> Option<Broken> {
    if empties.is_empty() {
        return None;
    }
    let mut inside: Vec<&Element> = elements.iter().filter(|e| e.has_core()).collect();
    inside.sort_unstable_by_key(|e| e.entering.1);
    // Stretches of time in which there was always something, with the elements that make them.
    let mut stretches: Vec<(u32, u32, usize, usize)> = Vec::new();
    for (i, element) in inside.iter().enumerate() {
        let (from, to) = (element.entering.1, element.leaving.0);
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

/// The fewest of these elements of which one is certainly inside at every moment between the two.
pub(crate) fn cover(inside: &[&Element], from: u32, to: u32) -> Vec<Element> {
    let mut cover = Vec::new();
    let mut reached = from;
    while reached <= to {
        let reaching = inside.iter().filter(|e| e.entering.1 < reached).max_by_key(|e| e.leaving.0);
        let Some(next) = reaching.filter(|e| e.leaving.0 > reached || e.leaving.0 == NEVER) else { break };
        cover.push(**next);
        reached = next.leaving.0;
    }
    cover
}
