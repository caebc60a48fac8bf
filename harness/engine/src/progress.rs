//! How far a run is, for whoever watches it. Nothing of it decides anything.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::deployment::Deployment;
use crate::recorder::Recorder;

/// What a person may watch while a run goes on.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Mutex<Watched>>);

/// A look at a run.
#[derive(Clone, Debug, Default)]
pub struct Watched {
    /// The current phase.
    pub phase: String,
    /// When it began.
    pub since: Option<Instant>,
    /// Counts, once clients act.
    pub recorder: Option<Recorder>,
    /// What faults act on, once it exists.
    pub deployment: Option<Arc<Deployment>>,
}

impl Progress {
    /// How it stands.
    pub fn look(&self) -> Watched {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set(&self, change: impl FnOnce(&mut Watched)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(crate) fn phase(&self, name: &str) {
        self.set(|w| {
            w.phase = name.to_owned();
            w.since = Some(Instant::now());
        });
    }
}
