//! What happens to one packet: read from its sender's wire, judged by its link, delivered to its receiver's
//! wire at once, later, twice, spoilt, or not at all. What is dropped vanishes without a word, as on a cut
//! cable: no ICMP tells of it.
//!
//! On a clear link a packet passes untouched, super-packets and unfinished checksums included. Where a policy
//! acts on single packets, super-packets are cut and checksums finished first.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use squall_cluster::Endpoint;

use crate::links::Table;
use crate::packet::{self, Offload, View};
use crate::pcap::Capture;
use crate::policy::{self, Fate, Nanos, Pass};
use crate::protocol::Wire;
use crate::queue::Queue;
use crate::sys;
use crate::wire::{self, ETHERNET_HEADER, VNET_HEADER};

/// Bytes before the IP packet in every frame, on every kind of wire: room for both headers.
pub(crate) const HEADROOM: usize = VNET_HEADER + ETHERNET_HEADER;

/// Forwards packets between wires.
#[derive(Debug)]
pub(crate) struct Forwarder {
    table: Arc<Table>,
    wire: Wire,
    wires: Vec<OwnedFd>,
    captures: Vec<Capture>,
    queue: Queue,
}

/// Where a packet goes.
#[derive(Clone, Copy)]
struct Way {
    link: usize,
    from: usize,
    to: usize,
    /// Whether it is between nodes.
    inner: bool,
}

impl Forwarder {
    /// Over these wires: the nodes' in order, then the clients'; captures in the same order, or none.
    pub fn new(table: Arc<Table>, wire: Wire, wires: Vec<OwnedFd>, captures: Vec<Capture>) -> Self {
        let queue = Queue::new(table.map.links());
        Forwarder { table, wire, wires, captures, queue }
    }

    /// Gives the wires back, once the captures are written out.
    pub fn into_wires(mut self) -> Vec<OwnedFd> {
        self.flush();
        self.wires
    }

    /// Whether packets are captured.
    pub fn captures(&self) -> bool {
        !self.captures.is_empty()
    }

    /// Writes captures out.
    pub fn flush(&mut self) {
        self.mark();
        self.captures.iter_mut().for_each(Capture::flush);
    }

    /// Puts into every capture what has happened since the last time.
    pub fn mark(&mut self) {
        if self.captures.is_empty() {
            return;
        }
        for mark in self.table.take_marks() {
            self.captures.iter_mut().for_each(|capture| capture.mark(&mark));
        }
    }

    /// Puts a packet into its sender's capture, with what became of it.
    fn capture(&mut self, from: usize, packet: &[u8], fate: Option<&str>) {
        if let Some(capture) = self.captures.get_mut(from) {
            capture.add(packet, fate);
        }
    }

    /// When the next packet held back is due.
    pub fn due(&self) -> Option<Nanos> {
        self.queue.due()
    }

    /// Delivers what was held back and is due.
    pub fn release(&mut self) {
        if self.queue.due().is_none() {
            return;
        }
        let now = sys::monotonic();
        while let Some(mut held) = self.queue.pop(now) {
            // The link may have been cut while the packet was on its way.
            let count = self.offload(&held.frame).packets(&held.frame[HEADROOM..]);
            let cut = {
                let link = &mut self.table.lock()[held.link];
                link.counters.cut += if link.policy.down { count } else { 0 };
                link.policy.down
            };
            if !cut {
                self.deliver(held.link, held.port, &mut held.frame);
            }
        }
    }

    /// Takes one packet from a wire; `false` if none was there.
    pub fn take(&mut self, port: usize, buffer: &mut [u8]) -> bool {
        let start = HEADROOM - wire::header_length(self.wire);
        let length = match sys::read(self.wires[port].as_fd(), &mut buffer[start..]) {
            Ok(Some(length)) => start + length,
            // Nothing there, or the interface is going away with its node.
            Ok(None) | Err(_) => return false,
        };
        if length > HEADROOM {
            self.forward(port, &mut buffer[..length]);
        }
        true
    }

    fn way(&self, from: usize, packet: &[u8]) -> Option<Way> {
        let map = self.table.map;
        let view = View::of(packet)?;
        let (sender, receiver) = (map.endpoint(view.source)?, map.endpoint(view.destination)?);
        // Nodes may forge their address, but not which wire they sit on.
        let honest = map.port(sender) == from;
        let link = map.link(sender, receiver).filter(|_| honest)?;
        let inner = matches!((sender, receiver), (Endpoint::Node(_), Endpoint::Node(_)));
        Some(Way { link, from, to: map.port(receiver), inner })
    }

    /// Notes a message between nodes; ports of nodes are their places.
    fn sight(&self, way: Way, packet: &[u8], arrived: impl FnOnce(Nanos) -> Option<Nanos>) {
        if way.inner
            && let bytes @ 1.. = View::of(packet).map_or(0, |view| view.said())
        {
            let now = sys::monotonic();
            self.table.sightings.add(way.from, way.to, bytes, now, arrived(now));
        }
    }

    fn forward(&mut self, from: usize, frame: &mut [u8]) {
        // What is for nobody here (router solicitations, multicast) ends here.
        let Some(way) = self.way(from, &frame[HEADROOM..]) else { return };
        let (clear, policy) = {
            let links = self.table.lock();
            (links[way.link].clear, links[way.link].policy)
        };
        if clear {
            self.sight(way, &frame[HEADROOM..], Some);
            self.capture(from, &frame[HEADROOM..], None);
            return self.deliver(way.link, way.to, frame);
        }
        let offload = self.offload(frame);
        if !policy::needs_segments(&policy) {
            return self.judge(way, frame);
        }
        let segments = if offload.is_super() { packet::segment(offload, &frame[HEADROOM..]) } else { None };
        match segments {
            Some(segments) => {
                for segment in segments {
                    self.judge(way, &mut framed(&segment));
                }
            }
            None => {
                packet::finish(offload, &mut frame[HEADROOM..]);
                frame[..HEADROOM].fill(0);
                self.judge(way, frame);
            }
        }
    }

    /// The virtio header of a frame.
    fn offload(&self, frame: &[u8]) -> Offload {
        match self.wire {
            Wire::Tun => Offload::read(&frame[ETHERNET_HEADER..], 0),
            Wire::Veth => Offload::read(frame, ETHERNET_HEADER),
        }
    }

    /// Lets the link decide on one packet, and does as it says.
    fn judge(&mut self, way: Way, frame: &mut [u8]) {
        let packet = &frame[HEADROOM..];
        let view = View::of(packet);
        let resettable = view.is_some_and(|view| view.can_be_reset());
        let count = self.offload(frame).packets(packet);
        let (fate, policy) = {
            let mut links = self.table.lock();
            let link = &mut links[way.link];
            if let Some((flow, opens)) = view.filter(|_| link.policy.half_open).and_then(|v| v.flow())
                && link.silences(flow, opens)
            {
                link.counters.silenced += count;
                drop(links);
                self.capture(way.from, packet, Some("silenced"));
                return;
            }
            let fate = link.memory.judge(&link.policy, sys::monotonic(), packet.len(), resettable);
            match fate {
                Fate::Cut => link.counters.cut += count,
                Fate::Reset => link.counters.reset += count,
                Fate::Lost => link.counters.lost += count,
                Fate::Overflowed => link.counters.overflowed += count,
                Fate::Pass(pass) => {
                    link.counters.delayed += if pass.at.is_some() { count } else { 0 };
                    link.counters.reordered += if pass.overtakes { count } else { 0 };
                    link.counters.duplicated += if pass.twice { count } else { 0 };
                }
            }
            (fate, link.policy)
        };
        self.sight(way, packet, |now| match fate {
            Fate::Pass(pass) => Some(pass.at.unwrap_or(now)),
            Fate::Cut | Fate::Reset | Fate::Lost | Fate::Overflowed => None,
        });
        if self.captures() {
            self.capture(way.from, packet, told(&fate).as_deref());
        }
        match fate {
            Fate::Cut | Fate::Lost | Fate::Overflowed => {}
            Fate::Reset => {
                if let Some(answer) = packet::reset_answer(packet) {
                    self.write(way.from, &mut framed(&answer), Some("made by the network"));
                }
            }
            Fate::Pass(pass) => self.pass(way, pass, policy.corrupt_undetected, frame),
        }
    }

    fn pass(&mut self, way: Way, pass: Pass, undetected: bool, frame: &mut [u8]) {
        if pass.spoilt.is_some_and(|choice| packet::spoil(&mut frame[HEADROOM..], choice, undetected)) {
            self.table.lock()[way.link].counters.corrupted += 1;
        }
        for _ in 0..=usize::from(pass.twice) {
            match pass.at {
                None => self.deliver(way.link, way.to, frame),
                Some(at) => {
                    if !self.queue.push(at, way.link, way.to, frame.to_vec()) {
                        self.table.lock()[way.link].counters.overflowed += 1;
                    }
                }
            }
        }
    }

    fn deliver(&mut self, link: usize, port: usize, frame: &mut [u8]) {
        let count = self.offload(frame).packets(&frame[HEADROOM..]);
        let written = self.write(port, frame, None);
        let counters = &mut self.table.lock()[link].counters;
        if written {
            counters.delivered += count;
            counters.delivered_bytes += (frame.len() - HEADROOM) as u64;
        } else {
            counters.overflowed += count;
        }
    }

    /// Writes a frame to a wire. `false` if its queue is full or its interface is going away: the packet is
    /// lost, as on any network.
    fn write(&mut self, port: usize, frame: &mut [u8], comment: Option<&str>) -> bool {
        self.capture(port, &frame[HEADROOM..], comment);
        if self.wire == Wire::Veth {
            let header = &mut frame[VNET_HEADER..HEADROOM];
            header[..6].copy_from_slice(&wire::mac(port as u16));
            header[6..12].copy_from_slice(&wire::mac(u16::MAX));
            let kind: [u8; 2] = if frame[HEADROOM] >> 4 == 4 { [0x08, 0x00] } else { [0x86, 0xdd] };
            frame[HEADROOM - 2..HEADROOM].copy_from_slice(&kind);
        }
        let start = HEADROOM - wire::header_length(self.wire);
        nix::unistd::write(&self.wires[port], &frame[start..]).is_ok()
    }
}

/// What becomes of a packet, for people; nothing of one that passes as it is.
fn told(fate: &Fate) -> Option<String> {
    let pass = match fate {
        Fate::Cut => return Some("dropped: the link is cut".into()),
        Fate::Reset => return Some("answered by a reset".into()),
        Fate::Lost => return Some("lost".into()),
        Fate::Overflowed => return Some("dropped: the queue of the link is full".into()),
        Fate::Pass(pass) => pass,
    };
    let mut all = Vec::new();
    if let Some(at) = pass.at {
        all.push(format!("held back for {:.3} ms", at.saturating_sub(sys::monotonic()) as f64 / 1e6));
    }
    if pass.overtakes {
        all.push("overtakes others".into());
    }
    if pass.twice {
        all.push("delivered twice".into());
    }
    if pass.spoilt.is_some() {
        all.push("spoilt".into());
    }
    (!all.is_empty()).then(|| all.join(", "))
}

/// A packet that is complete in itself, with room for headers that say so.
fn framed(packet: &[u8]) -> Vec<u8> {
    [&[0; HEADROOM][..], packet].concat()
}
