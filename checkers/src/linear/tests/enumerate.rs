//! All shapes of small histories: every way in which n operations can overlap.

use squall_history::NEVER;

use crate::linear::problem::Call;

/// Calls `visit` with the invocation and completion ranks of every shape of `n` operations, of which those
/// in the bit set `open` never complete. Operations are numbered by invocation, so no shape comes twice.
pub(crate) fn shapes(n: usize, open: u32, visit: &mut impl FnMut(&[(u32, u32)])) {
    extend(n, open, &mut vec![], 0, visit);
}

fn extend(n: usize, open: u32, made: &mut Vec<(u32, u32)>, rank: u32, visit: &mut impl FnMut(&[(u32, u32)])) {
    const PENDING: u32 = NEVER - 1;
    let pending: Vec<usize> = (0..made.len()).filter(|&i| made[i].1 == PENDING).collect();
    if made.len() == n && pending.is_empty() {
        visit(made);
        return;
    }
    if made.len() < n {
        let completes = if open >> made.len() & 1 == 1 { NEVER } else { PENDING };
        made.push((rank, completes));
        extend(n, open, made, rank + 1, visit);
        made.pop();
    }
    for i in pending {
        made[i].1 = rank;
        extend(n, open, made, rank + 1, visit);
        made[i].1 = PENDING;
    }
}

/// The same, but of shapes in which the same operations precede each other only one: where invocations stand
/// side by side, what completes earlier is invoked earlier, and completions side by side come in the order of
/// the invocations. Of 10395 shapes of six operations 217 are left, as many as there are interval orders.
pub(crate) fn orders(n: usize, open: u32, visit: &mut impl FnMut(&[(u32, u32)])) {
    shapes(n, open, &mut |shape| {
        let beside = |a: u32, b: u32| a != NEVER && a + 1 == b;
        let invocations = shape.windows(2).all(|w| !beside(w[0].0, w[1].0) || w[0].1 <= w[1].1);
        let descends = |i: usize| shape[..i].iter().any(|earlier| beside(shape[i].1, earlier.1));
        if invocations && !(0..shape.len()).any(descends) {
            visit(shape);
        }
    });
}

/// Calls `visit` with every way to give `n` operations one of `classes` classes.
pub(crate) fn labels(n: usize, classes: usize, visit: &mut impl FnMut(&[u32])) {
    let mut label = vec![0u32; n];
    loop {
        visit(&label);
        let Some(at) = (0..n).rev().find(|&i| (label[i] as usize) < classes - 1) else { return };
        label[at] += 1;
        label[at + 1..].fill(0);
    }
}

/// The calls of a shape with these classes.
pub(crate) fn calls(shape: &[(u32, u32)], label: &[u32]) -> Vec<Call> {
    let one = |(i, (&(invoked, completed), &class)): (usize, (&(u32, u32), &u32))| Call {
        class,
        invoked,
        completed,
        index: i as u32,
    };
    shape.iter().zip(label).enumerate().map(one).collect()
}

#[test]
fn two_operations_overlap_in_three_ways_up_to_renaming() {
    let mut seen = Vec::new();
    shapes(2, 0, &mut |s| seen.push(s.to_vec()));
    assert_eq!(seen, [[(0, 2), (1, 3)], [(0, 3), (1, 2)], [(0, 1), (2, 3)]]);
}

#[test]
fn there_are_as_many_orders_as_interval_orders() {
    let count = |n| {
        let mut seen = 0;
        orders(n, 0, &mut |_| seen += 1);
        seen
    };
    assert_eq!([1, 2, 3, 4, 5].map(count), [1, 2, 5, 15, 53]);
}
