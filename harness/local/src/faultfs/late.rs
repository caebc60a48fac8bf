//! Answers that are given later, without holding up a thread that serves others.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::fmt;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

type Answer = Box<dyn FnOnce() + Send>;

/// Gives answers when their time has come. Dropped, it gives those that are left at once.
#[derive(Clone)]
pub(super) struct Late {
    queue: Sender<Due>,
}

impl fmt::Debug for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Late").finish_non_exhaustive()
    }
}

struct Due {
    at: Instant,
    answer: Answer,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> Ordering {
        self.at.cmp(&other.at)
    }
}

impl Late {
    pub fn start(thread: &str) -> std::io::Result<Self> {
        let (queue, incoming) = mpsc::channel::<Due>();
        let run = move || {
            let mut waiting: BinaryHeap<Reverse<Due>> = BinaryHeap::new();
            loop {
                let now = Instant::now();
                while waiting.peek().is_some_and(|next| next.0.at <= now) {
                    if let Some(due) = waiting.pop() {
                        (due.0.answer)();
                    }
                }
                let wait = waiting.peek().map(|next| next.0.at.saturating_duration_since(now));
                match incoming.recv_timeout(wait.unwrap_or(Duration::from_secs(3600))) {
                    Ok(due) => waiting.push(Reverse(due)),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            waiting.into_iter().for_each(|due| (due.0.answer)());
        };
        std::thread::Builder::new().name(thread.into()).spawn(run)?;
        Ok(Late { queue })
    }

    /// Answers after a delay; at once, on this thread, if there is none.
    pub fn after(&self, delay: Duration, answer: impl FnOnce() + Send + 'static) {
        if delay.is_zero() {
            return answer();
        }
        let due = Due { at: Instant::now() + delay, answer: Box::new(answer) };
        if let Err(mpsc::SendError(due)) = self.queue.send(due) {
            (due.answer)();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_in_the_order_of_their_times_and_not_before() {
        let late = Late::start("late").unwrap();
        let (said, heard) = mpsc::channel();
        let start = Instant::now();
        for (delay, name) in [(40, "second"), (20, "first"), (0, "now")] {
            let said = said.clone();
            late.after(Duration::from_millis(delay), move || said.send((name, Instant::now())).unwrap());
        }
        for (name, delay) in [("now", 0), ("first", 20), ("second", 40)] {
            let (heard, at) = heard.recv().unwrap();
            assert_eq!(heard, name);
            assert!(at - start >= Duration::from_millis(delay));
        }
    }
}
