//! What a server is told at start, and how the command line says it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::bugs::Bug;
use crate::raft::{Membership, NodeId};

/// A server's configuration. Addresses are `host:port`; port 0 for `client_addr` takes any free one.
#[derive(Debug, Clone)]
pub struct Config {
    pub id: NodeId,
    pub cluster: String,
    /// Every member with the address where it listens for its peers.
    pub peers: BTreeMap<NodeId, String>,
    pub client_addr: String,
    pub data_dir: PathBuf,
    /// Elections start after one to one and a half times this much silence.
    pub election_timeout: Duration,
    pub heartbeat: Duration,
    /// How much faster or slower than another's a monotonic clock may run, in parts per thousand; leases are
    /// shortened by it.
    pub max_drift_per_mille: u64,
    /// A request that is not answered by then is answered with an error.
    pub request_timeout: Duration,
    /// Client requests at once; more are refused as busy.
    pub max_in_flight: usize,
    pub max_body_bytes: usize,
    /// A snapshot is taken after this many entries.
    pub snapshot_entries: u64,
    /// Entries of one message between servers, in bytes; one entry may exceed it.
    pub append_bytes: usize,
    /// Answer linearizable reads from local state: wrong on purpose.
    /// Begin as a stranger: an existing cluster will add this node.
    pub join: bool,
    pub unsafe_reads: bool,
    pub fsync: bool,
    pub bug: Option<Bug>,
}

/// What is wrong with the arguments, in one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

/// The options, for the usage text.
pub const OPTIONS: &str = "\
  --id NAME                 this node's name: 1 to 16 characters of A-Z a-z 0-9 . _ -
  --peers N1=HOST:PORT,...  every member, this one included, and where it listens for its peers
  --client-addr HOST:PORT   where to serve HTTP
  --data-dir DIR            where the log lives; created if missing
  --cluster-id NAME         servers of different clusters do not talk (default: squall)
  --election-timeout TIME   silence before an election; at most half of it more (default: 300ms)
  --heartbeat TIME          how often a leader is heard (default: a fifth of the election timeout)
  --max-drift PERCENT       how far the rates of two monotonic clocks may differ; leases allow for it (default: 5)
  --request-timeout TIME    when to give up on a request (default: 1500ms)
  --max-in-flight N         client requests at once; more are refused as busy (default: 4096)
  --snapshot-entries N      take a snapshot after so many entries (default: 100000)
  --append-bytes N          entries of one message between servers; one may exceed it (default: 524288)
  --join                    begin as a stranger that an existing cluster will add (POST /members)
  --unsafe-reads            answer linearizable reads from local state: wrong on purpose
  --no-fsync                never flush the log: loses data on power failure
  --bug NAME                carry a classic mistake (see `bugs`)";

impl Config {
    /// A configuration with the defaults.
    pub fn new(
        id: NodeId,
        peers: BTreeMap<NodeId, String>,
        client_addr: String,
        data_dir: PathBuf,
    ) -> Config {
        Config {
            id,
            cluster: "squall".into(),
            peers,
            client_addr,
            data_dir,
            election_timeout: Duration::from_millis(300),
            heartbeat: Duration::from_millis(60),
            max_drift_per_mille: 50,
            request_timeout: Duration::from_millis(1500),
            max_in_flight: 4096,
            max_body_bytes: 2 << 20,
            snapshot_entries: 100_000,
            append_bytes: 512 * 1024,
            join: false,
            unsafe_reads: false,
            fsync: true,
            bug: None,
        }
    }

    /// Reads the options after `serve`.
    pub fn parse(args: impl IntoIterator<Item = String>) -> Result<Config, ConfigError> {
        let mut given = Given::read(args)?;
        let id = parsed(&given.required("--id")?)?;
        let peers = parse_peers(&given.required("--peers")?)?;
        if !peers.contains_key(&id) {
            return Err(ConfigError(format!("--peers does not name this node, {id}")));
        }
        let client_addr = given.required("--client-addr")?;
        let data_dir = given.required("--data-dir")?.into();
        let mut config = Config::new(id, peers, client_addr, data_dir);
        if let Some(cluster) = given.take("--cluster-id") {
            config.cluster = cluster;
        }
        if let Some(time) = given.take("--election-timeout") {
            config.election_timeout = duration("--election-timeout", &time)?;
            config.heartbeat = config.election_timeout / 5;
        }
        if let Some(time) = given.take("--heartbeat") {
            config.heartbeat = duration("--heartbeat", &time)?;
        }
        if config.heartbeat * 2 > config.election_timeout {
            let why = "--heartbeat must be at most half of --election-timeout".to_owned();
            return Err(ConfigError(why));
        }
        if let Some(percent) = given.take("--max-drift") {
            config.max_drift_per_mille = per_mille(&percent)?;
        }
        if let Some(time) = given.take("--request-timeout") {
            config.request_timeout = duration("--request-timeout", &time)?;
        }
        if let Some(count) = given.take("--max-in-flight") {
            config.max_in_flight = parsed(&count)?;
        }
        if let Some(count) = given.take("--snapshot-entries") {
            config.snapshot_entries = parsed::<std::num::NonZero<u64>>(&count)?.get();
        }
        if let Some(count) = given.take("--append-bytes") {
            config.append_bytes = parsed(&count)?;
        }
        config.join = given.take("--join").is_some();
        config.unsafe_reads = given.take("--unsafe-reads").is_some();
        config.fsync = given.take("--no-fsync").is_none();
        config.bug = given.take("--bug").map(|name| parsed(&name)).transpose()?;
        Ok(config)
    }

    /// The members as the log's first membership.
    pub fn founders(&self) -> Membership {
        if self.join { Membership::default() } else { Membership::of(self.peers.keys().copied()) }
    }
}

const FLAGS: [&str; 3] = ["--join", "--unsafe-reads", "--no-fsync"];

/// Options as given, each at most once.
struct Given(BTreeMap<String, String>);

impl Given {
    fn read(args: impl IntoIterator<Item = String>) -> Result<Given, ConfigError> {
        let mut given = BTreeMap::new();
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let (name, inline) = match arg.split_once('=') {
                Some((name, value)) if arg.starts_with("--") => (name.to_owned(), Some(value.to_owned())),
                _ => (arg, None),
            };
            let known = OPTIONS.lines().any(|l| l.split_whitespace().next() == Some(name.as_str()));
            if !name.starts_with("--") || !known {
                return Err(ConfigError(format!("unknown argument {name:?}; `serve --help` lists them")));
            }
            let value = match inline {
                Some(value) => value,
                None if FLAGS.contains(&name.as_str()) => String::new(),
                None => args.next().ok_or_else(|| ConfigError(format!("{name} needs a value")))?,
            };
            if given.insert(name.clone(), value).is_some() {
                return Err(ConfigError(format!("{name} is given twice")));
            }
        }
        Ok(Given(given))
    }

    fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    fn required(&mut self, name: &str) -> Result<String, ConfigError> {
        self.take(name).ok_or_else(|| ConfigError(format!("{name} is missing")))
    }
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, ConfigError> {
    text.parse().map_err(|e| ConfigError(format!("{text:?}: {e}")))
}

fn parse_peers(text: &str) -> Result<BTreeMap<NodeId, String>, ConfigError> {
    let mut peers = BTreeMap::new();
    for peer in text.split(',') {
        let (id, addr) = peer
            .split_once('=')
            .filter(|(_, addr)| addr.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()))
            .ok_or_else(|| ConfigError(format!("--peers: {peer:?} is not NAME=HOST:PORT")))?;
        if peers.insert(parsed(id)?, addr.to_owned()).is_some() {
            return Err(ConfigError(format!("--peers names {id} twice")));
        }
    }
    Ok(peers)
}

/// A percentage in which a lease still lasts for some time.
fn per_mille(text: &str) -> Result<u64, ConfigError> {
    let percent = text.parse::<f64>().ok().filter(|percent| (0.0..=40.0).contains(percent));
    let percent =
        percent.ok_or_else(|| ConfigError(format!("--max-drift: {text:?} is not between 0 and 40")))?;
    Ok((percent * 10.0).ceil() as u64)
}

/// A number with a unit: `150ms`, `2s`.
fn duration(name: &str, text: &str) -> Result<Duration, ConfigError> {
    let bad = || ConfigError(format!("{name}: {text:?} is not a duration such as 150ms or 2s"));
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let number: u64 = text[..digits].parse().map_err(|_| bad())?;
    let duration = match &text[digits..] {
        "us" => Duration::from_micros(number),
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        _ => return Err(bad()),
    };
    if duration < Duration::from_millis(1) || duration > Duration::from_secs(3600) {
        return Err(ConfigError(format!("{name}: {text:?} is not between 1ms and 3600s")));
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text.split_whitespace().map(Into::into)).map_err(|e| e.0)
    }

    const GOOD: &str =
        "--id n1 --peers n1=10.0.0.1:7001,n2=10.0.0.2:7001 --client-addr 10.0.0.1:7000 --data-dir /d";

    #[test]
    fn reads_options_in_both_spellings() {
        let config =
            parse(&format!("{GOOD} --election-timeout=150ms --unsafe-reads --bug vote-twice")).unwrap();
        assert_eq!(config.heartbeat, Duration::from_millis(30));
        assert!(config.unsafe_reads && config.fsync);
        assert_eq!(config.bug, Some(Bug::VoteTwice));
        assert_eq!(config.peers.len(), 2);
    }

    #[test]
    fn says_what_is_wrong() {
        for (args, part) in [
            ("--id n1", "--peers is missing"),
            (&format!("{GOOD} --id n2"), "given twice"),
            (&format!("{GOOD} --heartbeat 5"), "not a duration"),
            (&format!("{GOOD} --heartbeat 200ms"), "at most half"),
            (&format!("{GOOD} --bug nonsense"), "unknown bug"),
            (&format!("{GOOD} --max-drift 50"), "between 0 and 40"),
            (&format!("{GOOD} --frobnicate"), "unknown argument"),
            (&format!("{GOOD} --data"), "unknown argument"),
            (&GOOD.replace("--id n1", "--id n9"), "does not name this node"),
            (&GOOD.replace("--id n1", "--id a/b"), "bad node name"),
            (&GOOD.replace("n2=10.0.0.2:7001", "n2"), "is not NAME=HOST:PORT"),
            (&GOOD.replace("n2=", "n1="), "twice"),
        ] {
            let error = parse(args).unwrap_err();
            assert!(error.contains(part), "{args}: {error}");
        }
    }
}
