//! Raises a budget's flag when time is up.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use squall_checkers::Budget;

/// Counts down until dropped.
#[derive(Debug)]
pub(crate) struct Timer {
    // Dropping it wakes the thread, which then ends.
    _end: Option<Sender<()>>,
}

impl Timer {
    /// Counts from now; never ends without a limit.
    pub fn start(budget: &Budget, limit: Option<Duration>) -> Timer {
        let start = |limit: Duration| {
            let (end, ended) = channel();
            let budget = budget.clone();
            std::thread::spawn(move || {
                if ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                    budget.stop();
                }
            });
            end
        };
        Timer { _end: limit.map(start) }
    }
}
