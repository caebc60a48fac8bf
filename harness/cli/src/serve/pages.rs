//! The pages, folded from the store's folders.

use std::path::Path;

use squall_engine::run::LOG_FILE;
use squall_history::runlog::read_log_file;
use squall_reports::site::{self, File, NightLine, Now, RunLine};
use squall_reports::{Results, compare as compared};

use super::paths::within;
use super::routes::Site;
use crate::stored::{Night, StoredRun, earlier, night_of, nights, past};

/// Runs on a page of the list.
const PAGE: usize = 1000;

/// Every run, the newest night first, or those that have every word of `query` in them.
pub(super) fn list(site: &Site, query: &str, page: Option<&str>) -> String {
    let mut all = nights(&site.root).unwrap_or_default();
    all.reverse();
    let words: Vec<String> = query.to_lowercase().split_whitespace().map(str::to_owned).collect();
    let page = page.and_then(|p| p.parse::<usize>().ok()).unwrap_or(1).max(1);
    let mut found = Vec::new();
    let mut told = Vec::new();
    for night in &all {
        let folders = night.folders();
        told.push(NightLine { path: place(night), runs: folders.len() });
        for folder in folders {
            let line = line(site, night, &folder);
            if words.iter().all(|w| line.has(w)) {
                found.push(line);
            }
        }
    }
    let matching = found.len();
    let shown: Vec<RunLine> = found.into_iter().skip((page - 1) * PAGE).take(PAGE).collect();
    site::list(&told, &shown, matching, query, page, matching.div_ceil(PAGE).max(1))
}

fn line(site: &Site, night: &Night, folder: &str) -> RunLine {
    let path = format!("{}/{folder}", place(night));
    let Some(brief) = site.briefs.of(&night.dir.join(folder)) else {
        return RunLine { path, name: folder.to_owned(), ..RunLine::default() };
    };
    RunLine {
        path,
        name: brief.name.clone(),
        target: format!("{} {}", brief.target, brief.target_version).trim().to_owned(),
        workload: brief.workload.clone(),
        seed: Some(brief.seed),
        outcome: Some(brief.outcome),
        operations: brief.operations.started,
        reason: brief.reason.clone(),
    }
}

fn place(night: &Night) -> String {
    format!("{}/{}", night.campaign, night.time)
}

/// A night by `campaign/time`.
fn find(site: &Site, path: &str) -> Option<Night> {
    (path.split('/').count() == 2).then_some(())?;
    let night = night_of(&within(&site.root, path)?).ok()?;
    (place(&night) == path).then_some(night)
}

/// A campaign's page, also while it goes on.
pub(super) fn night(site: &Site, path: &str) -> Option<String> {
    let night = find(site, path)?;
    let results = night.results();
    let link = |r: &Results| Some(format!("../../../run/{}/{}", place(&night), r.run.name));
    let links = results.iter().map(link).collect::<Vec<_>>();
    let document = squall_reports::document(None, results.iter().map(|r| r.run.clone()).collect());
    let mut told: Vec<_> = earlier(&night).iter().map(|n| (n.time.clone(), n.results())).collect();
    told.push((night.time.clone(), results));
    Some(squall_reports::index(&night.campaign, &document, &links, &past(&told)))
}

/// A run: what is known of it and its files; `now` gives only what changes while it goes on.
pub(super) fn run(site: &Site, path: &str, now: bool) -> Option<String> {
    let (night, folder) = path.rsplit_once('/')?;
    let night = find(site, night)?;
    let run = night.runs().into_iter().find(|r| r.folder == folder)?;
    let dir = night.dir.join(folder);
    let going_on = run.results.is_none();
    let log = read_log_file(&dir.join(LOG_FILE)).ok();
    let state = Now {
        history: log.as_ref().filter(|_| going_on).map(|(history, _)| history),
        result: run.results.as_ref().map(|r| &r.run),
        files: &files(&dir, path),
    };
    Some(if now { site::now(&state) } else { page(&night, &run, &state) })
}

fn page(night: &Night, run: &StoredRun, state: &Now<'_>) -> String {
    site::run(&place(night), &run.folder, state)
}

/// Files of a run, by name, with their paths in the store.
fn files(dir: &Path, path: &str) -> Vec<File> {
    let mut found = Vec::new();
    let mut folders = vec![(dir.to_owned(), path.to_owned())];
    while let Some((folder, path)) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
            let Ok(name) = entry.file_name().into_string() else { continue };
            let (Ok(meta), false) = (entry.metadata(), name.starts_with('.')) else { continue };
            let path = format!("{path}/{name}");
            if meta.is_dir() {
                folders.push((entry.path(), path));
            } else if meta.is_file() {
                found.push(File { path, bytes: meta.len() });
            }
        }
    }
    found.sort_by(|a, b| (a.path.matches('/').count(), &a.path).cmp(&(b.path.matches('/').count(), &b.path)));
    found
}

/// Two campaigns side by side.
pub(super) fn compare(site: &Site, first: &str, second: &str) -> Option<String> {
    let (a, b) = (find(site, first)?, find(site, second)?);
    Some(site::compare(first, second, &compared(&a.results(), &b.results())))
}
