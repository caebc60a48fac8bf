//! What the store keeps: of passed runs perhaps only their results, and no more bytes than it may.
//!
//! A run's results and its plan are never removed, so that trends and comparisons lose nothing. Only files that
//! squall writes are touched, and of the campaign that is running only what has passed.

use std::fs;
use std::path::{Path, PathBuf};

use squall_engine::Error;
use squall_engine::run::LOG_FILE;
use squall_history::MESSAGES_FILE;
use squall_reports::{Results, RunOutcome};

use super::{one, store};
use crate::stored::{RESULTS, nights, results};

/// What a run may lose, all of it large or worthless without its log.
const BULK: [&str; 5] = [LOG_FILE, MESSAGES_FILE, "report.html", "certificate.json", "nodes"];

/// Removes everything of a run but its plan and its results. Gives the bytes that this freed.
pub(super) fn strip(run: &Path, results: &mut Results) -> Result<u64, Error> {
    results.run.report = None;
    store::write(&run.join(RESULTS), &one::json(results)?)?;
    let mut freed = 0;
    for name in BULK {
        let path = run.join(name);
        let size = size(&path);
        let removed = match fs::symlink_metadata(&path) {
            Err(_) => continue,
            Ok(meta) if meta.is_dir() => fs::remove_dir_all(&path),
            Ok(_) => fs::remove_file(&path),
        };
        removed.map_err(|e| Error::io(format!("{} cannot be removed", path.display()), e))?;
        freed += size;
    }
    Ok(freed)
}

/// Strips runs of nights before this one until the store holds no more than `limit` bytes: passed runs first, then
/// the oldest. Gives how many were stripped, and what is held after.
pub(super) fn fit(root: &Path, limit: u64, night: &Path) -> Result<(usize, u64), Error> {
    let mut held = size(root);
    let mut runs: Vec<(bool, String, PathBuf, Results)> = Vec::new();
    let now = fs::canonicalize(night).unwrap_or_else(|_| night.to_owned());
    for night in nights(root).unwrap_or_default() {
        if fs::canonicalize(&night.dir).is_ok_and(|dir| dir == now) {
            continue;
        }
        for run in night.runs() {
            let dir = night.dir.join(&run.folder);
            if let Some(results) = run.results
                && BULK.iter().any(|name| dir.join(name).exists())
            {
                runs.push((results.run.outcome != RunOutcome::Pass, night.time.clone(), dir, results));
            }
        }
    }
    runs.sort_by(|a, b| (a.0, &a.1, &a.2).cmp(&(b.0, &b.1, &b.2)));
    let mut stripped = 0;
    for (_, _, dir, mut results) in runs {
        if held <= limit {
            break;
        }
        held = held.saturating_sub(strip(&dir, &mut results)?);
        stripped += 1;
    }
    Ok((stripped, held))
}

/// Strips a run by its folder if it passed.
pub(super) fn strip_passed(run: &Path) -> Result<(), Error> {
    match results(run) {
        Some(mut r) if r.run.outcome == RunOutcome::Pass => strip(run, &mut r).map(|_| ()),
        Some(_) | None => Ok(()),
    }
}

/// Bytes of a file, or of everything in a folder; links count nothing.
fn size(path: &Path) -> u64 {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => {
            fs::read_dir(path).into_iter().flatten().filter_map(Result::ok).map(|e| size(&e.path())).sum()
        }
        Ok(meta) if meta.is_file() => meta.len(),
        Ok(_) | Err(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use squall_checkers::{Anomaly, Verdict};
    use squall_history::History;
    use squall_reports::Facts;

    use super::*;

    fn put(root: &Path, time: &str, name: &str, passed: bool) -> PathBuf {
        let dir = root.join("c").join(time).join(name);
        fs::create_dir_all(dir.join("nodes/n1")).unwrap();
        for file in ["run.yaml", LOG_FILE, "report.html", "nodes/n1/x.log", "own notes.txt"] {
            fs::write(dir.join(file), [b'x'; 10_000]).unwrap();
        }
        let anomaly = Anomaly {
            kind: "lost".into(),
            signature: "s".into(),
            explanation: String::new(),
            operations: vec![],
            details: Default::default(),
        };
        let found = if passed { vec![] } else { vec![anomaly] };
        let facts = Facts { report: Some("x/report.html".into()), ..Facts::default() };
        let r =
            squall_reports::results(&History::default(), &[Verdict::from_anomalies("set", found)], &facts);
        store::write(&dir.join(RESULTS), &one::json(&r).unwrap()).unwrap();
        dir
    }

    #[test]
    fn passed_runs_go_first_then_the_oldest_and_results_stay() {
        let root = tempfile::tempdir().unwrap();
        let failed = put(root.path(), "1", "failed", false);
        let old = put(root.path(), "2", "old", true);
        let young = put(root.path(), "3", "young", true);
        let tonight = put(root.path(), "4", "tonight", true);
        let held = size(root.path());
        let whole = |dir: &Path| dir.join(LOG_FILE).exists();
        let night = root.path().join("c/4");
        assert_eq!(fit(root.path(), held, &night).unwrap(), (0, held));
        assert_eq!(fit(root.path(), held - 1, &night).unwrap().0, 1);
        assert_eq!([&failed, &old, &young, &tonight].map(|d| whole(d)), [true, false, true, true]);
        assert_eq!(fit(root.path(), 1, &night).unwrap().0, 2, "nothing of tonight");
        assert_eq!([&failed, &young, &tonight].map(|d| whole(d)), [false, false, true]);
        assert_eq!(results(&failed).unwrap().run.outcome, RunOutcome::Fail);
        assert_eq!(results(&failed).unwrap().run.report, None);
        assert!(failed.join("run.yaml").exists() && failed.join("own notes.txt").exists());
        assert!(!failed.join("nodes").exists());
    }

    #[test]
    fn what_failed_is_kept() {
        let root = tempfile::tempdir().unwrap();
        let (failed, passed) = (put(root.path(), "1", "a", false), put(root.path(), "1", "b", true));
        strip_passed(&failed).unwrap();
        strip_passed(&passed).unwrap();
        assert_eq!([failed, passed].map(|d| d.join("report.html").exists()), [true, false]);
    }
}
