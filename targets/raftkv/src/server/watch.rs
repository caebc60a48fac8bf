//! Watching: every change after an index, in order, complete; resumable from the index of any answer.

use super::asks::{Reply, Responder};
use super::error::ApiError;
use crate::bugs::Bug;
use crate::kv::{Change, Store};
use crate::raft::Index;

/// Changes in one answer, at most, rounded up to the end of an entry.
const MAX_EVENTS: usize = 1000;

/// Answers a watcher if something happened since; gives it back otherwise.
pub fn serve(
    store: &Store,
    bug: Option<Bug>,
    watcher: (Index, String, Responder),
) -> Option<(Index, String, Responder)> {
    let (after, prefix, reply) = watcher;
    match news(store, bug, after, &prefix) {
        Err(error) => drop(reply.send(Err(error))),
        Ok(None) => return Some((after, prefix, reply)),
        Ok(Some((events, next))) => drop(reply.send(Ok(Reply::Changes { events, next }))),
    }
    None
}

/// What happened after `after`, and from where to go on. `None`: nothing.
pub fn news(
    store: &Store,
    bug: Option<Bug>,
    after: Index,
    prefix: &str,
) -> Result<Option<(Vec<Change>, Index)>, ApiError> {
    let Some(changes) = store.history().since(after, prefix) else {
        return Err(ApiError::Compacted { complete_after: store.history().complete_after() });
    };
    let mut events: Vec<Change> = Vec::new();
    for change in changes {
        // One entry's changes are never torn apart: `next` would skip the rest of them.
        if events.len() >= MAX_EVENTS && events.last().is_some_and(|last| last.index != change.index) {
            break;
        }
        events.push(change.clone());
    }
    let Some(next) = events.last().map(|last| last.index) else { return Ok(None) };
    match bug {
        Some(Bug::WatchSkips) => drop(events.drain(..events.len() - 1)),
        Some(Bug::WatchReorders) => events.sort_by(|a, b| a.key.cmp(&b.key)),
        _ => {}
    }
    Ok(Some((events, next)))
}
