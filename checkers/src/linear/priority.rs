//! Priority queues whose every element goes in once: least first, O(n log n).
//!
//! A greater element never stands in the way of a less one. So elements are looked at from the least on, and
//! each must come out at a moment at which no less element is certainly inside. That this is enough is shown
//! by induction: the less elements have a legal order; at a moment at which none of them is certainly inside,
//! each can either be gone or be still to come, so that there is an order, too, in which none is inside at
//! that moment, and there the greater one comes out. A dequeue that saw nothing is greater than all.
//! (Decrease and conquer: Z. Lee & U. Mathur, "Efficient decrease-and-conquer linearizability monitoring",
//! OOPSLA 2025.)

use squall_history::{History, NEVER};

use super::elements::{self, Broken, Element, Patterns, cover, not_empty, operations};

/// Judges the operations with these indexes.
pub(crate) fn judge(history: &History, indexes: impl Iterator<Item = u32> + Clone) -> Patterns {
    let all = match elements::read(history, indexes, "enqueue", "dequeue") {
        Ok(all) => all,
        Err(decided) => return decided,
    };
    let value = |e: &Element| history.op(e.put as usize).input;
    let less = |a: &Element, b: &Element| value(a).cmp(value(b));
    elements::judge(&all, less, |elements| {
        let mut elements = elements.to_vec();
        elements.sort_by(|a, b| value(a).cmp(value(b)));
        overtaken(&elements).or_else(|| not_empty(&elements, &all.empties))
    })
}

/// An element that came out while a less one was certainly inside all the time. Elements are sorted.
fn overtaken(elements: &[Element]) -> Option<Broken> {
    let mut ranks: Vec<u32> = elements
        .iter()
        .flat_map(|e| [e.entering.0, e.entering.1, e.leaving.0, e.leaving.1])
        .filter(|&rank| rank != NEVER)
        .collect();
    ranks.sort_unstable();
    // Moments are numbered by the rank before them; after the last one nothing need be inside.
    let place = |rank: u32| ranks.partition_point(|&r| r < rank);
    let mut free = Free { next: (0..=ranks.len() as u32 + 1).collect() };
    for (at, element) in elements.iter().enumerate() {
        let from = element.entering.0.max(element.leaving.0);
        if element.take.is_some() && free.from(place(from)) >= place(element.leaving.1) {
            let mut inside: Vec<&Element> = elements[..at].iter().filter(|e| e.has_core()).collect();
            inside.sort_unstable_by_key(|e| e.entering.1);
            let mut shown = cover(&inside, from, element.leaving.1);
            shown.push(*element);
            return Some(Broken { shape: "overtaking-dequeue", operations: operations(&shown) });
        }
        if element.has_core() {
            free.cover(place(element.entering.1), place(element.leaving.0));
        }
    }
    None
}

/// Which moments are not covered: each points to one that is at or after it (union-find).
struct Free {
    next: Vec<u32>,
}

impl Free {
    /// The first that is not covered, from here on.
    fn from(&mut self, at: usize) -> usize {
        let mut at = at;
        while self.next[at] as usize != at {
            let next = self.next[at] as usize;
            self.next[at] = self.next[next];
            at = next;
        }
        at
    }

    fn cover(&mut self, from: usize, to: usize) {
        let mut at = self.from(from);
        while at < to {
            self.next[at] = at as u32 + 1;
            at = self.from(at + 1);
        }
    }
}
