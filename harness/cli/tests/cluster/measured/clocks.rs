//! Faults of clocks, seen by the wall clock and the monotonic clock as a program of the node reads them, in one breath.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use squall_cluster::Capability;

use super::probe::monotonic;
use super::stage::{Line, ProbeTarget, Stage};

/// Nanoseconds of a second.
const SECOND: i64 = 1_000_000_000;

/// Wall clock and monotonic clock of a node, nanoseconds.
async fn read(line: &mut Line) -> (i64, i64) {
    serde_json::from_str(&line.ask("clock").await).unwrap()
}

/// By how much a node's wall clock is ahead of the machine's, which nobody moves: give or take how long the asking took.
async fn ahead(line: &mut Line) -> i64 {
    let (wall, at) = read(line).await;
    let machine = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as i64;
    wall - (machine - (monotonic() as i64 - at))
}

fn near(nanos: i64, seconds: f64) {
    let off = nanos - (seconds * SECOND as f64) as i64;
    assert!(off.abs() < SECOND / 10, "{nanos} ns, not {seconds} s");
}

/// The second node's clock is harmed in this way.
fn kind(kind: &str, more: serde_json::Value) -> serde_json::Value {
    let mut over = json!({ "targets": "one", "nodes": [1], "kind": kind });
    over.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    over
}

pub async fn clocks() {
    let mut stage = Stage::up(Arc::new(ProbeTarget), &[Capability::Clock]).await;
    let (mut victim, mut other) = (stage.line(1).await, stage.line(2).await);
    near(ahead(&mut victim).await, 0.0);
    for seconds in [-20.0, 3600.0] {
        let jump = kind("jump", json!({ "offset_seconds": seconds }));
        let on = stage.inject("clock", json!({ "kinds": ["jump"] }), jump).await;
        near(ahead(&mut victim).await, seconds);
        near(ahead(&mut other).await, 0.0);
        on.end().await;
        near(ahead(&mut victim).await, 0.0);
    }

    // At three times the rate, and standing still. Nothing of it depends on how soon anybody is.
    for (name, rate) in [("drift", 3.0), ("freeze", 0.0)] {
        let plan = if name == "drift" { json!({ "rate": rate }) } else { json!({}) };
        let on = stage.inject("clock", json!({ "kinds": [name] }), kind(name, plan)).await;
        // A change of rate is announced a little ahead.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let from = read(&mut victim).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let to = read(&mut victim).await;
        let seen = (to.0 - from.0) as f64 / (to.1 - from.1) as f64;
        assert!((seen - rate).abs() < 0.05, "{name}: {seen} of true time");
        on.end().await;
        near(ahead(&mut victim).await, 0.0);
    }

    let strobe = kind("strobe", json!({ "offset_seconds": 50.0, "period_seconds": 0.01 }));
    let on = stage.inject("clock", json!({ "kinds": ["strobe"] }), strobe).await;
    let (mut there, mut back) = (false, false);
    for _ in 0..10_000 {
        let is = ahead(&mut victim).await;
        there |= is > 40 * SECOND;
        back |= there && is < 10 * SECOND;
        if there && back {
            break;
        }
    }
    assert!(there && back, "it jumps there and back");
    on.end().await;

    let walk = kind("walk", json!({ "step_seconds": 5.0, "period_seconds": 0.01, "walk": 3 }));
    let on = stage.inject("clock", json!({ "kinds": ["walk"] }), walk).await;
    let mut places = std::collections::BTreeSet::new();
    for _ in 0..10_000 {
        places.insert(ahead(&mut victim).await / SECOND);
        if places.len() > 5 {
            break;
        }
    }
    assert!(places.len() > 5, "it wanders: {places:?}");
    on.end().await;
    near(ahead(&mut victim).await, 0.0);
    stage.down().await;
}
