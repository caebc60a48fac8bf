//! From the command line to an exit code.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::Context;
use serde::Serialize;
use squall_history::SCHEMA_VERSION;
use squall_reports::text::inert_lines;
use squall_targets::external::{Hello, Host, NodeHello, PROTOCOL, Program, Spec};

use super::exam::{Exam, Finding, Mark};
use super::server::Server;
use crate::Exit;
use crate::args::{CheckClientArgs, Format};
use crate::output::{print, print_json};

#[derive(Serialize)]
struct Document {
    schema_version: u32,
    /// Whether no mistake was found.
    valid: bool,
    client: String,
    supports: Vec<String>,
    findings: Vec<Finding>,
}

/// Tries a client program out. Exit code 1 if it makes a mistake.
pub fn check_client(args: &CheckClientArgs) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let document = runtime.context("the runtime cannot be started")?.block_on(examine(args))?;
    match args.format {
        Format::Json => print_json(&document)?,
        Format::Human => print(&text(&document))?,
    }
    Ok(if document.valid { Exit::Valid } else { Exit::Invalid })
}

async fn examine(args: &CheckClientArgs) -> anyhow::Result<Document> {
    let server = Server::start(args.server).await.context("no server can be started on the loopback")?;
    let logs = tempfile::tempdir().context("no temporary folder can be made")?;
    let spec = Spec {
        name: "client".into(),
        argv: args.command.clone(),
        env: BTreeMap::new(),
        cwd: std::env::current_dir().context("the current folder cannot be told")?,
    };
    let node = NodeHello {
        name: "n1".into(),
        address: "127.0.0.1".into(),
        ports: [("client".to_owned(), server.address.port())].into(),
    };
    let hello = Hello {
        protocol: PROTOCOL,
        target: "check-client".into(),
        options: BTreeMap::new(),
        nodes: vec![node],
    };
    let host = Host::Machine(logs.path().to_owned());
    let finding = |name, result, text: String| Finding { name, result, text };
    let program = match Program::start(&host, &spec, "the client", &hello).await {
        Ok(program) => Arc::new(program),
        Err(e) => {
            return Ok(Document {
                schema_version: SCHEMA_VERSION,
                valid: false,
                client: String::new(),
                supports: Vec::new(),
                findings: vec![finding("hello", Mark::Fail, e.to_string())],
            });
        }
    };
    let said = format!("it says hello and supports: {}", program.supports.join(", "));
    let first = finding("hello", Mark::Pass, said);
    let mut exam =
        Exam { program: &program, server: &server, real: args.server.is_some(), findings: vec![first] };
    exam.sit().await;
    let findings = exam.findings;
    let document = Document {
        schema_version: SCHEMA_VERSION,
        valid: findings.iter().all(|f| f.result != Mark::Fail),
        client: program.client.clone(),
        supports: program.supports.clone(),
        findings,
    };
    program.end().await;
    Ok(document)
}

fn text(document: &Document) -> String {
    let mut out = String::new();
    for finding in &document.findings {
        let mark = match finding.result {
            Mark::Pass => "ok     ",
            Mark::Fail => "MISTAKE",
            Mark::Skipped => "skipped",
        };
        let _ = writeln!(out, "{mark}  {:9} {}", finding.name, finding.text);
    }
    out.push_str(if document.valid {
        "No mistake was found."
    } else {
        "The client makes mistakes: see above."
    });
    // Much of this was said by a program that we did not write.
    inert_lines(&out) + "\n"
}
