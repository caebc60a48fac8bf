//! Randomness as a function of a seed: operation `i` of worker `w` of (seed, w, i); fault `k` of (seed, k).
//!
//! Invariant: nothing random is drawn from anywhere else, so two runs with one seed decide alike as far as
//! both get. Ranges are drawn here and not by a library, because a library may change how it maps bits to
//! ranges, and old seeds must keep their meaning.

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng as _;

/// The seed of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(pub u64);

const OPERATIONS: u64 = 1;
const FAULTS: u64 = 2;
const KEYS: u64 = 3;
const NETWORK: u64 = 4;

impl Seed {
    /// The source for operation `index` of `worker`.
    pub fn operation(self, worker: u64, index: u64) -> Rng {
        self.stream([OPERATIONS, worker, index])
    }

    /// The source for fault `k`.
    pub fn fault(self, k: u64) -> Rng {
        self.stream([FAULTS, k, 0])
    }

    /// The source for the `generation`-th life of key slot `slot`.
    pub fn key(self, slot: u64, generation: u64) -> Rng {
        self.stream([KEYS, slot, generation])
    }

    /// A seed for the network between nodes.
    pub fn network(self) -> u64 {
        self.stream([NETWORK, 0, 0]).next()
    }

    fn stream(self, parts: [u64; 3]) -> Rng {
        let mut state = self.0;
        for part in parts {
            state = mix(state ^ mix(part.wrapping_add(0x9e37_79b9_7f4a_7c15)));
        }
        // Pcg64Mcg wants an odd state; `new` sees to that.
        Rng(Pcg64Mcg::new((u128::from(mix(state)) << 64) | u128::from(mix(!state))))
    }
}

/// SplitMix64's finaliser (Steele, Lea & Flood 2014): spreads every bit over all.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A source of random numbers.
#[derive(Clone, Debug)]
pub struct Rng(Pcg64Mcg);

impl Rng {
    /// 64 random bits.
    #[allow(clippy::should_implement_trait, reason = "an endless source is not an iterator here")]
    pub fn next(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `n`; 0 if `n` is 0. Unbiased to within 2⁻⁶⁴ (Lemire's multiplication).
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }

    /// An index below `n`.
    pub fn index(&mut self, n: usize) -> usize {
        self.below(n as u64) as usize
    }

    /// A number in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True with this probability.
    pub fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// Exponentially distributed with this mean.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -(1.0 - self.unit()).ln() * mean
    }

    /// Between the two, uniform in the logarithm: every order of magnitude is as likely.
    pub fn log_uniform(&mut self, from: f64, to: f64) -> f64 {
        (from.ln() + self.unit() * (to.ln() - from.ln())).exp()
    }

    /// Puts a slice in random order (Fisher & Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.index(i + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_means_the_same_for_ever() {
        // Golden: changing these numbers breaks every stored seed.
        let mut rng = Seed(7).operation(3, 11);
        assert_eq!([rng.next(), rng.below(1000), rng.below(8)], GOLDEN);
    }
    const GOLDEN: [u64; 3] = [5_419_529_982_360_694_110, 255, 7];

    #[test]
    fn streams_differ_in_every_part() {
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..4 {
            for a in 0..20 {
                for b in 0..20 {
                    assert!(seen.insert(Seed(seed).operation(a, b).next()));
                }
                assert!(seen.insert(Seed(seed).fault(a).next()));
                assert!(seen.insert(Seed(seed).key(a, 0).next()));
            }
        }
    }

    #[test]
    fn draws_stay_in_range_and_near_their_mean() {
        let mut rng = Seed(1).fault(0);
        assert_eq!(rng.below(0), 0);
        let n = 20_000;
        let mean = (0..n).map(|_| rng.exponential(5.0)).sum::<f64>() / f64::from(n);
        assert!((4.8..5.2).contains(&mean), "{mean}");
        for _ in 0..n {
            assert!(rng.below(7) < 7);
            assert!((0.004..=262.0).contains(&rng.log_uniform(0.004, 262.0)));
        }
    }
}
