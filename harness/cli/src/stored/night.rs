//! Nights and their runs.

use std::fs;
use std::path::{Path, PathBuf};

use squall_reports::Results;

use crate::Refused;

/// A run's results.
pub(crate) const RESULTS: &str = "results.json";
/// What every run's folder has from its beginning.
const PLAN: &str = "run.yaml";

/// One campaign at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Night {
    /// The campaign's name.
    pub campaign: String,
    /// When it began, as its folder is named: sorts by time.
    pub time: String,
    /// Its folder.
    pub dir: PathBuf,
}

/// A run in the store.
#[derive(Clone, Debug)]
pub(crate) struct StoredRun {
    /// The name of its folder.
    pub folder: String,
    /// Its results; none while it goes on, or if it was killed.
    pub results: Option<Results>,
}

impl Night {
    /// A night by its folder.
    pub(crate) fn at(dir: &Path) -> Night {
        let name = |p: Option<&Path>| {
            p.and_then(Path::file_name).map_or_else(String::new, |n| n.to_string_lossy().into_owned())
        };
        Night { campaign: name(dir.parent()), time: name(Some(dir)), dir: dir.to_owned() }
    }

    /// Its runs, by name. Folders without a run are left out.
    pub(crate) fn runs(&self) -> Vec<StoredRun> {
        let run = |dir: PathBuf| {
            let results = results(&dir);
            let folder = dir.file_name()?.to_string_lossy().into_owned();
            (results.is_some() || is_run(&dir)).then_some(StoredRun { folder, results })
        };
        folders(&self.dir).into_iter().filter_map(run).collect()
    }

    /// The names of its runs' folders.
    pub(crate) fn folders(&self) -> Vec<String> {
        let own = folders(&self.dir).into_iter().filter(|d| is_run(d) || d.join(RESULTS).is_file());
        own.filter_map(|d| Some(d.file_name()?.to_string_lossy().into_owned())).collect()
    }

    /// The results of its runs that have any.
    pub(crate) fn results(&self) -> Vec<Results> {
        self.runs().into_iter().filter_map(|r| r.results).collect()
    }
}

/// A run's results. What cannot be read counts as not there: it may be of another version.
pub(crate) fn results(dir: &Path) -> Option<Results> {
    let bytes = fs::read(dir.join(RESULTS)).ok()?;
    let results: Results = serde_json::from_slice(&bytes).ok()?;
    (results.schema_version <= squall_history::SCHEMA_VERSION).then_some(results)
}

fn is_run(dir: &Path) -> bool {
    dir.join(PLAN).is_file()
}

/// Folders in a folder, by name, without links and what is hidden.
fn folders(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    let own = entries.filter(|e| e.file_type().is_ok_and(|t| t.is_dir()));
    let mut all: Vec<PathBuf> =
        own.filter(|e| !e.file_name().to_string_lossy().starts_with('.')).map(|e| e.path()).collect();
    all.sort();
    all
}

fn is_night(dir: &Path) -> bool {
    folders(dir).iter().any(|run| is_run(run))
}

/// Every night of a store, the oldest first.
pub(crate) fn nights(root: &Path) -> Result<Vec<Night>, Refused> {
    if !root.is_dir() {
        return Err(Refused(format!("{} is no store: there is no such folder", root.display())));
    }
    let within = |campaign: &PathBuf| folders(campaign).into_iter().filter(|d| is_night(d));
    let mut all: Vec<Night> = folders(root).iter().flat_map(within).map(|d| Night::at(&d)).collect();
    all.sort_by(|a, b| (&a.time, &a.campaign).cmp(&(&b.time, &b.campaign)));
    Ok(all)
}

/// The night that a person means by a path: its own folder, or the newest of a campaign.
pub(crate) fn night_of(path: &Path) -> Result<Night, Refused> {
    let real = fs::canonicalize(path)
        .map_err(|e| Refused(format!("{} is no campaign in a store: {e}", path.display())))?;
    if is_night(&real) {
        return Ok(Night::at(&real));
    }
    let newest = folders(&real).into_iter().rfind(|d| is_night(d));
    newest.map(|d| Night::at(&d)).ok_or_else(|| {
        Refused(format!(
            "{} is no campaign in a store: it holds no runs. Name a folder such as store/latest or store/nightly",
            path.display()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(root: &Path, campaign: &str, time: &str, name: &str) {
        let dir = root.join(campaign).join(time).join(name);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(PLAN), "").unwrap();
    }

    #[test]
    fn nights_are_found_in_the_order_of_time_whatever_lies_beside_them() {
        let root = tempfile::tempdir().unwrap();
        run(root.path(), "weekly", "20260102T000000Z", "a b ü");
        run(root.path(), "nightly", "20260101T000000Z", "a");
        run(root.path(), "nightly", "20260103T000000Z", "a");
        fs::create_dir_all(root.path().join("other/things/deep")).unwrap();
        fs::write(root.path().join("file"), "").unwrap();
        std::os::unix::fs::symlink("nightly/20260103T000000Z", root.path().join("latest")).unwrap();
        let told: Vec<_> = nights(root.path()).unwrap().into_iter().map(|n| (n.campaign, n.time)).collect();
        let expected = [("nightly", "1"), ("weekly", "2"), ("nightly", "3")];
        let expected: Vec<_> =
            expected.iter().map(|(c, d)| ((*c).to_owned(), format!("2026010{d}T000000Z"))).collect();
        assert_eq!(told, expected);
        for path in ["latest", "nightly", "nightly/20260103T000000Z"] {
            let night = night_of(&root.path().join(path)).unwrap();
            assert_eq!((&*night.campaign, &*night.time), ("nightly", "20260103T000000Z"), "{path}");
        }
        assert!(night_of(&root.path().join("other")).unwrap_err().0.contains("holds no runs"));
        assert!(nights(&root.path().join("nowhere")).unwrap_err().0.contains("no such folder"));
    }

    #[test]
    fn results_that_cannot_be_read_are_not_there() {
        let root = tempfile::tempdir().unwrap();
        run(root.path(), "c", "t", "a");
        fs::write(root.path().join("c/t/a/results.json"), "{\"schema_version\": 99").unwrap();
        let runs = Night::at(&root.path().join("c/t")).runs();
        assert_eq!((runs.len(), runs[0].results.is_none()), (1, true));
    }
}
