//! Packet captures in the pcapng format (draft-ietf-opsawg-pcapng), with nanosecond times and raw IP packets, as
//! Wireshark and tcpdump read them. A node's capture holds what it sent and what reached it; what the network did to
//! a packet stands beside it as a comment. When which fault was on stands between the packets, as records of a
//! system's journal.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 6;
/// An entry of a journal in its text form, as systemd exports it.
const JOURNAL: u32 = 9;
/// The first block shows by this in which order bytes are.
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
/// `LINKTYPE_RAW`: the packet begins with its IP header.
const RAW: u32 = 101;
/// Longer packets there are none.
const LONGEST: u32 = 1 << 18;

/// Options of blocks, by their numbers. They mean something else in each kind of block, but for comments.
const COMMENT: u16 = 1;
const INTERFACE_NAME: u16 = 2;
const PROGRAM: u16 = 4;
const RESOLUTION: u16 = 9;
/// Times are in units of 10⁻⁹ s.
const NANOSECONDS: u8 = 9;

/// One capture file.
#[derive(Debug)]
pub(crate) struct Capture {
    /// `None` once writing failed: a full disk ends captures, not the network.
    file: Option<BufWriter<File>>,
}

impl Capture {
    /// Makes the file of a node with this name and writes what comes before packets.
    pub fn create(path: &Path, node: &str) -> io::Result<Self> {
        let mut file = BufWriter::new(File::create(path)?);
        let mut section = words([BYTE_ORDER, 1, u32::MAX, u32::MAX]);
        put_options(&mut section, &[(PROGRAM, b"squall")]);
        write_block(&mut file, SECTION, section)?;
        let mut interface = words([RAW, LONGEST]);
        put_options(&mut interface, &[(INTERFACE_NAME, node.as_bytes()), (RESOLUTION, &[NANOSECONDS])]);
        write_block(&mut file, INTERFACE, interface)?;
        Ok(Capture { file: Some(file) })
    }

    /// Adds a packet, seen now, with what the network did to it.
    pub fn add(&mut self, packet: &[u8], comment: Option<&str>) {
        let (nanos, length) = (now().as_nanos() as u64, packet.len() as u32);
        let mut block = words([0, (nanos >> 32) as u32, nanos as u32, length, length]);
        block.extend(packet);
        pad(&mut block);
        if let Some(comment) = comment {
            put_options(&mut block, &[(COMMENT, comment.as_bytes())]);
        }
        self.attempt(|file| write_block(file, PACKET, block));
    }

    /// Adds a mark: something that happened to the cluster, on one line.
    pub fn mark(&mut self, mark: &Mark) {
        let text = format!(
            "__REALTIME_TIMESTAMP={}\nSYSLOG_IDENTIFIER=squall\nMESSAGE={}\n",
            mark.unix_micros,
            mark.text.replace('\n', " ")
        );
        let mut block = text.into_bytes();
        pad(&mut block);
        self.attempt(|file| write_block(file, JOURNAL, block));
    }

    /// Writes out what is held back.
    pub fn flush(&mut self) {
        self.attempt(Write::flush);
    }

    fn attempt(&mut self, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) {
        if let Some(Err(error)) = self.file.as_mut().map(write) {
            tracing::warn!(%error, "a packet capture ends early");
            self.file = None;
        }
    }
}

/// Something that happened, to stand between the packets.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    unix_micros: u128,
    text: String,
}

impl Mark {
    /// It happens now.
    pub fn new(text: &str) -> Self {
        Mark { unix_micros: now().as_micros(), text: text.to_owned() }
    }
}

fn now() -> std::time::Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn words<const N: usize>(numbers: [u32; N]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_ne_bytes()).collect()
}

/// Blocks and their parts are of whole words.
fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

fn put_options(block: &mut Vec<u8>, options: &[(u16, &[u8])]) {
    // The last one says that there are no more.
    for (number, value) in options.iter().chain([&(0, &[][..])]) {
        block.extend(number.to_ne_bytes());
        // None of ours is longer than a line.
        block.extend((value.len() as u16).to_ne_bytes());
        block.extend(*value);
        pad(block);
    }
}

/// A block says its length at both ends.
fn write_block(file: &mut impl Write, kind: u32, body: Vec<u8>) -> io::Result<()> {
    let length = body.len() as u32 + 12;
    file.write_all(&words([kind, length]))?;
    file.write_all(&body)?;
    file.write_all(&length.to_ne_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(bytes: &[u8], at: usize) -> u32 {
        u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap())
    }

    #[test]
    fn blocks_are_whole_and_say_their_lengths_at_both_ends() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("network.pcapng");
        let mut capture = Capture::create(&path, "n1").unwrap();
        capture.add(&[0x45, 1, 2, 3, 4], Some("lost"));
        capture.mark(&Mark::new("two\nlines"));
        capture.add(&[0x45; 8], None);
        capture.flush();
        let bytes = std::fs::read(&path).unwrap();
        let (mut at, mut blocks) = (0, Vec::new());
        while at < bytes.len() {
            let length = word(&bytes, at + 4) as usize;
            assert_eq!((length % 4, word(&bytes, at + length - 4) as usize), (0, length));
            blocks.push((word(&bytes, at), &bytes[at + 8..at + length - 4]));
            at += length;
        }
        let kinds: Vec<u32> = blocks.iter().map(|block| block.0).collect();
        assert_eq!(kinds, [SECTION, INTERFACE, PACKET, JOURNAL, PACKET]);
        let packet = blocks[2].1;
        assert_eq!((word(packet, 12), &packet[20..25]), (5, &[0x45, 1, 2, 3, 4][..]));
        assert_eq!(&packet[28..], [&words([1 | 4 << 16]), &b"lost"[..], &[0; 4]].concat());
        let journal = String::from_utf8_lossy(blocks[3].1);
        assert!(journal.contains("MESSAGE=two lines\n"), "{journal}");
        assert_eq!(blocks[4].1.len(), 28, "no comment, no options");
    }
}
