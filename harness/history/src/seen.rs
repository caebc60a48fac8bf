//! Messages between nodes that the network saw, kept beside a run's log: `messages.csv.zst`, a line a message
//! (`sent,took,from,to,bytes`: nanoseconds since the run began, microseconds or nothing if it never arrived, names
//! of nodes, length). It proves nothing and no verdict needs it; it lets a report draw who told whom.

use std::io::{self, BufRead, BufReader, Read, Write};

/// The file's name in a run's folder.
pub const MESSAGES_FILE: &str = "messages.csv.zst";
const HEAD: &str = "sent_ns,took_us,from,to,bytes";

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenMessage {
    /// Nanoseconds since the run began.
    pub sent: u64,
    /// Microseconds until it arrived; `None` if it never did.
    pub took: Option<u64>,
    /// The node that sent it.
    pub from: String,
    /// The node that it was for.
    pub to: String,
    /// Length of what it said.
    pub bytes: u64,
}

/// Writes messages. Names of nodes must hold no comma and no line break, as host names do not.
pub fn write_messages(messages: impl IntoIterator<Item = SeenMessage>, out: impl Write) -> io::Result<()> {
    let mut out = zstd::Encoder::new(out, 1)?;
    writeln!(out, "{HEAD}")?;
    for m in messages {
        let took = m.took.map_or_else(String::new, |t| t.to_string());
        writeln!(out, "{},{took},{},{},{}", m.sent, m.from, m.to, m.bytes)?;
    }
    out.finish()?.flush()
}

/// Reads the messages that `keep` wants by their time. A file that ends early gives what it has.
pub fn read_messages(from: impl Read, mut keep: impl FnMut(u64) -> bool) -> io::Result<Vec<SeenMessage>> {
    let mut lines = BufReader::new(zstd::Decoder::new(from)?).lines();
    match lines.next() {
        Some(Ok(line)) if line == HEAD => {}
        _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "this is no list of messages")),
    }
    let parsed = |line: &str| {
        let mut parts = line.split(',');
        let mut next = || parts.next();
        Some(SeenMessage {
            sent: next()?.parse().ok()?,
            took: next().filter(|t| !t.is_empty()).and_then(|t| t.parse().ok()),
            from: next()?.to_owned(),
            to: next()?.to_owned(),
            bytes: next()?.parse().ok()?,
        })
    };
    let mut found = Vec::new();
    for line in lines {
        // What was cut off in the middle of a write is no message.
        let Ok(line) = line else { break };
        let wanted = line.split(',').next().and_then(|t| t.parse().ok()).is_some_and(&mut keep);
        if wanted {
            found.extend(parsed(&line));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(sent: u64, took: Option<u64>) -> SeenMessage {
        SeenMessage { sent, took, from: "n1".into(), to: "n2".into(), bytes: 12 }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let all = vec![message(5, Some(70)), message(6, None), message(900, Some(0))];
        let mut bytes = Vec::new();
        write_messages(all.clone(), &mut bytes).unwrap();
        assert_eq!(read_messages(&*bytes, |_| true).unwrap(), all);
        assert_eq!(read_messages(&*bytes, |t| t < 100).unwrap(), all[..2]);
        assert!(read_messages(&b"not a list"[..], |_| true).is_err());
        let cut = read_messages(&bytes[..bytes.len() - 6], |_| true);
        assert!(cut.is_err() || cut.unwrap().len() <= all.len(), "a cut file harms nobody");
    }
}
