//! What the harness, the keeper, a cluster's init and the nodes' inits say to each other: plain data in
//! postcard, one message a datagram of a `SOCK_SEQPACKET` pair, descriptors beside it.
//!
//! The harness makes every pair itself and sends the inner ends down, so that each process answers the
//! harness directly and nothing has to be forwarded:
//!
//! ```text
//! harness ──(keeper socket: one byte, [cluster socket, "gone" pipe])──▶ keeper
//! harness ──(cluster socket: Plan, [node sockets])────────────────────▶ cluster init ──▶ Failed
//! harness ──(node socket: ToNode)─────────────────────────────────────▶ node init ──▶ FromNode
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::BorrowedFd;
use std::path::PathBuf;

use nix::errno::Errno;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::sys::{self, Message};

/// How a node's packets reach the fabric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Wire {
    /// A TUN device in the node, its descriptor with the fabric.
    Tun,
    /// One end of a veth pair in the node, an AF_PACKET socket on the other.
    Veth,
}

/// What one node is to be.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NodePlan {
    /// Host name.
    pub name: String,
    /// Number of its port at the fabric.
    pub port: u16,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its IPv6 address, which it goes without where the kernel has no IPv6.
    pub address6: Ipv6Addr,
    /// Further networks all of whose addresses are its own, with their prefix lengths: the client slots'.
    pub own_networks: Vec<(IpAddr, u8)>,
    /// Where its programs start and keep their data.
    pub data: PathBuf,
}

/// What a whole cluster is to be; the nodes' sockets come with it, in order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// The nodes, the clients' host last.
    pub nodes: Vec<NodePlan>,
    /// Contents of `/etc/hosts`.
    pub hosts: String,
    /// How packets travel.
    pub wire: Wire,
    /// Largest IP packet of each interface, bytes.
    pub mtu: u32,
    /// Paths to keep visible although a private directory covers them, at the same place.
    pub visible: Vec<PathBuf>,
}

/// A step of making a process's surroundings that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failed {
    /// What was being done.
    pub step: String,
    /// The system's error number.
    pub errno: i32,
}

impl Failed {
    /// For `map_err`: what was being done.
    pub fn at(step: impl Into<String>) -> impl FnOnce(Errno) -> Failed {
        let step = step.into();
        move |errno| Failed { step, errno: errno as i32 }
    }
}

/// A request to a node's init; each is answered by a [`FromNode::Reply`] with the same number.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ToNode {
    /// Names the answer.
    pub id: u64,
    /// What to do.
    pub request: Request,
}

/// What a node's init can do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Start a program; its standard input (if [`Spawn::input`]), output and error come along, in this order.
    Spawn(Spawn),
    /// Write a file (and the folders above it); the contents come along as a readable descriptor.
    WriteFile {
        /// Where.
        path: PathBuf,
    },
    /// Send a signal to a process started earlier, or to its whole group.
    Signal {
        /// The number that the start answered.
        pid: i32,
        /// Which signal.
        signal: i32,
        /// Whether the process group gets it.
        group: bool,
    },
    /// Kill everything on the node and wait until it is gone.
    KillAll,
    /// Send SIGSTOP to everything on the node.
    StopAll,
    /// Send SIGCONT to everything on the node.
    ContinueAll,
    /// Say how many processes there are and how many of them are stopped.
    Count,
    /// Refuse every process, and those started later, memory beyond so many bytes; `None` lifts that.
    LimitMemory {
        /// Private writable memory of one process.
        bytes: Option<u64>,
    },
    /// Say what the processes use.
    Usage,
    /// Make unconnected TCP sockets.
    Sockets {
        /// How many.
        count: usize,
        /// Whether for IPv6.
        v6: bool,
    },
    /// Mount a file system of the harness's on a folder; its descriptor comes back, to be served.
    MountDisk {
        /// Where.
        on: PathBuf,
    },
}

/// A program to start.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Spawn {
    /// Names it in [`FromNode::Hello`] and [`FromNode::Exited`].
    pub token: u64,
    /// Executable and arguments.
    pub argv: Vec<Vec<u8>>,
    /// The whole environment, `NAME=value` each.
    pub env: Vec<Vec<u8>>,
    /// Where it starts.
    pub cwd: PathBuf,
    /// Whether its standard input comes along; otherwise it is empty.
    pub input: bool,
}

/// What a node's init did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// It was done.
    Done,
    /// The program runs; its process id inside the node.
    Started(i32),
    /// So many processes, so many of them stopped.
    Counted {
        /// All but the init.
        all: usize,
        /// Those in state T.
        stopped: usize,
    },
    /// What the processes use.
    Used {
        /// Clock ticks of processor time.
        ticks: u64,
        /// Bytes of private writable memory.
        memory: u64,
        /// The tightest limit on that of any process, bytes.
        limit: Option<u64>,
    },
    /// The sockets come along.
    Sockets,
    /// It is mounted; the descriptor comes along.
    Mounted,
}

/// What a node's init (or a program of it, just before its `exec`) says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum FromNode {
    /// The node is there; its wire comes along.
    Ready,
    /// The node could not be made.
    Failed(Failed),
    /// A program's own word before its `exec`: the message's credentials tell its process id outside.
    Hello {
        /// Which program.
        token: u64,
    },
    /// The answer to a request.
    Reply {
        /// Which request.
        id: u64,
        /// What came of it.
        result: Result<Answer, Failed>,
    },
    /// A program ended.
    Exited {
        /// Which program.
        token: u64,
        /// Its exit code, or `None` where a signal ended it.
        code: Option<i32>,
        /// The signal that ended it, 0 if none did.
        signal: i32,
    },
}

/// Sends a message.
pub(crate) fn send<T: Serialize>(
    socket: BorrowedFd<'_>,
    message: &T,
    fds: &[BorrowedFd<'_>],
) -> Result<(), Errno> {
    let bytes = postcard::to_stdvec(message).map_err(|_| Errno::EMSGSIZE)?;
    sys::send(socket, &bytes, fds)
}

/// Reads a message's bytes.
pub(crate) fn decode<T: DeserializeOwned>(message: &Message) -> Result<T, Errno> {
    postcard::from_bytes(&message.bytes).map_err(|_| Errno::EBADMSG)
}
