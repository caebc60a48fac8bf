//! Histories recorded and labelled by other projects, read from the folder that `SQUALL_CORPORA` names.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;

use squall_checkers::linear::{self, Options, verify};
use squall_checkers::models::ModelName;
use squall_checkers::{Budget, Valid};
use squall_history::Value;
use squall_history::import::{self, Keyed};

fn corpora() -> Option<PathBuf> {
    let folder = std::env::var_os("SQUALL_CORPORA").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped: SQUALL_CORPORA is not set");
    }
    folder
}

/// Path, format, model and whether valid, of every row that is about linearizability.
fn rows(folder: &std::path::Path) -> Vec<(String, String, ModelName, bool)> {
    let labels = std::fs::read_to_string(folder.join("labels.tsv")).unwrap();
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('\t').collect();
        let model = cells[2].parse().ok()?;
        let path = cells[0].to_owned();
        path.starts_with("linearizable/").then(|| (path, cells[1].to_owned(), model, cells[3] == "valid"))
    };
    labels.lines().skip(1).filter_map(row).collect()
}

#[test]
fn every_labelled_history_is_judged_as_labelled_and_proven() {
    let Some(folder) = corpora() else { return };
    let rows = rows(&folder);
    assert!(!rows.is_empty());
    let mut wrong = Vec::new();
    for (path, format, model, valid) in rows {
        let options = import::Options { keyed: Keyed::No, ..Default::default() };
        let imported =
            import::read_file(&folder.join(&path), &options).unwrap_or_else(|e| panic!("{path}: {e}"));
        let by_value = matches!(model, ModelName::CasRegister | ModelName::MultiRegister);
        let initial = if by_value && format == "edn" { Value::Int(0) } else { Value::Nil };
        let options = Options { initial, certificate: true, ..Options::new(model) };
        let verdict = linear::check_model(&imported.history, &options, &Budget::default());
        let expected = if valid { Valid::Yes } else { Valid::No };
        if verdict.valid != expected {
            wrong.push(format!("{path}: {:?} {:?}", verdict.valid, verdict.reason));
            continue;
        }
        let certificate = verdict.certificate.unwrap_or_else(|| panic!("{path}: nothing to prove it"));
        if let Err(why) = verify::accept(&imported.history, &certificate) {
            wrong.push(format!("{path}: {why}"));
        }
        if let Some(anomaly) = verdict.anomalies.first() {
            eprintln!(
                "{path}: {} operations of {}: {}",
                anomaly.operations.len(),
                imported.history.len(),
                anomaly.explanation
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
