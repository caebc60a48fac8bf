//! The server's own log: one line an event on standard error, `time node event key=value …`.

use std::fmt;
use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::raft::NodeId;

/// Prints one line, stamped with this process's wall clock in UTC. A log that cannot be written is no
/// reason to stop.
pub fn line(node: NodeId, text: fmt::Arguments<'_>) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let text = format!("{} {node} {text}\n", utc(since.as_secs(), since.subsec_micros()));
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// `2026-01-31T23:59:59.000001Z`, by Howard Hinnant's `civil_from_days`.
fn utc(seconds: u64, micros: u32) -> String {
    let (days, in_day) = (seconds / 86_400, seconds % 86_400);
    let z = days + 719_468;
    let (era, doe) = (z / 146_097, z % 146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (in_day / 3600, in_day / 60 % 60, in_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

#[cfg(test)]
mod tests {
    use super::utc;

    #[test]
    fn writes_dates_as_people_do() {
        assert_eq!(utc(0, 0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(utc(951_782_400, 7), "2000-02-29T00:00:00.000007Z");
        assert_eq!(utc(1_798_761_599, 999_999), "2026-12-31T23:59:59.999999Z");
    }
}
