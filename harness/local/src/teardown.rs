//! The end of a cluster. Closing its socket ends its init, and the kernel kills everything below; the "gone"
//! pipe tells when the last process is reaped.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use squall_cluster::{Error, Teardown};

use crate::fabric::Fabric;
use crate::sockets::LocalNet;
use crate::sys;

/// How long processes may take to die.
const LIMIT: Duration = Duration::from_secs(20);

/// Takes a local cluster down.
#[derive(Debug)]
pub(crate) struct LocalTeardown {
    cluster: Option<OwnedFd>,
    gone: OwnedFd,
    fabric: Option<Fabric>,
    listener: Option<JoinHandle<()>>,
    net: Arc<LocalNet>,
}

impl LocalTeardown {
    /// Of the cluster behind this socket.
    pub fn new(
        cluster: OwnedFd,
        gone: OwnedFd,
        fabric: Fabric,
        listener: JoinHandle<()>,
        net: Arc<LocalNet>,
    ) -> Self {
        LocalTeardown { cluster: Some(cluster), gone, fabric: Some(fabric), listener: Some(listener), net }
    }

    fn finish(mut self) -> Result<(), Error> {
        self.cluster = None;
        // Interfaces go when the last descriptor of theirs does, so the fabric's have to go too.
        if let Some(fabric) = self.fabric.take() {
            fabric.finish();
        }
        wait_for_end(&self.gone)?;
        // A socket keeps its network namespace alive.
        self.net.close();
        if let Some(listener) = self.listener.take() {
            listener.join().map_err(|_| Error::Broken("the thread that listens to nodes panicked".into()))?;
        }
        Ok(())
    }
}

/// Waits until the pipe's other end is closed.
pub(crate) fn wait_for_end(gone: &OwnedFd) -> Result<(), Error> {
    let start = Instant::now();
    while let Some(left) = LIMIT.checked_sub(start.elapsed()) {
        let mut fds = [PollFd::new(gone.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(Error::io("waiting for a cluster's end", sys::io_error(error))),
        }
    }
    Err(Error::Timeout(format!("processes of the cluster were still there {LIMIT:?} after they were killed")))
}

#[async_trait]
impl Teardown for LocalTeardown {
    async fn shut_down(self: Box<Self>) -> Result<(), Error> {
        let ended = tokio::task::spawn_blocking(move || self.finish()).await;
        ended.map_err(|error| Error::Broken(format!("taking a cluster down: {error}")))?
    }
}
