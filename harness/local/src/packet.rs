//! IP packets as bytes: who sends to whom, checksums, TCP segmentation, resets, spoilt bits. Pure.
//!
//! Nodes send with a virtio header before each packet, in which the kernel says what it left undone: a
//! checksum of which only the pseudo-header's part is there, and super-packets of up to 64 KiB that are to
//! be cut into segments. A packet that is passed on unchanged keeps that header, and the receiving kernel
//! trusts it; a packet that is to be harmed must be finished first, or the harm would be repaired or would
//! reach the application unseen.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `VIRTIO_NET_HDR_F_NEEDS_CSUM`.
const NEEDS_CHECKSUM: u8 = 1;
/// `VIRTIO_NET_HDR_GSO_NONE`.
const GSO_NONE: u8 = 0;
/// `VIRTIO_NET_HDR_GSO_TCPV4` and `…_TCPV6`.
const GSO_TCP: [u8; 2] = [1, 4];
/// `VIRTIO_NET_HDR_GSO_ECN`, a flag beside the above.
const GSO_ECN: u8 = 0x80;

const TCP: u8 = 6;
const UDP: u8 = 17;
const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;
const CWR: u8 = 0x80;

/// What a virtio header says of its packet; offsets count from the packet's first byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offload {
    flags: u8,
    gso: u8,
    /// Payload bytes of each segment but the last.
    gso_size: u16,
    checksum_start: u16,
    checksum_offset: u16,
}

impl Offload {
    /// Reads the header (ten bytes in the machine's order) of a packet behind `framing` more bytes.
    pub fn read(header: &[u8], framing: usize) -> Self {
        let number = |at: usize| u16::from_ne_bytes([header[at], header[at + 1]]);
        Offload {
            flags: header[0],
            gso: header[1],
            gso_size: number(4),
            checksum_start: number(6).saturating_sub(framing as u16),
            checksum_offset: number(8),
        }
    }

    /// Whether the packet is to be cut into TCP segments.
    pub fn is_super(&self) -> bool {
        self.gso & !GSO_ECN != GSO_NONE
    }

    /// How many packets it will be on a wire, given its length.
    pub fn packets(&self, packet: &[u8]) -> u64 {
        if !self.is_super() || self.gso_size == 0 {
            return 1;
        }
        let headers = View::of(packet).and_then(|view| view.payload()).unwrap_or(packet.len());
        let payload = packet.len().saturating_sub(headers);
        payload.div_ceil(usize::from(self.gso_size)).max(1) as u64
    }
}

/// Where the parts of a packet are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    packet: &'a [u8],
    /// TCP, UDP or another protocol's number.
    protocol: u8,
    /// Where the transport header begins.
    transport: usize,
    /// Whether it is a fragment of a packet, in which the transport header may be missing.
    fragment: bool,
    pub source: IpAddr,
    pub destination: IpAddr,
}

impl<'a> View<'a> {
    /// Reads a packet's headers; `None` if it is no IP packet or cut short.
    pub fn of(packet: &'a [u8]) -> Option<Self> {
        let v4 = |at: usize| -> Option<IpAddr> {
            let bytes: [u8; 4] = packet.get(at..at + 4)?.try_into().ok()?;
            Some(Ipv4Addr::from(bytes).into())
        };
        let v6 = |at: usize| -> Option<IpAddr> {
            let bytes: [u8; 16] = packet.get(at..at + 16)?.try_into().ok()?;
            Some(Ipv6Addr::from(bytes).into())
        };
        match packet.first()? >> 4 {
            4 => Some(View {
                packet,
                protocol: *packet.get(9)?,
                transport: usize::from(packet[0] & 15) * 4,
                // The "more fragments" flag or an offset.
                fragment: (packet[6] & 0x3f) | packet[7] != 0,
                source: v4(12)?,
                destination: v4(16)?,
            }),
            // Extension headers are rare between hosts that do not fragment; behind one the protocol counts
            // as unknown, and the packet passes through every policy that does not need to know it.
            6 => Some(View {
                packet,
                protocol: *packet.get(6)?,
                transport: 40,
                fragment: false,
                source: v6(8)?,
                destination: v6(24)?,
            }),
            _ => None,
        }
    }

    fn tcp_header(&self) -> Option<&'a [u8]> {
        let whole = self.protocol == TCP && !self.fragment;
        self.packet.get(self.transport..self.transport + 20).filter(|_| whole)
    }

    /// Where the application's bytes begin; `None` for protocols other than whole TCP and UDP packets.
    fn payload(&self) -> Option<usize> {
        match self.protocol {
            _ if self.fragment => None,
            TCP => self.tcp_header().map(|header| self.transport + usize::from(header[12] >> 4) * 4),
            UDP => Some(self.transport + 8),
            _ => None,
        }
        .filter(|start| *start <= self.packet.len())
    }

    /// Whether it is a TCP segment that a reset would answer.
    pub fn can_be_reset(&self) -> bool {
        self.tcp_header().is_some_and(|header| header[13] & RST == 0)
    }

    /// Of a TCP segment: its ports, and whether it opens a connection (the flag SYN, alone or with ACK).
    pub fn flow(&self) -> Option<((u16, u16), bool)> {
        let header = self.tcp_header()?;
        let port = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        Some(((port(0), port(2)), header[13] & SYN != 0))
    }

    /// Where the transport's checksum is.
    fn checksum(&self) -> Option<usize> {
        let at = match self.protocol {
            _ if self.fragment => None,
            TCP => Some(self.transport + 16),
            UDP => Some(self.transport + 6),
            _ => None,
        }?;
        (at + 2 <= self.packet.len()).then_some(at)
    }

    /// The pseudo-header's share of the transport checksum.
    fn pseudo(&self) -> u32 {
        let length = (self.packet.len() - self.transport) as u32;
        let addresses = if self.packet[0] >> 4 == 4 { &self.packet[12..20] } else { &self.packet[8..40] };
        sum(addresses) + u32::from(self.protocol) + (length >> 16) + (length & 0xffff)
    }
}

/// The sum of 16-bit words that internet checksums are made of (RFC 1071), not folded.
fn sum(bytes: &[u8]) -> u32 {
    let mut words = bytes.chunks_exact(2);
    let sum: u32 = words.by_ref().map(|word| u32::from(u16::from_be_bytes([word[0], word[1]]))).sum();
    sum + words.remainder().first().map_or(0, |last| u32::from(*last) << 8)
}

fn fold(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}

fn put(packet: &mut [u8], at: usize, number: u16) {
    packet[at..at + 2].copy_from_slice(&number.to_be_bytes());
}

/// Completes what the sender's kernel left undone of a packet that is no super-packet.
pub(crate) fn finish(offload: Offload, packet: &mut [u8]) {
    if offload.flags & NEEDS_CHECKSUM == 0 {
        return;
    }
    let start = usize::from(offload.checksum_start);
    let at = start + usize::from(offload.checksum_offset);
    if at + 2 > packet.len() {
        return;
    }
    // The field holds the pseudo-header's sum, so summing over it completes it.
    let checksum = !fold(sum(&packet[start..]));
    // In UDP a zero says that there is no checksum; all ones mean the same number.
    put(packet, at, if checksum == 0 { 0xffff } else { checksum });
}

/// Computes a packet's transport checksum anew, and IPv4's own.
fn set_checksums(packet: &mut [u8]) {
    let Some(view) = View::of(packet) else { return };
    let (transport, at, pseudo) = (view.transport, view.checksum(), view.pseudo());
    if packet[0] >> 4 == 4 && transport <= packet.len() {
        put(packet, 10, 0);
        let checksum = !fold(sum(&packet[..transport]));
        put(packet, 10, checksum);
    }
    if let Some(at) = at {
        put(packet, at, 0);
        let checksum = !fold(pseudo + sum(&packet[transport..]));
        put(packet, at, if checksum == 0 { 0xffff } else { checksum });
    }
}

/// Cuts a super-packet into the packets it would be on a wire, all complete. `None` if it is not one that
/// can be cut.
pub(crate) fn segment(offload: Offload, packet: &[u8]) -> Option<Vec<Vec<u8>>> {
    let view = View::of(packet)?;
    let size = usize::from(offload.gso_size);
    if size == 0 || !GSO_TCP.contains(&(offload.gso & !GSO_ECN)) {
        return None;
    }
    let (transport, start) = (view.transport, view.payload().filter(|_| view.protocol == TCP)?);
    let header = view.tcp_header()?;
    let sequence = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
    let flags = header[13];
    let identification = u16::from_be_bytes([packet[4], packet[5]]);
    let count = (packet.len() - start).div_ceil(size);
    let mut segments = Vec::with_capacity(count);
    for (number, payload) in packet[start..].chunks(size).enumerate() {
        let mut segment = [&packet[..start], payload].concat();
        let length = segment.len();
        if packet[0] >> 4 == 4 {
            put(&mut segment, 2, length as u16);
            put(&mut segment, 4, identification.wrapping_add(number as u16));
        } else {
            put(&mut segment, 4, (length - 40) as u16);
        }
        let position = sequence.wrapping_add((number * size) as u32);
        segment[transport + 4..transport + 8].copy_from_slice(&position.to_be_bytes());
        let mut own = flags;
        if number + 1 < count {
            own &= !(FIN | PSH);
        }
        if number > 0 {
            own &= !CWR;
        }
        segment[transport + 13] = own;
        set_checksums(&mut segment);
        segments.push(segment);
    }
    Some(segments)
}

/// Flips one bit of a finished packet, chosen by `choice`, and says whether there was one to flip.
///
/// A flip that the receiver is to detect falls anywhere behind the IP header. One that only the application
/// can notice falls into the application's own bytes, and the checksum is made right again.
pub(crate) fn spoil(packet: &mut [u8], choice: u64, undetected: bool) -> bool {
    let Some(view) = View::of(packet) else { return false };
    let start = if undetected { view.payload() } else { view.checksum().map(|_| view.transport) };
    let Some(start) = start.filter(|start| *start < packet.len()) else { return false };
    let bit = choice % ((packet.len() - start) as u64 * 8);
    packet[start + (bit / 8) as usize] ^= 1 << (bit % 8);
    if undetected {
        set_checksums(packet);
    }
    true
}

/// The reset that answers a TCP segment as if its receiver had no such connection (RFC 9293, 3.10.7.1).
pub(crate) fn reset_answer(packet: &[u8]) -> Option<Vec<u8>> {
    let view = View::of(packet).filter(View::can_be_reset)?;
    let header = view.tcp_header()?;
    let number = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let (sequence, acknowledged, flags) = (number(4), number(8), header[13]);
    let mut answer = packet[..view.transport].to_vec();
    if packet[0] >> 4 == 4 {
        // Plain header without options.
        answer.truncate(20);
        answer[0] = 0x45;
        put(&mut answer, 2, 40);
        answer[12..16].copy_from_slice(&packet[16..20]);
        answer[16..20].copy_from_slice(&packet[12..16]);
    } else {
        put(&mut answer, 4, 20);
        answer[8..24].copy_from_slice(&packet[24..40]);
        answer[24..40].copy_from_slice(&packet[8..24]);
    }
    let mut tcp = [0; 20];
    tcp[..2].copy_from_slice(&header[2..4]);
    tcp[2..4].copy_from_slice(&header[..2]);
    tcp[12] = 5 << 4;
    if flags & ACK != 0 {
        tcp[4..8].copy_from_slice(&acknowledged.to_be_bytes());
        tcp[13] = RST;
    } else {
        let payload = packet.len().saturating_sub(view.payload()?);
        let counted = payload as u32 + u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0);
        tcp[8..12].copy_from_slice(&sequence.wrapping_add(counted).to_be_bytes());
        tcp[13] = RST | ACK;
    }
    answer.extend(tcp);
    set_checksums(&mut answer);
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet from one host to another with whole checksums; `v6` says which protocol.
    fn sample(v6: bool, protocol: u8, transport: &[u8]) -> Vec<u8> {
        let mut packet = if v6 {
            let mut header = vec![0x60, 0, 0, 0, 0, 0, protocol, 64];
            put(&mut header, 4, transport.len() as u16);
            header.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
            header.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
            header
        } else {
            let mut header = vec![0x45, 0, 0, 0, 0x12, 0x34, 0x40, 0, 64, protocol, 0, 0];
            put(&mut header, 2, 20 + transport.len() as u16);
            header.extend([10, 77, 0, 1, 10, 77, 0, 2]);
            header
        };
        packet.extend(transport);
        set_checksums(&mut packet);
        packet
    }

    fn tcp(flags: u8, payload: &[u8]) -> Vec<u8> {
        let mut header = vec![0x1f, 0x90, 0x23, 0x28, 0, 0, 0x10, 0, 0, 0, 0x20, 0, 0x80, flags];
        header.extend([1, 0, 0, 0, 0, 0]);
        header.extend([1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]);
        header.extend(payload);
        header
    }

    /// Whether a receiver would accept its checksums: the plain definition, over the whole of each part.
    fn sound(packet: &[u8]) -> bool {
        let view = View::of(packet).unwrap();
        let ip = packet[0] >> 4 == 6 || fold(sum(&packet[..view.transport])) == 0xffff;
        ip && fold(view.pseudo() + sum(&packet[view.transport..])) == 0xffff
    }

    fn offload(gso: u8, size: u16) -> Offload {
        Offload { flags: NEEDS_CHECKSUM, gso, gso_size: size, checksum_start: 0, checksum_offset: 0 }
    }

    #[test]
    fn a_known_packet_has_its_known_checksum() {
        // From RFC 1071's own example: the words 0001 f203 f4f5 f6f7 sum to 2ddf0, folded ddf2.
        assert_eq!(fold(sum(&[0, 1, 0xf2, 3, 0xf4, 0xf5, 0xf6, 0xf7])), 0xddf2);
        assert_eq!(fold(sum(&[0xab])), 0xab00, "an odd last byte counts as the high half of a word");
    }

    #[test]
    fn a_partial_checksum_is_completed() {
        for v6 in [false, true] {
            let whole = sample(v6, UDP, &[0, 1, 0, 2, 0, 13, 0, 0, 1, 2, 3, 4, 5]);
            let mut partial = whole.clone();
            let view = View::of(&whole).unwrap();
            let (start, pseudo) = (view.transport, fold(view.pseudo()));
            put(&mut partial, start + 6, pseudo);
            assert_ne!(partial, whole);
            let offload =
                Offload { checksum_start: start as u16, checksum_offset: 6, ..offload(GSO_NONE, 0) };
            finish(offload, &mut partial);
            assert_eq!(partial, whole);
            assert!(sound(&partial));
        }
    }

    #[test]
    fn segments_carry_the_same_bytes_in_order_and_are_sound() {
        for (v6, gso) in [(false, 1), (true, 4), (false, 1 | GSO_ECN)] {
            let payload: Vec<u8> = (0..3000_u32).map(|byte| byte as u8).collect();
            let packet = sample(v6, TCP, &tcp(ACK | PSH | FIN | CWR, &payload));
            let offload = offload(gso, 1400);
            assert_eq!(offload.packets(&packet), 3);
            let segments = segment(offload, &packet).unwrap();
            let mut joined = Vec::new();
            for (number, segment) in segments.iter().enumerate() {
                assert!(sound(segment), "segment {number}");
                let view = View::of(segment).unwrap();
                let header = view.tcp_header().unwrap();
                let sequence = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
                assert_eq!(sequence as usize, 0x1000 + joined.len());
                assert_eq!(header[13] & (FIN | PSH) != 0, number == 2, "only the last one ends");
                assert_eq!(header[13] & CWR != 0, number == 0);
                joined.extend(&segment[view.payload().unwrap()..]);
            }
            assert_eq!((segments.len(), joined), (3, payload));
        }
    }

    #[test]
    fn one_spoilt_bit_is_detected_unless_it_is_meant_not_to_be() {
        for (v6, protocol) in [(false, TCP), (false, UDP), (true, TCP), (true, UDP)] {
            let transport = if protocol == TCP {
                tcp(ACK, b"payload")
            } else {
                b"\0\x01\0\x02\0\x0f\0\0payload".to_vec()
            };
            let packet = sample(v6, protocol, &transport);
            let start = View::of(&packet).unwrap().payload().unwrap();
            for choice in 0..1000 {
                let mut seen = packet.clone();
                assert!(spoil(&mut seen, choice, false));
                assert!(!sound(&seen), "choice {choice}");
                let mut unseen = packet.clone();
                assert!(spoil(&mut unseen, choice, true));
                assert!(sound(&unseen), "choice {choice}");
                let different =
                    |a: &[u8], b: &[u8]| -> u32 { a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum() };
                assert_eq!(different(&seen, &packet), 1);
                assert_eq!(different(&unseen[start..], &packet[start..]), 1);
            }
        }
        let mut bare = sample(false, TCP, &tcp(ACK, b""));
        assert!(!spoil(&mut bare, 5, true), "an application cannot notice a spoilt acknowledgement");
    }

    #[test]
    fn a_reset_answers_as_the_standard_says() {
        for v6 in [false, true] {
            let answer = reset_answer(&sample(v6, TCP, &tcp(ACK, b"data"))).unwrap();
            assert!(sound(&answer));
            let view = View::of(&answer).unwrap();
            let original = sample(v6, TCP, &tcp(ACK, b"data"));
            let of = View::of(&original).unwrap();
            assert_eq!((view.source, view.destination), (of.destination, of.source));
            let header = view.tcp_header().unwrap();
            assert_eq!(&header[..4], &[0x23, 0x28, 0x1f, 0x90], "ports swapped");
            assert_eq!(
                (&header[4..8], header[13]),
                (&[0, 0, 0x20, 0][..], RST),
                "sequence is what it acknowledged"
            );

            let answer = reset_answer(&sample(v6, TCP, &tcp(SYN, b""))).unwrap();
            let header = View::of(&answer).unwrap().tcp_header().unwrap();
            assert_eq!((&header[8..12], header[13]), (&[0, 0, 0x10, 1][..], RST | ACK));
        }
        assert!(reset_answer(&sample(false, TCP, &tcp(RST, b""))).is_none(), "resets are not answered");
        assert!(reset_answer(&sample(false, UDP, &[0; 8])).is_none());
    }

    #[test]
    fn nonsense_is_refused_and_never_panics() {
        let packet = sample(false, TCP, &tcp(ACK | PSH, &[7; 300]));
        for length in 0..packet.len() {
            let mut cut = packet[..length].to_vec();
            let _ = (View::of(&cut), reset_answer(&cut), segment(offload(1, 100), &cut));
            finish(Offload { checksum_start: 20, checksum_offset: 16, ..offload(0, 0) }, &mut cut);
            spoil(&mut cut, 77, false);
            spoil(&mut cut, 77, true);
        }
    }
}
