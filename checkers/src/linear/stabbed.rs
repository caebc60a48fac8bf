//! Two trees over moments: how often each is covered, and which intervals it lies in.

/// How many intervals cover each moment. Those that nothing covers are given out, each once.
pub(crate) struct Counts {
    // least[node] is the least count below it without what is to be added above it; moments that were given
    // out count as FAR.
    least: Vec<i32>,
    added: Vec<i32>,
    size: usize,
}

const FAR: i32 = 1 << 29;

impl Counts {
    /// From the change at each moment.
    pub(crate) fn from_changes(changes: &[i32]) -> Self {
        let size = changes.len().next_power_of_two();
        let mut least = vec![FAR; 2 * size];
        let mut now = 0;
        for (at, change) in changes.iter().enumerate() {
            now += change;
            least[size + at] = now;
        }
        for node in (1..size).rev() {
            least[node] = least[2 * node].min(least[2 * node + 1]);
        }
        Counts { least, added: vec![0; 2 * size], size }
    }

    /// A moment that nothing covers.
    pub(crate) fn take_zero(&mut self) -> Option<u32> {
        if self.least[1] != 0 {
            return None;
        }
        let (mut node, mut wanted) = (1, 0);
        while node < self.size {
            wanted -= self.added[node];
            node *= 2;
            if self.least[node] != wanted {
                node += 1;
            }
        }
        let at = node - self.size;
        self.least[node] = FAR;
        self.update(node);
        Some(at as u32)
    }

    /// One interval less covers the moments from `from` to before `to`.
    pub(crate) fn less(&mut self, from: u32, to: u32) {
        let (mut low, mut high) = (from as usize + self.size, to as usize + self.size);
        let (first, last) = (low, high - 1);
        while low < high {
            if low % 2 == 1 {
                self.lower(low);
                low += 1;
            }
            if high % 2 == 1 {
                high -= 1;
                self.lower(high);
            }
            (low, high) = (low / 2, high / 2);
        }
        self.update(first);
        self.update(last);
    }

    fn lower(&mut self, node: usize) {
        self.least[node] -= 1;
        self.added[node] -= 1;
    }

    fn update(&mut self, mut node: usize) {
        while node > 1 {
            node /= 2;
            self.least[node] = self.least[2 * node].min(self.least[2 * node + 1]) + self.added[node];
        }
    }
}

/// Intervals of moments, from the first to before the second. They are given out by a moment in them, each once.
pub(crate) struct Stabbed {
    /// By start: starts, and which they are.
    starts: Vec<(u32, u32)>,
    /// A tree of the latest ends; 0 where an interval was given out.
    ends: Vec<u32>,
    size: usize,
}

impl Stabbed {
    pub(crate) fn new(intervals: impl Iterator<Item = (u32, u32)>) -> Self {
        let mut sorted: Vec<(u32, u32, u32)> = intervals.zip(0..).map(|((a, b), i)| (a, i, b)).collect();
        sorted.sort_unstable();
        let size = sorted.len().next_power_of_two();
        let mut ends = vec![0; 2 * size];
        for (at, interval) in sorted.iter().enumerate() {
            ends[size + at] = interval.2;
        }
        for node in (1..size).rev() {
            ends[node] = ends[2 * node].max(ends[2 * node + 1]);
        }
        Stabbed { starts: sorted.into_iter().map(|(start, which, _)| (start, which)).collect(), ends, size }
    }

    /// One that the moment lies in.
    pub(crate) fn take(&mut self, moment: u32) -> Option<u32> {
        let count = self.starts.partition_point(|s| s.0 <= moment);
        let mut node = self.reaching(count, moment)?;
        while node < self.size {
            node *= 2;
            if self.ends[node] <= moment {
                node += 1;
            }
        }
        let at = node - self.size;
        self.ends[node] = 0;
        while node > 1 {
            node /= 2;
            self.ends[node] = self.ends[2 * node].max(self.ends[2 * node + 1]);
        }
        Some(self.starts[at].1)
    }

    /// A node all of whose intervals are among the first `count`, of which one reaches past the moment.
    fn reaching(&self, count: usize, moment: u32) -> Option<usize> {
        let (mut low, mut high) = (self.size, self.size + count);
        while low < high {
            if low % 2 == 1 {
                if self.ends[low] > moment {
                    return Some(low);
                }
                low += 1;
            }
            if high % 2 == 1 {
                high -= 1;
                if self.ends[high] > moment {
                    return Some(high);
                }
            }
            (low, high) = (low / 2, high / 2);
        }
        None
    }
}
