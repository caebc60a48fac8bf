//! Sessions to a host for what is done before and after a run: a few, kept and used again.

use std::sync::{Arc, Mutex, PoisonError};

use ssh2::Session;
use tokio::sync::Semaphore;

use super::inventory::Host;
use super::session;
use crate::Error;

/// Sessions to one host at a time: sshd refuses many at once (`MaxStartups`).
const A_HOST: usize = 2;
/// Hosts that are connected to at a time.
const TOGETHER: usize = 16;

/// Bounds connecting to many hosts.
#[derive(Clone, Debug)]
pub(super) struct Bound(Arc<Semaphore>);

impl Default for Bound {
    fn default() -> Self {
        Bound(Arc::new(Semaphore::new(TOGETHER)))
    }
}

/// See the module.
pub(super) struct Pool {
    host: Host,
    name: String,
    idle: Mutex<Vec<Session>>,
    room: Semaphore,
    bound: Bound,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("name", &self.name).field("host", &self.host).finish_non_exhaustive()
    }
}

impl Pool {
    pub fn new(name: &str, host: &Host, bound: Bound) -> Arc<Pool> {
        Arc::new(Pool {
            host: host.clone(),
            name: name.to_owned(),
            idle: Mutex::default(),
            room: Semaphore::new(A_HOST),
            bound,
        })
    }

    /// Does something with a session, on a thread that may block. One with which anything failed is not used
    /// again.
    pub async fn with<T: Send + 'static>(
        self: &Arc<Self>,
        act: impl FnOnce(&Session) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let closed = |_| Error::Broken(format!("the sessions of {} are closed", self.name));
        let _here = self.room.acquire().await.map_err(closed)?;
        let _anywhere = self.bound.0.acquire().await.map_err(closed)?;
        let pool = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            let session = pool.take()?;
            let done = act(&session)?;
            pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
            Ok(done)
        });
        let done = done.await.map_err(|e| Error::Broken(format!("talking to {}: {e}", self.name)))?;
        done.map_err(|e| named(&self.name, e))
    }

    /// A session for good: it does not come back.
    pub fn take(&self) -> Result<Session, Error> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| session::open(&self.host), Ok)
    }
}

/// An error that says which node it is about.
fn named(name: &str, error: Error) -> Error {
    match error {
        Error::Unavailable(text) => Error::Unavailable(format!("{name}: {text}")),
        Error::Invalid(text) => Error::Invalid(format!("{name}: {text}")),
        Error::Io { what, source } => Error::Io { what: format!("{name}: {what}"), source },
        Error::Broken(text) => Error::Broken(format!("{name}: {text}")),
        Error::Timeout(text) => Error::Timeout(format!("{name}: {text}")),
    }
}
