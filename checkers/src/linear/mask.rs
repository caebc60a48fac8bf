//! Sets of pending slots, as wide as a history needs and no wider.

use std::hash::Hash;

/// A fixed number of bits. Bits beyond the number asked for stay clear.
pub(crate) trait Mask: Clone + Eq + Hash {
    /// No bit set, room for `slots`.
    fn empty(slots: usize) -> Self;
    /// The bits, lowest first.
    fn words(&self) -> &[u64];
    /// The same to change.
    fn words_mut(&mut self) -> &mut [u64];

    #[inline]
    fn has(&self, slot: usize) -> bool {
        self.words()[slot >> 6] >> (slot & 63) & 1 == 1
    }

    #[inline]
    fn set(&mut self, slot: usize) {
        self.words_mut()[slot >> 6] |= 1 << (slot & 63);
    }

    #[inline]
    fn clear(&mut self, slot: usize) {
        self.words_mut()[slot >> 6] &= !(1 << (slot & 63));
    }

    /// Whether the two share a bit.
    #[inline]
    fn meets(&self, other: &Self) -> bool {
        self.words().iter().zip(other.words()).any(|(a, b)| a & b != 0)
    }

    /// Number of bits set.
    #[inline]
    fn count(&self) -> u32 {
        self.words().iter().map(|w| w.count_ones()).sum()
    }

    /// Calls `f` for every bit set, lowest first.
    #[inline]
    fn each(&self, mut f: impl FnMut(usize)) {
        for (i, &word) in self.words().iter().enumerate() {
            let mut rest = word;
            while rest != 0 {
                f(i * 64 + rest.trailing_zeros() as usize);
                rest &= rest - 1;
            }
        }
    }
}

impl<const N: usize> Mask for [u64; N] {
    #[inline]
    fn empty(slots: usize) -> Self {
        assert!(slots <= N * 64, "the caller chooses a mask that is wide enough");
        [0; N]
    }

    #[inline]
    fn words(&self) -> &[u64] {
        self
    }

    #[inline]
    fn words_mut(&mut self) -> &mut [u64] {
        self
    }
}

impl Mask for Box<[u64]> {
    fn empty(slots: usize) -> Self {
        vec![0; slots.div_ceil(64)].into_boxed_slice()
    }

    fn words(&self) -> &[u64] {
        self
    }

    fn words_mut(&mut self) -> &mut [u64] {
        self
    }
}
