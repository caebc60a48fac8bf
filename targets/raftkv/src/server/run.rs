//! The life of a server: open the log, bind, start the threads, stop.

use std::hash::{BuildHasher as _, Hasher as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use super::asks::{Event, Events};
use super::compaction::Compaction;
use super::config::Config;
use super::http::{self, Front, Traffic};
use super::node::{End, Node, Parts};
use super::restore::{Start, restore};
use super::{disk, peer, trace};
use crate::bugs::Bug;
use crate::raft::{Core, CoreConfig, Write};
use crate::wal::{DataDir, Identity, Recovered, Wal, WalError, WalOptions, load_latest_snapshot};

/// How long the last answers may take to be written at a stop.
const LAST_ANSWERS: Duration = Duration::from_millis(200);

/// Why a server did not start, or did not go on.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Log(#[from] WalError),
    #[error("cannot listen on {addr}: {source}")]
    Listen { addr: String, source: std::io::Error },
    #[error("cannot start: {0}")]
    Thread(#[from] std::io::Error),
    #[error("stopped serving, because {0}")]
    DiskFailed(String),
}

/// A server that runs. Dropping it leaves its threads to end with the process; call [`Server::stop`].
#[derive(Debug)]
pub struct Server {
    config: Config,
    client_addr: SocketAddr,
    events: Events,
    ended: oneshot::Receiver<End>,
    front: Arc<Front>,
    disk: JoinHandle<()>,
    _dir: DataDir,
}

impl Server {
    /// Starts on the current runtime.
    pub async fn start(config: Config) -> Result<Server, StartError> {
        let identity =
            Identity { cluster: config.cluster.clone(), node: config.id, founders: config.founders() };
        let (dir, identity) = DataDir::open(&config.data_dir, &identity)?;
        // Listen first: an address in use should not cost a long recovery.
        let peer_listener = listen(&config.peers[&config.id]).await?;
        let client_listener = listen(&config.client_addr).await?;
        let client_addr = client_listener.local_addr()?;
        let options = WalOptions {
            fsync: config.fsync && config.bug != Some(Bug::NoFsync),
            trust_tail: config.bug == Some(Bug::WalTailAccepted),
            ..WalOptions::default()
        };
        let snapshot = load_latest_snapshot(dir.path(), config.bug)?;
        let (mut wal, mut recovered) = Wal::open(&dir, options)?;
        report_start(&config, client_addr, &recovered);

        let origin = Instant::now();
        if config.bug == Some(Bug::TruncateTooMuch) {
            recovered.entries.pop();
        }
        let Start { restored, store, rebase } = restore(identity.founders, snapshot, recovered, config.bug)?;
        if rebase.is_some() {
            wal.append(vec![Write { seq: 0, hard_state: None, base: rebase, entries: Vec::new() }])?;
        }
        let (events, inbox) = mpsc::unbounded_channel();
        let latest = restored.snapshot.clone();
        let compaction = Compaction::new(dir.path().to_owned(), events.clone(), latest);
        let core = Core::new(core_config(&config), restored, 0);
        let (writes, write_queue) = channel();
        let disk = disk::spawn(wal, write_queue, events.clone())?;
        let peers = peer::start(&config, peer_listener, events.clone());
        let (config_copy, seed) = (config.clone(), random());
        let traffic = Arc::new(Traffic::default());
        let parts = Parts {
            config: config_copy,
            core,
            store,
            peers,
            disk: writes,
            compaction,
            traffic: traffic.clone(),
            origin,
            seed,
        };
        let node = Node::new(parts);
        let (end, ended) = oneshot::channel();
        tokio::spawn(async move { drop(end.send(node.run(inbox).await)) });
        let front = Front {
            events: events.clone(),
            traffic,
            max_in_flight: config.max_in_flight,
            max_body_bytes: config.max_body_bytes,
            request_timeout: config.request_timeout,
        };
        let front = Arc::new(front);
        tokio::spawn(http::serve(client_listener, front.clone()));
        Ok(Server { config, client_addr, events, ended, front, disk, _dir: dir })
    }

    /// Where HTTP is served.
    pub fn client_addr(&self) -> SocketAddr {
        self.client_addr
    }

    /// Returns when the server cannot go on.
    pub async fn failed(&mut self) -> StartError {
        match (&mut self.ended).await {
            Ok(End::DiskFailed(why)) => StartError::DiskFailed(why),
            Ok(End::Stopped) | Err(_) => StartError::DiskFailed("the core ended".into()),
        }
    }

    /// Stops: nothing new is taken, a leader hands its office over, what is under way is answered, what was
    /// handed to the disk is written.
    pub async fn stop(mut self) {
        let _ = self.events.send(Event::Stop);
        let _ = (&mut self.ended).await;
        // The answers are given; their connections still have to write them.
        let begun = Instant::now();
        while self.front.traffic.in_flight.load(Ordering::Relaxed) > 0 && begun.elapsed() < LAST_ANSWERS {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        let _ = self.disk.join();
        trace::line(self.config.id, format_args!("stopped"));
    }
}

/// Serves until SIGTERM or SIGINT, or until the server cannot go on.
pub async fn serve(config: Config) -> Result<(), StartError> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut server = Server::start(config).await?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        error = server.failed() => return Err(error),
    }
    server.stop().await;
    Ok(())
}

async fn listen(addr: &str) -> Result<TcpListener, StartError> {
    TcpListener::bind(addr).await.map_err(|source| StartError::Listen { addr: addr.to_owned(), source })
}

fn core_config(config: &Config) -> CoreConfig {
    CoreConfig {
        election_timeout: config.election_timeout.as_micros() as u64,
        heartbeat: config.heartbeat.as_micros() as u64,
        max_append_bytes: config.append_bytes,
        max_drift_per_mille: config.max_drift_per_mille,
        bug: config.bug,
        ..CoreConfig::new(config.id, random())
    }
}

fn report_start(config: &Config, client_addr: SocketAddr, recovered: &Recovered) {
    let (id, peer_addr) = (config.id, &config.peers[&config.id]);
    let (term, last) = (recovered.hard_state.term, recovered.entries.last().map_or(0, |e| e.index));
    if recovered.torn_bytes > 0 {
        trace::line(id, format_args!("repaired a torn tail bytes={}", recovered.torn_bytes));
    }
    if let Some(bug) = config.bug {
        trace::line(id, format_args!("carries bug={bug}"));
    }
    trace::line(id, format_args!("serving clients={client_addr} peers={peer_addr} term={term} last={last}"));
}

/// Different at each call and each start: from the keys that the standard library draws for its maps.
fn random() -> u64 {
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}
