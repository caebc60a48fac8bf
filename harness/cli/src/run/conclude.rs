//! The end of a campaign: its documents, its page, and what a CI system is told.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use squall_engine::Error;
use squall_reports::{Document, Past, RunResult};

use super::store;
use crate::Exit;
use crate::args::{Format, RunArgs};
use crate::output::{print_json, say};
use crate::stored::{Night, earlier, past};

/// Writes `results.json`, `junit.xml` and `index.html` of a campaign, and says what came of it.
pub(super) fn conclude(
    night: &Path,
    results: Vec<RunResult>,
    args: &RunArgs,
    interrupted: bool,
) -> anyhow::Result<Exit> {
    let outcomes: Vec<_> = results.iter().map(|r| r.outcome).collect();
    let document = squall_reports::document(Some(night.to_string_lossy().into_owned()), results);
    store::write(&night.join("results.json"), &super::one::json(&document)?)?;
    store::write(&night.join("junit.xml"), squall_reports::junit(&document).as_bytes())?;
    let past = write_index(night, &document)?;
    if document.runs.len() > 1 {
        say(&document.reason);
        if !past.signatures.is_empty() {
            say(squall_reports::terminal::triage(&past.signatures).trim_end());
        }
        say(&format!("campaign: {}", night.join("index.html").display()));
    }
    tell_github(&document, &past.signatures);
    match args.format {
        Format::Json => print_json(&document)?,
        Format::Human => {}
    }
    let exit = Exit::from_code(squall_reports::exit_code(outcomes, args.allow_unknown));
    Ok(if interrupted { Exit::Interrupted } else { exit })
}

/// Writes a campaign's page, with what earlier nights say.
fn write_index(dir: &Path, document: &Document) -> Result<Past, Error> {
    let real = std::fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
    let night = Night::at(&real);
    let mut all = earlier(&night);
    all.push(night.clone());
    let told: Vec<_> = all.into_iter().map(|n| (n.time.clone(), n.results())).collect();
    let past = past(&told);
    let links: Vec<Option<String>> = document
        .runs
        .iter()
        .map(|r| format!("{}/report.html", r.name))
        .map(|link| dir.join(&link).is_file().then_some(link))
        .collect();
    let page = squall_reports::index(&night.campaign, document, &links, &past);
    store::write(&dir.join("index.html"), page.as_bytes())?;
    Ok(past)
}

/// Annotations and the job's summary, where the environment shows GitHub. That neither can be written is no
/// reason to lose a verdict.
fn tell_github(document: &Document, signatures: &[squall_reports::Signature]) {
    if std::env::var_os("GITHUB_ACTIONS").is_some_and(|v| v == "true") {
        // Commands are read from standard error as well, and standard output belongs to documents.
        let text = squall_reports::annotations(document);
        if !text.is_empty() {
            say(text.trim_end());
        }
    }
    let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|p| !p.is_empty()) else { return };
    let text = squall_reports::job_summary(document) + &squall_reports::triage_summary(signatures);
    let written = OpenOptions::new()
        .append(true)
        .create(true)
        .open(&path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    if let Err(e) = written {
        say(&format!("the job's summary {} cannot be written: {e}", Path::new(&path).display()));
    }
}
