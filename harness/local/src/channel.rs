//! The harness's end of the nodes' sockets: requests go out numbered, one thread per cluster hands answers to
//! those who wait and takes note of what ended, independent of any async runtime.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use squall_cluster::{Error, Exit};
use tokio::sync::oneshot;

use crate::protocol::{self, Answer, Failed, FromNode, Request, ToNode};
use crate::sys::{self, Poller};

/// How long a node's init may take over a request before it counts as hung.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// What came of a request, with the descriptors that came along.
type Reply = (Result<Answer, Failed>, Vec<OwnedFd>);

/// Something a node's programs did.
#[derive(Debug)]
pub(crate) enum Happening {
    /// A program is about to `exec`; its process id as the harness's machine numbers it.
    Hello {
        /// Which program.
        token: u64,
        /// Its process id.
        pid: u32,
    },
    /// A program ended.
    Exited {
        /// Which program.
        token: u64,
        /// How.
        exit: Exit,
        /// When that was seen.
        at: Instant,
    },
    /// The node itself is gone.
    Gone,
}

/// Takes note of what happens on one node. Called by the cluster's own thread; must not block.
pub(crate) trait Observer: Send + Sync {
    /// Something happened.
    fn observe(&self, what: Happening);
}

/// One node's socket.
#[derive(Debug)]
pub(crate) struct Channel {
    name: String,
    socket: OwnedFd,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    gone: bool,
    replies: HashMap<u64, oneshot::Sender<Reply>>,
}

impl Channel {
    /// For the node of this name.
    pub fn new(name: &str, socket: OwnedFd) -> Self {
        Channel { name: name.to_owned(), socket, waiting: Mutex::default() }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gone(&self) -> Error {
        Error::Broken(format!("{} is gone: its cluster was taken down or its init was killed", self.name))
    }

    /// Sends a request and waits for what came of it. The node's own failures become `Err(Failed)` inside.
    pub async fn ask(&self, request: Request, fds: &[BorrowedFd<'_>]) -> Result<Reply, Error> {
        let receiver = self.post(request, fds)?;
        match tokio::time::timeout(ANSWER_LIMIT, receiver).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(_)) => Err(self.gone()),
            Err(_) => {
                Err(Error::Timeout(format!("the init of {} did not answer in {ANSWER_LIMIT:?}", self.name)))
            }
        }
    }

    /// Sends a request whose answer comes later.
    pub fn post(&self, request: Request, fds: &[BorrowedFd<'_>]) -> Result<oneshot::Receiver<Reply>, Error> {
        let (sender, receiver) = oneshot::channel();
        let id = {
            let mut waiting = self.waiting();
            if waiting.gone {
                return Err(self.gone());
            }
            waiting.next += 1;
            let id = waiting.next;
            waiting.replies.insert(id, sender);
            id
        };
        if let Err(error) = protocol::send(self.socket.as_fd(), &ToNode { id, request }, fds) {
            self.waiting().replies.remove(&id);
            // Its end may show here before the thread that listens has seen it.
            if matches!(error, Errno::EPIPE | Errno::ECONNRESET | Errno::ENOTCONN) {
                return Err(self.gone());
            }
            return Err(Error::io(format!("asking the init of {}", self.name), sys::io_error(error)));
        }
        Ok(receiver)
    }

    /// A request that answers with no more than success.
    pub async fn done(&self, what: &str, request: Request, fds: &[BorrowedFd<'_>]) -> Result<Answer, Error> {
        match self.ask(request, fds).await? {
            (Ok(answer), _) => Ok(answer),
            (Err(failed), _) => Err(self.failed(what, &failed)),
        }
    }

    /// The error for a node's own failure.
    pub fn failed(&self, what: &str, failed: &Failed) -> Error {
        let source = std::io::Error::from_raw_os_error(failed.errno);
        Error::io(format!("{what} on {}: {}", self.name, failed.step), source)
    }

    /// Reads one message; `false` at the end.
    fn read(&self, observer: &dyn Observer) -> bool {
        let Ok(Some(message)) = sys::receive(self.socket.as_fd()) else { return false };
        match protocol::decode(&message) {
            Ok(FromNode::Reply { id, result }) => {
                let waits = self.waiting().replies.remove(&id);
                if let Some(waits) = waits {
                    // Whoever asked may have stopped waiting.
                    waits.send((result, message.fds)).ok();
                }
            }
            Ok(FromNode::Hello { token }) => {
                let pid = message.pid.and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0);
                observer.observe(Happening::Hello { token, pid });
            }
            Ok(FromNode::Exited { token, code, signal }) => {
                let exit = code.map_or(Exit::Signal(signal), Exit::Code);
                observer.observe(Happening::Exited { token, exit, at: Instant::now() });
            }
            Ok(FromNode::Ready | FromNode::Failed(_)) | Err(_) => {
                tracing::warn!(node = self.name, "the node's init said something unexpected");
            }
        }
        true
    }

    fn end(&self, observer: &dyn Observer) {
        let mut waiting = self.waiting();
        waiting.gone = true;
        waiting.replies.clear();
        drop(waiting);
        observer.observe(Happening::Gone);
    }
}

/// A node's socket and who takes note of what happens there.
pub(crate) type Heard = (Arc<Channel>, Arc<dyn Observer>);

/// Starts the thread that reads the nodes' sockets; it ends when all of them have closed.
pub(crate) fn listen(nodes: Vec<Heard>) -> std::io::Result<JoinHandle<()>> {
    let mut poller = Poller::new(nodes.len())?;
    for (token, (channel, _)) in nodes.iter().enumerate() {
        poller.add(channel.socket.as_fd(), token as u64)?;
    }
    std::thread::Builder::new().name("squall-nodes".into()).spawn(move || {
        let mut open: Vec<Option<Heard>> = nodes.into_iter().map(Some).collect();
        while open.iter().any(Option::is_some) {
            let ready: Vec<u64> = match poller.wait(None) {
                Ok(ready) => ready.collect(),
                Err(error) => {
                    tracing::error!(%error, "cannot wait for the nodes any longer");
                    break;
                }
            };
            for token in ready {
                let slot = &mut open[token as usize];
                let Some((channel, observer)) = slot else { continue };
                if !channel.read(observer.as_ref()) {
                    poller.remove(channel.socket.as_fd());
                    channel.end(observer.as_ref());
                    *slot = None;
                }
            }
        }
        for (channel, observer) in open.into_iter().flatten() {
            channel.end(observer.as_ref());
        }
    })
}
