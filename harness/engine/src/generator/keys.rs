//! Which keys live when: a bounded number at a time, each for a while, some of them hot.
//!
//! A pure function of the seed and the time at which an operation is due, so that every worker agrees
//! without asking. Keys are never used again after their time: a register's history ends, and its check
//! stays small.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Context, Generator, Next};
use crate::operation::Operation;
use crate::seed::Seed;

/// A key's number, unique over the run.
pub type Key = i64;

/// See the module.
#[derive(Clone, Debug)]
pub struct KeyPool {
    seed: Seed,
    live: usize,
    hot_share: f64,
    life_min: u64,
    life_max: u64,
    // For each slot, when each generation of its keys ends; extended as far as has been asked.
    ends: Vec<Vec<u64>>,
}

impl KeyPool {
    /// `live` keys at a time (at least one), of which the first slot's gets `hot_share` of the traffic, each
    /// living between `life_min` and `life_max`.
    pub fn new(seed: Seed, live: usize, hot_share: f64, life_min: Duration, life_max: Duration) -> Self {
        let live = live.max(1);
        let life_min = (life_min.as_nanos() as u64).max(1);
        KeyPool {
            seed,
            live,
            hot_share,
            life_min,
            life_max: (life_max.as_nanos() as u64).max(life_min),
            ends: vec![Vec::new(); live],
        }
    }

    /// Draws a key that lives at `due`.
    pub fn pick(&mut self, rng: &mut crate::seed::Rng, due: u64) -> Key {
        let slot = if rng.chance(self.hot_share) { 0 } else { rng.index(self.live) };
        self.at(slot, due)
    }

    /// All keys that live at `due`.
    pub fn living(&mut self, due: u64) -> Vec<Key> {
        (0..self.live).map(|slot| self.at(slot, due)).collect()
    }

    /// All keys that lived at any time up to `due`.
    pub fn lived(&mut self, due: u64) -> Vec<Key> {
        let live = self.live as Key;
        let mut keys: Vec<Key> = (0..self.live)
            .flat_map(|slot| (slot as Key..=self.at(slot, due)).step_by(live as usize))
            .collect();
        keys.sort_unstable();
        keys
    }

    fn at(&mut self, slot: usize, due: u64) -> Key {
        while self.ends[slot].last().is_none_or(|end| *end <= due) {
            let generation = self.ends[slot].len();
            let begin = self.ends[slot].last().copied().unwrap_or(0);
            let mut rng = self.seed.key(slot as u64, generation as u64);
            let mut life = self.life_min + rng.below(self.life_max - self.life_min + 1);
            if generation == 0 {
                // First lives are cut short, evenly, so that slots do not change all at once.
                life = (life * (slot as u64 + 1)).div_ceil(self.live as u64);
            }
            self.ends[slot].push(begin + life.max(1));
        }
        let generation = self.ends[slot].partition_point(|end| *end <= due);
        (generation * self.live + slot) as Key
    }
}

/// Final reads: each key that has lived, once, by whichever worker is free.
#[derive(Debug)]
pub struct FinalReads {
    pool: KeyPool,
    read: fn(Key) -> Operation,
    left: Option<VecDeque<Key>>,
}

impl FinalReads {
    /// Reads as `read` makes them.
    pub fn new(pool: KeyPool, read: fn(Key) -> Operation) -> Self {
        FinalReads { pool, read, left: None }
    }
}

impl Generator for FinalReads {
    fn next(&mut self, ctx: &mut Context) -> Next {
        let left = self.left.get_or_insert_with(|| self.pool.lived(ctx.time).into());
        left.pop_front().map_or(Next::Done, |key| Next::Op((self.read)(key), ctx.due))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn pool() -> KeyPool {
        KeyPool::new(Seed(7), 8, 0.5, Duration::from_secs(10), Duration::from_secs(20))
    }

    #[test]
    fn keys_live_their_time_and_never_come_back() {
        let mut pool = pool();
        let mut spans: std::collections::BTreeMap<Key, (u64, u64)> = Default::default();
        for tick in 0..3000 {
            let now = tick * SECOND / 10;
            let living = pool.living(now);
            assert_eq!(living.len(), 8);
            for key in living {
                let span = spans.entry(key).or_insert((now, now));
                assert!(now - span.1 <= SECOND / 10, "key {key} came back");
                span.1 = now;
            }
        }
        let whole: Vec<u64> =
            spans.values().filter(|s| s.0 > 0 && s.1 < 299 * SECOND).map(|s| s.1 - s.0).collect();
        assert!(whole.len() > 100);
        assert!(whole.iter().all(|life| (98 * SECOND / 10..=20 * SECOND).contains(life)), "{whole:?}");
    }

    #[test]
    fn every_key_that_ever_lived_is_known() {
        let mut pool = pool();
        let mut seen: std::collections::BTreeSet<Key> = Default::default();
        for tick in 0..600 {
            seen.extend(pool.living(tick * SECOND / 10));
        }
        assert_eq!(pool.lived(599 * SECOND / 10), seen.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn the_order_of_questions_does_not_matter() {
        let (mut a, mut b) = (pool(), pool());
        let forwards: Vec<_> = (0..50).map(|s| a.living(s * SECOND)).collect();
        let backwards: Vec<_> = (0..50).rev().map(|s| b.living(s * SECOND)).collect();
        assert!(forwards.into_iter().eq(backwards.into_iter().rev()));
    }

    #[test]
    fn half_of_the_traffic_goes_to_the_hottest_key() {
        let mut pool = pool();
        let hot = pool.living(0)[0];
        let n = 10_000;
        let hits = (0..n).filter(|&i| pool.pick(&mut Seed(1).operation(0, i), 0) == hot).count();
        // Half directly, and an eighth of the other half.
        assert!((5300..5950).contains(&hits), "{hits}");
    }
}
