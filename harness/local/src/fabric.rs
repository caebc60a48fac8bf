//! The network itself: one thread that reads every node's wire, decides by the link's policy, and writes to
//! the receiver's wire. What it drops vanishes without a word, as on a cut cable.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;

use nix::sys::eventfd::{EfdFlags, EventFd};
use squall_cluster::Endpoint;

use crate::links::Table;
use crate::protocol::Wire;
use crate::sys::{self, Poller};
use crate::wire::{self, ETHERNET_HEADER, VNET_HEADER};

/// Packets taken from one wire before the next has its turn.
const TURN: usize = 64;
/// The largest packet with its headers.
const BUFFER: usize = 66_000;
/// The poller's token for the end.
const STOP: u64 = u64::MAX;

/// The running fabric; dropping it ends its thread and closes the wires.
#[derive(Debug)]
pub(crate) struct Fabric {
    stop: Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
}

impl Fabric {
    /// Starts it over these wires: the nodes' in order, then the clients'.
    pub fn start(table: Arc<Table>, wire: Wire, wires: Vec<OwnedFd>) -> io::Result<Self> {
        let stop = Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?);
        let poller = Poller::new(wires.len() + 1)?;
        for (token, wire) in wires.iter().enumerate() {
            poller.add(wire.as_fd(), token as u64)?;
        }
        poller.add(stop.as_fd(), STOP)?;
        let held = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("squall-fabric".into()).spawn(move || {
            let _held = held;
            let mut forwarder = Forwarder { table, wire, wires };
            forwarder.run(poller);
            close_together(forwarder.wires);
        })?;
        Ok(Fabric { stop, thread: Some(thread) })
    }
}

impl Drop for Fabric {
    fn drop(&mut self) {
        // An event counter takes one more; were it full, the thread would be waking already.
        self.stop.write(1).ok();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

struct Forwarder {
    table: Arc<Table>,
    wire: Wire,
    wires: Vec<OwnedFd>,
}

impl Forwarder {
    fn run(&mut self, mut poller: Poller) {
        // Sleeping threads are woken up to 50 µs late by default.
        nix::sys::prctl::set_timerslack(1).ok();
        let mut buffer = vec![0; BUFFER];
        loop {
            let ready: Vec<u64> = match poller.wait(None) {
                Ok(ready) => ready.collect(),
                Err(error) => {
                    tracing::error!(%error, "the fabric cannot wait for packets; the network is down");
                    return;
                }
            };
            for token in ready {
                if token == STOP {
                    return;
                }
                for _ in 0..TURN {
                    let from = token as usize;
                    match sys::read(self.wires[from].as_fd(), &mut buffer) {
                        Ok(Some(length)) => self.forward(&mut buffer[..length]),
                        // Nothing there, or the interface is going away with its node.
                        Ok(None) | Err(_) => break,
                    }
                }
            }
        }
    }

    fn forward(&mut self, frame: &mut [u8]) {
        let Some(packet) = frame.get(wire::header_length(self.wire)..) else { return };
        let Some((from, to)) = ends(packet) else { return };
        let map = self.table.map;
        let (Some(from), Some(to)) = (map.endpoint(from), map.endpoint(to)) else { return };
        let Some(link) = map.link(from, to) else { return };
        let length = packet.len() as u64;
        {
            let mut links = self.table.lock();
            let link = &mut links[link];
            if link.policy.down {
                link.counters.cut += 1;
                return;
            }
            link.counters.delivered += 1;
            link.counters.delivered_bytes += length;
        }
        self.deliver(to, frame);
    }

    fn deliver(&mut self, to: Endpoint, frame: &mut [u8]) {
        let port = self.table.map.port(to);
        if self.wire == Wire::Veth {
            let header = &mut frame[VNET_HEADER..VNET_HEADER + ETHERNET_HEADER];
            header[..6].copy_from_slice(&wire::mac(port as u16));
            header[6..12].copy_from_slice(&wire::mac(u16::MAX));
        }
        // A full queue or an interface that is going away: the packet is lost, as on any network.
        nix::unistd::write(&self.wires[port], frame).ok();
    }
}

/// Closes the wires, each in a thread of its own: the kernel takes some 30 ms over each TUN device, most of
/// it waiting for other processors.
fn close_together(wires: Vec<OwnedFd>) {
    std::thread::scope(|scope| {
        for wire in wires {
            // Where no thread can be had, the closure with the wire in it is dropped here, which closes it too.
            std::thread::Builder::new().spawn_scoped(scope, move || drop(wire)).ok();
        }
    });
}

/// Source and destination of an IP packet.
fn ends(packet: &[u8]) -> Option<(IpAddr, IpAddr)> {
    let v4 = |at: usize| -> Option<IpAddr> {
        let bytes: [u8; 4] = packet.get(at..at + 4)?.try_into().ok()?;
        Some(Ipv4Addr::from(bytes).into())
    };
    match packet.first()? >> 4 {
        4 => Some((v4(12)?, v4(16)?)),
        _ => None,
    }
}
