//! What a link does to a packet: a pure decision from policy, time, the link's memory and seeded draws.
//!
//! Every draw is a function of (seed, link, how many policies it had before, number of the packet under this
//! policy, purpose), so the same packets are harmed again under the same seed, whatever the draws of other
//! links and other purposes. Order: cut, reset, loss, rate, delay, corruption, duplication.
//!
//! Delays keep the order of packets, as links do; only `reorder` lets some overtake, and those go without
//! delay, as in netem.

use std::time::Duration;

use squall_cluster::{Delay, DelayShape, LinkPolicy, Loss};

/// Time as the fabric counts it: nanoseconds of the monotonic clock.
pub(crate) type Nanos = u64;

/// How much a link of bounded rate keeps waiting: this much time's worth of bytes…
const QUEUE_TIME: Duration = Duration::from_millis(200);
/// …but never less than a few packets.
const QUEUE_LEAST: u64 = 16 * 1500;

/// A link's memory between packets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// Cluster's seed and the link's number.
    seed: u64,
    /// Policies applied before this one.
    era: u64,
    /// Packets judged under this policy.
    packets: u64,
    /// Whether the link is in a burst of losses.
    losing: bool,
    /// When the last packet left, those before it included.
    last: Nanos,
    /// When the link will have sent everything it has accepted, under a bounded rate.
    busy_until: Nanos,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Dropped: the link is down.
    Cut,
    /// Answered by a reset.
    Reset,
    /// Dropped by chance.
    Lost,
    /// Dropped: the queue is full.
    Overflowed,
    /// Delivered.
    Pass(Pass),
}

/// How a packet is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pass {
    /// When; `None` at once.
    pub at: Option<Nanos>,
    /// Whether it overtakes those before it.
    pub overtakes: bool,
    /// Which bit is flipped, as a number to be taken modulo their count.
    pub spoilt: Option<u64>,
    /// Whether it arrives twice.
    pub twice: bool,
}

/// What a draw is for; its place keeps draws of one packet apart.
#[derive(Clone, Copy)]
enum For {
    Loss,
    Delay,
    DelayToo,
    Reorder,
    Corrupt,
    Bit,
    Duplicate,
}

impl Memory {
    /// Of the link of this number in a cluster with this seed.
    pub fn new(seed: u64, link: u64) -> Self {
        Memory::fresh(mix(seed ^ mix(link.wrapping_add(1))))
    }

    fn fresh(seed: u64) -> Self {
        Memory { seed, era: 0, packets: 0, losing: false, last: 0, busy_until: 0 }
    }

    /// Begins anew under another policy. Packets on their way keep their times, and those sent from now on
    /// do not wait for them, as when a route changes.
    pub fn policy_changed(&mut self) {
        *self = Memory { era: self.era + 1, ..Memory::fresh(self.seed) };
    }

    /// Judges the next packet: `length` bytes, offered `now`; `resettable` if it is a TCP segment.
    pub fn judge(&mut self, policy: &LinkPolicy, now: Nanos, length: usize, resettable: bool) -> Fate {
        if policy.down {
            return Fate::Cut;
        }
        if policy.reset && resettable {
            return Fate::Reset;
        }
        self.packets += 1;
        if policy.loss.is_some_and(|loss| self.is_lost(loss)) {
            return Fate::Lost;
        }
        let Some(sent) = self.send(policy.rate_bytes, now, length) else { return Fate::Overflowed };
        let delay = policy.delay.map_or(0, |delay| self.delay(delay));
        let overtakes = delay > 0 && self.chance(policy.reorder, For::Reorder);
        let mut at = if overtakes { sent } else { sent + delay };
        if !overtakes {
            at = at.max(self.last);
            self.last = at;
        }
        Fate::Pass(Pass {
            at: (at > now).then_some(at),
            overtakes,
            spoilt: self.chance(policy.corrupt, For::Corrupt).then(|| self.draw(For::Bit)),
            twice: self.chance(policy.duplicate, For::Duplicate),
        })
    }

    /// When the link has sent a packet, or `None` if its queue is full.
    fn send(&mut self, rate: Option<u64>, now: Nanos, length: usize) -> Option<Nanos> {
        let Some(rate) = rate else { return Some(now) };
        let nanos = |bytes: u64| -> Nanos {
            let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(rate.max(1));
            Nanos::try_from(nanos).unwrap_or(Nanos::MAX / 4)
        };
        let start = self.busy_until.max(now);
        let room = nanos(QUEUE_LEAST).max(QUEUE_TIME.as_nanos() as Nanos);
        if start - now > room {
            return None;
        }
        self.busy_until = start.saturating_add(nanos(length as u64));
        Some(self.busy_until)
    }

    /// Loss, alone or in bursts (Gilbert 1960, with every packet of a burst lost).
    fn is_lost(&mut self, loss: Loss) -> bool {
        if loss.burst <= 1.0 {
            return self.chance(loss.share, For::Loss);
        }
        let draw = self.fraction(For::Loss);
        self.losing = if self.losing {
            draw >= 1.0 / loss.burst
        } else {
            // Entered so often that the long-run share of lost packets is as asked.
            draw < loss.share / (loss.burst * (1.0 - loss.share)).max(f64::MIN_POSITIVE)
        };
        self.losing
    }

    fn delay(&self, delay: Delay) -> Nanos {
        let spread = match delay.shape {
            DelayShape::Uniform => 2.0 * self.fraction(For::Delay) - 1.0,
            // Box and Muller; the first draw is kept off zero.
            DelayShape::Normal => {
                let radius = (-2.0 * (1.0 - self.fraction(For::Delay)).ln()).sqrt();
                radius * (std::f64::consts::TAU * self.fraction(For::DelayToo)).cos()
            }
            // netem's table: Pareto with shape 3, less its mean of 1.5, times 16/3, cut off at 4.
            DelayShape::Pareto => {
                let pareto = (1.0 - self.fraction(For::Delay)).powf(-1.0 / 3.0);
                ((pareto - 1.5) * 16.0 / 3.0).min(4.0)
            }
        };
        let nanos = delay.mean.as_nanos() as f64 + spread * delay.jitter.as_nanos() as f64;
        // Casts saturate: never before now.
        nanos as Nanos
    }

    fn chance(&self, share: f64, purpose: For) -> bool {
        share > 0.0 && self.fraction(purpose) < share
    }

    /// Evenly spread over 0 (included) to 1 (excluded).
    fn fraction(&self, purpose: For) -> f64 {
        (self.draw(purpose) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn draw(&self, purpose: For) -> u64 {
        let place = mix(self.era).wrapping_add(self.packets.wrapping_mul(8)).wrapping_add(purpose as u64);
        mix(self.seed ^ mix(place))
    }
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood 2014), which spreads neighbouring numbers.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Whether a policy must see each packet as it would be on a wire, and not super-packets.
pub(crate) fn needs_segments(policy: &LinkPolicy) -> bool {
    let LinkPolicy {
        down,
        delay: _,
        loss,
        duplicate,
        reorder,
        corrupt,
        corrupt_undetected: _,
        rate_bytes,
        reset,
        // Whole connections are chosen, so super-packets may stay whole.
        half_open: _,
    } = *policy;
    let by_chance = loss.is_some() || duplicate > 0.0 || reorder > 0.0 || corrupt > 0.0;
    !down && !reset && (by_chance || rate_bytes.is_some())
}

/// What is wrong with a policy, if anything is.
pub(crate) fn fault_in(policy: &LinkPolicy) -> Option<String> {
    let share = |name: &str, share: f64| {
        (!(0.0..=1.0).contains(&share)).then(|| format!("{name} is a share from 0 to 1, not {share}"))
    };
    let loss = policy.loss.unwrap_or_default();
    share("duplicate", policy.duplicate)
        .or_else(|| share("reorder", policy.reorder))
        .or_else(|| share("corrupt", policy.corrupt))
        .or_else(|| share("loss", loss.share))
        .or_else(|| {
            (!loss.burst.is_finite()).then(|| format!("a burst of {} packets makes no sense", loss.burst))
        })
        .or_else(|| {
            (policy.rate_bytes == Some(0)).then(|| "a rate of 0 bytes a second is a cut link".to_owned())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: usize = 100_000;

    fn fates(policy: &LinkPolicy, seed: u64) -> Vec<Fate> {
        let mut memory = Memory::new(seed, 3);
        memory.policy_changed();
        (0..N).map(|packet| memory.judge(policy, packet as u64 * 1_000_000_000, 1000, true)).collect()
    }

    fn passes(policy: &LinkPolicy) -> Vec<(u64, Pass)> {
        let pass = |(packet, fate): (usize, Fate)| match fate {
            Fate::Pass(pass) => Some((packet as u64 * 1_000_000_000, pass)),
            _ => None,
        };
        fates(policy, 1).into_iter().enumerate().filter_map(pass).collect()
    }

    fn near(measured: f64, wanted: f64, tolerance: f64) {
        assert!((measured - wanted).abs() <= wanted * tolerance, "{measured} is not about {wanted}");
    }

    fn lossy(share: f64, burst: f64) -> LinkPolicy {
        LinkPolicy { loss: Some(Loss { share, burst }), ..LinkPolicy::default() }
    }

    #[test]
    fn losses_have_the_share_and_the_bursts_asked_for() {
        for (share, burst) in [(0.01, 1.0), (0.2, 1.0), (0.2, 5.0), (0.05, 20.0)] {
            let lost: Vec<bool> =
                fates(&lossy(share, burst), 1).iter().map(|fate| *fate == Fate::Lost).collect();
            let count = lost.iter().filter(|lost| **lost).count();
            near(count as f64 / N as f64, share, 0.1);
            let bursts = lost.windows(2).filter(|pair| !pair[0] && pair[1]).count();
            // Independent losses come in runs too, of 1 / (1 − share) on average.
            let wanted = if burst > 1.0 { burst } else { 1.0 / (1.0 - share) };
            near(count as f64 / bursts as f64, wanted, 0.1);
        }
    }

    #[test]
    fn the_same_seed_harms_the_same_packets_and_another_does_not() {
        let mut policy = lossy(0.1, 3.0);
        policy.corrupt = 0.1;
        policy.duplicate = 0.1;
        assert_eq!(fates(&policy, 1), fates(&policy, 1));
        assert_ne!(fates(&policy, 1), fates(&policy, 2));
        // What one purpose draws does not move another's draws.
        let lost = |policy: &LinkPolicy| -> Vec<bool> {
            fates(policy, 1).iter().map(|fate| *fate == Fate::Lost).collect()
        };
        assert_eq!(lost(&policy), lost(&lossy(0.1, 3.0)));
    }

    #[test]
    fn delays_have_the_mean_the_spread_and_the_shape_asked_for() {
        for (shape, deviation) in [
            // Uniform over ± jitter: jitter / √3.
            (DelayShape::Uniform, 0.577),
            (DelayShape::Normal, 1.0),
        ] {
            let (mean, jitter) = (Duration::from_millis(50), Duration::from_millis(10));
            let policy = LinkPolicy { delay: Some(Delay { mean, jitter, shape }), ..LinkPolicy::default() };
            let delays: Vec<f64> =
                passes(&policy).iter().map(|(now, pass)| (pass.at.unwrap() - now) as f64 / 1e6).collect();
            let average = delays.iter().sum::<f64>() / N as f64;
            near(average, 50.0, 0.01);
            let variance = delays.iter().map(|delay| (delay - average).powi(2)).sum::<f64>() / N as f64;
            near(variance.sqrt(), deviation * 10.0, 0.02);
        }
        let delay = Delay {
            mean: Duration::from_millis(50),
            jitter: Duration::from_millis(10),
            shape: DelayShape::Pareto,
        };
        let policy = LinkPolicy { delay: Some(delay), ..LinkPolicy::default() };
        let mut delays: Vec<f64> =
            passes(&policy).iter().map(|(now, pass)| (pass.at.unwrap() - now) as f64 / 1e6).collect();
        delays.sort_by(f64::total_cmp);
        near(delays[0], 50.0 - 26.7, 0.01);
        near(delays[N - 1], 90.0, 0.001);
        assert!(delays[N / 2] < 50.0, "mostly short: the median lies under the mean");
    }

    #[test]
    fn order_is_kept_but_by_those_that_overtake() {
        let (mean, jitter) = (Duration::from_millis(10), Duration::from_millis(10));
        let delay = Some(Delay { mean, jitter, shape: DelayShape::Uniform });
        let policy = LinkPolicy { delay, reorder: 0.25, ..LinkPolicy::default() };
        let mut memory = Memory::new(9, 9);
        let (mut last, mut overtaking) = (0, 0);
        for packet in 0..N as u64 {
            let now = packet * 100_000;
            let Fate::Pass(pass) = memory.judge(&policy, now, 100, false) else { panic!("nothing is lost") };
            if pass.overtakes {
                overtaking += 1;
                assert_eq!(pass.at, None, "at once");
            } else {
                let at = pass.at.unwrap_or(now);
                assert!(at >= last);
                last = at;
            }
        }
        near(overtaking as f64 / N as f64, 0.25, 0.05);
    }

    #[test]
    fn a_rate_spaces_packets_and_its_queue_is_bounded() {
        let policy = LinkPolicy { rate_bytes: Some(1_000_000), ..LinkPolicy::default() };
        let mut memory = Memory::new(1, 1);
        let (mut passed, mut last) = (0, 0);
        for _ in 0..1000 {
            match memory.judge(&policy, 5, 1000, false) {
                Fate::Pass(pass) => {
                    passed += 1;
                    last = pass.at.unwrap();
                    assert_eq!(last, 5 + passed * 1_000_000, "a millisecond for each thousand bytes");
                }
                Fate::Overflowed => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(passed, 201, "200 ms worth and the one being sent");
        assert!(matches!(memory.judge(&policy, last, 1000, false), Fate::Pass(_)), "it drains");
    }

    #[test]
    fn corruption_and_duplication_have_the_share_asked_for() {
        let policy = LinkPolicy { corrupt: 0.03, duplicate: 0.07, ..LinkPolicy::default() };
        let passes = passes(&policy);
        near(passes.iter().filter(|(_, pass)| pass.spoilt.is_some()).count() as f64 / N as f64, 0.03, 0.1);
        near(passes.iter().filter(|(_, pass)| pass.twice).count() as f64 / N as f64, 0.07, 0.1);
    }

    #[test]
    fn cut_and_reset_come_first() {
        let mut memory = Memory::new(1, 1);
        let mut policy = LinkPolicy { down: true, reset: true, ..lossy(1.0, 1.0) };
        assert_eq!(memory.judge(&policy, 0, 100, true), Fate::Cut);
        policy.down = false;
        assert_eq!(memory.judge(&policy, 0, 100, true), Fate::Reset);
        assert_eq!(memory.judge(&policy, 0, 100, false), Fate::Lost);
    }

    #[test]
    fn nonsense_is_named() {
        assert!(fault_in(&lossy(0.5, 2.0)).is_none());
        assert!(fault_in(&lossy(1.5, 2.0)).unwrap().contains("loss"));
        assert!(
            fault_in(&LinkPolicy { corrupt: f64::NAN, ..LinkPolicy::default() }).unwrap().contains("corrupt")
        );
        assert!(fault_in(&LinkPolicy { rate_bytes: Some(0), ..LinkPolicy::default() }).is_some());
    }
}
