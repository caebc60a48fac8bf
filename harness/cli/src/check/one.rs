//! One file: read, judged, answered.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use squall_checkers::{Budget, Certificate, Valid, Verdict};
use squall_engine::run::LOG_FILE;
use squall_history::SCHEMA_VERSION;
use squall_history::import::{self, Held, ImportError, Imported};

use super::answer::{Answer, Unreadable};
use super::by::By;
use super::memory::{peak_bytes, reset_peak};
use super::timer::Timer;
use crate::args::CheckArgs;

/// Judges one file. Proof is given beside the answer, if there is any.
pub(crate) fn one(
    path: &Path,
    by: &By,
    args: &CheckArgs,
) -> Result<(Answer, Option<Certificate>), Unreadable> {
    let file = path.to_string_lossy().into_owned();
    let refuse = |error: String| Unreadable { schema_version: SCHEMA_VERSION, file: file.clone(), error };
    reset_peak();
    let mut budget = Budget::default();
    budget.memory_bytes = args.memory_limit;
    let _timer = Timer::start(&budget, args.time_limit);
    let begun = Instant::now();
    let options = import::Options {
        keyed: args.keyed.into(),
        clock_error: u64::try_from(args.clock_error.as_nanos()).unwrap_or(u64::MAX),
    };
    let Imported { history, format, mut warnings, .. } =
        read(path, &options, by).map_err(|e| refuse(e.to_string()))?;
    let parse_seconds = begun.elapsed().as_secs_f64();
    let operations = history.len() as u64;
    let begun = Instant::now();
    let verdict = by.judge_held(history, format, &budget);
    let check_seconds = begun.elapsed().as_secs_f64();
    if let Some(error) = unreadable(&verdict) {
        return Err(refuse(error));
    }
    warnings.extend(verdict.warnings);
    let mut details = verdict.details;
    // These have places of their own in an answer.
    for taken in ["model", "consistency", "operations", "file", "format", "schema_version"] {
        details.remove(taken);
    }
    let answer = Answer {
        schema_version: SCHEMA_VERSION,
        file,
        valid: verdict.valid,
        model: by.model(),
        consistency: by.consistency(),
        format: format.name(),
        operations,
        algorithm: verdict.algorithm.or(Some(verdict.check)),
        parse_seconds,
        check_seconds,
        peak_bytes: peak_bytes(),
        warnings,
        anomalies: verdict.anomalies,
        reason: verdict.reason,
        details,
    };
    Ok((answer, verdict.certificate))
}

fn read(path: &Path, options: &import::Options, by: &By) -> Result<Imported<Held>, ImportError> {
    if path.as_os_str() == "-" {
        return import::read_held(io::stdin().lock(), options);
    }
    let path = log_of(path);
    if by.takes_columns() {
        return import::read_file_held(&path, options);
    }
    import::read_held(File::open(path).map_err(ImportError::Io)?, options)
}

/// A run's folder stands for its log.
fn log_of(path: &Path) -> PathBuf {
    let log = path.join(LOG_FILE);
    if path.is_dir() && log.exists() { log } else { path.to_owned() }
}

/// An operation that the model cannot read makes the file no history of this model: that is no verdict.
fn unreadable(verdict: &Verdict) -> Option<String> {
    let reason = verdict.reason.as_deref()?;
    (verdict.valid == Valid::Unknown && reason.starts_with("operation #")).then(|| reason.to_owned())
}
