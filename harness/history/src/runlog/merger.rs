//! Puts events into time order while they arrive, up to the watermark.

use crate::{Event, EventKind};

/// Takes events in any order and gives them out in the order of a history: by time, invocations first where
/// times are equal, never past the watermark. What it has given out is a prefix of the finished history.
#[derive(Debug, Default)]
pub struct Merger {
    waiting: Vec<Event>,
    watermark: Option<u64>,
    late: u64,
}

impl Merger {
    /// Nothing yet.
    pub fn new() -> Self {
        Merger::default()
    }

    /// Adds an event. One that is not after the watermark comes too late and is only counted, since the order
    /// that it belongs to was given out already.
    pub fn push(&mut self, event: Event) {
        if self.watermark.is_some_and(|w| event.time <= w) {
            self.late += 1;
        } else {
            self.waiting.push(event);
        }
    }

    /// Raises the watermark and takes out, in order, every event up to it. A lower one than before gives
    /// nothing.
    pub fn advance(&mut self, watermark: u64) -> Vec<Event> {
        self.watermark = Some(self.watermark.map_or(watermark, |w| w.max(watermark)));
        let mut ready: Vec<Event> = self.waiting.extract_if(.., |e| e.time <= watermark).collect();
        ready.sort_by_key(|e| (e.time, e.kind != EventKind::Invoke));
        ready
    }

    /// Events after the watermark that still wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Events that came after their time had been given out. Anything but zero means that a watermark lied.
    pub fn late(&self) -> u64 {
        self.late
    }
}
