//! How many packets a policy harms, and which: counted by a program that receives them.
//!
//! The sender keeps a bounded number of datagrams under way, told by the receiver how far it has come, so that no
//! socket's buffer overflows: what is missing then, the network kept.

use std::collections::HashMap;
use std::hash::Hasher;
use std::io::{self, Write};
use std::net::UdpSocket;
use std::path::Path;
use std::time::Duration;

use squall_cluster::{ClusterSpec, Endpoint, Error, LinkPolicy, Node, Provider};

use super::measure::{links, numbers, role, wait_for};
use super::roles::READY;
use crate::LocalProvider;

const PORT: u16 = 7008;
/// Datagrams under way at most, well below what a socket's buffer takes.
const WINDOW: u64 = 128;
/// After so many the receiver says how far it has come: not after each, so that the two need not take turns.
const TELL: u64 = 16;
/// After so long without a word the sender goes on: what is awaited may have been lost.
const PATIENCE: Duration = Duration::from_millis(5);
/// The number of a datagram that asks for the result.
const END: u64 = u64::MAX;
const SIZE: usize = 100;

/// What became of numbered packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Never arrived as they were sent.
    pub missing: u64,
    /// Arrived again.
    pub twice: u64,
    /// Arrived with other bytes.
    pub spoilt: u64,
    /// Stands for which ones were missing, and which came twice.
    pub digest: u64,
}

/// Sends so many packets over a link with this policy, in a cluster of this seed made for it below `dir`.
pub async fn tally(
    provider: &LocalProvider,
    dir: &Path,
    seed: u64,
    policy: LinkPolicy,
    packets: u64,
) -> Result<Tally, Error> {
    let spec = ClusterSpec {
        nodes: 2,
        clients: 0,
        seed,
        dir: dir.to_owned(),
        needs: [].into(),
        pcap: false,
        visible: Vec::new(),
    };
    let cluster = provider.provision(&spec).await?;
    let (from, to) = (cluster.nodes[0].as_ref(), cluster.nodes[1].as_ref());
    let measured = async {
        links(&cluster)?.apply(&[(Endpoint::Node(0), Endpoint::Node(1), policy)]).await?;
        count(from, to, packets).await
    };
    let measured = measured.await;
    cluster.shut_down().await?;
    measured
}

async fn count(from: &dyn Node, to: &dyn Node, packets: u64) -> Result<Tally, Error> {
    to.start(&role("bench-count", &["count", &PORT.to_string()])?).await?;
    wait_for(to, "bench-count").await?;
    let peer = format!("{}:{PORT}", to.address());
    match numbers(from, &["numbered", &peer, &packets.to_string()]).await?[..] {
        [missing, twice, spoilt, digest] => Ok(Tally { missing, twice, spoilt, digest }),
        _ => Err(Error::Broken("the counting program printed nonsense".into())),
    }
}

/// Bytes that follow from their number, which stands first: from all of it, so that a number that was spoilt does not
/// pass for another one.
fn datagram(number: u64) -> [u8; SIZE] {
    let mut bytes = [0; SIZE];
    // Odd, so no two numbers have the same product.
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = mixed[at % mixed.len()].wrapping_add(at as u8);
    }
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    bytes
}

fn number_of(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(END, |first| u64::from_be_bytes(*first))
}

/// Receives numbered datagrams, says now and then how far it has come, and at the end what it has seen.
pub(super) fn receive(port: u16) -> io::Result<()> {
    let socket = UdpSocket::bind(("0.0.0.0", port))?;
    io::stdout().write_all(READY.as_bytes())?;
    io::stdout().flush()?;
    let (mut seen, mut spoilt, mut highest) = (HashMap::<u64, u64>::new(), 0_u64, 0);
    let mut buffer = [0; 2048];
    loop {
        let (length, from) = socket.recv_from(&mut buffer)?;
        let number = number_of(&buffer[..length]);
        if buffer[..length] == datagram(END) {
            let packets = highest;
            let missing: Vec<u64> = (1..=packets).filter(|n| !seen.contains_key(n)).collect();
            let twice: Vec<u64> = (1..=packets).filter(|n| seen.get(n).is_some_and(|t| *t > 1)).collect();
            let mut digest = std::hash::DefaultHasher::new();
            missing.iter().chain([&0]).chain(&twice).for_each(|n| digest.write_u64(*n));
            let result = [missing.len() as u64, twice.len() as u64, spoilt, digest.finish()];
            let answer: Vec<u8> = result.iter().flat_map(|n| n.to_be_bytes()).collect();
            socket.send_to(&answer, from)?;
        } else {
            if buffer[..length] == datagram(number) {
                *seen.entry(number).or_default() += 1;
                highest = highest.max(number);
            } else {
                spoilt += 1;
            }
            if number.is_multiple_of(TELL) {
                socket.send_to(&highest.to_be_bytes(), from)?;
            }
        }
    }
}

/// Sends so many numbered datagrams and prints what the receiver says of them. The last few are not counted: that
/// nothing came after them leaves it open whether they will.
pub(super) fn send(to: &str, packets: u64) -> io::Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect(to)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let (mut reached, mut answer) = (0, [0; 64]);
    let mut hear = |reached: &mut u64| match socket.recv(&mut answer) {
        Ok(8) => {
            *reached = (*reached).max(number_of(&answer));
            None
        }
        Ok(length) => Some(answer[..length].to_vec()),
        Err(_) => {
            // What is awaited was lost: go on, by one.
            *reached += 1;
            None
        }
    };
    for number in 1..=packets {
        while number - reached > WINDOW {
            hear(&mut reached);
        }
        socket.send(&datagram(number))?;
    }
    loop {
        socket.send(&datagram(END))?;
        if let Some(result) = hear(&mut reached) {
            let words = result.chunks_exact(8).map(number_of).map(|n| n.to_string());
            io::stdout().write_all(words.collect::<Vec<_>>().join("\n").as_bytes())?;
            return io::stdout().flush();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_bit_never_makes_another_datagram() {
        for number in [1, 16, 4711, 99_999, END] {
            for bit in 0..8 * SIZE {
                let mut bytes = datagram(number);
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert_ne!(bytes, datagram(number_of(&bytes)), "bit {bit} of {number}");
            }
        }
    }
}
