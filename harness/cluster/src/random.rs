//! A small seeded generator: SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
//! generators", 2014).

/// Numbers that depend on the seed alone.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Begins at a seed.
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// Any number of 64 bits.
    #[allow(clippy::should_implement_trait, reason = "it has no end")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// Whether something happens that happens with this share of times.
    pub fn hits(&mut self, share: f64) -> bool {
        share >= 1.0 || (share > 0.0 && ((self.next() >> 11) as f64) < share * (1u64 << 53) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_kept() {
        let mut random = Random::new(7);
        let hits = (0..100_000).filter(|_| random.hits(0.2)).count();
        assert!((19_000..21_000).contains(&hits), "{hits}");
        assert!(random.hits(1.0) && !random.hits(0.0));
        assert!((0..1000).all(|_| random.below(3) < 3));
    }
}
