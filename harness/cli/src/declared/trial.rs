//! `squall doctor TARGET`: starts a target once, lets its clients act for a moment, and says what is wrong.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::Serialize;
use serde_json::Value as Json;
use squall_engine::run::LOG_FILE;
use squall_engine::seed::Seed;
use squall_engine::{Progress, RunSpec, Stop};
use squall_history::runlog::read_log_file;
use squall_history::{History, Outcome, SCHEMA_VERSION};
use squall_local::LocalProvider;
use squall_nemesis::Storm;
use squall_reports::text::inert_lines;

use crate::args::{DoctorArgs, Format};
use crate::campaign::Cell;
use crate::output::{print, print_json};
use crate::{Exit, Refused, Registry};

#[derive(Serialize)]
struct Document {
    schema_version: u32,
    target: String,
    /// Whether it can be tested as it is.
    ready: bool,
    version: String,
    /// What its clients were asked to do.
    workload: String,
    seconds: f64,
    operations: Counts,
    /// Who was seen to lead, in order.
    leaders: Vec<String>,
    /// What is wrong.
    problems: Vec<String>,
}

#[derive(Default, Serialize)]
struct Counts {
    ok: usize,
    fail: usize,
    info: usize,
}

const NODES: usize = 3;

/// Exit code 1 if something is wrong.
pub fn trial(registry: &Registry, cell: &Cell, args: &DoctorArgs) -> anyhow::Result<Exit> {
    let target = registry.make_target(&cell.name, &cell.options)?;
    let fits = |kind: &&squall_engine::protocol::WorkloadKind| {
        let made = (kind.build)(&Json::Null);
        made.is_ok_and(|w| w.functions().iter().all(|f| target.supports(f)))
    };
    let kind = registry.workloads().iter().find(fits).ok_or_else(|| {
        let needs: Vec<String> =
            registry.workloads().iter().map(|w| format!("{} ({})", w.name, w.needs)).collect();
        Refused::new(format!("its `supports` fits no workload: {}", needs.join("; ")))
    })?;
    let workload = (kind.build)(&Json::Null)?;
    let dir = tempfile::tempdir().context("no temporary folder can be made")?;
    let run_dir = dir.path().join("run");
    std::fs::create_dir(&run_dir)?;
    let asked = workload.consistency(target.promises());
    // Whatever it promises, what is asked here is only whether it works.
    let consistency = if workload.checks(&asked).is_ok() { asked } else { "linearizable".to_owned() };
    let spec = RunSpec {
        name: "trial".into(),
        dir: run_dir.clone(),
        seed: 1,
        nodes: NODES,
        workers: 2 * NODES,
        rate: Some(100.0),
        warm_up: Duration::ZERO,
        time_limit: Duration::from_secs(3),
        recovery_limit: Duration::from_secs(10),
        op_timeout: Duration::from_secs(2),
        ready_limit: Duration::from_secs(60),
        target: target.clone(),
        workload,
        nemesis: Box::new(Storm::new(Seed(1), squall_nemesis::Timing::default(), Vec::new())),
        consistency,
        options: Json::Null,
        pcap: false,
        watchdog: None,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("the runtime cannot be started")?;
    let begun = Instant::now();
    let ended = runtime.block_on(async {
        let stop = Stop::default();
        let _signals = crate::run::Signals::watch(stop.clone())?;
        anyhow::Ok(squall_engine::run(spec, &LocalProvider::new(), stop, Progress::default(), None).await)
    })?;
    let mut document = Document {
        schema_version: SCHEMA_VERSION,
        target: target.name().to_owned(),
        ready: false,
        version: String::new(),
        workload: kind.name.to_owned(),
        seconds: begun.elapsed().as_secs_f64(),
        operations: Counts::default(),
        leaders: Vec::new(),
        problems: Vec::new(),
    };
    match ended {
        Ok(finished) => document.version = finished.target_version,
        Err(squall_engine::Error::Interrupted) => return Ok(Exit::Interrupted),
        Err(e) => document.problems.push(e.to_string()),
    }
    if let Ok((history, _)) = read_log_file(&run_dir.join(LOG_FILE)) {
        look(&history, &mut document);
    }
    document.ready = document.problems.is_empty();
    match args.format {
        Format::Json => print_json(&document)?,
        Format::Human => print(&text(&document))?,
    }
    Ok(if document.ready { Exit::Valid } else { Exit::Invalid })
}

/// What the log says.
fn look(history: &History, document: &mut Document) {
    let counts = &mut document.operations;
    let mut error = None;
    for op in history.ops() {
        match op.outcome {
            Outcome::Ok => counts.ok += 1,
            Outcome::Fail => counts.fail += 1,
            Outcome::Info => counts.info += 1,
        }
        let said = history.meta(op.index as usize).and_then(|m| m.error.clone());
        error = error.or(said.map(|e| format!("{} of process {}: {e}", op.f, op.process)));
    }
    let all = counts.ok + counts.fail + counts.info;
    if document.problems.is_empty() && counts.ok == 0 {
        let first = error.map_or_else(String::new, |e| format!("; the first error: {e}"));
        document.problems.push(format!("not one of {all} operations was ok{first}"));
    }
    for note in &history.notes {
        match note.kind.as_str() {
            "leader" => document.leaders.push(note.text.clone()),
            "panic" => document.problems.push(format!("its log has trouble: {}", note.text)),
            "warning" if !document.problems.iter().any(|p| note.text.contains(p.as_str())) => {
                document.problems.push(note.text.clone());
            }
            _ => {}
        }
    }
    document.problems.truncate(10);
}

fn text(document: &Document) -> String {
    let mut out = String::new();
    let Document { target, version, workload, seconds, operations: n, .. } = document;
    let _ =
        writeln!(out, "{target} {version}: {NODES} nodes, the workload `{workload}`, {seconds:.1} s in all");
    let _ = writeln!(out, "  operations: {} ok, {} fail, {} info", n.ok, n.fail, n.info);
    for leader in &document.leaders {
        let _ = writeln!(out, "  {leader}");
    }
    for problem in &document.problems {
        let _ = writeln!(out, "  WRONG: {problem}");
    }
    out.push_str(if document.ready { "Ready to be tested." } else { "Not ready: see above." });
    inert_lines(&out) + "\n"
}
