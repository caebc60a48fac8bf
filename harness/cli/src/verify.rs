//! `squall verify`: accepts or rejects the certificate of a verdict.
//!
//! It reads the history and the certificate, and asks code that shares nothing with the checkers. Exit code 0
//! if it is accepted, 1 if it is rejected, 2 if there is none.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use squall_checkers::{Certificate, linear, txn};
use squall_engine::run::LOG_FILE;
use squall_history::{History, SCHEMA_VERSION, import};

use crate::args::{Format, VerifyArgs};
use crate::output::{print_json, say};
use crate::{Exit, Refused, run};

/// A certificate's name in a run's folder.
const FILE: &str = "certificate.json";

#[derive(Serialize)]
struct Document {
    schema_version: u32,
    run: String,
    /// Null: there is nothing to accept.
    accepted: Option<bool>,
    /// What the certificate claims to prove.
    kind: Option<String>,
    reason: String,
}

/// Accepts or rejects.
pub(crate) fn verify(args: &VerifyArgs) -> anyhow::Result<Exit> {
    let (history, file) = files(args)?;
    let document = match certificate(&file)? {
        None => Document {
            schema_version: SCHEMA_VERSION,
            run: args.run.display().to_string(),
            accepted: None,
            kind: None,
            reason: format!("there is no {}: the verdict came without a certificate", file.display()),
        },
        Some(certificate) => {
            let options = import::Options { keyed: args.keyed.into(), ..import::Options::default() };
            let imported = import::read_file(&history, &options)
                .map_err(|e| Refused(format!("{}: {e}", history.display())))?;
            let verdict = accept(&imported.history, &certificate)?;
            let reason = match &verdict {
                Ok(()) => format!("the certificate ({}) proves the verdict", certificate.kind),
                Err(why) => why.clone(),
            };
            Document {
                schema_version: SCHEMA_VERSION,
                run: args.run.display().to_string(),
                accepted: Some(verdict.is_ok()),
                kind: Some(certificate.kind),
                reason,
            }
        }
    };
    let (exit, word) = match document.accepted {
        Some(true) => (Exit::Valid, "accepted"),
        Some(false) => (Exit::Invalid, "REJECTED"),
        None => (Exit::Unknown, "nothing to verify"),
    };
    match args.format {
        Format::Json => print_json(&document)?,
        Format::Human => say(&format!("{}: {word}: {}", document.run, document.reason)),
    }
    Ok(exit)
}

/// The history and the certificate that are meant.
fn files(args: &VerifyArgs) -> anyhow::Result<(PathBuf, PathBuf)> {
    if args.run.is_dir() {
        let dir = run::find_run(&args.run)?;
        let certificate = args.certificate.clone().unwrap_or_else(|| dir.join(FILE));
        return Ok((dir.join(LOG_FILE), certificate));
    }
    match &args.certificate {
        Some(certificate) => Ok((args.run.clone(), certificate.clone())),
        None => {
            let run = args.run.display();
            Err(Refused(format!("{run} is no run's folder; name its certificate with --certificate")).into())
        }
    }
}

fn certificate(path: &Path) -> Result<Option<Certificate>, Refused> {
    let refuse = |e: String| Refused(format!("{}: {e}", path.display()));
    match fs::read(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(refuse(e.to_string())),
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|e| refuse(format!("this is no certificate: {e}"))),
    }
}

/// Whether the certificate is good; an error if nobody here can tell.
fn accept(history: &History, certificate: &Certificate) -> Result<Result<(), String>, Refused> {
    match certificate.kind.as_str() {
        "linearization" | "nonlinearizable" => Ok(linear::verify::accept(history, certificate)),
        kind if txn::verify::KINDS.contains(&kind) => Ok(txn::verify::verify(history, certificate)),
        other => Err(Refused(format!("nothing here can verify a certificate of the kind `{other}`"))),
    }
}
