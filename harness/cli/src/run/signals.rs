//! Ctrl-C and SIGTERM: the first ends the run in order, the second at once.

use squall_engine::{Error, Stop};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

/// What a stop's reason says when a person or a supervisor ended the run.
pub(crate) const INTERRUPTED: &str = "interrupted";

/// Watches until dropped. Must be made inside the runtime.
#[derive(Debug)]
pub(crate) struct Signals(JoinHandle<()>);

impl Signals {
    /// Raises `stop` at the first signal, exits with 130 at the second.
    pub(crate) fn watch(stop: Stop) -> Result<Self, Error> {
        let failed = |e| Error::io("signals cannot be watched", e);
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        Ok(Signals(tokio::spawn(async move {
            for times in 1.. {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if times > 1 {
                    // The keeper sees this process go and takes every node down.
                    std::process::exit(i32::from(squall_reports::exit::INTERRUPTED));
                }
                eprintln!("\ninterrupted: healing and judging what there is (again to end at once)");
                stop.stop(INTERRUPTED);
            }
        })))
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.0.abort();
    }
}
