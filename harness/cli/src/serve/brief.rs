//! What the list of runs shows of each: read from `results.json` once, and again only when that changes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use serde::Deserialize;
use squall_reports::{Operations, RunOutcome};

use crate::stored::RESULTS;

/// A run in short. Unknown keys, the verdicts above all, are skipped over.
#[derive(Debug, Deserialize)]
pub(super) struct Brief {
    pub name: String,
    pub target: String,
    pub target_version: String,
    pub workload: String,
    pub seed: u64,
    pub outcome: RunOutcome,
    pub reason: String,
    pub operations: Operations,
}

type Known = HashMap<PathBuf, (SystemTime, u64, Arc<Brief>)>;

/// What was read before.
#[derive(Debug, Default)]
pub(super) struct Briefs(Mutex<Known>);

impl Briefs {
    /// A run's results in short, if it has any.
    pub(super) fn of(&self, run: &Path) -> Option<Arc<Brief>> {
        let path = run.join(RESULTS);
        let meta = std::fs::metadata(&path).ok()?;
        let (changed, length) = (meta.modified().ok()?, meta.len());
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, of, brief)) = known().get(&path)
            && (*at, *of) == (changed, length)
        {
            return Some(brief.clone());
        }
        let brief: Arc<Brief> = Arc::new(serde_json::from_slice(&std::fs::read(&path).ok()?).ok()?);
        known().insert(path, (changed, length, brief.clone()));
        Some(brief)
    }
}
