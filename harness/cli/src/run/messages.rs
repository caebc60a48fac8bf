//! Messages between nodes around anomalies, for the space-time diagrams of a report.

use std::fs::File;
use std::path::Path;

use squall_checkers::Verdict;
use squall_history::{History, MESSAGES_FILE, SeenMessage, read_messages};
use squall_reports::Message;

/// Nanoseconds before and after an anomaly's operations: an election or two.
const AROUND: u64 = 1_000_000_000;
/// Anomalies whose surroundings are read. A report draws no more.
const ANOMALIES: usize = 8;

/// What the network saw around the anomalies; nothing if there are none, or nothing was kept.
pub(super) fn around(dir: &Path, history: &History, verdicts: &[Verdict]) -> Vec<Message> {
    let windows = windows(history, verdicts);
    if windows.is_empty() {
        return Vec::new();
    }
    let within = |time: u64| windows.iter().any(|(from, to)| (*from..=*to).contains(&time));
    // A report without messages is better than none.
    let seen = File::open(dir.join(MESSAGES_FILE)).and_then(|file| read_messages(file, within));
    seen.unwrap_or_default().into_iter().map(told).collect()
}

fn windows(history: &History, verdicts: &[Verdict]) -> Vec<(u64, u64)> {
    let window = |operations: &[u32]| {
        let ops =
            operations.iter().map(|i| *i as usize).filter(|i| *i < history.len()).map(|i| history.op(i));
        let from = ops.clone().map(|op| op.start).min()?;
        // An operation that never ended is looked at where it began.
        let to = ops.map(|op| if op.end == u64::MAX { op.start } else { op.end }).max()?;
        Some((from.saturating_sub(AROUND), to.saturating_add(AROUND)))
    };
    let anomalies = verdicts.iter().flat_map(|v| &v.anomalies);
    anomalies.filter_map(|a| window(&a.operations)).take(ANOMALIES).collect()
}

fn told(m: SeenMessage) -> Message {
    Message {
        sent: m.sent,
        arrived: m.took.map(|took| m.sent + took * 1000),
        from: m.from,
        to: m.to,
        what: format!("{} bytes", m.bytes),
    }
}
