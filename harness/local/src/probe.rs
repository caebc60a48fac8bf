//! What this machine allows, found by trying: a cluster of one node is made and taken down, a child is
//! traced, a FUSE mount's device opened.

use squall_cluster::{Capability, Cluster, ClusterSpec, Error, Probe, Provider};

use crate::protocol::Failed;
use crate::provider::LocalProvider;
use crate::remedies::{Facts, diagnose};
use crate::wire::TUN_DEVICE;
use crate::{CLOCKS, DISKS};

/// How processors are limited: needs nothing but nodes.
const CPU: &str = "programs are stopped and continued in turn, for a share of each 20 ms";
/// How memory is limited: needs nothing but nodes.
const MEMORY: &str = "each process gets a resource limit on its private writable memory (RLIMIT_DATA)";

/// Probes everything.
pub(crate) async fn probe(provider: &LocalProvider) -> Vec<Probe> {
    let nodes = try_nodes(provider).await;
    let mut probes = vec![found(Capability::Nodes, &nodes)];
    let network = nodes.map(|_| provider.network());
    probes.push(found(Capability::Links, &network));
    probes.push(found(Capability::LinkQuality, &network));
    let blocking = tokio::task::spawn_blocking(|| {
        let disk = built(DISKS, "disks").and_then(|()| try_fuse());
        [
            found(Capability::Clock, &built(CLOCKS, "clocks").and_then(|()| try_ptrace())),
            found(Capability::Disk, &disk),
            found(Capability::Damage, &disk),
            found(Capability::CpuLimit, &Ok(CPU.to_owned())),
            found(Capability::MemoryLimit, &Ok(MEMORY.to_owned())),
        ]
    });
    probes.extend(blocking.await.into_iter().flatten());
    probes
}

/// What is missing, and what to do about it.
#[derive(Clone, Debug)]
struct Missing {
    finding: String,
    remedies: Vec<String>,
}

impl Missing {
    fn new(finding: impl Into<String>, remedies: &[&str]) -> Self {
        Missing {
            finding: finding.into(),
            remedies: remedies.iter().map(|text| (*text).to_owned()).collect(),
        }
    }
}

fn found(capability: Capability, result: &Result<String, Missing>) -> Probe {
    let (available, finding, remedies) = match result {
        Ok(finding) => (true, finding.clone(), Vec::new()),
        Err(missing) => (false, missing.finding.clone(), missing.remedies.clone()),
    };
    Probe { capability, available, finding, remedies }
}

/// Whether this version has a means at all.
fn built(has: bool, what: &str) -> Result<(), Missing> {
    if has { Ok(()) } else { Err(Missing::new(format!("this version has no {what} of nodes' own"), &[])) }
}

/// The error for a step of making a cluster that failed.
pub(crate) fn explain(what: &str, failed: &Failed) -> Error {
    let source = std::io::Error::from_raw_os_error(failed.errno);
    match diagnose(&Facts::read(), failed) {
        None => Error::io(format!("{what}: {}", failed.step), source),
        Some(diagnosis) => {
            let remedies: Vec<String> =
                diagnosis.remedies.iter().map(|remedy| format!("\n- {remedy}")).collect();
            let (step, reason, remedies) = (&failed.step, diagnosis.reason, remedies.concat());
            Error::Unavailable(format!(
                "{what}: {step}: {source}: {reason}. One of these allows it:{remedies}"
            ))
        }
    }
}

/// Makes a cluster of one node and takes it down.
async fn try_nodes(provider: &LocalProvider) -> Result<String, Missing> {
    let dir = std::env::temp_dir().join(format!(
        "squall-probe-{}-{:x}",
        std::process::id(),
        crate::sys::monotonic()
    ));
    let spec = ClusterSpec {
        nodes: 1,
        clients: 0,
        seed: 0,
        dir: dir.clone(),
        needs: [Capability::Nodes].into(),
        pcap: false,
        visible: Vec::new(),
    };
    let tried = match provider.provision(&spec).await {
        Ok(cluster) => Cluster::shut_down(cluster).await,
        Err(error) => Err(error),
    };
    // The probe's own folder, just made; what is left of it harms nobody.
    std::fs::remove_dir_all(&dir).ok();
    match tried {
        Ok(()) if nix::unistd::geteuid().is_root() => {
            Ok("nodes run in user namespaces, users 0 to 65535 mapped".into())
        }
        Ok(()) => Ok("nodes run in user namespaces, without root; one user exists in them".into()),
        Err(Error::Unavailable(text)) => {
            let (finding, remedies) = text.split_once(". One of these allows it:").unwrap_or((&text, ""));
            let remedies = remedies.split("\n- ").filter(|remedy| !remedy.is_empty()).map(str::to_owned);
            Err(Missing { finding: finding.to_owned(), remedies: remedies.collect() })
        }
        Err(error) => Err(Missing::new(error.to_string(), &[])),
    }
}

/// Traces a child up to its `exec`.
fn try_ptrace() -> Result<String, Missing> {
    use std::os::unix::process::CommandExt;
    let mut command = std::process::Command::new("/proc/self/exe");
    command.arg(crate::keeper::NOTHING);
    // SAFETY: between fork and exec only one system call is made, which touches no memory of ours.
    unsafe { command.pre_exec(|| nix::sys::ptrace::traceme().map_err(Into::into)) };
    let traced = command.spawn().and_then(|mut child| {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("process ids fit an int"));
        // The child stops at its exec; killing it ends the trace.
        let stopped = nix::sys::wait::waitpid(pid, None).map_err(std::io::Error::from)?;
        child.kill().ok();
        child.wait().ok();
        Ok(matches!(stopped, nix::sys::wait::WaitStatus::Stopped(..)))
    });
    match traced {
        Ok(true) => Ok("programs can be started under ptrace".into()),
        Ok(false) | Err(_) => Err(Missing::new(
            "programs cannot be started under ptrace",
            &[
                "sudo sysctl -w kernel.yama.ptrace_scope=1   (if it is 3, only a reboot helps)",
                "in a container: --cap-add SYS_PTRACE, or a seccomp profile that allows ptrace",
            ],
        )),
    }
}

/// Opens the FUSE device.
fn try_fuse() -> Result<String, Missing> {
    match std::fs::OpenOptions::new().read(true).write(true).open("/dev/fuse") {
        Ok(_) => Ok("/dev/fuse can be opened".into()),
        Err(error) => Err(Missing::new(
            format!("/dev/fuse cannot be opened: {error}"),
            &[
                "sudo modprobe fuse",
                "sudo chmod 0666 /dev/fuse   (as most distributions have it)",
                "in a container: --device /dev/fuse",
            ],
        )),
    }
}

impl LocalProvider {
    /// How packets travel here, in words.
    fn network(&self) -> String {
        match std::fs::OpenOptions::new().read(true).write(true).open(TUN_DEVICE) {
            Ok(_) => "packets travel over TUN devices".into(),
            Err(error) => format!(
                "packets travel over veth pairs and AF_PACKET: {TUN_DEVICE} cannot be opened ({error}); both serve"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_traced_where_tracing_is_allowed() {
        let scope = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let filtered = status.lines().any(|line| line == "Seccomp:\t2");
        match try_ptrace() {
            Ok(finding) => assert!(finding.contains("ptrace")),
            Err(missing) => {
                assert!(scope.trim() == "3" || filtered, "{missing:?}, but nothing here forbids it");
                assert!(!missing.remedies.is_empty());
            }
        }
    }

    #[test]
    fn what_is_lacking_comes_with_a_remedy() {
        if let Err(missing) = try_fuse() {
            assert!(!missing.finding.is_empty() && !missing.remedies.is_empty());
        }
    }
}
