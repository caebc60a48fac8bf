//! What a start makes of the disk: the latest snapshot and the log after it, if they fit together.

use crate::bugs::Bug;
use crate::kv::Store;
use crate::raft::{Index, Log, Membership, Restored, SnapshotMeta, Term};
use crate::wal::{Recovered, WalError};

/// A node's state as of its last life.
#[derive(Debug)]
pub struct Start {
    pub restored: Restored,
    pub store: Store,
    /// The log on disk must be told to begin anew here, before anything else is written.
    pub rebase: Option<(Index, Term)>,
}

/// Puts snapshot and log together. A hole between them is refused: something was removed.
pub fn restore(
    founders: Membership,
    snapshot: Option<(SnapshotMeta, Store)>,
    recovered: Recovered,
    bug: Option<Bug>,
) -> Result<Start, WalError> {
    let Recovered { hard_state, base, mut entries, .. } = recovered;
    let first = entries.first().map(|e| e.index);
    let Some((meta, store)) = snapshot else {
        if base.is_some() || first.is_some_and(|first| first != 1) {
            return Err(WalError::Refused("the log begins after a snapshot that is missing".into()));
        }
        let mut log = Log::new(founders);
        entries.into_iter().for_each(|entry| log.push(entry));
        let restored = Restored { hard_state, log, snapshot: None };
        return Ok(Start { restored, store: Store::new(bug), rebase: None });
    };
    let hole = base.is_some_and(|(index, _)| index > meta.index)
        || first.is_some_and(|first| first > meta.index + 1);
    if hole {
        return Err(WalError::Refused(format!(
            "entries between snapshot {} and the log are missing",
            meta.index
        )));
    }
    let here = (meta.index, meta.term);
    let agrees = base == Some(here) || entries.iter().any(|e| (e.index, e.term) == here);
    let follows = agrees || (base.is_none() && first == Some(meta.index + 1));
    // A crash after a leader's snapshot became durable and before the log was told: the log is another one.
    let rebase = (!follows).then_some(here);
    if follows {
        entries.retain(|e| e.index > meta.index)
    } else {
        entries.clear()
    }
    let mut log = Log::after(&meta);
    entries.into_iter().for_each(|entry| log.push(entry));
    let restored = Restored { hard_state, log, snapshot: Some(meta) };
    Ok(Start { restored, store, rebase })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::{Entry, Payload};

    fn entries(range: std::ops::RangeInclusive<Index>, term: Term) -> Vec<Entry> {
        range.map(|index| Entry { term, index, payload: Payload::Noop }).collect()
    }

    fn start(
        snapshot: Option<(Index, Term)>,
        base: Option<(Index, Term)>,
        entries: Vec<Entry>,
    ) -> Result<Start, WalError> {
        let snapshot = snapshot.map(|(index, term)| {
            (SnapshotMeta { index, term, membership: Membership::default() }, Store::default())
        });
        let recovered = Recovered { base, entries, ..Recovered::default() };
        restore(Membership::default(), snapshot, recovered, None)
    }

    fn summary(start: &Start) -> (Index, Index, Option<(Index, Term)>) {
        (start.restored.log.base_index(), start.restored.log.last_index(), start.rebase)
    }

    #[test]
    fn keeps_what_follows_the_snapshot() {
        assert_eq!(summary(&start(None, None, entries(1..=3, 1)).unwrap()), (0, 3, None));
        assert_eq!(summary(&start(Some((2, 1)), None, entries(1..=3, 1)).unwrap()), (2, 3, None));
        assert_eq!(summary(&start(Some((2, 1)), None, entries(3..=4, 1)).unwrap()), (2, 4, None));
        assert_eq!(summary(&start(Some((5, 2)), Some((5, 2)), vec![]).unwrap()), (5, 5, None));
    }

    #[test]
    fn drops_a_log_that_the_snapshot_overtook() {
        assert_eq!(summary(&start(Some((5, 2)), None, entries(1..=3, 1)).unwrap()), (5, 5, Some((5, 2))));
        assert_eq!(summary(&start(Some((5, 2)), None, entries(1..=9, 1)).unwrap()), (5, 5, Some((5, 2))));
    }

    #[test]
    fn refuses_holes() {
        assert!(start(None, None, entries(4..=5, 1)).is_err());
        assert!(start(None, Some((3, 1)), vec![]).is_err());
        assert!(start(Some((2, 1)), None, entries(4..=5, 1)).is_err());
        assert!(start(Some((2, 1)), Some((3, 1)), vec![]).is_err());
    }
}
