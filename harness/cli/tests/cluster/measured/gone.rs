//! What is gone cannot be harmed: the fault says so, and a run that wanted it fails with that reason.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use squall_cluster::{Capability, Program};

use super::stage::{ProbeTarget, Stage, eventually};

const EVERYTHING: [Capability; 6] = [
    Capability::Links,
    Capability::LinkQuality,
    Capability::Clock,
    Capability::Disk,
    Capability::CpuLimit,
    Capability::MemoryLimit,
];

/// The mount of a node's disk is torn away while a fault stands on it.
async fn disk(stage: &mut Stage) {
    let node = stage.deployment.nodes[1].clone();
    let over = || json!({ "targets": "one", "nodes": [1] });
    let on = stage.inject("disk-error", json!({ "share": 1.0 }), over()).await;
    let data = node.data_dir().to_str().unwrap();
    let unmount = Program::new("umount", ["umount", "-f", "-l", data]);
    node.run(&unmount, Duration::from_secs(60)).await.unwrap();
    let disk = node.disk().unwrap();
    eventually("the disk says that it is gone", || async { disk.set_faults(&[]).await.is_err() }).await;
    let error = on.injected.end(&on.injection).await.unwrap_err().to_string();
    assert!(error.contains("the disk is gone"), "{error}");
    for fault in ["power-loss", "lost-fsync", "disk-full", "slow-disk", "stale-read", "bit-flip", "truncate"]
    {
        let error = stage.try_inject(fault, json!({}), over()).await.err().unwrap().to_string();
        assert!(error.contains("the disk is gone"), "{fault}: {error}");
    }
}

/// No fault claims to have harmed a cluster whose keeper, nodes and network are gone.
pub async fn gone() {
    let mut stage = Stage::up(Arc::new(ProbeTarget), &EVERYTHING).await;
    disk(&mut stage).await;
    stage.shut_down().await;
    let mut nothing_done = Vec::new();
    for kind in squall_nemesis::faults() {
        let name = kind.name;
        let over = match name {
            "partition" | "restart-all" | "topple" => json!({}),
            _ => json!({ "nodes": [1] }),
        };
        let options = if name == "upgrade" { json!({ "to": { "x": 1 } }) } else { json!({}) };
        let ended = match stage.try_inject(name, options, over).await {
            Ok(on) => on.injected.end(&on.injection).await,
            Err(error) => Err(error),
        };
        match ended {
            Err(_) => {}
            Ok(evidence) => {
                assert!(!evidence.effective, "{name} says: {evidence:?}");
                nothing_done.push(name);
            }
        }
    }
    // Nothing ran that could have been asked to end. A clock is a page of memory: it can be moved, and nobody reads it.
    nothing_done.sort_unstable();
    assert_eq!(nothing_done, ["clock", "rolling-restart", "stop"], "all others are errors");
    stage.down().await;
}
