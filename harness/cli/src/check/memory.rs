//! How much memory this process has held, as the kernel counts it.

use std::fs;

/// Begins to count anew. Where the kernel does not let us, the count goes on from before.
pub(crate) fn reset_peak() {
    // "5" resets the high-water mark of resident memory (proc(5), clear_refs).
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// The most resident memory since then, in bytes; 0 where there is no /proc.
pub(crate) fn peak_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let kib = line.and_then(|l| l.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_grows_with_what_is_held() {
        let before = peak_bytes();
        let held = vec![1u8; 64 << 20];
        assert!(peak_bytes() >= before.max(held.len() as u64));
    }
}
