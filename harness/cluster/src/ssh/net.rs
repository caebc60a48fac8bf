//! How clients reach hosts: over ordinary TCP from the harness.
//!
//! The harness's own questions, whatever the port they go to, come from ports that no fault touches.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};

use async_trait::async_trait;
use tokio::net::{TcpSocket, TcpStream};

use super::sides::OWN_PORTS;
use crate::ClientNet;

/// See the module.
#[derive(Debug)]
pub(super) struct SshNet {
    /// The slot that is the harness's.
    own: usize,
    next: AtomicU16,
}

impl SshNet {
    pub fn new(own: usize) -> Self {
        SshNet { own, next: AtomicU16::new(0) }
    }
}

#[async_trait]
impl ClientNet for SshNet {
    async fn connect(&self, slot: usize, to: SocketAddr) -> io::Result<TcpStream> {
        if slot != self.own {
            return TcpStream::connect(to).await;
        }
        let any: IpAddr =
            if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let mut last = io::Error::from(io::ErrorKind::AddrInUse);
        // Some may be taken, by others or by connections that just ended. A port that could not be had was no
        // try to connect.
        for _ in 0..64 {
            let step = self.next.fetch_add(1, Ordering::Relaxed) % (OWN_PORTS.end() - OWN_PORTS.start() + 1);
            let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            socket.set_reuseaddr(true)?;
            match socket.bind(SocketAddr::new(any, OWN_PORTS.start() + step)) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    last = error;
                    continue;
                }
                Err(error) => return Err(error),
            }
            match socket.connect(to).await {
                Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => last = error,
                done => return done,
            }
        }
        Err(last)
    }
}
