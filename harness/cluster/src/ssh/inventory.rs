//! The inventory: which hosts there are, how they are logged in to, and what is to be on them. YAML.
//!
//! Keys at the top are defaults that a host can have otherwise. Paths are relative to the inventory's own file;
//! `~/` is the home of who runs squall. Reading it touches no host.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, ToSocketAddrs};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::Error;

/// Everything about the hosts.
#[derive(Clone, Debug, PartialEq)]
pub struct Inventory {
    /// The hosts, in order: node 1 is on the first.
    pub hosts: Vec<Host>,
    /// What to put on each of them first.
    pub install: Install,
    /// Executables that are on the hosts already, by the name of the file: they are run there instead of
    /// being uploaded. Relative paths are below the host's folder.
    pub executables: BTreeMap<String, PathBuf>,
    /// How programs are run.
    pub processes: Processes,
    /// After how long a silence of the harness a host undoes everything.
    pub dead_man: Duration,
    /// The harness's own address as the nodes see it, if it is not the one that SSH connects from.
    pub harness: Option<IpAddr>,
}

/// One host.
#[derive(Clone, Debug, PartialEq)]
pub struct Host {
    /// How to log in.
    pub login: Login,
    /// The host to go through, if it cannot be reached directly.
    pub jump: Option<Login>,
    /// Whether to become root with `sudo`, which must not ask for a password.
    pub sudo: bool,
    /// Everything of squall's on the host is in here.
    pub dir: PathBuf,
    /// Its address in the cluster's network.
    pub cluster_address: IpAddr,
    /// The interface that has it, if squall is not to find out itself.
    pub interface: Option<String>,
}

/// How to log in to a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Name or address.
    pub address: String,
    /// Its sshd's port.
    pub port: u16,
    /// Who to be there.
    pub user: String,
    /// The private key's file.
    pub key: Option<PathBuf>,
    /// Whether to ask the SSH agent for keys.
    pub agent: bool,
    /// Where the host's own key must be.
    pub known_hosts: PathBuf,
}

/// How programs are run on hosts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Processes {
    /// As plain processes.
    #[default]
    Plain,
    /// Each in a transient scope of systemd.
    Systemd,
}

/// What to put on hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Install {
    /// Debian packages, installed with apt-get if they are not there.
    pub packages: Vec<String>,
    /// Archives that `tar` can unpack, each below `opt/` of the host's folder.
    pub tarballs: Vec<PathBuf>,
    /// Executables, into `bin/` of the host's folder, under their own names.
    pub files: Vec<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    hosts: Vec<Entry>,
    user: Option<String>,
    port: Option<u16>,
    key: Option<PathBuf>,
    agent: Option<bool>,
    known_hosts: Option<PathBuf>,
    jump: Option<Jump>,
    sudo: Option<bool>,
    dir: Option<PathBuf>,
    interface: Option<String>,
    #[serde(default)]
    install: Install,
    #[serde(default)]
    executables: BTreeMap<String, PathBuf>,
    #[serde(default)]
    processes: Processes,
    dead_man_seconds: Option<f64>,
    harness: Option<IpAddr>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    address: String,
    user: Option<String>,
    port: Option<u16>,
    key: Option<PathBuf>,
    agent: Option<bool>,
    known_hosts: Option<PathBuf>,
    jump: Option<Jump>,
    sudo: Option<bool>,
    dir: Option<PathBuf>,
    interface: Option<String>,
    cluster_address: Option<IpAddr>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Jump {
    address: String,
    user: Option<String>,
    port: Option<u16>,
    key: Option<PathBuf>,
    agent: Option<bool>,
    known_hosts: Option<PathBuf>,
}

impl Inventory {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Inventory, Error> {
        let bad = |text: String| Error::Invalid(format!("the inventory {}: {text}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|e| bad(e.to_string()))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Inventory::parse(&text, folder).map_err(bad)
    }

    /// Reads a text whose paths are relative to `folder`. The error is for people.
    pub fn parse(text: &str, folder: &Path) -> Result<Inventory, String> {
        let file: File = serde_yaml::from_str(text).map_err(|e| e.to_string())?;
        let place = Places { folder, home: std::env::var_os("HOME").map(PathBuf::from) };
        let hosts: Vec<Host> =
            file.hosts.iter().map(|entry| host(entry, &file, &place)).collect::<Result<_, _>>()?;
        if hosts.is_empty() {
            return Err("`hosts` is empty".to_owned());
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = hosts.iter().find(|h| !seen.insert(h.cluster_address)) {
            return Err(format!("two hosts have the address {}", twice.cluster_address));
        }
        let seconds = file.dead_man_seconds.unwrap_or(10.0);
        if !(1.0..=3600.0).contains(&seconds) {
            return Err("`dead_man_seconds` must be between 1 and 3600".to_owned());
        }
        let mut install = file.install.clone();
        for path in install.tarballs.iter_mut().chain(&mut install.files) {
            *path = place.of(path);
        }
        if let Some(odd) = install.packages.iter().find(|p| !is_plain(p) || p.starts_with('-')) {
            return Err(format!("`{odd}` is no name of a package"));
        }
        Ok(Inventory {
            hosts,
            install,
            executables: file.executables,
            processes: file.processes,
            dead_man: Duration::from_secs_f64(seconds),
            harness: file.harness,
        })
    }
}

/// What paths are relative to.
struct Places<'a> {
    folder: &'a Path,
    home: Option<PathBuf>,
}

impl Places<'_> {
    fn of(&self, path: &Path) -> PathBuf {
        match (path.strip_prefix("~"), &self.home) {
            (Ok(rest), Some(home)) => home.join(rest),
            _ => self.folder.join(path),
        }
    }
}

fn host(entry: &Entry, file: &File, place: &Places<'_>) -> Result<Host, String> {
    let user = entry.user.as_ref().or(file.user.as_ref());
    let login = Login {
        address: entry.address.clone(),
        port: entry.port.or(file.port).unwrap_or(22),
        user: user.cloned().unwrap_or_else(|| "root".to_owned()),
        key: entry.key.as_ref().or(file.key.as_ref()).map(|k| place.of(k)),
        agent: entry.agent.or(file.agent).unwrap_or_default(),
        known_hosts: place.of(known_hosts(entry.known_hosts.as_ref().or(file.known_hosts.as_ref()))),
    };
    if login.key.is_none() && !login.agent {
        return Err(format!("{}: say a `key` file, or `agent: true`", login.address));
    }
    let jump = entry.jump.as_ref().or(file.jump.as_ref()).map(|jump| Login {
        address: jump.address.clone(),
        port: jump.port.unwrap_or(22),
        user: jump.user.clone().unwrap_or_else(|| login.user.clone()),
        key: jump.key.as_ref().map(|k| place.of(k)).or(login.key.clone()),
        agent: jump.agent.unwrap_or(login.agent),
        known_hosts: jump.known_hosts.as_ref().map_or(login.known_hosts.clone(), |k| place.of(k)),
    });
    let dir = entry.dir.as_ref().or(file.dir.as_ref()).cloned();
    let dir = dir.unwrap_or_else(|| PathBuf::from("/var/lib/squall"));
    let depth = dir.components().filter(|c| matches!(c, Component::Normal(_))).count();
    let odd = dir.components().any(|c| matches!(c, Component::ParentDir));
    if !dir.is_absolute() || depth < 2 || odd || !is_plain(&dir.to_string_lossy()) {
        let dir = dir.display();
        return Err(format!(
            "`dir: {dir}` must be an absolute path of at least two folders, of letters, digits and `-_./` only: \
             what is in it is removed"
        ));
    }
    let cluster_address = match entry.cluster_address {
        Some(address) => address,
        None => resolve(&login)?,
    };
    let interface = entry.interface.as_ref().or(file.interface.as_ref()).cloned();
    if let Some(odd) = interface.as_ref().filter(|i| !is_plain(i)) {
        return Err(format!("`{odd}` is no name of an interface"));
    }
    let sudo = entry.sudo.or(file.sudo).unwrap_or_default();
    Ok(Host { login, jump, sudo, dir, cluster_address, interface })
}

fn known_hosts(said: Option<&PathBuf>) -> &Path {
    said.map_or(Path::new("~/.ssh/known_hosts"), PathBuf::as_path)
}

fn resolve(login: &Login) -> Result<IpAddr, String> {
    let found = (login.address.as_str(), login.port).to_socket_addrs();
    let found = found.map_err(|e| format!("{} has no address: {e}", login.address))?;
    let address = found.map(|s| s.ip()).next();
    address.ok_or_else(|| format!("{} has no address", login.address))
}

/// What needs no quotes in a shell.
pub(super) fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./+".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Inventory, String> {
        Inventory::parse(text, Path::new("/inv"))
    }

    #[test]
    fn hosts_have_what_the_top_says_unless_they_say_otherwise() {
        let text = "user: squall\nkey: id\nport: 2222\nsudo: true\nknown_hosts: known\n\
                    jump: {address: bastion, user: guest}\ninstall: {packages: [etcd-server], files: [a/tool]}\n\
                    executables: {etcd: /usr/bin/etcd}\nprocesses: systemd\ndead_man_seconds: 3\n\
                    hosts:\n- {address: 10.0.0.1}\n- {address: 10.0.0.2, port: 22, user: root, sudo: false, \
                    cluster_address: 192.168.0.2, dir: /srv/squall}\n";
        let inventory = parse(text).unwrap();
        let [a, b] = &inventory.hosts[..] else { panic!() };
        assert_eq!((a.login.user.as_str(), a.login.port, a.sudo), ("squall", 2222, true));
        assert_eq!(a.login.key.as_deref(), Some(Path::new("/inv/id")));
        assert_eq!((b.login.user.as_str(), b.login.port, b.sudo), ("root", 22, false));
        assert_eq!(b.cluster_address.to_string(), "192.168.0.2");
        assert_eq!((a.dir.to_str(), b.dir.to_str()), (Some("/var/lib/squall"), Some("/srv/squall")));
        let jump = a.jump.as_ref().unwrap();
        assert_eq!((jump.user.as_str(), jump.key.as_deref()), ("guest", Some(Path::new("/inv/id"))));
        assert_eq!(inventory.install.files, [PathBuf::from("/inv/a/tool")]);
        assert_eq!((inventory.processes, inventory.dead_man.as_secs()), (Processes::Systemd, 3));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let host = "key: id\nhosts: [{address: 10.0.0.1}]\n";
        for (text, expected) in [
            ("hosts: []\n", "is empty"),
            ("key: id\nhosts: [{address: 10.0.0.1}, {address: 10.0.0.1}]\n", "two hosts"),
            ("hosts: [{address: 10.0.0.1}]\n", "say a `key` file"),
            (&format!("{host}dir: /\n"), "at least two folders"),
            (&format!("{host}dir: /var/../etc\n"), "at least two folders"),
            (&format!("{host}dir: '/var/lib/$(reboot)'\n"), "letters, digits"),
            (&format!("{host}dead_man_seconds: 0\n"), "between 1 and 3600"),
            (&format!("{host}strict: no\n"), "strict"),
            (&format!("{host}install: {{packages: ['-o x']}}\n"), "no name of a package"),
            ("hosts: [{adress: 10.0.0.1}]\n", "adress"),
        ] {
            let told = parse(text).unwrap_err();
            assert!(told.contains(expected), "{text}: {told}");
        }
    }
}
