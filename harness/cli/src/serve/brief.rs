//! What the list of runs shows of each: read from `results.json` once, and again only when that changes.
//!
//! It stands at the beginning of the file, before verdicts and figures that may be long, so no more than that is
//! read as a rule.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
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
        let brief = Arc::new(read(&path)?);
        known().insert(path, (changed, length, brief.clone()));
        Some(brief)
    }
}

/// Bytes of a file in which what is wanted stands, as squall writes it.
const HEAD: u64 = 4 << 10;

fn read(path: &Path) -> Option<Brief> {
    let mut file = File::open(path).ok()?;
    let mut bytes = Vec::with_capacity(HEAD as usize);
    file.by_ref().take(HEAD).read_to_end(&mut bytes).ok()?;
    if let Some(brief) = early(&bytes) {
        return Some(brief);
    }
    file.read_to_end(&mut bytes).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// A run in short from the beginning of its results, if everything stands there.
fn early(bytes: &[u8]) -> Option<Brief> {
    let mut seen = Seen::default();
    // It ends with an error in any case: that there is enough, or that the text does.
    let _ = Early(&mut seen).deserialize(&mut serde_json::Deserializer::from_slice(bytes));
    Some(Brief {
        name: seen.name?,
        target: seen.target?,
        target_version: seen.target_version?,
        workload: seen.workload?,
        seed: seen.seed?,
        outcome: seen.outcome?,
        reason: seen.reason?,
        operations: seen.operations?,
    })
}

#[derive(Default)]
struct Seen {
    name: Option<String>,
    target: Option<String>,
    target_version: Option<String>,
    workload: Option<String>,
    seed: Option<u64>,
    outcome: Option<RunOutcome>,
    reason: Option<String>,
    operations: Option<Operations>,
}

impl Seen {
    fn is_whole(&self) -> bool {
        let texts = [&self.name, &self.target, &self.target_version, &self.workload, &self.reason];
        let others = self.seed.is_some() && self.outcome.is_some() && self.operations.is_some();
        others && texts.into_iter().all(Option::is_some)
    }
}

/// Reads until there is enough.
struct Early<'a>(&'a mut Seen);

impl<'de> DeserializeSeed<'de> for Early<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Early<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a run's results")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let seen = self.0;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "name" => seen.name = Some(map.next_value()?),
                "target" => seen.target = Some(map.next_value()?),
                "target_version" => seen.target_version = Some(map.next_value()?),
                "workload" => seen.workload = Some(map.next_value()?),
                "seed" => seen.seed = Some(map.next_value()?),
                "outcome" => seen.outcome = Some(map.next_value()?),
                "reason" => seen.reason = Some(map.next_value()?),
                "operations" => seen.operations = Some(map.next_value()?),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
            if seen.is_whole() {
                return Err(A::Error::custom("enough"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(filler: &str) -> String {
        format!(
            r#"{{"schema_version": 1, "name": "a", "target": "t", "target_version": "1", "workload": "w", "seed": 7,
            "outcome": "fail", "valid": false, "reason": "{filler}",
            "operations": {{"offered": 5, "started": 4, "ok": 3, "fail": 1, "info": 0}}, "checks": {{"x": [1"#
        )
    }

    #[test]
    fn no_more_is_read_than_is_shown() {
        let brief = early(results("because").as_bytes()).expect("what follows is not looked at");
        assert_eq!((brief.name.as_str(), brief.seed, brief.operations.started), ("a", 7, 4));
        assert_eq!((brief.outcome, brief.reason.as_str()), (RunOutcome::Fail, "because"));
        assert!(early(&results("because").as_bytes()[..150]).is_none());
        assert!(early(b"[]").is_none() && early(b"").is_none());
    }

    #[test]
    fn a_long_file_is_read_whole_where_that_is_needed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("results.json");
        let whole = format!("{}]}}}}", results(&"x".repeat(9_000)));
        std::fs::write(&path, &whole).unwrap();
        assert_eq!(read(&path).map(|b| b.reason.len()), Some(9_000));
        // Where the beginning does not say everything, the rest must be whole.
        std::fs::write(&path, results(&"x".repeat(9_000))).unwrap();
        assert!(read(&path).is_none());
    }
}
