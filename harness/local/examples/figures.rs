//! Prints the local provider's figures on this machine: `cargo run --release -p squall-local --example figures`.

use std::time::Duration;

use squall_cluster::{ClusterSpec, Error, Provider};
use squall_local::bench::{self, Protocol, Timings};
use squall_local::{LocalProvider, Wires};

fn main() -> Result<(), Error> {
    squall_local::keeper::run_if_asked();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::io("starting a runtime", error))?;
    for wires in [Wires::Tun, Wires::Veth] {
        println!("{wires:?}");
        runtime.block_on(figures(&LocalProvider::new().with_wires(wires)))?;
    }
    Ok(())
}

fn show(what: &str, timings: &Timings) {
    let micros = |share: f64| timings.quantile(share).as_nanos() as f64 / 1000.0;
    println!("  {what:28} p50 {:>10.1} µs   p99 {:>10.1} µs", micros(0.5), micros(0.99));
}

async fn figures(provider: &LocalProvider) -> Result<(), Error> {
    let dir = tempfile::tempdir().map_err(|error| Error::io("making a folder", error))?;
    let (up, down) = bench::clusters(provider, dir.path(), 5, 10).await?;
    show("five nodes up", &up);
    show("five nodes down", &down);
    let dir = dir.path().join("run");
    let spec = ClusterSpec {
        nodes: 5,
        clients: 10,
        seed: 1,
        dir,
        needs: [].into(),
        pcap: false,
        visible: Vec::new(),
    };
    let cluster = provider.provision(&spec).await?;
    show("policy flip", &bench::policy_flips(&cluster, 1000).await?);
    let (from, to) = (cluster.nodes[0].as_ref(), cluster.nodes[1].as_ref());
    bench::start_peer(to).await?;
    show("UDP round trip", &bench::round_trips(from, to, Protocol::Udp, 20_000).await?);
    show("TCP round trip", &bench::round_trips(from, to, Protocol::Tcp, 20_000).await?);
    let bits = bench::tcp_throughput(from, to, Duration::from_secs(2)).await?;
    println!("  {:28} {:.1} Gb/s", "TCP throughput", bits / 1e9);
    for milliseconds in [1, 10, 100] {
        let delay = Duration::from_millis(milliseconds);
        show(&format!("delay of {delay:?}"), &bench::delay_accuracy(&cluster, 0, 1, delay, 500).await?);
    }
    cluster.shut_down().await
}
