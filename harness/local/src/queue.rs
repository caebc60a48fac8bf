//! Packets on their way: what a delay or a bounded rate holds back, ordered by when it is due.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::policy::Nanos;

/// The most that one link may hold back, bytes.
const LINK_LIMIT: usize = 16 << 20;
/// The most that all links together may hold back, bytes.
const LIMIT: usize = 256 << 20;

/// A packet held back.
#[derive(Debug)]
pub(crate) struct Held {
    /// When it is due.
    pub at: Nanos,
    /// Packets due at the same time leave in the order in which they came.
    order: u64,
    /// Its link's number.
    pub link: usize,
    /// The port at which it leaves.
    pub port: usize,
    /// Its bytes, with room for headers in front.
    pub frame: Vec<u8>,
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl Eq for Held {}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Held {
    /// The first due is the greatest, because a heap gives its greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

/// All packets held back.
#[derive(Debug)]
pub(crate) struct Queue {
    heap: BinaryHeap<Held>,
    next: u64,
    bytes: usize,
    link_bytes: Vec<usize>,
}

impl Queue {
    /// For so many links.
    pub fn new(links: usize) -> Self {
        Queue { heap: BinaryHeap::new(), next: 0, bytes: 0, link_bytes: vec![0; links] }
    }

    /// Holds a packet back; `false` if there is no room for it.
    pub fn push(&mut self, at: Nanos, link: usize, port: usize, frame: Vec<u8>) -> bool {
        let length = frame.len();
        if self.bytes + length > LIMIT || self.link_bytes[link] + length > LINK_LIMIT {
            return false;
        }
        self.bytes += length;
        self.link_bytes[link] += length;
        self.next += 1;
        self.heap.push(Held { at, order: self.next, link, port, frame });
        true
    }

    /// When the next packet is due.
    pub fn due(&self) -> Option<Nanos> {
        self.heap.peek().map(|held| held.at)
    }

    /// The next packet if it is due.
    pub fn pop(&mut self, now: Nanos) -> Option<Held> {
        if self.due()? > now {
            return None;
        }
        let held = self.heap.pop()?;
        self.bytes -= held.frame.len();
        self.link_bytes[held.link] -= held.frame.len();
        Some(held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_leave_when_due_in_the_order_they_came() {
        let mut queue = Queue::new(2);
        for (at, name) in [(30, 3), (10, 1), (30, 4), (20, 2)] {
            assert!(queue.push(at, 0, 0, vec![name]));
        }
        assert_eq!(queue.due(), Some(10));
        assert!(queue.pop(9).is_none());
        let order: Vec<u8> = std::iter::from_fn(|| queue.pop(30)).map(|held| held.frame[0]).collect();
        assert_eq!(order, [1, 2, 3, 4]);
    }

    #[test]
    fn a_full_link_refuses_and_its_neighbour_does_not() {
        let mut queue = Queue::new(2);
        let part = || vec![0; 1 << 20];
        let taken = (0..100).take_while(|at| queue.push(*at, 0, 0, part())).count();
        assert_eq!(taken, 16);
        assert!(queue.push(0, 1, 0, part()));
        assert!(queue.pop(0).is_some());
        assert!(queue.push(0, 0, 0, part()), "there is room again");
    }
}
