//! What policies do to packets, measured by programs on the nodes that know nothing of the fabric.

use std::time::Duration;

use squall_cluster::{Delay, DelayShape, LinkCounters, LinkPolicy, Loss};
use squall_local::testing::Test;

use crate::network::n;
use crate::roles::Received;
use crate::support::{Host, LIMIT, ask, eventually, role, test};

pub fn tests() -> Vec<Test> {
    vec![
        test("a clear link harms nothing", clear),
        test("packets are lost as asked, the same under the same seed", loss),
        test("packets are lost in bursts as asked", bursts),
        test("packets come twice as asked", duplication),
        test("spoilt packets do not reach the application, unless they are meant to", corruption),
        test("packets are delayed as asked", delay),
        test("a cut takes what is on its way too, and others do not wait for what still is", cut_on_the_way),
        test("packets overtake others as asked", reordering),
        test("a bounded rate holds, and its queue overflows", rate),
        test("TCP comes through every harm unharmed", tcp),
    ]
}

const PORT: &str = "9000";

/// Sends datagrams from the first node to the second under a policy, and gives what the receiver saw and
/// what the link counted. Again if the receiver could not keep up, which says nothing of the network.
async fn measure(seed: u64, policy: LinkPolicy, count: u64, size: usize) -> (Received, LinkCounters) {
    for _ in 0..10 {
        let (received, counters) = measure_once(seed, policy, count, size).await;
        if received.missed == 0 {
            return (received, counters);
        }
    }
    panic!("this machine is too busy to measure anything");
}

async fn measure_once(seed: u64, policy: LinkPolicy, count: u64, size: usize) -> (Received, LinkCounters) {
    let host = Host::seeded(2, seed).await;
    host.link(n(0), n(1), policy).await;
    let words = ["receive", PORT, &count.to_string()].map(str::to_owned);
    let receiver = host.node(1);
    receiver.start(&role("receiver", &words)).await.unwrap();
    let log = receiver.log_dir().join("receiver.log");
    let text = || std::fs::read_to_string(&log).unwrap();
    eventually("the receiver listens", || async { text().starts_with("ready") }).await;
    ask(host.node(0), &["send", &format!("10.77.0.2:{PORT}"), &count.to_string(), &size.to_string()]).await;
    eventually("the receiver is done", || async { text().ends_with("done\n") }).await;
    let received = Received::of_text(text().strip_prefix("ready\n").unwrap().strip_suffix("done\n").unwrap());
    let links = host.cluster.links.as_ref().unwrap();
    // The receiver may hear the end before the fabric has seen the last of its repetitions.
    eventually("every datagram is judged", || async { judged(&links.counters(n(0), n(1))) == count + ENDS })
        .await;
    let counters = links.counters(n(0), n(1));
    host.down().await;
    (received, counters)
}

/// How often the sender says that it has ended.
const ENDS: u64 = 200;

/// How many datagrams a link has decided on: they are lost, or delivered, perhaps twice, or still held back.
fn judged(counters: &LinkCounters) -> u64 {
    let delivered = counters.delivered.saturating_sub(counters.duplicated);
    counters.lost + counters.overflowed + delivered.max(counters.delayed + counters.reordered)
}

/// Whether a share of `count` is what was asked, within a tenth of it.
fn near(measured: u64, count: u64, share: f64) {
    let wanted = count as f64 * share;
    assert!((measured as f64 - wanted).abs() <= wanted / 10.0, "{measured} of {count}, not {wanted}");
}

async fn clear() {
    let (received, counters) = measure(1, LinkPolicy::default(), 5000, 200).await;
    assert_eq!((received.spoilt, received.twice, received.late), (0, 0, 0));
    assert_eq!((received.delays.len(), received.missing.len()), (5000, 0));
    assert_eq!((counters.delivered, counters.lost), (5000 + ENDS, 0));
}

fn lossy(share: f64, burst: f64) -> LinkPolicy {
    LinkPolicy { loss: Some(Loss { share, burst }), ..LinkPolicy::default() }
}

async fn loss() {
    let count = 10_000;
    let (first, counters) = measure(7, lossy(0.2, 1.0), count, 100).await;
    near(first.missing.len() as u64, count, 0.2);
    assert!(
        counters.lost >= first.missing.len() as u64 && counters.lost <= first.missing.len() as u64 + ENDS
    );
    let (again, _) = measure(7, lossy(0.2, 1.0), count, 100).await;
    assert_eq!(first.missing, again.missing, "the same seed harms the same packets");
    let (other, _) = measure(8, lossy(0.2, 1.0), count, 100).await;
    assert_ne!(first.missing, other.missing);
}

async fn bursts() {
    let count = 20_000;
    let (received, _) = measure(1, lossy(0.2, 5.0), count, 100).await;
    near(received.missing.len() as u64, count, 0.2);
    let starts =
        received.missing.iter().filter(|number| received.missing.binary_search(&(*number - 1)).is_err());
    near(starts.count() as u64, count, 0.2 / 5.0);
}

async fn duplication() {
    let count = 10_000;
    let policy = LinkPolicy { duplicate: 0.2, ..LinkPolicy::default() };
    let (received, counters) = measure(1, policy, count, 100).await;
    near(received.twice, count, 0.2);
    assert_eq!((received.missing.len(), received.spoilt), (0, 0));
    assert!(counters.duplicated >= received.twice);
    assert_eq!(counters.delivered, count + ENDS + counters.duplicated);
}

async fn corruption() {
    let count = 10_000;
    let mut policy = LinkPolicy { corrupt: 0.2, ..LinkPolicy::default() };
    let (received, counters) = measure(1, policy, count, 500).await;
    assert_eq!(received.spoilt, 0, "the checksum tells, and the kernel drops");
    near(received.missing.len() as u64, count, 0.2);
    assert!(counters.corrupted >= received.missing.len() as u64);

    policy.corrupt_undetected = true;
    let (received, _) = measure(1, policy, count, 500).await;
    // Eight bytes of 500 hold the time of sending, which may be anything.
    near(received.spoilt, count, 0.2 * 492.0 / 500.0);
    assert_eq!(received.missing.len() as u64, received.spoilt, "nothing is dropped");
}

async fn delay() {
    let (mean, jitter) = (Duration::from_millis(20), Duration::from_millis(5));
    let policy = LinkPolicy {
        delay: Some(Delay { mean, jitter, shape: DelayShape::Uniform }),
        ..LinkPolicy::default()
    };
    let (received, counters) = measure(1, policy, 2000, 100).await;
    // A busy machine delivers later, never earlier than the shortest delay.
    let mut delays = received.delays.clone();
    delays.sort_unstable();
    assert!(delays[0] >= 15_000_000, "{} ns", delays[0]);
    assert!(delays[delays.len() / 2] >= 18_000_000, "{} ns at the median", delays[delays.len() / 2]);
    assert_eq!((received.late, received.missing.len()), (0, 0), "jitter keeps order");
    assert_eq!(counters.delayed, 2000 + ENDS);
}

async fn cut_on_the_way() {
    let host = Host::up(2).await;
    host.echo(1, 7).await;
    let delay = |seconds| Delay {
        mean: Duration::from_secs(seconds),
        jitter: Duration::ZERO,
        shape: DelayShape::Uniform,
    };
    let delayed = |seconds| LinkPolicy { delay: Some(delay(seconds)), ..LinkPolicy::default() };
    let links = host.cluster.links.as_ref().unwrap();
    host.link(n(0), n(1), delayed(1)).await;
    ask(host.node(0), &["flood", "10.77.0.2:9", "10", "100"]).await;
    eventually("all are on their way", || async { links.counters(n(0), n(1)).delayed == 10 }).await;
    host.link(n(0), n(1), LinkPolicy::cut()).await;
    eventually("all are dropped", || async { links.counters(n(0), n(1)).cut == 10 }).await;
    assert_eq!(links.counters(n(0), n(1)).delivered, 0);
    // Nobody waits for what an hour of delay still holds back.
    host.link(n(0), n(1), delayed(3600)).await;
    ask(host.node(0), &["flood", "10.77.0.2:9", "10", "100"]).await;
    eventually("all are on their way", || async { links.counters(n(0), n(1)).delayed == 20 }).await;
    for next in [LinkPolicy { duplicate: 0.1, ..LinkPolicy::default() }, LinkPolicy::default()] {
        host.link(n(0), n(1), next).await;
        assert_eq!(ask(host.node(0), &["ask-udp", "10.77.0.2:7", "3"]).await, "3");
    }
    host.down().await;
}

async fn reordering() {
    let count = 5000;
    let delay = Delay { mean: Duration::from_millis(10), jitter: Duration::ZERO, shape: DelayShape::Uniform };
    let policy = LinkPolicy { delay: Some(delay), reorder: 0.2, ..LinkPolicy::default() };
    let (received, counters) = measure(1, policy, count, 100).await;
    assert_eq!((received.missing.len(), received.twice), (0, 0));
    near(counters.reordered, count + ENDS, 0.2);
    assert!(received.late > count / 4, "most others were overtaken: {}", received.late);
}

async fn rate() {
    // 100 kB at 500 kB/s take 200 ms at least.
    let policy = LinkPolicy { rate_bytes: Some(500_000), ..LinkPolicy::default() };
    let start = std::time::Instant::now();
    let (received, _) = measure(1, policy, 100, 972).await;
    assert!(start.elapsed() >= Duration::from_millis(200));
    assert_eq!((received.missing.len(), received.late), (0, 0));

    // 300 kB at once fit no queue of a link that slow.
    let host = Host::up(2).await;
    host.link(n(0), n(1), LinkPolicy { rate_bytes: Some(10_000), ..LinkPolicy::default() }).await;
    ask(host.node(0), &["flood", "10.77.0.2:9", "300", "1000"]).await;
    let links = host.cluster.links.as_ref().unwrap();
    eventually("all are judged", || async {
        let counters = links.counters(n(0), n(1));
        counters.overflowed + counters.delayed == 300
    })
    .await;
    let counters = links.counters(n(0), n(1));
    assert!(counters.overflowed > 200, "{counters:?}");
    host.down().await;
}

async fn tcp() {
    let host = Host::up(2).await;
    host.echo(1, 7).await;
    let delay =
        Delay { mean: Duration::from_millis(1), jitter: Duration::from_millis(1), shape: DelayShape::Normal };
    let policy = LinkPolicy {
        delay: Some(delay),
        loss: Some(Loss { share: 0.01, burst: 1.0 }),
        duplicate: 0.02,
        reorder: 0.02,
        corrupt: 0.01,
        ..LinkPolicy::default()
    };
    host.link(n(0), n(1), policy).await;
    host.link(n(1), n(0), policy).await;
    for to in ["10.77.0.2:7", "[fd53:7175:616c:6c00::2]:7"] {
        let asked = tokio::time::timeout(LIMIT, ask(host.node(0), &["ask-tcp", to])).await.unwrap();
        assert!(asked.ends_with('1'), "a megabyte there and back");
    }
    let counters = host.cluster.links.as_ref().unwrap().counters(n(0), n(1));
    let harmed = [counters.lost, counters.duplicated, counters.reordered, counters.corrupted];
    assert!(harmed.iter().all(|count| *count > 0), "{counters:?}");
    assert!(counters.delivered > 1000, "segments are judged, not super-packets: {counters:?}");
    host.down().await;
}
