//! Ends a run at the first anomaly: judges while operations arrive, on a thread of its own, so that the recorder
//! never waits for a checker.

use std::sync::mpsc::{Receiver, channel};

use squall_checkers::{Budget, Live, Valid};
use squall_engine::Stop;
use squall_engine::recorder::{Flushed, Watcher};
use squall_history::runlog::Merger;
use squall_history::{Entry, Event};

/// What a stop's reason says.
pub(super) const FOUND: &str = "an anomaly was found, and --stop-on-anomaly was given";

/// A watcher that raises `stop` once what was recorded is invalid.
pub(crate) fn watcher(live: Box<dyn Live>, stop: Stop) -> Watcher {
    let (send, batches) = channel();
    // Ends when the recorder drops the watcher.
    std::thread::spawn(move || judge(live, &batches, &stop));
    let mut merger = Merger::new();
    Box::new(move |flushed: Flushed<'_>| {
        for entry in flushed.entries {
            if let Entry::Op(event) = entry {
                merger.push(event.clone());
            }
        }
        // Nobody listens any more once the verdict is there.
        let _ = send.send(merger.advance(flushed.watermark));
    })
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
