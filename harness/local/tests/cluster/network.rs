//! The network between nodes and from clients: who reaches whom, cuts, resets, captures.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};

use squall_cluster::{Endpoint, Error, LinkCounters, LinkPolicy, Provider};
use squall_local::testing::Test;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Host, LIMIT, ask, eventually, provider, shell, spec, test};

pub fn tests() -> Vec<Test> {
    vec![
        test("nodes reach each other by TCP and UDP, IPv4 and IPv6, and by name", nodes),
        test("a client's slot is its address", slots),
        test("programs run in the clients' network", client_host),
        test("a cut in one direction cuts that direction only, and is counted", one_way),
        test("a connection stalls under a cut and goes on after healing", stall),
        test("a reset link resets connections", reset),
        test("open connections die without a word while new ones work", half_open),
        test("policies that make no sense are refused and change nothing", nonsense),
        test("a network that is gone cannot be changed", nothing_to_change),
        test("a capture holds what was sent and what arrived", capture),
        test("clusters with the same addresses do not meet", side_by_side),
    ]
}

pub fn n(node: usize) -> Endpoint {
    Endpoint::Node(node)
}

async fn nodes() {
    let host = Host::up(3).await;
    host.echo(0, 7).await;
    for from in [0, 1, 2] {
        let own = format!("10.77.0.{}", from + 1);
        assert_eq!(ask(host.node(from), &["ask-tcp", "n1:7"]).await, own);
        assert_eq!(ask(host.node(from), &["ask-udp", "10.77.0.1:7", "3"]).await, "3");
        let own = format!("fd53:7175:616c:6c00::{}", from + 1);
        assert_eq!(ask(host.node(from), &["ask-tcp", "[fd53:7175:616c:6c00::1]:7"]).await, own);
        assert_eq!(ask(host.node(from), &["ask-udp", "[fd53:7175:616c:6c00::1]:7", "3"]).await, "3");
    }
    let links = host.cluster.links.as_ref().unwrap();
    let counters = links.counters(n(1), n(0));
    assert!(counters.delivered_bytes > 2 << 20, "two megabytes and more: {counters:?}");
    let clean = LinkCounters {
        delivered: counters.delivered,
        delivered_bytes: counters.delivered_bytes,
        ..LinkCounters::default()
    };
    assert_eq!(counters, clean);
    assert_eq!(links.counters(n(1), n(2)), LinkCounters::default(), "nothing strays");
    host.down().await;
}

/// Connects from a slot and gives the stream, past the line that says who asks.
async fn connect(host: &Host, slot: usize, to: SocketAddr) -> (TcpStream, String) {
    let mut stream = host.cluster.net.connect(slot, to).await.unwrap();
    let mut line = String::new();
    while !line.ends_with('\n') {
        line.push(stream.read_u8().await.unwrap().into());
    }
    (stream, line.trim().to_owned())
}

async fn slots() {
    let host = Host::up(2).await;
    host.echo(1, 7).await;
    let to = SocketAddr::new(host.node(1).address(), 7);
    let to6 = SocketAddr::new("fd53:7175:616c:6c00::2".parse::<IpAddr>().unwrap(), 7);
    // More than are in stock at a time.
    let mut streams = Vec::new();
    for round in 0..40 {
        let slot = round % 4;
        let (mut stream, seen) = connect(&host, slot, to).await;
        assert_eq!(seen, format!("10.77.1.{}", slot + 1));
        assert!(stream.nodelay().unwrap());
        stream.write_all(b"ping").await.unwrap();
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"ping");
        streams.push(stream);
    }
    assert_eq!(connect(&host, 2, to6).await.1, "fd53:7175:616c:6c00::1:3");
    let refused = host.cluster.net.connect(0, SocketAddr::new(to.ip(), 8)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    let nobody = host.cluster.net.connect(4, to).await.unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::InvalidInput);

    // A cut between one slot and the node leaves the other slots alone.
    host.link(Endpoint::Client(1), n(1), LinkPolicy::cut()).await;
    connect(&host, 0, to).await;
    let net = std::sync::Arc::clone(&host.cluster.net);
    let pending = tokio::spawn(async move { net.connect(1, to).await });
    let links = host.cluster.links.as_ref().unwrap();
    eventually("its packets are cut", || async { links.counters(Endpoint::Client(1), n(1)).cut > 0 }).await;
    assert!(!pending.is_finished(), "silence, no error");
    links.heal().await.unwrap();
    pending.await.unwrap().unwrap();
    host.down().await;
}

async fn client_host() {
    let host = Host::up(1).await;
    host.echo(0, 7).await;
    let clients = host.cluster.client_host.as_ref().unwrap();
    assert_eq!((clients.name(), clients.address().to_string()), ("clients", "10.77.1.5".to_owned()));
    assert_eq!(ask(clients.as_ref(), &["ask-tcp", "n1:7"]).await, "10.77.1.5");
    host.link(Endpoint::Client(4), n(0), LinkPolicy::cut()).await;
    assert_eq!(ask(clients.as_ref(), &["ask-udp", "10.77.0.1:7", "2"]).await, "0");
    host.down().await;
}

async fn one_way() {
    let host = Host::up(3).await;
    for node in 0..3 {
        host.echo(node, 7).await;
    }
    host.link(n(0), n(1), LinkPolicy::cut()).await;
    let links = host.cluster.links.as_ref().unwrap();
    assert!(links.policy(n(0), n(1)).down && links.policy(n(1), n(0)).is_clear());
    assert_eq!(ask(host.node(0), &["ask-udp", "10.77.0.2:7", "3"]).await, "0", "the question is lost");
    let counters = links.counters(n(0), n(1));
    assert_eq!((counters.cut, counters.delivered), (3, 0));
    assert_eq!(links.counters(n(1), n(0)).delivered, 0, "so nothing comes back");
    assert_eq!(ask(host.node(1), &["ask-udp", "10.77.0.1:7", "3"]).await, "0", "the answer is lost");
    assert_eq!(links.counters(n(1), n(0)).delivered, 3, "the question was not");
    assert_eq!(ask(host.node(0), &["ask-udp", "10.77.0.3:7", "3"]).await, "3", "others are not concerned");
    links.heal().await.unwrap();
    assert!(links.policy(n(0), n(1)).is_clear());
    assert_eq!(ask(host.node(0), &["ask-udp", "10.77.0.2:7", "3"]).await, "3");
    assert_eq!(links.counters(n(0), n(1)).cut, 6, "counts stay");
    host.down().await;
}

async fn stall() {
    let host = Host::up(1).await;
    host.echo(0, 7).await;
    let (mut stream, _) = connect(&host, 0, SocketAddr::new(host.node(0).address(), 7)).await;
    host.link(n(0), Endpoint::Client(0), LinkPolicy::cut()).await;
    stream.write_all(b"during").await.unwrap();
    let links = host.cluster.links.as_ref().unwrap();
    eventually("the answer is cut", || async { links.counters(n(0), Endpoint::Client(0)).cut > 0 }).await;
    let mut answer = [0; 6];
    let silent = tokio::time::timeout(std::time::Duration::from_millis(100), stream.peek(&mut answer)).await;
    assert!(silent.is_err());
    links.heal().await.unwrap();
    tokio::time::timeout(LIMIT, stream.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"during");
    host.down().await;
}

async fn reset() {
    let host = Host::up(1).await;
    host.echo(0, 7).await;
    let to = SocketAddr::new(host.node(0).address(), 7);
    let (mut stream, _) = connect(&host, 0, to).await;
    host.link(Endpoint::Client(0), n(0), LinkPolicy { reset: true, ..LinkPolicy::default() }).await;
    stream.write_all(b"x").await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    let refused = host.cluster.net.connect(0, to).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "a reset answers an opening too");
    assert!(host.cluster.links.as_ref().unwrap().counters(Endpoint::Client(0), n(0)).reset >= 2);
    connect(&host, 1, to).await;
    host.down().await;
}

async fn half_open() {
    let host = Host::up(1).await;
    host.echo(0, 7).await;
    let to = SocketAddr::new(host.node(0).address(), 7);
    let (client, policy) = (Endpoint::Client(0), LinkPolicy { half_open: true, ..LinkPolicy::default() });
    let (mut old, _) = connect(&host, 0, to).await;
    for (from, to) in [(client, n(0)), (n(0), client)] {
        host.link(from, to, policy).await;
    }
    old.write_all(b"old").await.unwrap();
    let links = host.cluster.links.as_ref().unwrap();
    eventually("it is silenced", || async { links.counters(client, n(0)).silenced > 0 }).await;
    let mut answer = [0; 3];
    let silent = tokio::time::timeout(std::time::Duration::from_millis(100), old.peek(&mut answer)).await;
    assert!(silent.is_err(), "no answer, and no error either");
    // The same address, even: it is connections that are dead, not the link.
    let (mut new, _) = connect(&host, 0, to).await;
    new.write_all(b"new").await.unwrap();
    new.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"new");
    // Another policy that joins does not kill what was opened meanwhile.
    let delay = Some(squall_cluster::Delay {
        mean: std::time::Duration::from_millis(1),
        jitter: std::time::Duration::ZERO,
        shape: Default::default(),
    });
    host.link(client, n(0), LinkPolicy { delay, ..policy }).await;
    new.write_all(b"yet").await.unwrap();
    new.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"yet");
    links.heal().await.unwrap();
    tokio::time::timeout(LIMIT, old.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"old", "sent again until it arrives");
    host.down().await;
}

async fn nonsense() {
    let host = Host::up(2).await;
    let links = host.cluster.links.as_ref().unwrap();
    let absurd = LinkPolicy { corrupt: 2.0, ..LinkPolicy::default() };
    for (from, to, policy) in [
        (n(0), n(2), LinkPolicy::cut()),
        (n(0), n(0), LinkPolicy::cut()),
        (Endpoint::Client(9), n(0), LinkPolicy::cut()),
        (Endpoint::Client(0), Endpoint::Client(1), LinkPolicy::cut()),
        (n(1), n(0), absurd),
    ] {
        let error = links.apply(&[(n(0), n(1), LinkPolicy::cut()), (from, to, policy)]).await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error}");
        assert!(links.policy(n(0), n(1)).is_clear());
    }
    host.down().await;
}

async fn nothing_to_change() {
    let host = Host::up(2).await;
    let links = std::sync::Arc::clone(host.cluster.links.as_ref().unwrap());
    links.apply(&[(n(0), n(1), LinkPolicy::cut())]).await.unwrap();
    host.down().await;
    for changed in [links.apply(&[(n(0), n(1), LinkPolicy::cut())]).await, links.heal().await] {
        assert!(changed.unwrap_err().to_string().contains("the network is down"));
    }
    assert!(links.policy(n(0), n(1)).down, "what it did can still be read");
}

async fn capture() {
    let dir = tempfile::tempdir().unwrap();
    let mut spec = spec(dir.path(), 2, 1);
    spec.pcap = true;
    let host = Host { cluster: provider().provision(&spec).await.unwrap(), dir };
    host.echo(1, 7).await;
    assert_eq!(ask(host.node(0), &["ask-udp", "10.77.0.2:7", "2"]).await, "2");
    host.link(n(0), n(1), LinkPolicy::cut()).await;
    host.cluster.links.as_ref().unwrap().mark("the link is cut");
    assert_eq!(ask(host.node(0), &["ask-udp", "10.77.0.2:7", "1"]).await, "0");
    let files = ["n1", "n2"].map(|name| host.dir.path().join("nodes").join(name).join("network.pcapng"));
    host.cluster.shut_down().await.unwrap();
    let [sender, receiver] = files.map(|file| Captured::of(&std::fs::read(file).unwrap()));
    assert_eq!((sender.asked, sender.answered), (3, 2), "three questions sent, two answered");
    assert_eq!((receiver.asked, receiver.answered), (2, 2), "two arrived");
    assert_eq!((sender.cut, receiver.cut), (1, 0), "one is said to have been dropped");
    assert_eq!((sender.marks, receiver.marks), (1, 1), "the cut stands in both");
}

/// What is in a capture.
#[derive(Default)]
struct Captured {
    /// UDP packets to port 7, and from it.
    asked: usize,
    answered: usize,
    /// Packets whose comment says that a cut link dropped them.
    cut: usize,
    /// Marks of the cut.
    marks: usize,
}

impl Captured {
    /// Reads pcapng, block by block.
    fn of(file: &[u8]) -> Captured {
        let number = |at: usize| u32::from_ne_bytes(file[at..at + 4].try_into().unwrap()) as usize;
        assert_eq!((number(0), number(8)), (0x0a0d_0d0a, 0x1a2b_3c4d));
        let (mut at, mut captured) = (0, Captured::default());
        while at < file.len() {
            let end = at + number(at + 4);
            let said =
                |text: &[u8], from: usize| file[from..end].windows(text.len()).any(|part| part == text);
            match number(at) {
                6 => {
                    let packet = &file[at + 28..at + 28 + number(at + 20)];
                    if packet[0] == 0x45 && packet[9] == 17 {
                        captured.asked += usize::from(packet[22..24] == [0, 7]);
                        captured.answered += usize::from(packet[20..22] == [0, 7]);
                        let comment = at + 28 + packet.len();
                        captured.cut += usize::from(said(b"dropped: the link is cut", comment));
                    }
                }
                9 => captured.marks += usize::from(said(b"MESSAGE=the link is cut", at)),
                _ => {}
            }
            at = end;
        }
        captured
    }
}

async fn side_by_side() {
    let (a, b) = tokio::join!(Host::up(2), Host::up(2));
    a.echo(0, 7).await;
    assert_eq!(ask(a.node(1), &["ask-udp", "10.77.0.1:7", "2"]).await, "2");
    assert_eq!(ask(b.node(1), &["ask-udp", "10.77.0.1:7", "2"]).await, "0");
    shell(a.node(0), "touch only-in-a").await;
    shell(b.node(0), "test ! -e only-in-a").await;
    a.down().await;
    shell(b.node(0), "true").await;
    b.down().await;
}
