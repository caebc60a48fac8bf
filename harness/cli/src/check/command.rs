//! The command: every file in turn, and one exit code for all.

use std::path::Path;

use anyhow::Context;
use squall_checkers::Certificate;
use squall_history::Value;

use super::by::By;
use super::one::one;
use crate::args::{CheckArgs, Format};
use crate::output::{print_json, say};
use crate::{Exit, Refused};

/// Judges every file.
pub fn check(args: &CheckArgs) -> anyhow::Result<Exit> {
    let initial = args.initial.as_deref().map_or(Ok(Value::Nil), initial)?;
    let mut by = By::find(args.model.as_deref(), args.consistency.as_deref(), initial)?;
    if args.certificate.is_some() {
        if args.files.len() > 1 {
            return Err(Refused::new("--certificate: name a single history").into());
        }
        by = by.with_certificate();
    }
    let mut exits = Vec::new();
    for file in &args.files {
        match one(file, &by, args) {
            Ok((answer, certificate)) => {
                if let Some(path) = &args.certificate {
                    keep(path, certificate.as_ref())?;
                }
                exits.push(Exit::from(answer.valid));
                match args.format {
                    Format::Json => print_json(&answer)?,
                    Format::Human => say(&answer.text()),
                }
            }
            Err(unreadable) => {
                exits.push(Exit::BadInput);
                say(&format!("squall: {}: {}", unreadable.file, unreadable.error));
                if args.format == Format::Json {
                    print_json(&unreadable)?;
                }
            }
        }
    }
    Ok(Exit::worst(exits))
}

/// Writes the proof. A verdict without one leaves no file, and says so.
fn keep(path: &Path, certificate: Option<&Certificate>) -> anyhow::Result<()> {
    match certificate {
        None => say("squall: this verdict has no certificate"),
        Some(certificate) => {
            let text = serde_json::to_string(certificate)? + "\n";
            std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(())
}

fn initial(text: &str) -> Result<Value, Refused> {
    serde_json::from_str(text).map_err(|e| {
        Refused(format!("--initial {text}: not a JSON value ({e}); write for example 0, null or '\"a\"'"))
    })
}
