//! Files of this machine that programs on hosts need: which they are, where they are on a host, and how they get
//! there.
//!
//! A file's place on a host has its checksum in its path. So one that is there already is not sent again, a
//! running program is never overwritten, and two versions are two files.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use sha2::{Digest, Sha256};
use ssh2::Session;

use super::inventory::{Host, Install, Inventory, is_plain};
use super::session::{self, SILENCE};
use crate::Error;

/// How long apt-get may be silent.
const INSTALL_SILENCE: Duration = Duration::from_secs(600);
/// After how many days a file that no run has asked for is removed from a host.
const KEPT_DAYS: u32 = 14;

/// A file or folder of this machine, ready to be sent.
#[derive(Debug)]
pub(super) struct Parcel {
    /// What it is here.
    local: PathBuf,
    /// What is sent: the file, or an archive of the folder.
    open: File,
    folder: bool,
    sum: String,
}

impl Parcel {
    /// Reads it once for its checksum. Blocking.
    pub fn pack(local: &Path) -> Result<Parcel, Error> {
        let failed = |e| Error::io(format!("reading {}", local.display()), e);
        let folder = std::fs::metadata(local).map_err(failed)?.is_dir();
        let mut open = if folder { archive(local)? } else { File::open(local).map_err(failed)? };
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 1 << 20];
        loop {
            match open.read(&mut buffer).map_err(failed)? {
                0 => break,
                n => hash.update(&buffer[..n]),
            }
        }
        let sum = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Parcel { local: local.to_owned(), open, folder, sum })
    }

    /// Where it is on a host with this folder.
    pub fn place(&self, dir: &Path) -> PathBuf {
        let name = self.local.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let name = if is_plain(&name) { name } else { "file".to_owned() };
        dir.join("bin").join(&self.sum[..16]).join(name)
    }

    /// Puts it on a host, unless it is there. Blocking.
    pub fn send(&self, session: &Session, host: &Host) -> Result<PathBuf, Error> {
        let place = self.place(&host.dir);
        let looked = run(session, host, &look(&place, &self.sum, self.folder), None)?;
        if looked.code == 0 {
            return Ok(place);
        }
        let local = self.local.display();
        // An offset of its own: other hosts are sent the same file at the same time.
        let mut reader = FileAt { file: &self.open, at: 0 };
        let sent = run(session, host, &receive(&place, &self.sum, self.folder), Some(&mut reader))?;
        match sent.code {
            0 => Ok(place),
            _ => Err(Error::Unavailable(format!("{local} cannot be sent: {}", sent.stderr.trim()))),
        }
    }
}

/// Reads a file that others read, too.
struct FileAt<'a> {
    file: &'a File,
    at: u64,
}

impl Read for FileAt<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = std::os::unix::fs::FileExt::read_at(self.file, buffer, self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

/// A folder as an archive that is the same whenever its contents are.
fn archive(folder: &Path) -> Result<File, Error> {
    let failed = |e| Error::io(format!("packing {}", folder.display()), e);
    let (parent, name) = match (folder.parent(), folder.file_name()) {
        (Some(parent), Some(name)) => (parent, name),
        _ => return Err(Error::Invalid(format!("{} cannot be sent as a whole", folder.display()))),
    };
    let mut open = tempfile::tempfile().map_err(failed)?;
    let status = Command::new("tar")
        .args(["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"])
        .arg("-C")
        .arg(parent)
        .arg("-c")
        .arg("--")
        .arg(name)
        .stdout(open.try_clone().map_err(failed)?)
        .status()
        .map_err(failed)?;
    if !status.success() {
        return Err(Error::Broken(format!("packing {}: tar ended with {status}", folder.display())));
    }
    open.rewind().map_err(failed)?;
    Ok(open)
}

/// A script that succeeds if a parcel is there as it was sent.
fn look(place: &Path, sum: &str, folder: bool) -> String {
    let (place, parent) = (place.display(), place.parent().unwrap_or(Path::new("/")).display());
    let there = match folder {
        // What was unpacked is not summed up again; the mark is the last that is written.
        true => format!("test \"$(cat {parent}/sum)\" = {sum}"),
        false => format!("test \"$(sha256sum < {place})\" = \"{sum}  -\""),
    };
    format!("test -e {place} && {there} && touch {parent}")
}

/// A script that takes a parcel from its standard input, and keeps it only if it is what was sent.
fn receive(place: &Path, sum: &str, folder: bool) -> String {
    let parent = place.parent().unwrap_or(Path::new("/"));
    let bin = parent.parent().unwrap_or(parent).display();
    let (place, parent) = (place.display(), parent.display());
    let keep = match folder {
        true => format!("tar -x -C {parent} -f {parent}/new && rm {parent}/new && echo {sum} > {parent}/sum"),
        false => format!("chmod 755 {parent}/new && mv {parent}/new {place}"),
    };
    format!(
        "set -e; mkdir -p {bin}; find {bin} -mindepth 1 -maxdepth 1 -mtime +{KEPT_DAYS} -exec rm -rf {{}} +; \
         mkdir -p {parent}; cat > {parent}/new; test \"$(sha256sum < {parent}/new)\" = \"{sum}  -\" || \
         {{ rm {parent}/new; echo the checksum is another >&2; exit 1; }}; {keep}"
    )
}

/// Runs a script on a host, as root if it is to be.
pub(super) fn run(
    session: &Session,
    host: &Host,
    script: &str,
    input: Option<&mut dyn Read>,
) -> Result<session::Said, Error> {
    run_patiently(session, host, script, input, SILENCE)
}

fn run_patiently(
    session: &Session,
    host: &Host,
    script: &str,
    input: Option<&mut dyn Read>,
    silence: Duration,
) -> Result<session::Said, Error> {
    let address = &host.login.address;
    session::exec(session, &as_root(host, script), input, silence)
        .map_err(|e| Error::io(format!("running a command on {address}"), e))
}

/// A script as a command of the user's shell, whatever that is.
pub(super) fn as_root(host: &Host, script: &str) -> String {
    let sudo = if host.sudo { "sudo -n -- " } else { "" };
    let path = "PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin; export PATH; LC_ALL=C; export LC_ALL";
    format!("{sudo}sh -c {}", crate::shell_word(&format!("{path}; {script}")))
}

/// Puts on a host what the inventory says. Blocking.
pub(super) fn install(session: &Session, host: &Host, install: &Install) -> Result<(), Error> {
    if let Some(script) = packages(&install.packages) {
        let said = run_patiently(session, host, &script, None, INSTALL_SILENCE)?;
        if said.code != 0 {
            let last: Vec<&str> = said.stderr.trim().lines().rev().take(3).collect();
            let last = last.into_iter().rev().collect::<Vec<_>>().join("; ");
            return Err(Error::Unavailable(format!("apt-get cannot install packages: {last}")));
        }
    }
    for path in &install.tarballs {
        let parcel = Parcel::pack(path)?;
        let archive = parcel.send(session, host)?;
        let said = run(session, host, &unpack(&archive, &host.dir, path), None)?;
        if said.code != 0 {
            let text = format!("{} cannot be unpacked: {}", path.display(), said.stderr.trim());
            return Err(Error::Unavailable(text));
        }
    }
    for path in &install.files {
        let parcel = Parcel::pack(path)?;
        let place = parcel.send(session, host)?;
        let name = place.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (place, link) = (place.display(), host.dir.join("bin").join(name));
        let said = run(session, host, &format!("ln -sfn {place} {}", link.display()), None)?;
        if said.code != 0 {
            return Err(Error::Unavailable(format!("{}: {}", link.display(), said.stderr.trim())));
        }
    }
    Ok(())
}

/// Installs packages that are not there. A service that a package starts by itself is left alone.
fn packages(packages: &[String]) -> Option<String> {
    if packages.is_empty() {
        return None;
    }
    let all = packages.join(" ");
    Some(format!(
        "for p in {all}; do dpkg -s $p >/dev/null 2>&1 || m=\"$m $p\"; done; test -z \"$m\" || {{ \
         DEBIAN_FRONTEND=noninteractive; export DEBIAN_FRONTEND; apt-get update -q >/dev/null && \
         apt-get install -y -q --no-install-recommends $m >/dev/null; }}"
    ))
}

fn unpack(archive: &Path, dir: &Path, path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let stem = [".tar.gz", ".tgz", ".tar.xz", ".tar.zst", ".tar.bz2", ".tar"]
        .iter()
        .find_map(|end| name.strip_suffix(end))
        .filter(|stem| is_plain(stem))
        .unwrap_or("archive");
    let (archive, to) = (archive.display(), dir.join("opt").join(stem));
    format!("mkdir -p {0} && tar -x -C {0} -f {archive}", to.display())
}

/// Where paths of this machine are on a host.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Mapping {
    /// This executable, on the host.
    own: PathBuf,
    moved: Vec<(PathBuf, PathBuf)>,
    executables: BTreeMap<String, PathBuf>,
}

impl Mapping {
    pub fn new(host: &Host, inventory: &Inventory, parcels: &[Parcel]) -> Self {
        let executables = inventory.executables.iter();
        Mapping {
            own: parcels.first().map(|p| p.place(&host.dir)).unwrap_or_default(),
            moved: parcels.iter().map(|p| (p.local.clone(), p.place(&host.dir))).collect(),
            executables: executables.map(|(name, path)| (name.clone(), host.dir.join(path))).collect(),
        }
    }

    /// The executable to run for this one.
    pub fn executable(&self, given: &OsStr) -> Result<String, Error> {
        if given == "/proc/self/exe" {
            return Ok(self.own.to_string_lossy().into_owned());
        }
        let name = Path::new(given).file_name().unwrap_or(given).to_string_lossy();
        match self.executables.get(&*name) {
            Some(path) => Ok(path.to_string_lossy().into_owned()),
            None => self.on_host(given),
        }
    }

    /// An argument with a path of this machine, if it has one, as it is on the host: the whole argument, or what
    /// follows its first `=`.
    pub fn on_host(&self, given: &OsStr) -> Result<String, Error> {
        let text = given.to_str().ok_or_else(|| {
            Error::Invalid(format!("{} is not UTF-8: it cannot be told to a host", given.to_string_lossy()))
        })?;
        if let Some(path) = self.moved_path(text) {
            return Ok(path);
        }
        let after = text.split_once('=').and_then(|(flag, path)| Some((flag, self.moved_path(path)?)));
        Ok(after.map_or_else(|| text.to_owned(), |(flag, path)| format!("{flag}={path}")))
    }

    fn moved_path(&self, text: &str) -> Option<String> {
        self.moved.iter().find_map(|(from, to)| {
            let rest = Path::new(text).strip_prefix(from).ok()?;
            let path = if rest.as_os_str().is_empty() { to.clone() } else { to.join(rest) };
            Some(path.to_string_lossy().into_owned())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_this_machine_become_the_hosts() {
        let mapping = Mapping {
            own: "/var/lib/squall/bin/cd/squall".into(),
            moved: vec![("/opt/jar".into(), "/var/lib/squall/bin/ab/jar".into())],
            executables: [("etcd".to_owned(), PathBuf::from("/usr/bin/etcd"))].into(),
        };
        let told = |text: &str| mapping.on_host(OsStr::new(text)).unwrap();
        assert_eq!(told("/opt/jar"), "/var/lib/squall/bin/ab/jar");
        assert_eq!(told("/opt/jar/a.jar"), "/var/lib/squall/bin/ab/jar/a.jar");
        assert_eq!(told("--file=/opt/jar/a"), "--file=/var/lib/squall/bin/ab/jar/a");
        assert_eq!(told("/opt/jars"), "/opt/jars");
        let run = |text: &str| mapping.executable(OsStr::new(text)).unwrap();
        assert_eq!(run("/proc/self/exe"), "/var/lib/squall/bin/cd/squall");
        assert_eq!((run("/home/me/etcd"), run("redis")), ("/usr/bin/etcd".into(), "redis".into()));
    }

    #[test]
    fn packages_are_installed_only_where_they_are_missing() {
        assert_eq!(packages(&[]), None);
        let expected = "for p in a b; do dpkg -s $p >/dev/null 2>&1 || m=\"$m $p\"; done; test -z \"$m\" || { \
            DEBIAN_FRONTEND=noninteractive; export DEBIAN_FRONTEND; apt-get update -q >/dev/null && \
            apt-get install -y -q --no-install-recommends $m >/dev/null; }";
        assert_eq!(packages(&["a".into(), "b".into()]).unwrap(), expected);
        let unpacked = unpack(Path::new("/d/bin/ab/x.tar.gz"), Path::new("/d"), Path::new("in/x.tar.gz"));
        assert_eq!(unpacked, "mkdir -p /d/opt/x && tar -x -C /d/opt/x -f /d/bin/ab/x.tar.gz");
    }

    #[test]
    fn what_arrives_is_kept_only_if_it_is_what_was_sent() {
        let dir = tempfile::tempdir().unwrap();
        let local = dir.path().join("tool");
        std::fs::write(&local, "#!/bin/sh\necho hello\n").unwrap();
        let parcel = Parcel::pack(&local).unwrap();
        let host_dir = dir.path().join("host");
        let place = parcel.place(&host_dir);
        let sh = |script: &str, input: &Path| {
            let input = File::open(input).unwrap();
            let mut command = Command::new("sh");
            command.args(["-c", script]).stdin(input).stderr(std::process::Stdio::null());
            command.status().unwrap().success()
        };
        assert!(!sh(&look(&place, &parcel.sum, false), &local), "it is not there yet");
        let other = dir.path().join("other");
        std::fs::write(&other, "#!/bin/sh\necho bye\n").unwrap();
        assert!(!sh(&receive(&place, &parcel.sum, false), &other), "something else arrived");
        assert!(!place.exists());
        assert!(sh(&receive(&place, &parcel.sum, false), &local));
        assert!(sh(&look(&place, &parcel.sum, false), &local));
        assert_eq!(Command::new(&place).output().unwrap().stdout, b"hello\n");
        std::fs::write(&place, "spoilt").unwrap();
        assert!(!sh(&look(&place, &parcel.sum, false), &local), "it is another now");
    }

    #[test]
    fn a_folder_goes_as_an_archive() {
        let dir = tempfile::tempdir().unwrap();
        let local = dir.path().join("lib");
        std::fs::create_dir_all(local.join("deep")).unwrap();
        std::fs::write(local.join("deep/a"), "a").unwrap();
        let parcel = Parcel::pack(&local).unwrap();
        assert_eq!(parcel.sum, Parcel::pack(&local).unwrap().sum, "the same whenever it is packed");
        let place = parcel.place(&dir.path().join("host"));
        let mut command = Command::new("sh");
        command.args(["-c", &receive(&place, &parcel.sum, true)]).stdin(parcel.open.try_clone().unwrap());
        // Packing has read it to its end.
        (&parcel.open).rewind().unwrap();
        assert!(command.status().unwrap().success());
        assert_eq!(std::fs::read_to_string(place.join("deep/a")).unwrap(), "a");
        assert!(
            Command::new("sh").args(["-c", &look(&place, &parcel.sum, true)]).status().unwrap().success()
        );
    }
}
