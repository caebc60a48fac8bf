//! The disk thread: takes every write that waits, makes them durable with one fsync, reports.

use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;
use std::time::Instant;

use super::asks::{Event, Events};
use crate::raft::{Index, Write};
use crate::wal::Wal;

/// Writes taken together at most, so that one frame stays within bounds.
const MAX_GROUP: usize = 256;

/// What the disk thread is asked to do.
#[derive(Debug)]
pub enum DiskJob {
    Write(Write),
    /// A durable snapshot covers everything up to here.
    DropThrough(Index),
}

/// Runs until the sender of `writes` is gone or the disk fails.
pub fn spawn(mut wal: Wal, jobs: Receiver<DiskJob>, events: Events) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("disk".into()).spawn(move || {
        while let Ok(first) = jobs.recv() {
            let (mut group, mut drop_through) = (Vec::new(), None);
            let mut next = Some(first);
            while let Some(job) = next {
                match job {
                    DiskJob::Write(write) => group.push(write),
                    DiskJob::DropThrough(index) => drop_through = Some(index),
                }
                next = if group.len() < MAX_GROUP { jobs.try_recv().ok() } else { None };
            }
            let seq = group.last().map(|write| write.seq);
            let begun = Instant::now();
            let mut done = if group.is_empty() { Ok(()) } else { wal.append(group) };
            if let (Ok(()), Some(index)) = (&done, drop_through) {
                done = wal.drop_through(index);
            }
            let failed = done.is_err();
            let event = match (done, seq) {
                (Err(e), _) => Event::DiskFailed(e.to_string()),
                (Ok(()), Some(seq)) => Event::Persisted { seq, took: begun.elapsed() },
                (Ok(()), None) => continue,
            };
            if events.send(event).is_err() || failed {
                return;
            }
        }
    })
}
