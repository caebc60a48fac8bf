//! Limits on a node's share of the machine that need no control groups, and so no privilege anywhere.
//!
//! Processors: all processes of the node are stopped for the rest of each period (SIGSTOP), and continued. A
//! share is thus of the wall clock, whatever else the machine does. Memory: a resource limit on each process's
//! private writable memory, set by the node's init, so that allocations fail as on a machine that does not
//! overcommit; nothing is killed.

use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use squall_cluster::{Error, Limits, Usage};
use tokio::sync::{Mutex, MutexGuard};
use tokio::task::JoinHandle;

use crate::channel::Channel;
use crate::protocol::{Answer, Request};

/// Short enough to be felt as slowness, long enough that the signals themselves cost little.
const PERIOD: Duration = Duration::from_millis(20);

/// The limits of one node.
#[derive(Debug)]
pub(crate) struct LocalLimits {
    name: String,
    channel: Arc<Channel>,
    /// Whether a pause has the say over stopping and continuing. Held by whoever sends such signals.
    paused: Arc<Mutex<bool>>,
    throttle: StdMutex<Option<(f64, JoinHandle<()>)>>,
}

impl LocalLimits {
    pub fn new(name: &str, channel: Arc<Channel>) -> Self {
        LocalLimits { name: name.to_owned(), channel, paused: Arc::default(), throttle: StdMutex::default() }
    }

    /// A pause begins: nothing is continued by us until [`LocalLimits::let_go`].
    pub async fn hold_still(&self) -> MutexGuard<'_, bool> {
        let mut paused = self.paused.lock().await;
        *paused = true;
        paused
    }

    /// A pause is over.
    pub async fn let_go(&self) {
        *self.paused.lock().await = false;
    }

    fn replace(&self, throttle: Option<(f64, JoinHandle<()>)>) -> Option<JoinHandle<()>> {
        let mut own = self.throttle.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *own, throttle).map(|(_, task)| task)
    }

    /// The share that is in force: none once the task that sees to it has ended.
    fn share(&self) -> Option<f64> {
        let own = self.throttle.lock().unwrap_or_else(PoisonError::into_inner);
        own.as_ref().filter(|(_, task)| !task.is_finished()).map(|(share, _)| *share)
    }
}

impl Drop for LocalLimits {
    fn drop(&mut self) {
        if let Some(task) = self.replace(None) {
            task.abort();
        }
    }
}

/// Stops and continues in turn until aborted, or until the node is gone.
async fn throttle(channel: Arc<Channel>, paused: Arc<Mutex<bool>>, share: f64) {
    let run = PERIOD.mul_f64(share);
    loop {
        for (request, time) in [(Request::StopAll, PERIOD - run), (Request::ContinueAll, run)] {
            let paused = paused.lock().await;
            if !*paused && channel.done("limiting a processor", request, &[]).await.is_err() {
                return;
            }
            drop(paused);
            tokio::time::sleep(time).await;
        }
    }
}

#[async_trait]
impl Limits for LocalLimits {
    async fn cpu(&self, share: Option<f64>) -> Result<(), Error> {
        if let Some(share) = share.filter(|share| !(*share > 0.0 && *share < 1.0)) {
            return Err(Error::Invalid(format!(
                "a share of a processor is above 0 and below 1, not {share}"
            )));
        }
        if let Some(task) = self.replace(None) {
            task.abort();
            // It may be between its two signals; the last word is ours.
            task.await.ok();
        }
        let paused = self.paused.lock().await;
        if !*paused {
            self.channel.done("lifting a limit", Request::ContinueAll, &[]).await?;
        }
        drop(paused);
        if let Some(share) = share {
            let task = tokio::spawn(throttle(Arc::clone(&self.channel), Arc::clone(&self.paused), share));
            self.replace(Some((share, task)));
        }
        Ok(())
    }

    async fn memory(&self, bytes: Option<u64>) -> Result<(), Error> {
        self.channel.done("limiting memory", Request::LimitMemory { bytes }, &[]).await.map(drop)
    }

    async fn usage(&self) -> Result<Usage, Error> {
        match self.channel.done("asking what is used", Request::Usage, &[]).await? {
            Answer::Used { ticks, memory, limit } => Ok(Usage {
                cpu_seconds: ticks as f64 / ticks_per_second(),
                memory_bytes: memory,
                memory_limit_bytes: limit,
                cpu_share: self.share(),
            }),
            other => Err(Error::Broken(format!("{} answered what it uses with {other:?}", self.name))),
        }
    }
}

fn ticks_per_second() -> f64 {
    // 100 on every Linux that anybody runs; asked all the same.
    match nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK) {
        Ok(Some(ticks)) if ticks > 0 => ticks as f64,
        _ => 100.0,
    }
}
