//! The disk of a node as the harness holds it.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use fuser::{Config, Session, SessionACL};
use squall_cluster::{Damage, Damaged, Discarded, Disk, DiskCounters, DiskFault, Error, PowerLoss};

use super::options::Options;
use super::server::Server;
use super::state::Shared;

/// How often old data is looked for.
const WRITE_BACK_EVERY: Duration = Duration::from_secs(1);

/// A served file system. It is served until it is unmounted, or until the process ends; dropping this does not
/// end it.
#[derive(Debug)]
pub struct FaultFs {
    shared: Arc<Shared>,
    session: JoinHandle<()>,
}

impl FaultFs {
    /// Serves an open `/dev/fuse` that has been mounted with [`mount_options`](super::mount_options), with the
    /// contents of a directory. No other copy of the descriptor may stay open anywhere: with one, a program
    /// that waits for an answer would hang if this process died.
    ///
    /// Returns once the kernel and the server have agreed on a protocol. Beside the directory a hidden one is
    /// kept for what was removed and is not durable.
    pub fn serve(fuse: OwnedFd, directory: &Path, options: Options) -> Result<Self, Error> {
        let failed = |what: String| move |error| Error::io(what, error);
        let threads = options.threads.max(1);
        let shared = Shared::new(directory, options);
        let shared = Arc::new(shared.map_err(failed(format!("opening {}", directory.display())))?);
        let mut config = Config::default();
        config.n_threads = Some(threads);
        let session = Session::from_fd(Server::new(shared.clone()), fuse, SessionACL::All, config);
        let session = session.map_err(failed("shaking hands with the kernel over /dev/fuse".into()))?;
        shared.notifier.set(session.notifier()).ok();
        start_write_back(&shared).map_err(failed("starting a thread".into()))?;
        let serve = move || {
            if let Err(error) = session.run() {
                tracing::warn!("serving a node's disk ended: {error}");
            }
        };
        let session = std::thread::Builder::new().name("squall-disk".into()).spawn(serve);
        Ok(FaultFs { shared, session: session.map_err(failed("starting a thread".into()))? })
    }

    /// Whether it has been unmounted.
    pub fn is_finished(&self) -> bool {
        self.session.is_finished()
    }

    /// An error if nobody asks this disk any more: harm would do nothing.
    fn served(&self) -> Result<(), Error> {
        match self.is_finished() {
            true => Err(Error::Broken("the disk is gone: it was unmounted, or serving it ended".into())),
            false => Ok(()),
        }
    }

    /// [`Disk::power_loss`], on this thread.
    pub fn lose_power(&self, loss: PowerLoss) -> Result<Discarded, Error> {
        self.served()?;
        self.shared.lose_power(loss).map_err(|error| Error::io("undoing what was not durable", error))
    }

    /// [`Disk::set_faults`], on this thread.
    pub fn put_faults(&self, faults: &[DiskFault]) -> Result<(), Error> {
        self.served()?;
        let was_stale = self.shared.rules.has_stale_reads();
        self.shared.rules.set(faults)?;
        if was_stale || self.shared.rules.has_stale_reads() {
            self.shared.forget_stale_blocks();
        }
        Ok(())
    }

    /// [`Disk::damage`], on this thread.
    pub fn do_damage(&self, damage: &Damage) -> Result<Vec<Damaged>, Error> {
        self.served()?;
        self.shared.damage(damage)
    }
}

#[async_trait]
impl Disk for FaultFs {
    async fn power_loss(&self, loss: PowerLoss) -> Result<Discarded, Error> {
        self.served()?;
        let shared = self.shared.clone();
        let lost = apart(move || shared.lose_power(loss)).await?;
        lost.map_err(|error| Error::io("undoing what was not durable", error))
    }

    async fn set_faults(&self, faults: &[DiskFault]) -> Result<(), Error> {
        self.put_faults(faults)
    }

    fn faults(&self) -> Vec<DiskFault> {
        self.shared.rules.faults()
    }

    async fn damage(&self, damage: &Damage) -> Result<Vec<Damaged>, Error> {
        self.served()?;
        let (shared, damage) = (self.shared.clone(), damage.clone());
        apart(move || shared.damage(&damage)).await?
    }

    fn counters(&self) -> DiskCounters {
        self.shared.rules.counts.all(self.shared.unsynced_bytes())
    }
}

/// Runs what may wait for a disk or for the kernel apart from the runtime's threads.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::Broken(format!("harming a disk was cut short: {error}")))
}

/// Writes back what is old, as long as anybody has the file system.
fn start_write_back(shared: &Arc<Shared>) -> io::Result<()> {
    let weak = Arc::downgrade(shared);
    let run = move || {
        loop {
            std::thread::sleep(WRITE_BACK_EVERY);
            let Some(shared) = weak.upgrade() else { break };
            if let Some(limit) = Instant::now().checked_sub(shared.options.writeback_after) {
                shared.write_back_older_than(limit);
            }
        }
    };
    std::thread::Builder::new().name("squall-disk-age".into()).spawn(run).map(|_| ())
}
