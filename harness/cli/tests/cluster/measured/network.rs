//! Faults of the network, seen by programs on the nodes: what arrived, when, how often, in which order, with which bytes.
//!
//! The second node is the victim and the first one sends to it. The third is harmed by nobody: what the first sends to
//! it comes after everything that it sent before, so that its arrival says that all of that has been judged.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;
use squall_cluster::Capability;

use super::probe::Received;
use super::stage::{On, ProbeTarget, Stage, eventually};

/// What goes to the second node is harmed, by the faults that draw a direction.
fn inwards() -> serde_json::Value {
    json!({ "targets": "one", "nodes": [1], "direction": "inwards" })
}

/// Datagrams of the first node to the second: what arrived of them by the time when all had been judged and, if
/// nothing is to be lost, when so many had arrived.
async fn measure(stage: &Stage, count: u64, size: usize, pause_micros: u64, expected: usize) -> Received {
    let (mut sender, mut receiver, mut third) =
        (stage.line(0).await, stage.line(1).await, stage.line(2).await);
    let parse = |text: String| serde_json::from_str::<Received>(&text).unwrap();
    let before = parse(receiver.ask("received").await).missed;
    third.ask("received").await;
    let sent = sender.ask(&format!("send {} 1 {count} {size} {pause_micros}", stage.place(1))).await;
    assert_eq!(sent, "ok");
    loop {
        assert_eq!(sender.ask(&format!("send {} 0 1 100 0", stage.place(2))).await, "ok");
        if !parse(third.ask("received").await).datagrams.is_empty() {
            break;
        }
    }
    let mut all = Received::default();
    loop {
        let more = parse(receiver.ask("received").await);
        all.datagrams.extend(more.datagrams);
        all.missed = more.missed - before;
        if all.datagrams.len() + all.missed as usize >= expected {
            return all;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

impl Received {
    fn numbers(&self) -> BTreeSet<u64> {
        self.datagrams.iter().filter(|d| d.2).map(|d| d.0).collect()
    }

    fn earliest(&self) -> u64 {
        self.datagrams.iter().map(|d| d.1).min().unwrap()
    }

    fn latest(&self) -> u64 {
        self.datagrams.iter().map(|d| d.1).max().unwrap()
    }

    /// Came after one that was sent later.
    fn overtaken(&self) -> usize {
        let mut highest = 0;
        let late = |d: &&(u64, u64, bool)| {
            let late = d.0 < highest;
            highest = highest.max(d.0);
            late
        };
        self.datagrams.iter().filter(late).count()
    }
}

/// The same until the receiver could keep up: what its own kernel dropped says nothing of the network. Pauses let it.
async fn share(stage: &Stage, expected: usize) -> Received {
    for _ in 0..10 {
        let received = measure(stage, COUNT, 200, 20, expected).await;
        if received.missed == 0 {
            return received;
        }
    }
    panic!("this machine is too busy to measure anything");
}

const COUNT: u64 = 2000;

/// Whether a share of all is a fifth, give or take a fifth of that: the seed is fixed, and so are those that are hit.
fn a_fifth(harmed: usize) {
    assert!((320..=480).contains(&harmed), "{harmed} of {COUNT}");
}

async fn packets(stage: &mut Stage) {
    let clean = share(stage, COUNT as usize).await;
    assert_eq!((clean.numbers().len(), clean.datagrams.len()), (COUNT as usize, COUNT as usize));
    assert_eq!(clean.overtaken(), 0);

    let on = stage.inject("loss", json!({ "share": 0.2 }), inwards()).await;
    a_fifth(COUNT as usize - share(stage, 0).await.numbers().len());
    on.end().await;

    let on = stage.inject("duplicate", json!({ "share": 0.2 }), inwards()).await;
    let received = share(stage, COUNT as usize).await;
    a_fifth(received.datagrams.len() - received.numbers().len());
    assert_eq!(received.numbers().len(), COUNT as usize);
    on.end().await;

    let on = stage.inject("corrupt", json!({ "share": 0.2 }), inwards()).await;
    let received = share(stage, 0).await;
    a_fifth(COUNT as usize - received.numbers().len());
    assert!(received.datagrams.iter().all(|d| d.2), "the kernel drops what its checksum tells of");
    on.end().await;

    let on = stage.inject("corrupt", json!({ "share": 0.2, "undetected": true }), inwards()).await;
    let received = share(stage, COUNT as usize).await;
    // A flip in the time of sending, eight bytes of two hundred, is not seen.
    a_fifth(received.datagrams.iter().filter(|d| !d.2).count());
    on.end().await;

    let on = stage.inject("reorder", json!({ "share": 0.2, "delay": "20ms" }), inwards()).await;
    let received = share(stage, COUNT as usize).await;
    assert_eq!((received.numbers().len(), received.datagrams.len()), (COUNT as usize, COUNT as usize));
    assert!(received.overtaken() > COUNT as usize / 10, "{} overtaken", received.overtaken());
    on.end().await;
}

async fn times(stage: &mut Stage) {
    let delay = json!({ "mean": "300ms", "jitter": "50ms", "shape": "uniform" });
    let on = stage.inject("delay", delay, inwards()).await;
    let received = measure(stage, 20, 200, 1000, 20).await;
    // A busy machine delivers later, never earlier.
    assert!(received.earliest() >= 250_000_000, "{} ns", received.earliest());
    on.end().await;
    let clean = measure(stage, 20, 200, 1000, 20).await;
    assert!(clean.earliest() < 250_000_000, "{} ns without the fault", clean.earliest());

    let on = stage.inject("bandwidth", json!({ "rate": "50kB" }), inwards()).await;
    // 20 kB take 400 ms, and more than that would not fit the queue.
    let received = measure(stage, 20, 972, 0, 20).await;
    assert!(received.latest() >= 350_000_000, "{received:?}");
    on.end().await;
}

async fn cuts(stage: &mut Stage) {
    let cut = json!({ "shape": "isolate-one", "order": [1, 0, 2], "size": 1 });
    let on = stage.inject("partition", json!({}), cut).await;
    assert!(measure(stage, 20, 200, 0, 0).await.datagrams.is_empty());
    assert_eq!(stage.line(1).await.ask(&format!("dial cut {}", stage.place(0))).await, "silent");
    assert_eq!(stage.line(0).await.ask(&format!("dial whole {}", stage.place(2))).await, "answered");
    on.end().await;
    assert_eq!(measure(stage, 20, 200, 0, 20).await.numbers().len(), 20);

    // One direction only.
    let cut = json!({ "shape": "one-way", "order": [1, 0, 2], "size": 1, "outwards": true });
    let on = stage.inject("partition", json!({}), cut).await;
    assert_eq!(measure(stage, 20, 200, 0, 20).await.numbers().len(), 20, "it hears");
    assert_eq!(stage.line(1).await.ask(&format!("dial mute {}", stage.place(0))).await, "silent");
    on.end().await;

    let on =
        stage.inject("flap", json!({ "period": "200ms" }), json!({ "targets": "one", "nodes": [1] })).await;
    // For as long as it takes to be down twice with something arriving between.
    let mut gaps = 0;
    let begun = std::time::Instant::now();
    while gaps < 2 {
        let numbers: Vec<u64> = measure(stage, 200, 100, 1000, 0).await.numbers().into_iter().collect();
        gaps += numbers.windows(2).filter(|pair| pair[1] - pair[0] > 3).count();
        assert!(begun.elapsed().as_secs() < 60, "the links do not flap");
    }
    on.end().await;
    assert_eq!(measure(stage, 200, 100, 0, 200).await.numbers().len(), 200, "and hold");
}

async fn connections(stage: &mut Stage) {
    let mut line = stage.line(0).await;
    let place = stage.place(1);
    let both = json!({ "targets": "one", "nodes": [1], "direction": "both" });

    assert_eq!(line.ask(&format!("dial old {place}")).await, "answered");
    let on: On = stage.inject("half-open", json!({}), both).await;
    assert_eq!(line.ask("talk old").await, "silent");
    assert_eq!(line.ask(&format!("dial new {place}")).await, "answered", "new connections live");
    assert_eq!(line.ask("talk new").await, "answered");
    on.end().await;
    for _ in 0..150 {
        // The kernel sends what was silenced again, each time after twice as long.
        if line.ask("talk old").await == "answered" {
            break;
        }
    }
    assert_eq!(line.ask("talk old").await, "answered");

    // Not the old one: answers to what was silenced may still be on their way there.
    assert_eq!(line.ask(&format!("dial third {place}")).await, "answered");
    let on = stage.inject("reset", json!({}), inwards()).await;
    assert_eq!(line.ask("talk third").await, "reset");
    assert_eq!(line.ask(&format!("dial more {place}")).await, "refused");
    on.end().await;
    assert_eq!(line.ask(&format!("dial again {place}")).await, "answered");
}

pub async fn network() {
    let needs = [Capability::Links, Capability::LinkQuality];
    let mut stage = Stage::up(Arc::new(ProbeTarget), &needs).await;
    packets(&mut stage).await;
    times(&mut stage).await;
    cuts(&mut stage).await;
    connections(&mut stage).await;
    eventually("every node serves", || async { stage.serves(1).await }).await;
    stage.down().await;
}
