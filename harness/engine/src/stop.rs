//! A flag that ends a run early, and why.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// Cheap to clone; asking is one load.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    stopped: AtomicBool,
    why: Mutex<Option<String>>,
    wake: Notify,
}

impl Stop {
    /// A flag of its own that is raised with this one too.
    pub fn following(leader: &Stop) -> Stop {
        let follower = Stop::default();
        let (leader, own) = (leader.clone(), follower.clone());
        tokio::spawn(async move {
            leader.stopped().await;
            own.stop(&leader.reason().unwrap_or_default());
        });
        follower
    }

    /// Ends whatever looks at this flag. The first reason stays.
    pub fn stop(&self, why: &str) {
        let mut reason = self.0.why.lock().unwrap_or_else(PoisonError::into_inner);
        reason.get_or_insert_with(|| why.to_owned());
        self.0.stopped.store(true, Ordering::Release);
        self.0.wake.notify_waiters();
    }

    /// Whether it was raised.
    pub fn is_stopped(&self) -> bool {
        self.0.stopped.load(Ordering::Acquire)
    }

    /// Why it was raised.
    pub fn reason(&self) -> Option<String> {
        self.0.why.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns once it is raised.
    pub async fn stopped(&self) {
        let wait = self.0.wake.notified();
        tokio::pin!(wait);
        // Registered before looking, or a call in between would be missed.
        wait.as_mut().enable();
        if !self.is_stopped() {
            wait.await;
        }
    }
}
