//! Lines of the nodes' logs, placed on the run's time by the timestamps that they carry.
//!
//! A line's time is what its node's wall clock said, so under a clock fault it is off by as much as the
//! clock was. Lines without a timestamp of their own stay with the line before.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::SystemTime;

use squall_history::RunHeader;
use squall_reports::LogLine;

/// Of a longer log the end is read.
const BYTES_MAX: u64 = 8 << 20;

/// Every line of every `nodes/<name>/*.log` below a run's folder, by time. What cannot be read is left out:
/// a report without logs is better than none.
pub(crate) fn lines(dir: &Path, header: &RunHeader) -> Vec<LogLine> {
    let mut lines = Vec::new();
    for node in &header.nodes {
        let Ok(entries) = std::fs::read_dir(dir.join("nodes").join(&node.name)) else { continue };
        for entry in entries.filter_map(Result::ok) {
            let path = entry.path();
            if path.extension().is_some_and(|e| e == "log")
                && let Ok(text) = tail(&path)
            {
                place(&text, &node.name, header.started_unix_nanos, &mut lines);
            }
        }
    }
    lines.sort_by(|a, b| (a.time, &a.node).cmp(&(b.time, &b.node)));
    lines
}

fn tail(path: &Path) -> std::io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(BYTES_MAX)))?;
    let mut bytes = Vec::new();
    file.take(BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn place(text: &str, node: &str, started: u64, lines: &mut Vec<LogLine>) {
    let mut last = 0;
    for line in text.lines() {
        if let Some(nanos) = timestamp(line) {
            last = nanos.saturating_sub(started);
        }
        lines.push(LogLine { time: last, node: node.to_owned(), text: line.to_owned() });
    }
}

/// The first RFC 3339 time in UTC of a line, as nanoseconds since 1970.
fn timestamp(line: &str) -> Option<u64> {
    let bytes = line.as_bytes();
    let shaped = |w: &[u8]| w[4] == b'-' && w[7] == b'-' && w[10] == b'T' && w[13] == b':' && w[16] == b':';
    let at = bytes.windows(19).position(|w| w[0].is_ascii_digit() && shaped(w))?;
    let end = at + 19 + bytes[at + 19..].iter().position(|b| !b.is_ascii_digit() && *b != b'.')?;
    if bytes[end] != b'Z' {
        return None;
    }
    let time = humantime::parse_rfc3339(line.get(at..=end)?).ok()?;
    time.duration_since(SystemTime::UNIX_EPOCH).ok().and_then(|d| u64::try_from(d.as_nanos()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_where_servers_write_them() {
        let second = 1_700_000_000 * 1_000_000_000;
        assert_eq!(timestamp("2023-11-14T22:13:20.000001Z n1 became leader"), Some(second + 1000));
        assert_eq!(
            timestamp(r#"{"level":"info","ts":"2023-11-14T22:13:20.5Z","msg":"x"}"#),
            Some(second + 500_000_000)
        );
        assert_eq!(timestamp("2023-11-14T22:13:20+01:00 elsewhere"), None);
        assert_eq!(timestamp("no time at all, é"), None);
        assert_eq!(timestamp("2023-11-14T22:13:20"), None);
    }

    #[test]
    fn lines_without_a_time_stay_with_the_one_before() {
        let mut lines = Vec::new();
        place("2023-11-14T22:13:21Z a\n  more\n", "n1", 1_700_000_000 * 1_000_000_000, &mut lines);
        assert_eq!(lines.iter().map(|l| l.time).collect::<Vec<_>>(), [1_000_000_000; 2]);
    }
}
