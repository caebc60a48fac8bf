//! What the processes of a node are and use, as `/proc` shows them inside it, and the limit on their memory.
//! For a node's init, which is process 1 and counts for nothing here.

use nix::errno::Errno;

use crate::protocol::{Answer, Failed};

/// The node's processes but its init.
fn processes() -> Result<Vec<i32>, Failed> {
    let entries = std::fs::read_dir("/proc").map_err(reading)?;
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.map_err(reading)?.file_name();
        found.extend(name.to_str().and_then(|name| name.parse::<i32>().ok()).filter(|pid| *pid != 1));
    }
    Ok(found)
}

fn reading(error: std::io::Error) -> Failed {
    Failed { step: "reading /proc".into(), errno: error.raw_os_error().unwrap_or(libc::EIO) }
}

/// The fields of `/proc/PID/stat` after the command's name, which is in parentheses and may hold anything:
/// the state first. Empty if the process is gone.
fn stat(pid: i32) -> Vec<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    text.rsplit_once(") ")
        .map_or_else(Vec::new, |(_, rest)| rest.split_whitespace().map(str::to_owned).collect())
}

/// Counts the processes, and those that are stopped.
pub(crate) fn count() -> Result<Answer, Failed> {
    let (mut all, mut stopped) = (0, 0);
    for pid in processes()? {
        match stat(pid).first().map(String::as_str) {
            // Gone meanwhile, or dead and not yet reaped.
            None | Some("Z" | "X") => {}
            Some("T" | "t") => {
                all += 1;
                stopped += 1;
            }
            Some(_) => all += 1,
        }
    }
    Ok(Answer::Counted { all, stopped })
}

/// Sums up what is used.
pub(crate) fn usage() -> Result<Answer, Failed> {
    let (mut ticks, mut memory, mut limit) = (0, 0, None::<u64>);
    for pid in processes()? {
        // Fields 14 and 15 of the file, of which the state is the third.
        let fields = stat(pid);
        let number = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
        ticks += number(11) + number(12);
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmData:"));
        let kilobytes = kilobytes.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
        memory += kilobytes.unwrap_or(0) * 1024;
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap_or_default();
        let soft = limits.lines().find_map(|line| line.strip_prefix("Max data size"));
        limit = limit.into_iter().chain(soft.and_then(laid)).min();
    }
    Ok(Answer::Used { ticks, memory, limit })
}

/// Of the soft and the hard limit as the kernel writes them: the soft one, where it is below the other. A limit
/// that is the machine's own was not laid by us.
fn laid(limits: &str) -> Option<u64> {
    let (soft, hard) = limits.trim_start().split_once(char::is_whitespace)?;
    let soft = soft.parse::<u64>().ok()?;
    let hard = hard.split_whitespace().next()?.parse::<u64>();
    hard.map_or(true, |hard| soft < hard).then_some(soft)
}

/// Sets the soft limit of every process, or puts it back to the hard one.
pub(crate) fn limit_memory(bytes: Option<u64>) -> Result<(), Failed> {
    for pid in processes()? {
        match limit(pid, bytes) {
            // Gone meanwhile.
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => return Err(Failed::at("limiting memory")(error)),
        }
    }
    Ok(())
}

/// Sets the soft limit of one process, 0 for this one, or puts it back to the hard one.
pub(crate) fn limit(pid: i32, bytes: Option<u64>) -> Result<(), Errno> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writes one structure of ours.
    Errno::result(unsafe { libc::prlimit(pid, libc::RLIMIT_DATA, std::ptr::null(), &mut limit) })?;
    limit.rlim_cur = bytes.unwrap_or(limit.rlim_max).min(limit.rlim_max);
    // SAFETY: reads one structure of ours.
    Errno::result(unsafe { libc::prlimit(pid, libc::RLIMIT_DATA, &limit, std::ptr::null_mut()) })?;
    Ok(())
}
