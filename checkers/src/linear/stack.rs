//! Stacks whose every element is pushed once: peeled from the outside, O(n log n).
//!
//! At a moment at which no element is certainly inside (*free*), each can be gone or be still to come, so the
//! history falls apart there without loss. Between two free moments that are next to each other some element
//! must go in first and come out last. Any that can do so may: given a legal order of the others, it goes
//! around them. So an element whose push and whose pop can both be at a free moment is taken away; then
//! more moments may be free. What could be taken away once can be later, so the order does not matter, and
//! the stack is linearizable exactly if nothing is left in the end. An element whose push and pop overlap goes
//! in and out at once. A pop that saw nothing needs a moment that was free from the beginning.
//! (Decrease and conquer: Z. Lee & U. Mathur, "Efficient decrease-and-conquer linearizability monitoring",
//! OOPSLA 2025.)

use squall_history::{History, NEVER};

use super::elements::{self, Broken, Element, Patterns, not_empty, operations};
use super::stabbed::{Counts, Stabbed};

/// Judges the operations with these indexes.
pub(crate) fn judge(history: &History, indexes: impl Iterator<Item = u32> + Clone) -> Patterns {
    let all = match elements::read(history, indexes, "push", "pop") {
        Ok(all) => all,
        Err(decided) => return decided,
    };
    let newest = |a: &Element, b: &Element| b.entering.1.cmp(&a.entering.1);
    elements::judge(&all, newest, |elements| {
        let left = peeled(elements);
        if left.is_empty() {
            return not_empty(elements, &all.empties);
        }
        Some(Broken { shape: "reordered-pop", operations: operations(&fewest(left)) })
    })
}

/// The four ends of an element's way as places among all of them.
#[derive(Clone, Copy, Default)]
struct Way {
    pushed: (u32, u32),
    popped: (u32, u32),
}

/// What cannot be taken away.
fn peeled(elements: &[Element]) -> Vec<Element> {
    let elements: Vec<Element> = elements.iter().filter(|e| e.has_core()).copied().collect();
    let (ways, places) = places(&elements);
    let mut cores: Vec<i32> = vec![0; places + 2];
    for way in &ways {
        cores[way.pushed.1 as usize] += 1;
        cores[way.popped.0 as usize] -= 1;
    }
    let mut inside = Counts::from_changes(&cores);
    let mut pushes = Stabbed::new(ways.iter().map(|w| w.pushed));
    let mut pops = Stabbed::new(ways.iter().map(|w| w.popped));
    // How much of push and pop can be at a free moment.
    let mut can = vec![0u8; ways.len()];
    while let Some(free) = inside.take_zero() {
        for side in [&mut pushes, &mut pops] {
            while let Some(i) = side.take(free) {
                can[i as usize] += 1;
                if can[i as usize] == 2 {
                    let way = ways[i as usize];
                    inside.less(way.pushed.1, way.popped.0);
                }
            }
        }
    }
    elements.iter().zip(&can).filter(|(_, can)| **can < 2).map(|(e, _)| *e).collect()
}

/// The ends of elements as places from 0, and how many there are. What never comes out comes out last.
fn places(elements: &[Element]) -> (Vec<Way>, usize) {
    let mut ends: Vec<(u32, u32)> = Vec::with_capacity(4 * elements.len());
    for (i, e) in elements.iter().enumerate() {
        let all = [e.entering.0, e.entering.1, e.leaving.0, e.leaving.1];
        ends.extend(all.iter().zip(0..).filter(|(r, _)| **r != NEVER).map(|(&r, k)| (r, 4 * i as u32 + k)));
    }
    ends.sort_unstable();
    let last = ends.len() as u32;
    let mut ways = vec![Way { popped: (last, last + 1), ..Way::default() }; elements.len()];
    for (place, &(_, end)) in ends.iter().enumerate() {
        let way = &mut ways[end as usize / 4];
        let place = place as u32;
        match end % 4 {
            0 => way.pushed.0 = place,
            1 => way.pushed.1 = place,
            2 => way.popped.0 = place,
            _ => way.popped.1 = place,
        }
    }
    (ways, ends.len())
}

/// How many times the elements may be looked at again to find the few that show it.
const EFFORT: usize = 60;

/// As few of these elements as still cannot be taken away.
fn fewest(mut left: Vec<Element>) -> Vec<Element> {
    let mut effort = EFFORT * left.len();
    let mut size = left.len().div_ceil(2);
    loop {
        let mut changed = false;
        let mut from = 0;
        while from < left.len() {
            let to = (from + size).min(left.len());
            let rest: Vec<Element> = left[..from].iter().chain(&left[to..]).copied().collect();
            if effort < rest.len() {
                return left;
            }
            effort -= rest.len();
            let still = peeled(&rest);
            if still.is_empty() {
                from = to;
            } else {
                (left, changed, from) = (still, true, 0);
                size = size.min(left.len().div_ceil(2)).max(1);
            }
        }
        if size == 1 && !changed {
            return left;
        }
        size = size.div_ceil(2);
    }
}
