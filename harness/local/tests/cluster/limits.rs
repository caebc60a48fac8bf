//! Limits on what a node uses, measured by the kernel's own accounts and by a program that runs into them.

use std::time::{Duration, Instant};

use squall_cluster::{Error, Node, Program, ProgramState};
use squall_local::testing::Test;

use crate::support::{Host, ask, eventually, test};

pub fn tests() -> Vec<Test> {
    vec![
        test("a program runs for its share of the time", cpu),
        test("a pause holds while a processor is limited", paused),
        test("memory beyond a limit is refused, and given again when it is lifted", memory),
        test("shares that make no sense are refused", nonsense),
    ]
}

async fn busy(host: &Host) -> u32 {
    let node = host.node(0);
    node.start(&Program::new("busy", ["sh", "-c", "while :; do :; done"])).await.unwrap();
    match node.state("busy") {
        ProgramState::Running { pid } => pid,
        other => panic!("{other:?}"),
    }
}

/// Clock ticks of processor time that a process has used, as this machine counts them.
fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

async fn share(pid: u32) -> f64 {
    let (from, begun) = (ticks(pid), Instant::now());
    tokio::time::sleep(Duration::from_millis(1500)).await;
    (ticks(pid) - from) as f64 / 100.0 / begun.elapsed().as_secs_f64()
}

async fn cpu() {
    let host = Host::up(1).await;
    let pid = busy(&host).await;
    let limits = host.node(0).limits().unwrap();
    limits.cpu(Some(0.1)).await.unwrap();
    // A busy machine can only make it less, but for signals that come late: those of one while are not those of the next.
    let mut limited = 1.0f64;
    for _ in 0..4 {
        limited = limited.min(share(pid).await);
        if limited < 0.4 {
            break;
        }
    }
    assert!(limited < 0.4, "{limited}");
    let counted = limits.usage().await.unwrap().cpu_seconds;
    assert_eq!(limits.usage().await.unwrap().cpu_share, Some(0.1));
    assert!((counted - ticks(pid) as f64 / 100.0).abs() < 0.5, "{counted}");
    limits.cpu(None).await.unwrap();
    assert_eq!(limits.usage().await.unwrap().cpu_share, None);
    let from = ticks(pid);
    eventually("it runs on", || async { ticks(pid) > from + 20 }).await;
    assert!(!host.node(0).is_paused().await.unwrap());
    host.down().await;
}

async fn paused() {
    let host = Host::up(1).await;
    let pid = busy(&host).await;
    let limits = host.node(0).limits().unwrap();
    limits.cpu(Some(0.5)).await.unwrap();
    host.node(0).pause().await.unwrap();
    let from = ticks(pid);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(ticks(pid), from, "nobody continues what is paused");
    limits.cpu(None).await.unwrap();
    assert!(host.node(0).is_paused().await.unwrap(), "lifting a limit is no end of a pause");
    host.node(0).resume().await.unwrap();
    eventually("it runs on", || async { ticks(pid) > from }).await;
    host.down().await;
}

async fn memory() {
    let host = Host::up(1).await;
    let node: &dyn Node = host.node(0);
    let limits = node.limits().unwrap();
    let pid = busy(&host).await;
    assert_eq!(ask(node, &["hoard", "256"]).await, "given");
    limits.memory(Some(64 << 20)).await.unwrap();
    assert_eq!(ask(node, &["hoard", "256"]).await, "refused", "what is started later is limited too");
    assert_eq!(limits.usage().await.unwrap().memory_limit_bytes, Some(64 << 20));
    let shown = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    assert!(shown.lines().any(|l| l.starts_with("Max data size") && l.contains(" 67108864 ")), "{shown}");
    limits.memory(None).await.unwrap();
    assert_eq!(limits.usage().await.unwrap().memory_limit_bytes, None);
    assert_eq!(ask(node, &["hoard", "256"]).await, "given");
    host.down().await;
}

async fn nonsense() {
    let host = Host::up(1).await;
    let limits = host.node(0).limits().unwrap();
    for share in [0.0, 1.0, -1.0, f64::NAN] {
        assert!(matches!(limits.cpu(Some(share)).await, Err(Error::Invalid(_))), "{share}");
    }
    host.down().await;
}
