//! What a host is and can do, asked in one command before anything is done to it.
//!
//! A host without the mark that everything on it may be lost is asked for nothing but the mark.

use ssh2::Session;

use super::files;
use super::inventory::Host;
use crate::{Capability, Error, Probe};

/// The file that a host must carry.
pub(super) const MARK: &str = "/etc/squall-disposable";

/// What a host said of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Survey {
    disposable: bool,
    arch: String,
    nft: bool,
    netem: bool,
    clock: bool,
    missing: Vec<String>,
}

/// Tries on the host what faults will need, and leaves nothing. A clock can be set by who has CAP_SYS_TIME (bit
/// 25) in the machine's own user namespace, which maps every user to itself.
const SCRIPT: &str = "test -e /etc/squall-disposable || exit 0; echo disposable; echo arch $(uname -m); \
    \
    printf 'add table inet squall_probe\\ndelete table inet squall_probe\\n' | nft -f - >/dev/null 2>&1 && echo nft; \
    { ip link add squall-probe type dummy || ip link add squall-probe type veth; } >/dev/null 2>&1 && { \
    tc qdisc add dev squall-probe root netem delay 1ms >/dev/null 2>&1 && echo netem; \
    ip link del squall-probe >/dev/null 2>&1; }; \
    c=$(sed -n 's/^CapEff:.//p' /proc/self/status); test $(( 0x$c >> 25 & 1 )) = 1 && \
    grep -q '^ *0 *0 *4294967295$' /proc/self/uid_map && echo clock; \
    for t in sha256sum tar find; do command -v $t >/dev/null 2>&1 || echo missing $t; done; true";

/// Asks a host. Blocking.
pub(super) fn ask(session: &Session, host: &Host) -> Result<Survey, Error> {
    let address = &host.login.address;
    let said = files::run(session, host, SCRIPT, None)?;
    if said.code != 0 {
        let stderr = said.stderr.trim();
        let text = match host.sudo {
            true => format!(
                "sudo on {address} does not let {} act as root without a password: {stderr}",
                host.login.user
            ),
            false => format!("{address} cannot be asked what it can do: {stderr}"),
        };
        return Err(Error::Unavailable(text));
    }
    let survey = read(&said.stdout);
    survey.check(address)?;
    Ok(survey)
}

fn read(text: &str) -> Survey {
    let mut survey = Survey::default();
    for line in text.lines() {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("disposable", _) => survey.disposable = true,
            ("arch", arch) => survey.arch = arch.to_owned(),
            ("nft", _) => survey.nft = true,
            ("netem", _) => survey.netem = true,
            ("clock", _) => survey.clock = true,
            ("missing", tool) => survey.missing.push(tool.to_owned()),
            _ => {}
        }
    }
    survey
}

impl Survey {
    fn check(&self, address: &str) -> Result<(), Error> {
        let refused = |text: String| Err(Error::Unavailable(text));
        if !self.disposable {
            return refused(format!(
                "{address} does not carry {MARK}. squall kills programs, cuts networks and removes data: it touches \
                 only hosts that say that everything on them may be lost. If it is one: touch {MARK} there, as root"
            ));
        }
        let ours = std::env::consts::ARCH;
        if self.arch != ours {
            let theirs = &self.arch;
            return refused(format!("{address} is an {theirs} machine, and this squall is built for {ours}"));
        }
        match self.missing.first() {
            None => Ok(()),
            Some(tool) => refused(format!("{address} lacks {tool}")),
        }
    }

    fn can(&self, capability: Capability) -> Result<(), (&'static str, &'static str)> {
        let (able, lacks, remedy) = match capability {
            Capability::Nodes | Capability::Damage => return Ok(()),
            Capability::Links => (
                self.nft,
                "nft cannot change its firewall",
                "apt-get install nftables, and log in as root or say `sudo: true`",
            ),
            Capability::LinkQuality => (
                self.netem,
                "its kernel has no netem, or tc may not use it",
                "apt-get install iproute2; modprobe sch_netem; log in as root or say `sudo: true`",
            ),
            Capability::Clock => (
                self.clock,
                "its clock cannot be set from there",
                "use a machine of its own, not a container, and log in as root or say `sudo: true`",
            ),
            Capability::Disk => {
                (false, "a real disk cannot be made to lose or refuse writes", "use the provider `local`")
            }
            Capability::CpuLimit | Capability::MemoryLimit => {
                (false, "the provider `ssh` lays no limits on programs", "use the provider `local`")
            }
        };
        if able { Ok(()) } else { Err((lacks, remedy)) }
    }

    pub fn has_netem(&self) -> bool {
        self.netem
    }

    pub fn has_firewall(&self) -> bool {
        self.nft
    }

    pub fn has_clock(&self) -> bool {
        self.clock
    }
}

/// Every capability, in the order in which they are told.
const CAPABILITIES: [Capability; 8] = [
    Capability::Nodes,
    Capability::Links,
    Capability::LinkQuality,
    Capability::Clock,
    Capability::Disk,
    Capability::Damage,
    Capability::CpuLimit,
    Capability::MemoryLimit,
];

/// What all hosts can do together: what one cannot, none can. A host that cannot be asked can do nothing.
pub(super) fn probes(surveys: &[(String, Result<Survey, Error>)]) -> Vec<Probe> {
    let failed: Vec<String> =
        surveys.iter().filter_map(|(_, s)| s.as_ref().err()).map(Error::to_string).collect();
    let probe = |capability| {
        let lacks = surveys.iter().find_map(|(name, survey)| {
            let (lacks, remedy) = survey.as_ref().ok()?.can(capability).err()?;
            Some((format!("{name}: {lacks}"), vec![remedy.to_owned()]))
        });
        let (available, finding, remedies) = match (failed.is_empty(), lacks) {
            (false, _) => (false, failed.join("\n"), Vec::new()),
            (true, Some((finding, remedies))) => (false, finding, remedies),
            (true, None) => (true, format!("{} hosts", surveys.len()), Vec::new()),
        };
        Probe { capability, available, finding, remedies }
    };
    CAPABILITIES.map(probe).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn able() -> String {
        format!("disposable\narch {}\nnft\nclock\n", std::env::consts::ARCH)
    }

    #[test]
    fn a_host_without_the_mark_is_refused_whatever_it_can() {
        let told = read("").check("h").unwrap_err().to_string();
        assert!(told.contains("/etc/squall-disposable"), "{told}");
        read(&able()).check("h").unwrap();
        let other = read("disposable\narch vax\n").check("h").unwrap_err().to_string();
        assert!(other.contains("vax"), "{other}");
        let poor = read(&(able() + "missing tar\n")).check("h").unwrap_err().to_string();
        assert!(poor.contains("lacks tar"), "{poor}");
    }

    #[test]
    fn what_one_host_lacks_none_has() {
        let all = [("n1".to_owned(), Ok(read(&(able() + "netem\n")))), ("n2".to_owned(), Ok(read(&able())))];
        let probes = probes(&all);
        let of = |capability| probes.iter().find(|p| p.capability == capability).unwrap();
        assert!(of(Capability::Links).available && of(Capability::Damage).available);
        let quality = of(Capability::LinkQuality);
        assert!(!quality.available && quality.finding.starts_with("n2: its kernel has no netem"));
        let unreachable = [("n1".to_owned(), Err(Error::Unavailable("n1: not there".into())))];
        assert!(super::probes(&unreachable).iter().all(|p| !p.available && p.finding == "n1: not there"));
    }
}
