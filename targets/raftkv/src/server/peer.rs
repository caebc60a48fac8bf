//! Connections between servers.
//!
//! Each node dials every other one and sends on that connection only. The dialler pings; a connection on
//! which nothing was heard for twice the election timeout is dropped and dialled anew, because after a
//! partition TCP itself would wait for seconds before it tries again. What cannot be sent is dropped: Raft
//! sends it again, and forwarded requests are reported as broken.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::asks::{Event, Events};
use super::config::Config;
use super::trace;
use super::wire::{self, Frame, Hello, Pong, Welcome};
use crate::raft::{Membership, NodeId};

/// Frames that wait for one peer, at most.
const QUEUE: usize = 4096;
/// Frames written with one system call, at most, in bytes.
const WRITE_BYTES: usize = 256 * 1024;
const REDIAL_MIN: Duration = Duration::from_millis(20);
const REDIAL_MAX: Duration = Duration::from_millis(200);

/// The sending ends towards every peer.
#[derive(Debug)]
pub struct Peers {
    to: BTreeMap<NodeId, Outgoing>,
    shared: Arc<Shared>,
    runtime: Handle,
}

#[derive(Debug)]
struct Outgoing {
    queue: mpsc::Sender<Frame>,
    up: Arc<AtomicBool>,
}

/// What every connection task needs.
#[derive(Debug)]
struct Shared {
    config: Config,
    events: Events,
}

impl Shared {
    /// Silence after which a connection is dead.
    fn patience(&self) -> Duration {
        self.config.election_timeout * 2
    }
}

impl Peers {
    /// Queues `frame`; false if there is no connection or no room: it is certainly not sent.
    pub fn send(&self, to: NodeId, frame: Frame) -> bool {
        let Some(peer) = self.to.get(&to) else { return false };
        peer.up.load(Ordering::Acquire) && peer.queue.try_send(frame).is_ok()
    }

    /// Connects to members that were not known before.
    pub fn meet(&mut self, membership: &Membership) {
        for (&peer, addr) in &membership.addresses {
            if peer != self.shared.config.id && !self.to.contains_key(&peer) {
                self.add(peer, addr.clone());
            }
        }
    }

    fn add(&mut self, peer: NodeId, addr: String) {
        let (queue, frames) = mpsc::channel(QUEUE);
        let up = Arc::new(AtomicBool::new(false));
        self.runtime.spawn(dial_forever(self.shared.clone(), peer, addr, frames, up.clone()));
        self.to.insert(peer, Outgoing { queue, up });
    }
}

/// Starts listening and dialling on the current runtime.
pub fn start(config: &Config, listener: TcpListener, events: Events) -> Peers {
    let shared = Arc::new(Shared { config: config.clone(), events });
    tokio::spawn(accept(listener, shared.clone()));
    let mut peers = Peers { to: BTreeMap::new(), shared, runtime: Handle::current() };
    for (&peer, addr) in config.peers.iter().filter(|(id, _)| **id != config.id) {
        peers.add(peer, addr.clone());
    }
    peers
}

async fn dial_forever(
    shared: Arc<Shared>,
    peer: NodeId,
    addr: String,
    mut frames: mpsc::Receiver<Frame>,
    up: Arc<AtomicBool>,
) {
    let me = shared.config.id;
    let mut backoff = REDIAL_MIN;
    let mut complained = String::new();
    loop {
        // A lost packet must not cost TCP's first retransmission timeout of a second: give up and dial anew.
        let dialled = timeout(
            shared.config.election_timeout.max(Duration::from_millis(100)),
            dial(&shared, peer, &addr),
        );
        let why = match dialled.await {
            Ok(Ok(stream)) => {
                backoff = REDIAL_MIN;
                complained.clear();
                while frames.try_recv().is_ok() {} // from before the connection: stale
                up.store(true, Ordering::Release);
                trace::line(me, format_args!("connected peer={peer} addr={addr}"));
                let _ = shared.events.send(Event::Link { peer, up: true });
                let why = talk(&shared, stream, &mut frames).await;
                up.store(false, Ordering::Release);
                let _ = shared.events.send(Event::Link { peer, up: false });
                why.to_string()
            }
            Ok(Err(e)) => e.to_string(),
            Err(_) => "no answer".into(),
        };
        if frames.is_closed() {
            return;
        }
        if why != complained {
            trace::line(me, format_args!("disconnected peer={peer} addr={addr} reason={why:?}"));
            complained = why;
        }
        sleep(backoff).await;
        backoff = (backoff * 2).min(REDIAL_MAX);
    }
}

async fn dial(shared: &Shared, peer: NodeId, addr: &str) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    let config = &shared.config;
    let hello = Hello { version: wire::VERSION, cluster: config.cluster.clone(), from: config.id, to: peer };
    stream.write_all(&framed(&hello)?).await?;
    match wire::read::<Welcome>(&mut stream).await?.refused {
        None => Ok(stream),
        Some(why) => Err(std::io::Error::other(format!("refused: {why}"))),
    }
}

/// Sends what is queued and pings, until the connection breaks or falls silent; returns why.
async fn talk(shared: &Shared, mut stream: TcpStream, frames: &mut mpsc::Receiver<Frame>) -> std::io::Error {
    let (read, mut write) = stream.split();
    let mut read = BufReader::new(read);
    let mut ping = interval(shared.config.election_timeout / 2);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let listen = async {
        loop {
            match timeout(shared.patience(), wire::read::<Pong>(&mut read)).await {
                Ok(Ok(Pong)) => {}
                Ok(Err(e)) => return e,
                Err(_) => return std::io::Error::other("silent"),
            }
        }
    };
    let speak = async {
        let mut buffer = Vec::new();
        loop {
            buffer.clear();
            tokio::select! {
                frame = frames.recv() => match frame {
                    None => return std::io::Error::other("stopping"),
                    Some(frame) => collect(&mut buffer, frame, frames),
                },
                _ = ping.tick() => encode(&mut buffer, &Frame::Ping),
            }
            if let Err(e) = write.write_all(&buffer).await {
                return e;
            }
        }
    };
    tokio::select! { e = listen => e, e = speak => e }
}

/// Encodes `first` and whatever else waits.
fn collect(buffer: &mut Vec<u8>, first: Frame, frames: &mut mpsc::Receiver<Frame>) {
    encode(buffer, &first);
    while buffer.len() < WRITE_BYTES
        && let Ok(frame) = frames.try_recv()
    {
        encode(buffer, &frame);
    }
}

fn encode(buffer: &mut Vec<u8>, frame: &Frame) {
    wire::encode(buffer, frame).expect("frames are plain data");
}

fn framed(value: &impl serde::Serialize) -> std::io::Result<Vec<u8>> {
    let mut buffer = Vec::new();
    wire::encode(&mut buffer, value).map_err(std::io::Error::other)?;
    Ok(buffer)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let shared = shared.clone();
                tokio::spawn(async move {
                    // The dialler says why a connection ended; here only refusals are worth a line.
                    let _ = receive(stream, &shared).await;
                });
            }
            Err(e) => {
                trace::line(shared.config.id, format_args!("cannot accept a peer: {e}"));
                sleep(REDIAL_MAX).await;
            }
        }
    }
}

async fn receive(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (read, mut write) = stream.split();
    let mut read = BufReader::with_capacity(64 * 1024, read);
    let hello: Hello = timeout(shared.patience(), wire::read(&mut read)).await??;
    let refused = refusal(&shared.config, &hello);
    write.write_all(&framed(&Welcome { refused: refused.clone() })?).await?;
    if let Some(why) = refused {
        trace::line(shared.config.id, format_args!("refused peer={} reason={why:?}", hello.from));
        return Ok(());
    }
    let pong = framed(&Pong)?;
    loop {
        match timeout(shared.patience() * 2, wire::read(&mut read)).await?? {
            Frame::Ping => write.write_all(&pong).await?,
            frame => {
                let event = Event::Peer { from: hello.from, frame };
                if shared.events.send(event).is_err() {
                    return Ok(());
                }
            }
        }
    }
}

fn refusal(config: &Config, hello: &Hello) -> Option<String> {
    if hello.version != wire::VERSION {
        return Some(format!("this node speaks version {}, not {}", wire::VERSION, hello.version));
    }
    if hello.cluster != config.cluster {
        return Some(format!("this is cluster {:?}, not {:?}", config.cluster, hello.cluster));
    }
    if hello.to != config.id {
        return Some(format!("this is node {}, not {}", config.id, hello.to));
    }
    // Not only known peers: a new member may speak before the entry that adds it arrives.
    if hello.from == config.id {
        return Some(format!("there is another node {}", config.id));
    }
    None
}
