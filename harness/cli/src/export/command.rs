//! The command: reads a history from wherever it is, writes it in the form that was asked for.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use clap::ValueEnum;
use squall_engine::run::LOG_FILE;
use squall_history::History;
use squall_history::import::{self, Format};
use squall_reports::Document;

use super::{csv, edn, jsonl, perfetto};
use crate::args::ExportArgs;
use crate::output::{quietly, say};
use crate::run::find_run;
use crate::{Exit, Refused, stored};

/// The forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum To {
    /// JSON lines, one event a line: what `check` reads
    Jsonl,
    /// Jepsen's EDN, one event a line
    Edn,
    /// One row an operation, for spreadsheets and data frames
    Csv,
    /// Spans of operations and faults for ui.perfetto.dev
    Perfetto,
    /// JUnit XML of stored verdicts: a suite a run, a case a check; of a run or of a whole campaign
    Junit,
}

/// Writes a run's history in another form.
pub fn export(args: &ExportArgs) -> anyhow::Result<Exit> {
    if args.to == To::Junit {
        let text = squall_reports::junit(&judged(&args.run)?);
        match &args.output {
            None => quietly(io::stdout().lock().write_all(text.as_bytes()))?,
            Some(file) => to_file(|out| out.write_all(text.as_bytes()), file)?,
        }
        return Ok(Exit::Valid);
    }
    let log = if args.run.is_dir() { find_run(&args.run)?.join(LOG_FILE) } else { args.run.clone() };
    let path = log.as_path();
    let imported = import::read_file(path, &import::Options::default())
        .map_err(|e| Refused(format!("{}: {e}", path.display())))?;
    for warning in &imported.warnings {
        say(&format!("warning: {warning}"));
    }
    let write = |out: &mut dyn Write| match (args.to, imported.format) {
        (To::Jsonl, Format::RunLog) => jsonl::unpack(path, out),
        (to, _) => write(&imported.history, to, out),
    };
    match &args.output {
        None => quietly(write(&mut io::stdout().lock()))?,
        Some(file) => to_file(write, file)?,
    }
    Ok(Exit::Valid)
}

/// What was judged in a run's folder, or in those of a whole campaign.
fn judged(path: &Path) -> anyhow::Result<Document> {
    let results = match stored::results(path).filter(|_| path.is_dir()) {
        Some(one) => vec![one],
        None => stored::night_of(path)?.results(),
    };
    if results.is_empty() {
        return Err(
            Refused(format!("{} holds no results; `squall analyze` makes them", path.display())).into()
        );
    }
    let store = Some(path.to_string_lossy().into_owned());
    Ok(squall_reports::document(store, results.into_iter().map(|r| r.run).collect()))
}

/// Writes the whole file or none: nobody's file is overwritten, and no half of one is left.
fn to_file(write: impl Fn(&mut dyn Write) -> io::Result<()>, path: &Path) -> anyhow::Result<()> {
    let failed = |e: io::Error| Refused(format!("cannot write {}: {e}", path.display()));
    let mut file = File::create_new(path).map_err(failed)?;
    if let Err(e) = write(&mut file).and_then(|()| file.sync_all()) {
        // It is ours, and not whole.
        let _ = fs::remove_file(path);
        return Err(anyhow::Error::new(e).context(format!("cannot write {}", path.display())));
    }
    Ok(())
}

fn write(history: &History, to: To, out: &mut dyn Write) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, out);
    match to {
        To::Jsonl => jsonl::write(history, &mut out)?,
        To::Edn => edn::write(history, &mut out)?,
        To::Csv => csv::write(history, &mut out)?,
        To::Perfetto => perfetto::write(history, &mut out)?,
        // Of verdicts, which a history alone has not.
        To::Junit => return Err(io::Error::other("JUnit is made from results")),
    }
    out.flush()
}
