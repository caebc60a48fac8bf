//! The `ssh` provider: nodes are real hosts, reached over SSH, harmed with the system's own means.
//!
//! ```text
//! harness                                    a host
//! SshProvider ── pool of sessions ────────── sshd: survey, upload, install; then
//! SshNode, SshLinks, SshClock ── link ────── agent (this executable): programs, nft, tc, clock, files
//!                                            └─ guard: waits for the agent's end
//! ```
//!
//! Invariants
//! - Only a host that carries `/etc/squall-disposable` is touched; that is asked first.
//! - A host's key must be in `known_hosts`. Nothing turns that off.
//! - Only connecting is tried again, never a command.
//! - What is to be undone is on the host's disk before it is done, and is undone when the harness falls silent,
//!   however it ended: see [`agent`].
//! - The firewall's first rules let SSH pass.
//!
//! What is asked of a host is data (`wire`), and what becomes a command line is made by pure code (`firewall`,
//! `netem`, `files`), compared as text in tests.
//!
//! Deliberately absent: passwords, anything that would act on the harness's own machine, hosts of another
//! architecture, disks that lie, programs that the harness talks to through pipes.

pub mod agent;
mod book;
mod clock;
mod files;
mod firewall;
mod inventory;
mod jump;
mod link;
mod links;
mod net;
mod netem;
mod node;
mod pool;
mod provider;
mod session;
mod shell;
mod sides;
mod survey;
mod wire;

use std::future::Future;

use tokio::task::JoinSet;

use crate::Error;

pub use inventory::{Host, Install, Inventory, Login, Processes};
pub use provider::SshProvider;

/// Does something for all of them side by side. The first error counts, once all are done.
async fn all<I, T, F>(items: impl IntoIterator<Item = I>, act: impl Fn(I) -> F) -> Result<Vec<T>, Error>
where
    F: Future<Output = Result<T, Error>> + Send + 'static,
    T: Send + 'static,
{
    let mut tasks = JoinSet::new();
    for (at, item) in items.into_iter().enumerate() {
        let acting = act(item);
        tasks.spawn(async move { (at, acting.await) });
    }
    let mut done = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        done.push(ended.map_err(|e| Error::Broken(format!("a task for a host ended: {e}")))?);
    }
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}
