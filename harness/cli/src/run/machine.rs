//! What a run was made on, for its log and its report: what a figure depends on, and nothing that names a person
//! or a host.

use std::sync::OnceLock;

use serde_json::{Value as Json, json};

/// The machine, as JSON: looked at once.
pub(crate) fn machine() -> Json {
    static SEEN: OnceLock<Json> = OnceLock::new();
    SEEN.get_or_init(look).clone()
}

fn look() -> Json {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        text.lines()
            .find_map(|l| Some(l.strip_prefix(name)?.trim_matches([':', '=', '"', ' ', '\t']).to_owned()))
    };
    let memory = field(&read("/proc/meminfo"), "MemTotal");
    let kib = memory.and_then(|m| m.split_whitespace().next()?.parse::<u64>().ok());
    json!({
        "squall": env!("CARGO_PKG_VERSION"),
        "build": if cfg!(debug_assertions) { "debug" } else { "release" },
        "system": field(&read("/etc/os-release"), "PRETTY_NAME"),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "architecture": std::env::consts::ARCH,
        "processors": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        "memory_bytes": kib.map(|kib| kib * 1024),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_a_kernel_processors_and_memory() {
        let seen = machine();
        assert!(
            seen["processors"].as_u64() > Some(0) && seen["memory_bytes"].as_u64() > Some(1 << 20),
            "{seen}"
        );
        assert!(!seen["kernel"].as_str().unwrap().is_empty());
        assert!(seen["system"].as_str().is_none_or(|s| !s.contains('"')));
    }
}
