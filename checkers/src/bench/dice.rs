//! Seeded randomness for generated inputs: the same numbers for the same seed, everywhere and for ever.

/// xorshift64*, S. Vigna, "An experimental exploration of Marsaglia's xorshift generators", 2016.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// A sequence of its own for every seed.
    pub fn new(seed: u64) -> Self {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..8 {
            dice.roll(2);
        }
        dice
    }

    /// A number from 0 to `sides` - 1; `sides` at most 2³².
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) * sides) >> 32
    }

    /// True `share` of the time, in parts of a million.
    pub fn chance(&mut self, share_ppm: u64) -> bool {
        self.roll(1_000_000) < share_ppm
    }
}
