//! The disk thread: takes every write that waits, makes them durable with one fsync, reports.

use std::sync::mpsc::{Receiver, Sender};
use std::thread::JoinHandle;

use super::asks::Event;
use crate::raft::Write;
use crate::wal::Wal;

/// Writes taken together at most, so that one frame stays within bounds.
const MAX_GROUP: usize = 256;

/// Runs until the sender of `writes` is gone or the disk fails.
pub fn spawn(
    mut wal: Wal,
    writes: Receiver<Write>,
    events: Sender<Event>,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("disk".into()).spawn(move || {
        while let Ok(first) = writes.recv() {
            let mut group = vec![first];
            while group.len() < MAX_GROUP
                && let Ok(more) = writes.try_recv()
            {
                group.push(more);
            }
            let seq = group[group.len() - 1].seq;
            let event = match wal.append(group) {
                Ok(()) => Event::Persisted { seq },
                Err(e) => Event::DiskFailed(e.to_string()),
            };
            let failed = matches!(event, Event::DiskFailed(_));
            if events.send(event).is_err() || failed {
                return;
            }
        }
    })
}
