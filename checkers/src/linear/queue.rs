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
//! have taken any element: see [`elements::judge`].

use squall_history::History;

use super::elements::{self, Broken, Element, Patterns, not_empty, operations};

/// Judges the operations with these indexes. `ordered`: elements come out in the order in which they went in.
pub(crate) fn judge(
    history: &History,
    indexes: impl Iterator<Item = u32> + Clone,
    ordered: bool,
) -> Patterns {
    let all = match elements::read(history, indexes, "enqueue", "dequeue") {
        Ok(all) => all,
        Err(decided) => return decided,
    };
    let oldest = |a: &Element, b: &Element| a.entering.1.cmp(&b.entering.1);
    elements::judge(&all, oldest, |elements| {
        if ordered { reordered(elements) } else { None }.or_else(|| not_empty(elements, &all.empties))
    })
}

/// a in before b, b out before a.
fn reordered(elements: &[Element]) -> Option<Broken> {
    let mut by_start: Vec<&Element> = elements.iter().collect();
    let mut by_end = by_start.clone();
    by_start.sort_unstable_by_key(|e| e.entering.0);
    by_end.sort_unstable_by_key(|e| e.entering.1);
    let mut ends = by_end.into_iter().peekable();
    // Of those that went in earlier, the one that came out last.
    let mut latest: Option<&Element> = None;
    for b in by_start {
        while let Some(a) = ends.next_if(|a| a.entering.1 < b.entering.0) {
            if latest.is_none_or(|l| l.leaving.0 < a.leaving.0) {
                latest = Some(a);
            }
        }
        if let Some(a) = latest.filter(|a| b.leaving.1 < a.leaving.0) {
            return Some(Broken { shape: "reordered-dequeue", operations: operations(&[*a, *b]) });
        }
    }
    None
}
