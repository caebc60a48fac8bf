//! The command: reads a history from wherever it is, writes it in the form that was asked for.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use clap::ValueEnum;
use squall_engine::run::LOG_FILE;
use squall_history::History;
use squall_history::import::{self, Format};

use super::{csv, edn, jsonl, perfetto};
use crate::args::ExportArgs;
use crate::output::{quietly, say};
use crate::run::find_run;
use crate::{Exit, Refused};

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
}

/// Writes a run's history in another form.
pub fn export(args: &ExportArgs) -> anyhow::Result<Exit> {
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
    }
    out.flush()
}
