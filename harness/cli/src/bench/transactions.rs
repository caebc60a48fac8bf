//! How long checks of transactions take, and how much memory the whole process holds while it reads and judges.
//!
//! Each history is written to a file first; then a process of its own reads and judges it, as `squall check` does
//! for anybody. So figures of one row never count what another row, or making the input, has left behind.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use serde_json::Value as Json;
use squall_checkers::bench::{Form, TransactionRow, transaction_rows, write_text};
use squall_history::export;

use super::Row;

/// Three rows for each history: seconds of the check, seconds of reading and checking, and the most memory. Those
/// of more than `transactions_max` transactions are left out.
pub(super) fn rows(
    transactions_max: u64,
    mut each: impl FnMut(Row) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let dir = tempfile::tempdir().context("a temporary folder")?;
    let file = dir.path().join("history");
    for row in transaction_rows().iter().filter(|row| row.transactions <= transactions_max) {
        write(row, &file).with_context(|| format!("cannot write the history of `{}`", row.name))?;
        let answer = judge(row, &file)?;
        let number = |key: &str| answer[key].as_f64().unwrap_or(f64::NAN);
        let (check, parse) = (number("check_seconds"), number("parse_seconds"));
        let name = format!("checkers/transactions/{}", row.name);
        let peer = (!row.peer.is_empty()).then(|| row.peer.to_owned());
        let note = Some(format!(
            "{} transactions by {}: {}; {} MB of {}",
            row.transactions,
            row.consistency,
            said(&answer),
            std::fs::metadata(&file)?.len() / 1_000_000,
            if row.form == Form::Edn { "EDN" } else { "text" }
        ));
        let seconds = Row { reach: row.check_seconds, peer, note, ..Row::new(&name, check, "s") };
        each(seconds)?;
        each(Row {
            reach: row.whole_seconds,
            ..Row::new(format!("{name}/with reading"), check + parse, "s")
        })?;
        let reach = row.peak_bytes.map(|b| b as f64 / 1e6);
        each(Row { reach, ..Row::new(format!("{name}/memory"), number("peak_bytes") / 1e6, "MB") })?;
    }
    Ok(())
}

fn write(row: &TransactionRow, file: &Path) -> std::io::Result<()> {
    let history = (row.make)();
    let out = BufWriter::new(File::create(file)?);
    match row.form {
        Form::Edn => export::edn(&history, out),
        Form::Text => write_text(&history, out),
    }
}

fn judge(row: &TransactionRow, file: &Path) -> anyhow::Result<Json> {
    let this = std::env::current_exe().context("this program has no path")?;
    let output = Command::new(this)
        .args(["check", "--format", "json", "--model", row.model, "--consistency", row.consistency])
        .arg(file)
        .stderr(Stdio::inherit())
        .output()
        .context("a process of its own cannot be started")?;
    serde_json::from_slice(&output.stdout).with_context(|| format!("`{}` gave no answer", row.name))
}

fn said(answer: &Json) -> String {
    let types = answer["anomaly_types"].as_array().map_or(0, Vec::len);
    match &answer["valid"] {
        Json::Bool(true) => "valid".to_owned(),
        Json::Bool(false) => format!("invalid, {types} types of anomaly"),
        _ => format!("unknown: {}", answer["reason"].as_str().unwrap_or_default()),
    }
}
