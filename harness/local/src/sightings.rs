//! The last messages between nodes that the fabric saw: what a space-time diagram is drawn from.
//!
//! A ring of small records. Only packets with an application's bytes are kept: acknowledgements say nothing to
//! people. What happens to a packet is noted as it was decided when it was sent; a link that is cut while a
//! packet is on its way is not seen here.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use squall_cluster::LinkMessage;

use crate::policy::Nanos;
use crate::sys;

/// Messages that are kept: about a minute of a busy cluster, in 8 MiB.
const MOST: usize = 1 << 19;
/// A message that never arrived.
const NEVER: u32 = u32::MAX;

/// Sixteen bytes a message.
#[derive(Clone, Copy, Debug)]
struct Sighting {
    /// By the monotonic clock.
    sent: Nanos,
    /// Microseconds.
    took: u32,
    bytes: u16,
    from: u8,
    to: u8,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Sightings(Mutex<VecDeque<Sighting>>);

impl Sightings {
    /// Notes a message between two nodes.
    pub fn add(&self, from: usize, to: usize, bytes: usize, sent: Nanos, arrived: Option<Nanos>) {
        let took = arrived.map_or(NEVER, |at| {
            u32::try_from(at.saturating_sub(sent) / 1000).unwrap_or(NEVER).min(NEVER - 1)
        });
        // A cluster has at most 99 nodes.
        let (Ok(from), Ok(to)) = (u8::try_from(from), u8::try_from(to)) else { return };
        let bytes = u16::try_from(bytes).unwrap_or(u16::MAX);
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ring.len() == MOST {
            ring.pop_front();
        }
        ring.push_back(Sighting { sent, took, bytes, from, to });
    }

    /// All that is kept.
    pub fn all(&self) -> Vec<LinkMessage> {
        let (instant, now) = (Instant::now(), sys::monotonic());
        let at = |nanos: Nanos| instant.checked_sub(Duration::from_nanos(now.saturating_sub(nanos)));
        let ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let told = ring.iter().filter_map(|s| {
            let sent = at(s.sent)?;
            let arrived = (s.took != NEVER).then(|| sent + Duration::from_micros(u64::from(s.took)));
            Some(LinkMessage { from: s.from.into(), to: s.to.into(), sent, arrived, bytes: s.bytes })
        });
        told.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_messages_are_kept_in_order() {
        let sightings = Sightings::default();
        let now = sys::monotonic();
        for i in 0..MOST + 10 {
            let arrived = (i % 2 == 0).then_some(now + 5_000);
            sightings.add(1, 2, i, now, arrived);
        }
        let all = sightings.all();
        assert_eq!((all.len(), all[0].bytes, all[MOST - 1].bytes), (MOST, 10, u16::MAX));
        assert_eq!(all[0].arrived.map(|a| a - all[0].sent), Some(Duration::from_micros(5)));
        assert_eq!((all[1].arrived, all[1].from, all[1].to), (None, 1, 2));
    }
}
