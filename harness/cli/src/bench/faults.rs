//! How soon a cluster is there, how soon a cut is, and what the network between nodes costs.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use squall_cluster::{Cluster, ClusterSpec, LinkPolicy, Loss, Provider};
use squall_engine::Error;
use squall_engine::protocol::{Layout, NodeLayout, Target, TargetKind};
use squall_local::LocalProvider;
use squall_local::bench::{
    Protocol, Timings, clusters, delay_accuracy, policy_flips, round_trips, start_peer, tally, tcp_throughput,
};
use squall_local::clock::bench::Figure;

use super::Row;

const NODES: usize = 5;

/// Each row is told as soon as it is there: what comes later may fail.
pub(super) async fn rows(mut tell: impl FnMut(Row) -> Result<(), Error>) -> Result<(), Error> {
    let dir = tempfile::tempdir().map_err(|e| Error::io("a temporary folder", e))?;
    let provider = LocalProvider::new();
    let mut rows = Vec::new();
    let (up, down) = clusters(&provider, &dir.path().join("empty"), NODES, 10).await?;
    rows.push(millis("faults/nodes/up/p50", &up, 0.5, None));
    rows.push(millis("faults/nodes/down/p50", &down, 0.5, None));
    rows.push(raftkv_up(&provider, dir.path()).await?);
    rows.drain(..).try_for_each(&mut tell)?;
    let cluster = provider.provision(&spec(&dir.path().join("network"))).await?;
    let measured = network(&cluster, &mut rows).await;
    cluster.shut_down().await?;
    rows.drain(..).try_for_each(&mut tell)?;
    measured?;
    shares(&provider, &dir.path().join("shares"), &mut rows).await?;
    rows.drain(..).try_for_each(&mut tell)?;
    clocks()?.into_iter().try_for_each(&mut tell)?;
    disks(dir.path())?.into_iter().try_for_each(&mut tell)
}

/// What a clock of one's own costs, and whether every launch gets it.
fn clocks() -> Result<Vec<Row>, Error> {
    const LAUNCHES: u32 = 1000;
    let reach = |name: &str| match name {
        "clock_gettime, own clock, unskewed" => Some(35.0),
        "clock_gettime, own clock, skewed" => Some(50.0),
        "launches patched" => Some(f64::from(LAUNCHES)),
        "steps back over changes of rate" => Some(0.0),
        _ => None,
    };
    let figures = squall_local::clock::bench::measure(LAUNCHES)?;
    Ok(figures.into_iter().map(|f| row("clock", reach(&f.name), f)).collect())
}

/// What a disk of one's own costs, on the disk that temporary files are on, and what a power loss takes.
fn disks(place: &Path) -> Result<Vec<Row>, Error> {
    let reach = |name: &str| match name {
        "etcd puts, 16 clients, share of plain" => Some(0.6),
        "etcd puts without fsync, 16 clients, share of plain" => Some(0.9),
        name if name.starts_with("power loss, ") => Some(10.0),
        _ => None,
    };
    let figures = squall_local::faultfs::bench::measure(place)?;
    Ok(figures.into_iter().map(|f| row("disk", reach(&f.name), f)).collect())
}

fn row(of: &str, reach: Option<f64>, figure: Figure) -> Row {
    Row { reach, ..Row::new(format!("faults/{of}/{}", figure.name), figure.value, figure.unit) }
}

fn spec(dir: &Path) -> ClusterSpec {
    ClusterSpec {
        nodes: NODES,
        clients: 10,
        seed: 1,
        dir: dir.to_owned(),
        needs: [].into(),
        pcap: false,
        visible: Vec::new(),
    }
}

/// Namespaces, network, and Raft KV started on every node.
async fn raftkv_up(provider: &LocalProvider, dir: &Path) -> Result<Row, Error> {
    let target = raftkv()?;
    let mut times = Vec::new();
    for round in 0..5 {
        let begun = Instant::now();
        let cluster = provider.provision(&spec(&dir.join(format!("raftkv{round}")))).await?;
        let started = start(&cluster, &*target).await;
        times.push(begun.elapsed());
        cluster.shut_down().await?;
        started?;
    }
    Ok(millis("faults/raftkv/up/p50", &Timings::new(times)?, 0.5, Some(300.0)))
}

fn raftkv() -> Result<Arc<dyn Target>, Error> {
    let kinds = squall_targets::targets();
    let kind: Option<&TargetKind> = kinds.iter().find(|k| k.name == "raftkv");
    (kind.ok_or_else(|| Error::Broken("raftkv is not built in".into()))?.build)(&serde_json::Value::Null)
}

async fn start(cluster: &Cluster, target: &dyn Target) -> Result<(), Error> {
    let node = |n: &Arc<dyn squall_cluster::Node>| NodeLayout {
        name: n.name().to_owned(),
        address: n.address(),
        data_dir: n.data_dir().to_owned(),
    };
    let layout = Layout { nodes: cluster.nodes.iter().map(node).collect() };
    for (index, node) in cluster.nodes.iter().enumerate() {
        for program in target.programs(index, &layout) {
            node.start(&program).await?;
        }
    }
    Ok(())
}

async fn network(cluster: &Cluster, rows: &mut Vec<Row>) -> Result<(), Error> {
    let flips = policy_flips(cluster, 1000).await?;
    rows.push(micros("faults/partition/cut/p50", &flips, 0.5, Some(50.0)));
    rows.push(micros("faults/partition/cut/p99", &flips, 0.99, Some(1000.0)));
    let (from, to) = (cluster.nodes[0].as_ref(), cluster.nodes[1].as_ref());
    start_peer(to).await?;
    for (name, protocol) in [("udp", Protocol::Udp), ("tcp", Protocol::Tcp)] {
        let trips = round_trips(from, to, protocol, 20_000).await?;
        rows.push(micros(&format!("faults/network/{name}-round-trip/p50"), &trips, 0.5, Some(25.0)));
    }
    let bits = tcp_throughput(from, to, Duration::from_secs(2)).await?;
    rows.push(Row::new("faults/network/tcp", bits / 1e9, "Gb/s").reach(8.0));
    let delayed = delay_accuracy(cluster, 0, 1, Duration::from_millis(10), 500).await?;
    rows.push(millis("faults/delay-10ms/p50", &delayed, 0.5, Some(10.3)));
    rows.push(millis("faults/delay-10ms/p99", &delayed, 0.99, Some(12.0)));
    Ok(())
}

/// Packets of which a share is harmed, and that share.
const PACKETS: u64 = 100_000;
const SHARE: f64 = 0.05;

/// How far the shares that are harmed are from those that were asked for, and whether a seed decides which.
async fn shares(provider: &LocalProvider, dir: &Path, rows: &mut Vec<Row>) -> Result<(), Error> {
    let clear = LinkPolicy::default();
    let lossy = LinkPolicy { loss: Some(Loss { share: SHARE, burst: 1.0 }), ..clear };
    let doubling = LinkPolicy { duplicate: SHARE, ..clear };
    let spoiling = LinkPolicy { corrupt: SHARE, ..clear };
    let fooling = LinkPolicy { corrupt_undetected: true, ..spoiling };
    let (mut all, mut named) = (Vec::new(), Vec::new());
    for (number, (name, policy)) in [
        ("clear", clear),
        ("loss", lossy),
        ("the same loss", lossy),
        ("duplicate", doubling),
        ("corrupt", spoiling),
        ("corrupt, undetected", fooling),
    ]
    .into_iter()
    .enumerate()
    {
        all.push(tally(provider, &dir.join(number.to_string()), 1, policy, PACKETS).await?);
        named.push(name);
    }
    rows.push(Row::new("faults/clear/packets-missing", all[0].missing as f64, "packets").reach(0.0));
    for (at, harmed) in [(1, all[1].missing), (3, all[3].twice), (4, all[4].missing), (5, all[5].spoilt)] {
        let error = (harmed as f64 / (PACKETS as f64 * SHARE) - 1.0).abs();
        let note = format!("{harmed} of {PACKETS} packets, asked for {SHARE}");
        let row = Row::new(format!("faults/{}/error-of-share", named[at]), error, "ratio").reach(0.1);
        rows.push(Row { note: Some(note), ..row });
    }
    let same = f64::from(u8::from(all[1].digest == all[2].digest));
    rows.push(Row::new("faults/loss/same-seed-same-packets", same, "bool").reach(1.0));
    Ok(())
}

fn millis(name: &str, timings: &Timings, share: f64, reach: Option<f64>) -> Row {
    Row { reach, ..Row::new(name, timings.quantile(share).as_secs_f64() * 1e3, "ms") }
}

fn micros(name: &str, timings: &Timings, share: f64, reach: Option<f64>) -> Row {
    Row { reach, ..Row::new(name, timings.quantile(share).as_secs_f64() * 1e6, "us") }
}
