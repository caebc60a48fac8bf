//! Packet captures in the classic pcap format (draft-ietf-opsawg-pcap), with nanosecond times and raw IP
//! packets, as tcpdump and Wireshark read them. A node's capture holds what it sent, harmed or not, and what
//! reached it: what was lost between is in the sender's and missing in the receiver's.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Classic format, times in nanoseconds.
const MAGIC: u32 = 0xa1b2_3c4d;
/// `LINKTYPE_RAW`: the packet begins with its IP header.
const RAW: u32 = 101;

/// One capture file.
#[derive(Debug)]
pub(crate) struct Capture {
    /// `None` once writing failed: a full disk ends captures, not the network.
    file: Option<BufWriter<File>>,
}

impl Capture {
    /// Makes the file and writes its header.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut file = BufWriter::new(File::create(path)?);
        for number in [MAGIC, 2 | 4 << 16, 0, 0, 1 << 18, RAW] {
            file.write_all(&number.to_ne_bytes())?;
        }
        Ok(Capture { file: Some(file) })
    }

    /// Adds a packet, seen now.
    pub fn add(&mut self, packet: &[u8]) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let length = packet.len() as u32;
        self.attempt(|file| {
            for number in [now.as_secs() as u32, now.subsec_nanos(), length, length] {
                file.write_all(&number.to_ne_bytes())?;
            }
            file.write_all(packet)
        });
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
