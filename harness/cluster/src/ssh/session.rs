//! An SSH session: connected, the host's key checked, logged in. Blocking; everything is bounded in time.
//!
//! The host's key must be in `known_hosts`, and nothing turns that off. Only connecting is tried again, and only
//! where the network was to blame: never a login, and never a command, for that might have been done.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ssh2::{CheckResult, HashType, KnownHostFileKind, MethodType, Session};

use super::inventory::{Host, Login};
use super::jump;
use crate::Error;

/// How long one try to connect may take, and each step of logging in.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How long a command may be silent, unless it is known to take longer.
pub(super) const SILENCE: Duration = Duration::from_secs(30);
/// Waits before further tries to connect.
const WAITS: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];

/// Why there is no session.
enum Failure {
    /// The network's fault: it may be better next time.
    Network(Error),
    /// Trying again would not help.
    Final(Error),
}

/// Connects and logs in, through the jump host if there is one.
pub(super) fn open(host: &Host) -> Result<Session, Error> {
    let mut waits = WAITS.iter();
    loop {
        match (try_open(&host.login, host.jump.as_ref()), waits.next()) {
            (Ok(opened), _) => return Ok(opened.session),
            (Err(Failure::Network(_)), Some(wait)) => std::thread::sleep(*wait),
            (Err(Failure::Network(error) | Failure::Final(error)), _) => return Err(error),
        }
    }
}

/// A session, and its socket once more if it is one of ours.
struct Opened {
    session: Session,
    socket: Option<TcpStream>,
}

fn try_open(login: &Login, jump: Option<&Login>) -> Result<Opened, Failure> {
    let mut worst = None;
    let any = HOST_KEYS.join(",");
    for algorithms in [&*any].into_iter().chain(HOST_KEYS) {
        let mut opened = match start(login, jump, algorithms) {
            Ok(opened) => opened,
            // The host has no key of this kind.
            Err(Failure::Network(_)) if worst.is_some() => continue,
            Err(failure) => return Err(failure),
        };
        match check_host_key(&mut opened.session, login) {
            Ok(()) => {
                log_in(&opened.session, login).map_err(Failure::Final)?;
                opened.session.set_timeout(millis(SILENCE));
                return Ok(opened);
            }
            // A host has several keys, and `known_hosts` may have one of a kind that was not shown.
            Err(Wrong::Unknown(error)) => drop(worst.get_or_insert(error)),
            Err(Wrong::Changed(error)) => worst = Some(error),
            Err(Wrong::Other(error)) => return Err(Failure::Final(error)),
        }
    }
    Err(Failure::Final(worst.unwrap_or_else(|| Error::Broken("no kind of host key was tried".into()))))
}

/// Kinds of host keys, the best first, with the names of their signature algorithms.
const HOST_KEYS: [&str; 3] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521",
    "rsa-sha2-512,rsa-sha2-256,ssh-rsa",
];

/// A session with the transport up, and nobody logged in.
fn start(login: &Login, jump: Option<&Login>, algorithms: &str) -> Result<Opened, Failure> {
    let Login { address, port, .. } = login;
    let mut session = new_session().map_err(Failure::Final)?;
    session.set_timeout(millis(CONNECT_LIMIT));
    let preferred = session.method_pref(MethodType::HostKey, algorithms);
    preferred.map_err(|e| Failure::Final(Error::Broken(format!("{address}: {e}"))))?;
    let mut socket = None;
    match jump {
        None => {
            let stream = connect(login).map_err(Failure::Network)?;
            socket = stream.try_clone().ok();
            session.set_tcp_stream(stream);
        }
        Some(by) => {
            let Opened { session: between, socket } = try_open(by, None)?;
            let stream = jump::through(between, socket, by, address, *port);
            session.set_tcp_stream(stream.map_err(Failure::Network)?);
        }
    }
    match session.handshake() {
        Ok(()) => Ok(Opened { session, socket }),
        Err(e) => {
            let text = format!("{address}:{port} does not speak SSH with us");
            Err(Failure::Network(Error::io(text, e.into())))
        }
    }
}

/// As the SSH library counts time; 0 would be without limit.
fn millis(time: Duration) -> u32 {
    time.as_millis().clamp(1, u128::from(u32::MAX)) as u32
}

fn new_session() -> Result<Session, Error> {
    Session::new().map_err(|e| Error::Broken(format!("the SSH library cannot be used: {e}")))
}

fn connect(login: &Login) -> Result<TcpStream, Error> {
    let Login { address, port, .. } = login;
    let failed = |e| Error::io(format!("{address}:{port} cannot be reached"), e);
    let mut last = io::Error::new(io::ErrorKind::NotFound, "it has no address");
    for to in (address.as_str(), *port).to_socket_addrs().map_err(failed)? {
        match TcpStream::connect_timeout(&to, CONNECT_LIMIT) {
            Ok(stream) => {
                stream.set_nodelay(true).map_err(failed)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(failed(last))
}

/// What is wrong with a host's key.
enum Wrong {
    Unknown(Error),
    Changed(Error),
    Other(Error),
}

fn check_host_key(session: &mut Session, login: &Login) -> Result<(), Wrong> {
    let Login { address, port, known_hosts: file, .. } = login;
    let shown = file.display();
    let other = |text: String| Wrong::Other(Error::Unavailable(text));
    let mut known = session.known_hosts().map_err(|e| other(format!("{address}: {e}")))?;
    if file.exists() {
        let read = known.read_file(file, KnownHostFileKind::OpenSSH);
        read.map_err(|e| other(format!("{shown} cannot be read: {e}")))?;
    }
    let (key, _) = session.host_key().ok_or_else(|| other(format!("{address}:{port} showed no host key")))?;
    let print = fingerprint(session);
    let named = if *port == 22 { address.clone() } else { format!("[{address}]:{port}") };
    match known.check_port(address, *port, key) {
        CheckResult::Match => Ok(()),
        CheckResult::NotFound => Err(Wrong::Unknown(Error::Unavailable(format!(
            "{address}:{port} is an unknown host: {shown} has no key of {named}. It shows {print}; compare that on \
             the host itself (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub) and add it (ssh-keyscan -p {port} \
             {address} >> {shown})"
        )))),
        CheckResult::Mismatch => Err(Wrong::Changed(Error::Unavailable(format!(
            "the host key of {address}:{port} is not the one in {shown}: it shows {print}. Either the host was \
             installed anew, or somebody else answers in its place. Only if you know which: ssh-keygen -R \
             '{named}' -f {shown}, then add the new key"
        )))),
        CheckResult::Failure => Err(other(format!("the host key of {address}:{port} cannot be checked"))),
    }
}

/// As `ssh-keygen -l` shows it.
fn fingerprint(session: &Session) -> String {
    let hash = session.host_key_hash(HashType::Sha256).unwrap_or_default();
    format!("SHA256:{}", STANDARD_NO_PAD.encode(hash))
}

fn log_in(session: &Session, login: &Login) -> Result<(), Error> {
    let Login { address, port, user, .. } = login;
    let mut tried = String::new();
    if let Some(key) = &login.key {
        match session.userauth_pubkey_file(user, None, key, None) {
            Ok(()) => return Ok(()),
            Err(error) => {
                let why = explain_key(key, &error);
                let _ = write!(tried, "the key {}: {why}", key.display());
            }
        }
    }
    if login.agent {
        match session.userauth_agent(user) {
            Ok(()) => return Ok(()),
            Err(error) => {
                let and = if tried.is_empty() { "" } else { "; " };
                let _ = write!(tried, "{and}the SSH agent: {error}");
            }
        }
    }
    Err(Error::Unavailable(format!("{address}:{port} does not let {user} in; tried {tried}")))
}

fn explain_key(key: &Path, error: &ssh2::Error) -> String {
    match std::fs::read_to_string(key) {
        Err(unread) => unread.to_string(),
        Ok(text) if text.contains("ENCRYPTED") => {
            "it is encrypted: give it to an SSH agent, and say `agent: true`".to_owned()
        }
        Ok(_) => error.to_string(),
    }
}

/// What a command said.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    /// Its exit code.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// Runs a command in the user's shell to its end. `silence` bounds each wait for it.
pub(super) fn exec(
    session: &Session,
    command: &str,
    input: Option<&mut dyn Read>,
    silence: Duration,
) -> io::Result<Said> {
    session.set_timeout(millis(silence));
    let mut channel = session.channel_session()?;
    channel.exec(command)?;
    if let Some(input) = input {
        let mut buffer = vec![0; 256 << 10];
        loop {
            match input.read(&mut buffer)? {
                0 => break,
                n => channel.write_all(&buffer[..n])?,
            }
        }
    }
    channel.send_eof()?;
    let mut said = Said::default();
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    channel.read_to_end(&mut stdout)?;
    channel.stderr().read_to_end(&mut stderr)?;
    channel.wait_close()?;
    said.code = channel.exit_status()?;
    said.stdout = String::from_utf8_lossy(&stdout).into_owned();
    said.stderr = String::from_utf8_lossy(&stderr).into_owned();
    Ok(said)
}
