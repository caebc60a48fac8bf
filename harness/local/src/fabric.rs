//! The network's thread: it waits for packets and for packets held back to fall due, and hands each to
//! [`Forwarder`]. Ends when the [`Fabric`] is dropped.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::forwarding::{Forwarder, HEADROOM};
use crate::links::Table;
use crate::pcap::Capture;
use crate::policy::Nanos;
use crate::protocol::Wire;
use crate::sys::{self, Poller};

/// Packets taken from one wire before the next has its turn.
const TURN: usize = 64;
/// The largest packet with its headers.
const BUFFER: usize = HEADROOM + 65_536;
/// The poller's token for the end.
const STOP: u64 = u64::MAX;
/// For so long after a packet the thread looks for the next one without sleeping: waking it and whoever answers takes
/// some 70 µs where processors are virtual, so less than that gains nothing. Nanoseconds.
const LINGER: Nanos = 100_000;
/// A thread that sleeps is woken up to so much late, so it looks without sleeping for the last of a wait. Nanoseconds.
const WAKE_UP: Nanos = 60_000;
/// How long captured packets may wait to be written while nothing else happens.
const CAPTURE_DELAY: Duration = Duration::from_secs(1);

/// The running fabric; dropping it ends its thread, which closes the wires.
#[derive(Debug)]
pub(crate) struct Fabric {
    stop: Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
}

impl Fabric {
    /// Starts it over these wires: the nodes' in order, then the clients'. Captures are in the same order,
    /// or none.
    pub fn start(
        table: Arc<Table>,
        wire: Wire,
        wires: Vec<OwnedFd>,
        captures: Vec<Capture>,
    ) -> io::Result<Self> {
        let stop = Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?);
        let poller = Poller::new(wires.len() + 1)?;
        for (token, wire) in wires.iter().enumerate() {
            poller.add(wire.as_fd(), token as u64)?;
        }
        poller.add(stop.as_fd(), STOP)?;
        let held = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("squall-fabric".into()).spawn(move || {
            let _held = held;
            let _end = End(Arc::clone(&table));
            let mut forwarder = Forwarder::new(table, wire, wires, captures);
            run(&mut forwarder, poller);
            close_together(forwarder.into_wires());
        })?;
        Ok(Fabric { stop, thread: Some(thread) })
    }
}

impl Fabric {
    /// Ends the thread and waits until the wires are closed.
    pub fn finish(mut self) {
        let thread = self.thread.take();
        drop(self);
        if let Some(thread) = thread {
            thread.join().ok();
        }
    }
}

impl Drop for Fabric {
    fn drop(&mut self) {
        // An event counter takes one more; were it full, the thread would be waking already.
        self.stop.write(1).ok();
    }
}

/// Says that the network is down when the thread ends, be it by a panic.
struct End(Arc<Table>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

fn run(forwarder: &mut Forwarder, mut poller: Poller) {
    // Sleeping threads are woken up to 50 µs late by default.
    nix::sys::prctl::set_timerslack(1).ok();
    let mut buffer = vec![0; BUFFER];
    let mut flushed = sys::monotonic();
    let mut lingers_until = 0;
    loop {
        let now = sys::monotonic();
        let wait = |due: Nanos| Duration::from_nanos(due.saturating_sub(now).saturating_sub(WAKE_UP));
        let mut limit = forwarder.due().map(wait);
        if now < lingers_until {
            limit = Some(Duration::ZERO);
        }
        if forwarder.captures() {
            limit = Some(limit.unwrap_or(CAPTURE_DELAY).min(CAPTURE_DELAY));
        }
        let ready: Vec<u64> = match poller.wait(limit) {
            Ok(ready) => ready.collect(),
            Err(error) => {
                tracing::error!(%error, "the fabric cannot wait for packets; the network is down");
                return;
            }
        };
        forwarder.mark();
        forwarder.release();
        if !ready.is_empty() {
            lingers_until = sys::monotonic() + LINGER;
        }
        for token in ready {
            if token == STOP {
                return;
            }
            for _ in 0..TURN {
                if !forwarder.take(token as usize, &mut buffer) {
                    break;
                }
            }
        }
        if forwarder.captures() && now - flushed > CAPTURE_DELAY.as_nanos() as u64 {
            forwarder.flush();
            flushed = now;
        }
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
