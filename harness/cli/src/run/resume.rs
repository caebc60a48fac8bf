//! Going on with a campaign that was interrupted: what it was to run is written down when it begins, and what
//! has ended is not run again.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use squall_engine::Error;
use squall_history::SCHEMA_VERSION;
use squall_reports::{RunOutcome, RunResult};

use super::one::json;
use super::store;
use crate::Refused;
use crate::campaign::{Campaign, RunPlan};
use crate::stored::results;

/// The list of a campaign's runs, in its folder.
const ROLL: &str = "campaign.json";
/// What marks a run's folder as cut short.
const MARK: &str = "interrupted";

/// What a campaign was to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Roll {
    schema_version: u32,
    name: String,
    /// The campaign's seed.
    pub seed: u64,
    shard: Option<String>,
    runs: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    name: String,
    seed: u64,
}

impl Roll {
    pub(super) fn of(campaign: &Campaign, plans: &[RunPlan]) -> Roll {
        Roll {
            schema_version: SCHEMA_VERSION,
            name: campaign.name.clone(),
            seed: campaign.seed,
            shard: campaign.shard.map(|s| s.to_string()),
            runs: plans.iter().map(|p| Entry { name: p.name.clone(), seed: p.seed }).collect(),
        }
    }

    pub(super) fn write(&self, night: &Path) -> Result<(), Error> {
        store::write(&night.join(ROLL), &json(self)?)
    }

    /// Refuses to go on with something else.
    pub(super) fn same(&self, night: &Path, now: &Roll) -> Result<(), Refused> {
        if self == now {
            return Ok(());
        }
        let missing = |a: &Roll, b: &Roll| a.runs.iter().find(|r| !b.runs.contains(r)).cloned();
        let what = match (missing(self, now), missing(now, self)) {
            (Some(old), _) => format!("{} with seed {} is no run of it any more", old.name, old.seed),
            (_, Some(new)) => format!("{} with seed {} is new", new.name, new.seed),
            _ => "its name, seed or order of runs is another".to_owned(),
        };
        let text = format!("{} cannot be resumed, for the campaign was changed: {what}", night.display());
        Err(Refused(text))
    }
}

/// The newest night of a campaign (and of this shard of it), and what it was to run.
pub(super) fn newest(campaign: &Campaign) -> Result<(PathBuf, Roll), Refused> {
    let parent = campaign.store.join(&campaign.name);
    let shard = campaign.shard.map(|s| s.to_string());
    let entries = fs::read_dir(&parent).into_iter().flatten().filter_map(Result::ok);
    let mut nights: Vec<PathBuf> = entries.map(|e| e.path()).collect();
    nights.sort();
    let found = nights.into_iter().rev().find_map(|dir| {
        let roll: Roll = serde_json::from_slice(&fs::read(dir.join(ROLL)).ok()?).ok()?;
        (roll.shard == shard).then_some((dir, roll))
    });
    found.ok_or_else(|| Refused(format!("{} holds no campaign to resume", parent.display())))
}

/// Notes that a run was ended from outside. Where that cannot be written, it is run again only if it broke.
pub(super) fn mark_interrupted(run: &Path) {
    let _ = fs::write(run.join(MARK), "");
}

/// The result of a run that ended by itself.
pub(super) fn ended(run: &Path) -> Option<RunResult> {
    if run.join(MARK).exists() {
        return None;
    }
    results(run).map(|r| r.run).filter(|r| r.outcome != RunOutcome::Error)
}

/// Makes room for a run to begin afresh; what there was of it is kept below `interrupted/`.
pub(super) fn set_aside(night: &Path, name: &str) -> Result<(), Error> {
    let run = night.join(name);
    if !run.exists() {
        return Ok(());
    }
    let aside = night.join(MARK);
    let failed = |e| Error::io(format!("{} cannot be set aside", run.display()), e);
    fs::create_dir_all(&aside).map_err(failed)?;
    let free = (0..).map(|k| aside.join(if k == 0 { name.to_owned() } else { format!("{name}.{k}") }));
    let to = free.into_iter().find(|p| !p.exists()).expect("some number is free");
    fs::rename(&run, to).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roll(runs: &[(&str, u64)]) -> Roll {
        let runs = runs.iter().map(|(name, seed)| Entry { name: (*name).to_owned(), seed: *seed });
        Roll { schema_version: 1, name: "c".into(), seed: 7, shard: None, runs: runs.collect() }
    }

    #[test]
    fn a_changed_campaign_is_not_resumed() {
        let (old, dir) = (roll(&[("a", 1), ("b", 2)]), Path::new("store/c/t"));
        assert_eq!(old.same(dir, &old.clone()), Ok(()));
        let told = |new: &Roll| old.same(dir, new).unwrap_err().0;
        assert!(told(&roll(&[("a", 1)])).contains("b with seed 2 is no run of it any more"));
        assert!(told(&roll(&[("a", 1), ("b", 2), ("d", 3)])).contains("d with seed 3 is new"));
        assert!(told(&roll(&[("b", 2), ("a", 1)])).contains("order of runs"));
    }

    #[test]
    fn the_newest_night_of_the_same_shard_is_resumed() {
        let root = tempfile::tempdir().unwrap();
        let mut campaign = Campaign { name: "c".into(), store: root.path().into(), ..Campaign::default() };
        assert!(newest(&campaign).unwrap_err().0.contains("no campaign to resume"));
        for (time, shard) in [("1", None), ("2", None), ("3", Some("1/2"))] {
            let dir = root.path().join("c").join(time);
            fs::create_dir_all(&dir).unwrap();
            let roll = Roll { shard: shard.map(str::to_owned), ..roll(&[]) };
            roll.write(&dir).unwrap();
        }
        let time = |c: &Campaign| newest(c).unwrap().0.file_name().unwrap().to_owned();
        assert_eq!(time(&campaign), "2");
        campaign.shard = Some("1/2".parse().unwrap());
        assert_eq!(time(&campaign), "3");
    }

    #[test]
    fn what_was_begun_is_kept_aside() {
        let night = tempfile::tempdir().unwrap();
        for text in ["first", "second"] {
            fs::create_dir(night.path().join("a")).unwrap();
            fs::write(night.path().join("a/x"), text).unwrap();
            set_aside(night.path(), "a").unwrap();
        }
        let read = |p: &str| fs::read_to_string(night.path().join(p)).unwrap();
        assert_eq!((read("interrupted/a/x"), read("interrupted/a.1/x")), ("first".into(), "second".into()));
        set_aside(night.path(), "a").unwrap();
    }
}
