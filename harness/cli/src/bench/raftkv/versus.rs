//! Raft KV against etcd: the same nodes, network, disk, clients and durability, in one run.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use squall_engine::Error;

use super::cluster::{Running, file_system};
use super::load::{Clients, Do, Tally};
use super::peers::{Store, VALUE_BYTES};
use crate::bench::Row;

const CLIENTS: [usize; 4] = [1, 16, 64, 256];
/// Turns of either store for each figure, alternating.
const TURNS: usize = 3;
const TURN: Duration = Duration::from_millis(1300);
/// Not counted.
const WARM_UP: Duration = Duration::from_millis(300);

/// Rows of three and of five nodes, each given out as it is measured.
pub(in crate::bench) async fn versus(mut each: impl FnMut(Row) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let dir = tempfile::tempdir().map_err(|e| Error::io("a temporary folder", e))?;
    each(flushes(dir.path())?)?;
    for nodes in [3, 5] {
        let ours =
            Running::start("raftkv", &json!(null), nodes, &dir.path().join(format!("raftkv{nodes}"))).await?;
        let theirs =
            Running::start("etcd", &json!(null), nodes, &dir.path().join(format!("etcd{nodes}"))).await;
        let measured = match &theirs {
            Ok(theirs) => compare(&ours, theirs, nodes, &mut each).await,
            Err(_) => Ok(()),
        };
        ours.cluster.shut_down().await?;
        theirs?.cluster.shut_down().await?;
        measured?;
    }
    Ok(())
}

/// What one flush of this disk takes: neither store can acknowledge a write sooner.
fn flushes(dir: &Path) -> Result<Row, Error> {
    use std::io::Write as _;
    let failed = |e| Error::io("flushing a file", e);
    let mut file = std::fs::File::create(dir.join("flush")).map_err(failed)?;
    let mut millis = Vec::new();
    for _ in 0..200 {
        let begun = Instant::now();
        file.write_all(&[0x5a; 512]).map_err(failed)?;
        file.sync_data().map_err(failed)?;
        millis.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    millis.sort_unstable_by(f64::total_cmp);
    let note = Some(format!("appending 512 bytes, {}; p99 {:.2} ms", file_system(dir), millis[198]));
    Ok(Row { note, ..Row::new("raftkv/disk/flush/p50", millis[100], "ms") })
}

async fn compare(
    ours: &Running,
    theirs: &Running,
    nodes: usize,
    each: &mut impl FnMut(Row) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    for count in CLIENTS {
        let mut a = clients(Store::RaftKv, ours, count).await?;
        let mut b = clients(Store::Etcd, theirs, count).await?;
        for what in [Do::Write, Do::Read] {
            a.turn(what, WARM_UP).await?;
            b.turn(what, WARM_UP).await?;
            let (mut of_a, mut of_b) = (Tally::default(), Tally::default());
            for _ in 0..TURNS {
                of_a.add(a.turn(what, TURN).await?);
                of_b.add(b.turn(what, TURN).await?);
            }
            for row in rows(nodes, count, what, &mut of_a, &mut of_b, &theirs.version) {
                each(row)?;
            }
        }
    }
    Ok(())
}

async fn clients(store: Store, of: &Running, count: usize) -> Result<Clients, Error> {
    let leader = of.leader().await?;
    Clients::connect(store, &of.net(), of.socket(leader, store.port()), count).await
}

fn rows(
    nodes: usize,
    clients: usize,
    what: Do,
    ours: &mut Tally,
    theirs: &mut Tally,
    version: &str,
) -> Vec<Row> {
    let word = match what {
        Do::Write => "write",
        Do::Read => "read",
    };
    let name = format!("raftkv/{nodes}-nodes/{clients}-clients/{word}");
    let errors = |tally: &Tally, of: &str| match &tally.last_error {
        Some(why) => format!("; {of}: {} errors, the last {why:?}", tally.errors),
        None => String::new(),
    };
    let note = format!(
        "values of {VALUE_BYTES} bytes, {TURNS} turns of {:.1} s each{}{}",
        TURN.as_secs_f64(),
        errors(ours, "raftkv"),
        errors(theirs, "etcd")
    );
    let (rate, peer_rate) = (ours.rate(), theirs.rate());
    let mut rows = vec![
        Row {
            peer: Some(format!("etcd {version}: {peer_rate:.0}")),
            note: Some(note),
            ..Row::new(format!("{name}/rate"), rate, "operations/s")
        },
        Row::new(format!("{name}/rate/ratio"), rate / peer_rate, "times etcd").reach(1.5),
    ];
    for (share, label) in [(0.5, "p50"), (0.99, "p99")] {
        let (mine, peer) = (ours.quantile(share), theirs.quantile(share));
        let row = Row::new(format!("{name}/{label}"), mine, "ms");
        rows.push(Row { peer: Some(format!("etcd {version}: {peer:.2} ms")), ..row });
        let ratio = Row::new(format!("{name}/{label}/ratio"), mine / peer, "times etcd");
        rows.push(if label == "p99" { ratio.reach(1.0) } else { ratio });
    }
    rows
}
