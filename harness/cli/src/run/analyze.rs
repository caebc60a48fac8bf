//! Judging a stored run again: from its log alone.

use serde_json::Value as Json;
use squall_engine::run::LOG_FILE;
use squall_history::runlog::read_log_file;
use squall_reports::Expected;

use super::campaign::find_run;
use super::one::{Wanted, conclude};
use crate::args::{AnalyzeArgs, Format};
use crate::output::{print_json, say};
use crate::{Exit, Refused, Registry};

/// Judges a stored run again and rewrites its results and its report.
pub fn analyze(registry: &Registry, args: &AnalyzeArgs) -> anyhow::Result<Exit> {
    let dir = find_run(&args.run)?;
    let log = dir.join(LOG_FILE);
    let (history, _) = read_log_file(&log).map_err(|e| Refused::new(format!("{}: {e}", log.display())))?;
    let Some(header) = history.run.as_deref() else {
        return Err(Refused::new(format!(
            "{} has lost its header: nothing says what was run",
            log.display()
        ))
        .into());
    };
    let option = |name: &str| header.options.get(name).cloned().unwrap_or(Json::Null);
    let workload = registry.make_workload(&header.workload, &option("workload"))?;
    let named = |f: &Json| f["name"].as_str().or(f.as_str()).map(str::to_owned);
    let kinds = if option("kinds").is_array() { option("kinds") } else { option("faults") };
    let faults = kinds.as_array().into_iter().flatten().filter_map(named).collect();
    let wanted = Wanted {
        faults,
        checks: registry.checks().to_vec(),
        expected: serde_json::from_value(option("expected")).unwrap_or(Expected::Valid),
        liveness_is_warning: option("liveness") == "warn",
        reproduce: option("reproduce").as_str().map(str::to_owned),
        stop_on_anomaly: false,
        plan: String::new(),
    };
    let result = conclude(&dir, &*workload, &wanted, args.consistency.as_deref(), None)?;
    say(&squall_reports::terminal::summary(&result));
    let exit = Exit::from_code(result.outcome.exit_code());
    if args.format == Format::Json {
        let document = squall_reports::document(Some(dir.to_string_lossy().into_owned()), vec![result]);
        print_json(&document)?;
    }
    Ok(exit)
}
