//! Exhibits: a bug and the campaign that was made for it.
//!
//! The file is a map: `defaults` are keys of a campaign, `exhibits` a list of maps with `bug`, the target's other options
//! (`options`), and keys of a campaign, which count more than the defaults.
//!
//! The blind visitor's file has no exhibits: its defaults are run with every bug, and with none.

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use crate::campaign::{Campaign, Node, RunPlan, Source};
use crate::suggest::hint;
use crate::{Refused, Registry};

/// What comes built in.
const BUILT_IN: &str = include_str!("../../../../examples/campaigns/museum.yaml");
/// For who does not know which bug is on.
const BLIND: &str = include_str!("../../../../examples/campaigns/museum-blind.yaml");
/// In place of a bug: the correct store.
pub(super) const NONE: &str = "none";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    defaults: Map<String, Json>,
    exhibits: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Blind {
    #[serde(default)]
    options: Map<String, Json>,
    defaults: Map<String, Json>,
}

#[derive(Deserialize)]
struct Entry {
    bug: String,
    #[serde(default)]
    options: Map<String, Json>,
    #[serde(flatten)]
    campaign: Map<String, Json>,
}

/// One bug.
#[derive(Clone, Debug)]
pub(super) struct Exhibit {
    /// Its name, as `--bug` takes it.
    pub bug: String,
    campaign: Campaign,
}

impl Exhibit {
    /// The exhibits of a file, or those that come built in; only `wanted`, if any are named.
    pub(super) fn load(file: Option<&Path>, wanted: &[String]) -> Result<Vec<Exhibit>, Refused> {
        let (name, text) = match file {
            None => ("the built-in museum".to_owned(), BUILT_IN.to_owned()),
            Some(path) => {
                let name = path.display().to_string();
                let text = std::fs::read_to_string(path)
                    .map_err(|e| Refused::new(format!("cannot read the museum {name}: {e}")))?;
                (name, text)
            }
        };
        Exhibit::chosen(&name, read(&name, &text)?, wanted)
    }

    /// The same campaign for each of `wanted`, for every bug if none is named.
    pub(super) fn blind(wanted: &[String]) -> Result<Vec<Exhibit>, Refused> {
        let name = "the blind museum";
        let file: Blind = parsed(name, BLIND)?;
        let bugs = squall_raftkv::bugs::BUGS.iter().map(|(_, bug, _)| *bug).chain([NONE]);
        let exhibits = bugs.map(|bug| {
            let (options, campaign) = (file.options.clone(), Map::new());
            exhibit(name, &file.defaults, Entry { bug: bug.to_owned(), options, campaign })
        });
        let mut exhibits = Exhibit::chosen(name, exhibits.collect::<Result<_, _>>()?, wanted)?;
        exhibits.retain(|e| e.bug != NONE || wanted.iter().any(|bug| bug == NONE));
        Ok(exhibits)
    }

    fn chosen(name: &str, mut exhibits: Vec<Exhibit>, wanted: &[String]) -> Result<Vec<Exhibit>, Refused> {
        for bug in wanted {
            if !exhibits.iter().any(|e| e.bug == *bug) {
                let hint = hint(bug, exhibits.iter().map(|e| e.bug.as_str()));
                return Err(Refused::new(format!("{name} has no exhibit `{bug}`; {hint}")));
            }
        }
        exhibits.retain(|e| wanted.is_empty() || wanted.contains(&e.bug));
        Ok(exhibits)
    }

    /// Its run with this seed.
    pub(super) fn plan(&self, registry: &Registry, seed: u64) -> Result<RunPlan, Refused> {
        let campaign = Campaign { seed, ..self.campaign.clone() };
        let plans = campaign.resolve(registry)?;
        match <[RunPlan; 1]>::try_from(plans) {
            Ok([plan]) => Ok(plan),
            Err(plans) => Err(Refused::new(format!(
                "the exhibit `{}` is {} runs; it must be one workload under one set of faults",
                self.bug,
                plans.len()
            ))),
        }
    }
}

fn parsed<T: serde::de::DeserializeOwned>(name: &str, text: &str) -> Result<T, Refused> {
    // As campaigns are read: `on` is a word there, not a truth.
    let source = Arc::new(Source { name: name.to_owned(), text: text.to_owned() });
    let node = Node::parse(&source).map_err(Refused::from)?;
    serde_json::from_value(node.to_json()).map_err(|e| Refused::new(format!("{name} is no museum: {e}")))
}

fn read(name: &str, text: &str) -> Result<Vec<Exhibit>, Refused> {
    let file: File = parsed(name, text)?;
    let mut exhibits: Vec<Exhibit> = Vec::new();
    for entry in file.exhibits {
        if exhibits.iter().any(|e| e.bug == entry.bug) {
            return Err(Refused::new(format!("{name} has the exhibit `{}` twice", entry.bug)));
        }
        exhibits.push(exhibit(name, &file.defaults, entry)?);
    }
    Ok(exhibits)
}

fn exhibit(name: &str, defaults: &Map<String, Json>, entry: Entry) -> Result<Exhibit, Refused> {
    let Entry { bug, mut options, campaign: own } = entry;
    if bug != NONE {
        bug.parse::<squall_raftkv::bugs::Bug>().map_err(|e| Refused::new(format!("{name}: {e}")))?;
        options.insert("bug".into(), bug.clone().into());
    }
    for decided in ["targets", "seed", "repeat", "name", "store"] {
        if own.contains_key(decided) || defaults.contains_key(decided) {
            return Err(Refused::new(format!("{name}: `{decided}` is the museum's to say (at `{bug}`)")));
        }
    }
    let mut keys = defaults.clone();
    keys.extend(own);
    keys.insert("name".into(), bug.clone().into());
    keys.insert("targets".into(), json!([{ "raftkv": options }]));
    // JSON is YAML, so an exhibit is read exactly as a campaign's file is.
    let text = Json::Object(keys).to_string();
    let campaign = Campaign::parse(&format!("{name}, exhibit {bug}"), &text).map_err(Refused::from)?;
    Ok(Exhibit { bug, campaign })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::campaign::Expect;

    #[test]
    fn every_bug_has_an_exhibit_that_expects_something() {
        let registry = Registry::default();
        let exhibits = Exhibit::load(None, &[]).unwrap();
        for exhibit in &exhibits {
            let plan = exhibit.plan(&registry, 1).unwrap();
            assert_eq!(plan.target.options["bug"], exhibit.bug.as_str());
            assert!(
                matches!(&plan.expect, Expect::Invalid { anomalies, .. } if !anomalies.is_empty()),
                "{} expects nothing",
                exhibit.bug
            );
        }
        let shown: BTreeSet<&str> = exhibits.iter().map(|e| e.bug.as_str()).collect();
        let mut without =
            squall_raftkv::bugs::BUGS.iter().map(|(_, name, _)| *name).filter(|b| !shown.contains(b));
        assert_eq!(without.next(), None, "a bug without an exhibit");
    }

    #[test]
    fn a_blind_visitor_does_the_same_whatever_the_bug_is() {
        let registry = Registry::default();
        let exhibits = Exhibit::blind(&[]).unwrap();
        assert_eq!(exhibits.len(), squall_raftkv::bugs::BUGS.len());
        let plan = |exhibit: &Exhibit| {
            let mut plan = exhibit.plan(&registry, 3).unwrap();
            plan.target.options.as_object_mut().unwrap().remove("bug");
            (plan.name, plan.combination) = Default::default();
            plan
        };
        assert!(exhibits.iter().all(|e| plan(e) == plan(&exhibits[0])));
        let [none] = &*Exhibit::blind(&[NONE.into()]).unwrap() else { panic!() };
        assert!(none.plan(&registry, 1).unwrap().target.options.get("bug").is_none());
    }

    #[test]
    fn seeds_differ_and_nothing_else_does() {
        let registry = Registry::default();
        let exhibits = Exhibit::load(None, &["stale-read".into()]).unwrap();
        let [exhibit] = &*exhibits else { panic!("{exhibits:?}") };
        let (a, b) = (exhibit.plan(&registry, 1).unwrap(), exhibit.plan(&registry, 2).unwrap());
        assert_ne!(a.seed, b.seed);
        assert_eq!(crate::campaign::RunPlan { seed: a.seed, ..b }, a);
    }

    #[test]
    fn nonsense_is_refused() {
        for (text, says) in [
            ("exhibits: [{bug: stale-reed}]", "stale-reed"),
            ("exhibits: [{bug: stale-read, wrkload: register}]", "wrkload"),
            ("exhibits: [{bug: stale-read}, {bug: stale-read}]", "twice"),
            ("exhibits: [{bug: stale-read, seed: 4}]", "`seed`"),
            ("defaults: {targets: [etcd]}\nexhibits: [{bug: stale-read}]", "`targets`"),
            ("exhibit: []", "exhibit"),
            ("- 1", "no museum"),
        ] {
            let error = read("file", text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
        assert!(Exhibit::load(None, &["stale-reads".into()]).unwrap_err().to_string().contains("stale-read"));
    }
}
