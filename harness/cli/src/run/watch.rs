//! Ends a run at the first anomaly: judges while operations arrive, on a thread of its own, so that the recorder
//! never waits for a checker. What the cluster does beside its answers (a program that ends by itself, two leaders of
//! one term) is looked at at once.

use std::sync::mpsc::{Receiver, channel};

use squall_checkers::run::{Exits, Terms};
use squall_checkers::{Budget, Check, Live, Valid};
use squall_engine::Stop;
use squall_engine::recorder::{Flushed, Watcher};
use squall_history::runlog::Merger;
use squall_history::{Entry, Event, History};

/// What a stop's reason says.
pub(super) const FOUND: &str = "an anomaly was found, and the run was to end at the first";

/// A watcher that raises `stop` once what was recorded is invalid.
pub(crate) fn watcher(live: Option<Box<dyn Live>>, stop: Stop) -> Watcher {
    let mut operations = live.map(|live| {
        let (send, batches) = channel();
        // Ends when the recorder drops the watcher.
        let stop = stop.clone();
        std::thread::spawn(move || judge(live, &batches, &stop));
        (send, Merger::new())
    });
    let mut cluster = Cluster::default();
    Box::new(move |flushed: Flushed<'_>| {
        for entry in flushed.entries {
            match (entry, &mut operations) {
                (Entry::Op(event), Some((_, merger))) => merger.push(event.clone()),
                // Where the workload cannot be judged meanwhile.
                (Entry::Op(_), None) => {}
                (entry, _) => cluster.push(entry),
            }
        }
        if cluster.is_guilty() {
            stop.stop(FOUND);
        }
        if let Some((send, merger)) = &mut operations {
            // Nobody listens any more once the verdict is there.
            let _ = send.send(merger.advance(flushed.watermark));
        }
    })
}

/// What was noted beside operations.
#[derive(Debug, Default)]
struct Cluster {
    history: History,
    news: bool,
}

impl Cluster {
    fn push(&mut self, entry: &Entry) {
        match entry {
            Entry::Note(note) if matches!(note.kind.as_str(), "exit" | "term") => {
                self.news = true;
                self.history.notes.push((**note).clone());
            }
            Entry::Fault(fault) => self.history.faults.push((**fault).clone()),
            _ => {}
        }
    }

    fn is_guilty(&mut self) -> bool {
        if !std::mem::take(&mut self.news) {
            return false;
        }
        self.history.notes.sort_by_key(|note| note.time);
        let checks: [&dyn Check; 2] = [&Exits, &Terms];
        checks.iter().any(|check| check.check(&self.history, &Budget::default()).valid == Valid::No)
    }
}

fn judge(mut live: Box<dyn Live>, batches: &Receiver<Vec<Event>>, stop: &Stop) {
    while let Ok(batch) = batches.recv() {
        // What has come meanwhile is judged in one go.
        for event in batch.into_iter().chain(batches.try_iter().flatten()) {
            live.push(event);
        }
        if live.judge(&Budget::default()).valid == Valid::No {
            stop.stop(FOUND);
            return;
        }
    }
}
