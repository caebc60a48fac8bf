//! The measurements, seen from the harness.

use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};

use squall_cluster::{
    Cluster, ClusterSpec, Delay, DelayShape, Endpoint, Error, Exit, LinkPolicy, Links, Node, Program,
    Provider,
};

use super::roles::{READY, WORD};
use crate::LocalProvider;

/// The port of the measuring peer.
const PORT: u16 = 7007;
/// How long a measuring program may take: on a machine that has much else to do, far longer than what it is asked for.
const LIMIT: Duration = Duration::from_secs(300);

/// Durations measured, shortest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timings(Vec<Duration>);

impl Timings {
    /// Of these measurements, in any order; at least one.
    pub fn new(mut measured: Vec<Duration>) -> Result<Self, Error> {
        if measured.is_empty() {
            return Err(Error::Broken("nothing was measured".into()));
        }
        measured.sort_unstable();
        Ok(Timings(measured))
    }

    /// The duration that this share (0 to 1) of all measurements does not exceed.
    pub fn quantile(&self, share: f64) -> Duration {
        let last = self.0.len() - 1;
        // Casts saturate, so a share beyond 1 gives the longest.
        self.0[((self.0.len() as f64 * share) as usize).min(last)]
    }

    /// How many were measured.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

/// How the measuring programs talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Datagrams.
    Udp,
    /// One connection.
    Tcp,
}

impl Protocol {
    fn word(self) -> &'static str {
        match self {
            Protocol::Udp => "udp",
            Protocol::Tcp => "tcp",
        }
    }
}

/// Makes and ends clusters of so many nodes below `dir`, one after the other; how long each took to come up,
/// and to be gone.
pub async fn clusters(
    provider: &LocalProvider,
    dir: &Path,
    nodes: usize,
    rounds: usize,
) -> Result<(Timings, Timings), Error> {
    let (mut ups, mut downs) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let spec = ClusterSpec {
            nodes,
            clients: 2 * nodes,
            seed: 0,
            dir: dir.join(format!("bench-{round}")),
            needs: [].into(),
            pcap: false,
            visible: Vec::new(),
        };
        let start = Instant::now();
        let cluster = provider.provision(&spec).await?;
        ups.push(start.elapsed());
        let start = Instant::now();
        cluster.shut_down().await?;
        downs.push(start.elapsed());
    }
    Ok((Timings::new(ups)?, Timings::new(downs)?))
}

pub(super) fn links(cluster: &Cluster) -> Result<&dyn Links, Error> {
    cluster.links.as_deref().ok_or_else(|| Error::Invalid("this cluster's links cannot be changed".into()))
}

/// Cuts the cluster's nodes in two halves and heals them, so many times; how long each change took, until
/// the next packet is judged by it.
pub async fn policy_flips(cluster: &Cluster, rounds: usize) -> Result<Timings, Error> {
    let half = cluster.nodes.len() / 2;
    let ends = 0..cluster.nodes.len();
    let across = ends
        .clone()
        .flat_map(|a| ends.clone().map(move |b| (a, b)))
        .filter(|(a, b)| (*a < half) != (*b < half));
    let change = |policy: LinkPolicy| -> Vec<(Endpoint, Endpoint, LinkPolicy)> {
        across.clone().map(|(a, b)| (Endpoint::Node(a), Endpoint::Node(b), policy)).collect()
    };
    let (cut, heal) = (change(LinkPolicy::cut()), change(LinkPolicy::default()));
    let links = links(cluster)?;
    let mut measured = Vec::new();
    for _ in 0..rounds {
        for changes in [&cut, &heal] {
            let start = Instant::now();
            links.apply(changes).await?;
            measured.push(start.elapsed());
        }
    }
    Timings::new(measured)
}

/// This executable in a role of a measurement.
pub(super) fn role(name: &str, words: &[&str]) -> Result<Program, Error> {
    let own = std::env::current_exe().map_err(|error| Error::io("finding this executable", error))?;
    let mut argv: Vec<OsString> = vec![own.into(), WORD.into()];
    argv.extend(words.iter().map(OsString::from));
    Ok(Program::new(name, argv))
}

/// Starts the peer that the other measurements talk to, and waits until it listens.
pub async fn start_peer(node: &dyn Node) -> Result<(), Error> {
    node.start(&role("bench-peer", &["peer", &PORT.to_string()])?).await?;
    wait_for(node, "bench-peer").await
}

/// Waits until a program has said that it is ready.
pub(super) async fn wait_for(node: &dyn Node, program: &str) -> Result<(), Error> {
    let log = node.log_dir().join(format!("{program}.log"));
    let start = Instant::now();
    while !std::fs::read_to_string(&log).is_ok_and(|text| text.ends_with(READY)) {
        if start.elapsed() > LIMIT {
            return Err(Error::Timeout(format!("{program} on {} does not listen", node.name())));
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

/// Runs a measuring program to its end and reads the numbers that it prints.
pub(super) async fn numbers(node: &dyn Node, words: &[&str]) -> Result<Vec<u64>, Error> {
    let output = node.run(&role("bench", words)?, LIMIT).await?;
    let text = String::from_utf8_lossy(&output.stdout);
    if output.exit != Exit::Code(0) {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Error::Broken(format!("measuring on {}: {}: {}", node.name(), output.exit, said.trim())));
    }
    let numbers: Result<Vec<u64>, _> = text.split_whitespace().map(str::parse).collect();
    numbers.map_err(|error| Error::Broken(format!("measuring on {}: {error}: {text}", node.name())))
}

fn peer(to: &dyn Node) -> String {
    format!("{}:{PORT}", to.address())
}

/// Round trips of small messages from one node to the peer on another (see [`start_peer`]), one at a time.
pub async fn round_trips(
    from: &dyn Node,
    to: &dyn Node,
    protocol: Protocol,
    rounds: usize,
) -> Result<Timings, Error> {
    let words = ["round-trips", protocol.word(), &peer(to), &rounds.to_string()];
    let nanos = numbers(from, &words).await?;
    Timings::new(nanos.into_iter().map(Duration::from_nanos).collect())
}

/// Bits a second of one TCP connection that sends for about this long to the peer on another node.
pub async fn tcp_throughput(from: &dyn Node, to: &dyn Node, time: Duration) -> Result<f64, Error> {
    let milliseconds = time.as_millis().to_string();
    match numbers(from, &["throughput", &peer(to), &milliseconds]).await?[..] {
        [bytes, nanos] if nanos > 0 => Ok(bytes as f64 * 8e9 / nanos as f64),
        _ => Err(Error::Broken("the throughput program printed nonsense".into())),
    }
}

/// One-way delays of datagrams under a policy of this delay between two nodes, sent every few milliseconds.
pub async fn delay_accuracy(
    cluster: &Cluster,
    from: usize,
    to: usize,
    delay: Duration,
    rounds: usize,
) -> Result<Timings, Error> {
    let link = (Endpoint::Node(from), Endpoint::Node(to));
    let delay = Delay { mean: delay, jitter: Duration::ZERO, shape: DelayShape::Uniform };
    let policy = LinkPolicy { delay: Some(delay), ..LinkPolicy::default() };
    let (from, to) = (cluster.nodes[from].as_ref(), cluster.nodes[to].as_ref());
    links(cluster)?.apply(&[(link.0, link.1, policy)]).await?;
    let measured = numbers(from, &["one-way", &peer(to), &rounds.to_string()]).await;
    links(cluster)?.apply(&[(link.0, link.1, LinkPolicy::default())]).await?;
    Timings::new(measured?.into_iter().map(Duration::from_nanos).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_sorted_measurements() {
        let timings = Timings::new((1..=100).rev().map(Duration::from_micros).collect()).unwrap();
        assert_eq!(timings.quantile(0.0), Duration::from_micros(1));
        assert_eq!(timings.quantile(0.5), Duration::from_micros(51));
        assert_eq!(timings.quantile(0.99), Duration::from_micros(100));
        assert_eq!(timings.quantile(1.0), Duration::from_micros(100));
        assert!(Timings::new(Vec::new()).is_err());
    }
}
