//! How clients reach nodes: TCP sockets made inside the clients' network namespace and passed to the harness.
//! A socket keeps the namespace in which it was made, so any thread of any runtime may bind and connect it.
//! A few are kept in stock, so that a connect does not wait for the host that makes them.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6, TcpStream as StdStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use nix::sys::socket::{SockaddrIn, SockaddrIn6, bind, setsockopt, sockopt};
use squall_cluster::{ClientNet, Endpoint};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot::{Receiver, error::TryRecvError};

use crate::addressing::Map;
use crate::channel::Channel;
use crate::protocol::{Answer, Failed, Request};

/// Sockets asked for at a time.
const BATCH: usize = 32;
/// When fewer are in stock, more are asked for.
const LOW: usize = 12;

/// The clients' sockets of a local cluster.
#[derive(Debug)]
pub(crate) struct LocalNet {
    map: Map,
    host: Arc<Channel>,
    /// IPv4's and IPv6's.
    stock: [Mutex<Stock>; 2],
}

type Delivery = Receiver<(Result<Answer, Failed>, Vec<OwnedFd>)>;

#[derive(Debug, Default)]
struct Stock {
    sockets: Vec<OwnedFd>,
    ordered: Option<Delivery>,
}

impl LocalNet {
    /// Sockets come from this host.
    pub fn new(map: Map, host: Arc<Channel>) -> Self {
        // If this fails, so does the first connect, which says why. IPv6 is used by few, so not ordered.
        let ordered = host.post(Request::Sockets { count: BATCH, v6: false }, &[]).ok();
        let stocked = Mutex::new(Stock { sockets: Vec::new(), ordered });
        LocalNet { map, host, stock: [stocked, Mutex::default()] }
    }

    fn stock(&self, v6: bool) -> MutexGuard<'_, Stock> {
        self.stock[usize::from(v6)].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes the sockets in stock.
    pub fn close(&self) {
        for v6 in [false, true] {
            *self.stock(v6) = Stock::default();
        }
    }

    /// One socket from stock, or what to wait for.
    fn take(&self, v6: bool) -> io::Result<Result<OwnedFd, Delivery>> {
        let mut stock = self.stock(v6);
        match stock.ordered.as_mut().map(Receiver::try_recv) {
            None | Some(Err(TryRecvError::Empty)) => {}
            Some(Err(TryRecvError::Closed)) => return Err(io::Error::other("the clients' host is gone")),
            Some(Ok(delivered)) => {
                stock.ordered = None;
                stock.sockets.extend(unpack(delivered)?);
            }
        }
        if stock.sockets.len() <= LOW && stock.ordered.is_none() {
            let request = Request::Sockets { count: BATCH, v6 };
            stock.ordered = Some(self.host.post(request, &[]).map_err(io::Error::other)?);
        }
        match stock.sockets.pop() {
            Some(socket) => Ok(Ok(socket)),
            // Whoever waits takes the order with it; the next caller places its own.
            None => Ok(Err(stock.ordered.take().expect("an empty stock has just been ordered for"))),
        }
    }

    async fn socket(&self, v6: bool) -> io::Result<OwnedFd> {
        match self.take(v6)? {
            Ok(socket) => Ok(socket),
            Err(delivery) => {
                let delivered = delivery.await.map_err(|_| io::Error::other("the clients' host is gone"))?;
                let mut sockets = unpack(delivered)?;
                let socket = sockets.pop().ok_or_else(|| io::Error::other("no socket came"))?;
                self.stock(v6).sockets.append(&mut sockets);
                Ok(socket)
            }
        }
    }
}

fn unpack((result, sockets): (Result<Answer, Failed>, Vec<OwnedFd>)) -> io::Result<Vec<OwnedFd>> {
    match result {
        Ok(_) => Ok(sockets),
        Err(failed) => Err(io::Error::from_raw_os_error(failed.errno)),
    }
}

#[async_trait]
impl ClientNet for LocalNet {
    fn address(&self, slot: usize, like: IpAddr) -> Option<IpAddr> {
        let slot = (slot < self.map.host_slot()).then_some(Endpoint::Client(slot))?;
        Some(match like {
            IpAddr::V4(_) => self.map.address(slot).into(),
            IpAddr::V6(_) => self.map.address6(slot).into(),
        })
    }

    async fn connect(&self, slot: usize, to: SocketAddr) -> io::Result<TcpStream> {
        if slot >= self.map.host_slot() {
            let text = format!("there is no client slot {slot}: the cluster has {}", self.map.host_slot());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let socket = self.socket(to.is_ipv6()).await?;
        setsockopt(&socket, sockopt::TcpNoDelay, &true)?;
        // The port is chosen at connect, so that a slot is not limited to one connection a port overall.
        setsockopt(&socket, sockopt::IpBindAddressNoPort, &true)?;
        let (raw, slot) = (socket.as_fd().as_raw_fd(), Endpoint::Client(slot));
        if to.is_ipv6() {
            let address = SocketAddrV6::new(self.map.address6(slot), 0, 0, 0);
            bind(raw, &SockaddrIn6::from(address))?;
        } else {
            bind(raw, &SockaddrIn::from(SocketAddrV4::new(self.map.address(slot), 0)))?;
        }
        TcpSocket::from_std_stream(StdStream::from(socket)).connect(to).await
    }
}
