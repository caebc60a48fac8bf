//! The memory that a node's programs share with the harness, byte for byte: the stub reads it with fixed
//! offsets, so its shape is `repr(C)` and every field is an atomic of 64 bits.
//!
//! Two slots and a generation stand in for a lock. The slot in force is `generation % 2`. A writer fills the
//! other slot and then raises the generation; a reader takes the generation, the true time and the slot, and
//! starts again if the generation has changed meanwhile. A writer that dies half way leaves the old generation
//! and its whole slot behind, so no reader ever waits for one.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering, fence};

use super::mapping::{Line, Mapping};

/// Size of the shared page in bytes.
pub(super) const PAGE_BYTES: usize = 4096;

/// How true time maps to node time, as the stub reads it. Times are nanoseconds since 1970, rates are in units
/// of 2^-32.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub(super) struct Slot {
    /// 0: the node's time is the true time, and the rest of the slot means nothing.
    pub skewed: AtomicU64,
    /// From this true time on `after` holds; it is the anchor of `after`, too.
    pub switch_at: AtomicI64,
    pub after_value: AtomicI64,
    pub after_rate: AtomicI64,
    pub before_anchor: AtomicI64,
    pub before_value: AtomicI64,
    pub before_rate: AtomicI64,
}

/// The page. Each writer has a cache line of its own: the harness, the programs, the supervisors.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub(super) struct Page {
    pub generation: Line64,
    pub seen: Line64,
    pub patched: Line64,
    pub refused: Line64,
    pub slots: [Slot; 2],
}

/// A counter alone on its cache line.
#[repr(C, align(64))]
#[derive(Debug, Default)]
pub(super) struct Line64(pub AtomicU64);

impl Slot {
    pub fn store(&self, mapping: &Mapping) {
        let Mapping { skewed, switch_at, before, after } = mapping;
        debug_assert!(!skewed || after.anchor == *switch_at, "the later line starts at the switch");
        self.skewed.store(u64::from(*skewed), Ordering::Relaxed);
        self.switch_at.store(*switch_at, Ordering::Relaxed);
        self.after_value.store(after.value, Ordering::Relaxed);
        self.after_rate.store(after.rate, Ordering::Relaxed);
        self.before_anchor.store(before.anchor, Ordering::Relaxed);
        self.before_value.store(before.value, Ordering::Relaxed);
        self.before_rate.store(before.rate, Ordering::Relaxed);
    }

    pub fn load(&self) -> Mapping {
        let switch_at = self.switch_at.load(Ordering::Relaxed);
        Mapping {
            skewed: self.skewed.load(Ordering::Relaxed) != 0,
            switch_at,
            before: Line {
                anchor: self.before_anchor.load(Ordering::Relaxed),
                value: self.before_value.load(Ordering::Relaxed),
                rate: self.before_rate.load(Ordering::Relaxed),
            },
            after: Line {
                anchor: switch_at,
                value: self.after_value.load(Ordering::Relaxed),
                rate: self.after_rate.load(Ordering::Relaxed),
            },
        }
    }
}

impl Page {
    /// The mapping in force and its generation.
    pub fn current(&self) -> (u64, Mapping) {
        loop {
            let generation = self.generation.0.load(Ordering::Acquire);
            let mapping = self.slots[(generation % 2) as usize].load();
            fence(Ordering::Acquire);
            if self.generation.0.load(Ordering::Relaxed) == generation {
                return (generation, mapping);
            }
        }
    }

    /// Fills the slot that is not in force. Only one writer at a time.
    pub fn prepare(&self, mapping: &Mapping) -> u64 {
        let next = self.generation.0.load(Ordering::Relaxed) + 1;
        fence(Ordering::Release);
        self.slots[(next % 2) as usize].store(mapping);
        next
    }

    /// Puts the slot in force that [`Page::prepare`] filled.
    pub fn publish(&self, generation: u64) {
        self.generation.0.store(generation, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fits_into_a_page() {
        assert!(size_of::<Page>() <= PAGE_BYTES);
        assert_eq!(size_of::<Slot>(), 64, "the stub multiplies by shifting");
    }

    #[test]
    fn a_writer_that_dies_half_way_leaves_the_old_mapping_in_force() {
        let page = Page::default();
        let first = Mapping::identity(5).jumped(1_000).expect("small");
        let generation = page.prepare(&first);
        page.publish(generation);
        page.prepare(&Mapping::identity(9).jumped(77).expect("small"));
        assert_eq!(page.current(), (1, first));
    }
}
