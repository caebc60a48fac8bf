//! The agent: the same executable on a host, started over SSH, which does there what the harness asks.
//!
//! It is also the dead man's switch. It lives as long as its standard input is open and something is heard on
//! it often enough; when that ends, however it ends, everything that was done to the host is undone: programs
//! are killed, the firewall's table and the interfaces' queues are removed, the clock is set right and its
//! daemon started again. A second small process, the guard, waits for the agent's own end and does the same if
//! the agent was killed. What is to be undone is on disk before it is done.
//!
//! One agent at a time acts on a host's folder (a lock on a file). Single host, no knowledge of the cluster.

mod clock;
mod damage;
mod guard;
mod processes;
mod programs;
mod serve;
mod undo;

use std::path::PathBuf;

/// The hidden command that is the agent.
pub const COMMAND: &str = "host-agent";

/// If this process was started as an agent: is one, and never returns.
pub fn run_if_asked() {
    let mut args = std::env::args_os().skip(1);
    if args.next().is_none_or(|first| first.to_str() != Some(COMMAND)) {
        return;
    }
    let role = args.next().unwrap_or_default();
    let dir = PathBuf::from(args.next().unwrap_or_default());
    let rest: Vec<String> = args.map(|a| a.to_string_lossy().into_owned()).collect();
    if !dir.is_absolute() {
        eprintln!("{COMMAND} is started by squall itself, over SSH");
        std::process::exit(254);
    }
    let code = match role.to_str() {
        Some("serve") => serve::serve(&dir, &rest),
        Some("guard") => guard::guard(&dir),
        Some("undo") => guard::undo_now(&dir),
        _ => 254,
    };
    std::process::exit(code);
}
