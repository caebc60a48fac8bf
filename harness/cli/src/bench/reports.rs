//! How long a report of a million operations takes and how large it is, and how soon `serve` lists a large store.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use squall_checkers::bench::rows as inputs;
use squall_checkers::{Anomaly, Verdict};
use squall_history::{Fault, FaultPhase, History, RunHeader};
use squall_reports::{Facts, report, results};

use super::Row;
use crate::serve;
use crate::stored::RESULTS;

const OPERATIONS: u32 = 1_000_000;
const RUNS: usize = 1_000;
/// Injections and checks of a stored run: what makes its results as long as those of a real one.
const FAULTS: u32 = 20;

pub(super) fn rows() -> anyhow::Result<Vec<Row>> {
    let mut rows = page()?;
    rows.extend(list()?);
    Ok(rows)
}

fn page() -> anyhow::Result<Vec<Row>> {
    let input = inputs().into_iter().find(|i| i.operations == OPERATIONS);
    let history = (input.context("there is an input of a million operations")?.make)();
    let verdict = Verdict::valid("linearizable");
    let facts = Facts::default();
    let begun = Instant::now();
    let folded = results(&history, std::slice::from_ref(&verdict), &facts);
    let page = report(&history, &[verdict], &folded.run, &facts);
    let seconds = begun.elapsed().as_secs_f64();
    let note = Some(format!("{} operations", history.len()));
    Ok(vec![
        Row { note, ..Row::new("reports/page/written", seconds, "s").reach(2.0) },
        Row::new("reports/page/size", page.len() as f64 / 1e6, "MB").reach(10.0),
    ])
}

fn list() -> anyhow::Result<Vec<Row>> {
    let store = tempfile::tempdir().context("a folder for a store")?;
    for run in 0..RUNS {
        let night = store.path().join(format!("nightly/202601{:02}T000000Z", 1 + run / 50));
        put(&night, run).context("a run of the store")?;
    }
    // Nobody has read it: this process knows nothing of it yet.
    let list = serve::lister(store.path().to_owned());
    let mut rows = Vec::new();
    for (name, reach) in [("cold", Some(100.0)), ("again", None)] {
        let begun = Instant::now();
        let page = list();
        let row =
            Row::new(format!("reports/serve/{RUNS} runs, {name}"), begun.elapsed().as_secs_f64() * 1e3, "ms");
        anyhow::ensure!(page.contains(&format!("run-{:04}", RUNS - 1)), "the list is not whole");
        rows.push(Row { reach, ..row });
    }
    Ok(rows)
}

/// A run with results as a real one has them.
fn put(night: &Path, run: usize) -> anyhow::Result<()> {
    let name = format!("run-{run:04}");
    let dir = night.join(&name);
    fs::create_dir_all(&dir)?;
    fs::write(dir.join("run.yaml"), format!("name: {name}\n"))?;
    let mut history = History::default();
    let (target, workload) = ("etcd".to_owned(), "register".to_owned());
    history.run = Some(Box::new(RunHeader { name, target, workload, ..RunHeader::default() }));
    for id in 0..FAULTS {
        for (phase, after) in [(FaultPhase::Begin, 0), (FaultPhase::End, 500_000_000)] {
            history.faults.push(Fault {
                time: u64::from(id) * 1_000_000_000 + after,
                phase,
                id,
                kind: "partition".into(),
                nodes: vec!["n1".into(), "n2".into()],
                description: "{n1, n2} from {n3, n4, n5}, both ways".into(),
                detail: serde_json::Value::Null,
                effective: (phase == FaultPhase::End).then_some(true),
                evidence: serde_json::from_value(
                    serde_json::json!({ "packets_dropped": 1234, "links_cut": 12 }),
                )?,
            });
        }
    }
    let anomaly = |i: u32| Anomaly {
        kind: "nonlinearizable".into(),
        signature: format!("linearizable:nonlinearizable:{i}"),
        explanation: "#12 read 3 of key 7, which #9 had overwritten before it began.\n".repeat(8),
        operations: (0..40).collect(),
        details: Default::default(),
    };
    let anomalies = if run.is_multiple_of(10) { (0..5).map(anomaly).collect() } else { Vec::new() };
    let names =
        ["stats", "exits", "logs", "vacuity", "recovery", "availability", "latency", "failover", "errors"];
    let mut verdicts: Vec<Verdict> = names.into_iter().map(Verdict::valid).collect();
    verdicts.push(Verdict::from_anomalies("linearizable", anomalies));
    let results = results(&history, &verdicts, &Facts::default());
    fs::write(dir.join(RESULTS), serde_json::to_vec_pretty(&results)?)?;
    Ok(())
}
