//! Why a machine refuses what nodes are made of, and what a person can do about it, the least intrusive way
//! first. Pure: from what is known of the machine and the step that failed to words.

use nix::errno::Errno;

use crate::init::STEP_PROC;
use crate::keeper::STEP_USER_NAMESPACE;
use crate::protocol::Failed;

/// What bears on whether namespaces can be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Whether the harness runs as user 0.
    pub root: bool,
    /// Its executable.
    pub executable: String,
    /// `user.max_user_namespaces`.
    pub max_user_namespaces: Option<u64>,
    /// Debian's `kernel.unprivileged_userns_clone`.
    pub unprivileged_clone: Option<u64>,
    /// Ubuntu's `kernel.apparmor_restrict_unprivileged_userns`.
    pub apparmor_restricts: Option<u64>,
    /// Whether a seccomp filter is on this process (`Seccomp: 2` in /proc/self/status).
    pub seccomp: bool,
    /// What kind of container this is, if one.
    pub container: Option<Container>,
}

/// A kind of container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Container {
    /// Docker or Podman.
    Engine,
    /// A Kubernetes pod.
    Pod,
}

impl Facts {
    /// What is true here.
    pub fn read() -> Self {
        let number = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse().ok();
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let exists = |path: &str| std::path::Path::new(path).exists();
        let container = if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
            Some(Container::Pod)
        } else if exists("/.dockerenv") || exists("/run/.containerenv") {
            Some(Container::Engine)
        } else {
            None
        };
        Facts {
            root: nix::unistd::geteuid().is_root(),
            executable: std::env::current_exe().map(|path| path.display().to_string()).unwrap_or_default(),
            max_user_namespaces: number("/proc/sys/user/max_user_namespaces"),
            unprivileged_clone: number("/proc/sys/kernel/unprivileged_userns_clone"),
            apparmor_restricts: number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
            seccomp: status.lines().any(|line| line == "Seccomp:\t2"),
            container,
        }
    }
}

/// A reason, and what to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Diagnosis {
    /// Why it does not work, as far as can be told.
    pub reason: String,
    /// What a person can do.
    pub remedies: Vec<String>,
}

/// Why a step of making a cluster failed; `None` where nothing is known to be done about it.
pub(crate) fn diagnose(facts: &Facts, failed: &Failed) -> Option<Diagnosis> {
    let errno = Errno::from_raw(failed.errno);
    let forbidden = matches!(errno, Errno::EPERM | Errno::EACCES);
    let cloning = failed.step == STEP_USER_NAMESPACE;
    if cloning && (matches!(errno, Errno::ENOSPC | Errno::EUSERS) || facts.max_user_namespaces == Some(0)) {
        return Some(none_allowed(facts));
    }
    if cloning && matches!(errno, Errno::EINVAL | Errno::ENOSYS) {
        return Some(Diagnosis {
            reason: "the kernel has no user namespaces (CONFIG_USER_NS)".into(),
            remedies: vec!["run on a kernel that has them; every current distribution's has".into()],
        });
    }
    if !forbidden {
        return None;
    }
    if cloning && !facts.root && facts.unprivileged_clone == Some(0) {
        return Some(debian_switch());
    }
    if let Some(container) = facts.container {
        return Some(contained(container, failed.step == STEP_PROC));
    }
    if !facts.root && facts.apparmor_restricts == Some(1) {
        return Some(apparmor(&facts.executable));
    }
    if failed.step == STEP_PROC {
        return Some(Diagnosis {
            reason: "parts of /proc are covered by other mounts here, and the kernel then forbids a fresh \
                     /proc in a user namespace"
                .into(),
            remedies: vec![
                "run outside of the sandbox that covers them, or let it leave /proc uncovered \
                 (`findmnt -R /proc` shows what covers it)"
                    .into(),
            ],
        });
    }
    if facts.seccomp {
        return Some(Diagnosis {
            reason: "a seccomp filter on this process forbids it".into(),
            remedies: vec!["run outside of the sandbox that set the filter".into()],
        });
    }
    None
}

fn none_allowed(facts: &Facts) -> Diagnosis {
    let limit = facts.max_user_namespaces.map_or("a limit".to_owned(), |limit| format!("{limit}"));
    Diagnosis {
        reason: format!("no further user namespace is allowed: user.max_user_namespaces is {limit}"),
        remedies: vec![
            "sudo sysctl -w user.max_user_namespaces=10000   (until the next boot)".into(),
            "echo user.max_user_namespaces=10000 | sudo tee /etc/sysctl.d/60-squall.conf && sudo sysctl --system"
                .into(),
        ],
    }
}

fn debian_switch() -> Diagnosis {
    Diagnosis {
        reason: "kernel.unprivileged_userns_clone is 0: only root may make user namespaces".into(),
        remedies: vec![
            "run as root: nodes live in a user namespace all the same".into(),
            "sudo sysctl -w kernel.unprivileged_userns_clone=1   (until the next boot)".into(),
        ],
    }
}

fn apparmor(executable: &str) -> Diagnosis {
    let profile = format!(
        "allow this one binary: write to /etc/apparmor.d/squall\n\
         abi <abi/4.0>,\n\
         include <tunables/global>\n\
         profile squall {executable} flags=(unconfined) {{\n  userns,\n}}\n\
         and then: sudo apparmor_parser -r /etc/apparmor.d/squall"
    );
    Diagnosis {
        reason: "AppArmor keeps unprivileged programs from using user namespaces \
                 (kernel.apparmor_restrict_unprivileged_userns is 1)"
            .into(),
        remedies: vec![
            profile,
            "run as root".into(),
            "allow all programs, until the next boot: \
             sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
                .into(),
        ],
    }
}

fn contained(container: Container, proc: bool) -> Diagnosis {
    let reason = if proc {
        "the container covers parts of /proc, and the kernel then forbids a fresh /proc for nodes"
    } else {
        "the container's security profile forbids making namespaces or mounts"
    };
    let remedies = match container {
        Container::Engine => vec![
            "start the container with --security-opt seccomp=unconfined --security-opt apparmor=unconfined \
             --security-opt systempaths=unconfined (nodes), --device /dev/net/tun (faster network), \
             --device /dev/fuse (disk faults)"
                .to_owned(),
            "start the container with --privileged".to_owned(),
        ],
        Container::Pod => vec![
            "in the pod's spec: hostUsers: false, and in the container's securityContext: \
             procMount: Unmasked, seccompProfile: {type: Unconfined}, appArmorProfile: {type: Unconfined}"
                .to_owned(),
            "in the container's securityContext: privileged: true".to_owned(),
        ],
    };
    Diagnosis { reason: reason.to_owned(), remedies }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(step: &str, errno: Errno) -> Failed {
        Failed { step: step.into(), errno: errno as i32 }
    }

    fn first_remedy(facts: &Facts, failed: &Failed) -> String {
        let diagnosis = diagnose(facts, failed).unwrap();
        assert!(!diagnosis.reason.is_empty());
        diagnosis.remedies.into_iter().next().unwrap()
    }

    #[test]
    fn each_refusal_is_recognised() {
        let clone = |errno| failed(STEP_USER_NAMESPACE, errno);
        let proc = failed(STEP_PROC, Errno::EPERM);
        let plain = Facts { executable: "/opt/squall".into(), ..Facts::default() };

        let none = Facts { max_user_namespaces: Some(0), ..plain.clone() };
        assert!(first_remedy(&none, &clone(Errno::ENOSPC)).contains("user.max_user_namespaces=10000"));

        let debian = Facts { unprivileged_clone: Some(0), ..plain.clone() };
        assert!(first_remedy(&debian, &clone(Errno::EPERM)).contains("run as root"));

        let ubuntu = Facts { apparmor_restricts: Some(1), ..plain.clone() };
        let mount = failed("making mounts private", Errno::EACCES);
        let remedy = first_remedy(&ubuntu, &mount);
        assert!(remedy.contains("profile squall /opt/squall flags=(unconfined) {\n  userns,\n}"), "{remedy}");
        assert!(
            diagnose(&ubuntu, &mount).unwrap().remedies.last().unwrap().contains("sysctl"),
            "the switch is last"
        );

        let docker = Facts { container: Some(Container::Engine), seccomp: true, root: true, ..plain.clone() };
        assert!(first_remedy(&docker, &clone(Errno::EPERM)).contains("seccomp=unconfined"));
        assert!(diagnose(&docker, &proc).unwrap().reason.contains("/proc"));

        let pod = Facts { container: Some(Container::Pod), ..plain.clone() };
        assert!(first_remedy(&pod, &proc).contains("procMount: Unmasked"));

        assert!(diagnose(&plain, &proc).unwrap().reason.contains("/proc"));
        assert!(first_remedy(&plain, &clone(Errno::EINVAL)).contains("kernel"));
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        let facts =
            Facts { container: Some(Container::Engine), apparmor_restricts: Some(1), ..Facts::default() };
        assert_eq!(diagnose(&facts, &failed("making a veth pair", Errno::EOPNOTSUPP)), None);
        assert_eq!(diagnose(&Facts::default(), &failed("setting its host name", Errno::EPERM)), None);
    }
}
