//! `squall doctor`: what this machine allows, and what to do about the rest.

use std::fmt::Write;

use anyhow::Context;
use serde::Serialize;
use serde_json::Value as Json;
use squall_cluster::{Capability, Probe, Provider};
use squall_history::SCHEMA_VERSION;
use squall_reports::text::inert_lines;

use crate::args::{DoctorArgs, Format};
use crate::output::{print, print_json};
use crate::{Exit, Refused, Registry};

#[derive(Serialize)]
struct Document {
    schema_version: u32,
    provider: String,
    /// Whether runs are possible at all.
    ready: bool,
    probes: Vec<Probe>,
    targets: Vec<Found>,
}

/// Whether a target has what it needs.
#[derive(Serialize)]
struct Found {
    name: &'static str,
    available: bool,
    /// Its version, or what is missing and how to get it.
    finding: String,
}

/// Probes the machine. Exit code 1 if it cannot make nodes, so that no run is possible.
pub fn doctor(registry: &Registry, args: &DoctorArgs) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("the runtime cannot be started")?;
    let provider = args.provider.clone().unwrap_or_default().make().map_err(Refused::from)?;
    let document = runtime.block_on(examine(registry, &*provider));
    match args.format {
        Format::Json => print_json(&document)?,
        Format::Human => print(&text(&document))?,
    }
    Ok(if document.ready { Exit::Valid } else { Exit::Invalid })
}

async fn examine(registry: &Registry, provider: &dyn Provider) -> Document {
    let probes = provider.probe().await;
    let lacks_nodes = probes.iter().any(|p| p.capability == Capability::Nodes && !p.available);
    let mut targets = Vec::new();
    for kind in registry.targets() {
        let prepared = match (kind.build)(&Json::Null) {
            Ok(target) => target.prepare().await,
            Err(e) => Err(e),
        };
        targets.push(match prepared {
            Ok(version) => Found { name: kind.name, available: true, finding: version },
            Err(e) => Found { name: kind.name, available: false, finding: e.to_string() },
        });
    }
    Document {
        schema_version: SCHEMA_VERSION,
        provider: provider.name().to_owned(),
        ready: !lacks_nodes,
        probes,
        targets,
    }
}

fn text(document: &Document) -> String {
    let mut out = format!("What the provider `{}` can do here:\n", document.provider);
    for probe in &document.probes {
        let mark = if probe.available { "ok     " } else { "MISSING" };
        let _ = writeln!(out, "  {mark}  {:13} {}", probe.capability.to_string(), probe.finding);
        for remedy in &probe.remedies {
            let _ = writeln!(out, "                         to allow it: {remedy}");
        }
    }
    out.push_str("Targets:\n");
    for target in &document.targets {
        let mark = if target.available { "ok     " } else { "MISSING" };
        let _ = writeln!(out, "  {mark}  {:13} {}", target.name, target.finding);
    }
    let verdict = match document.ready {
        true => "Ready: `squall run` works here.\n",
        false => "Not ready: there can be no nodes; see above for why.\n",
    };
    out.push_str(verdict);
    // Versions come from programs that we did not write.
    inert_lines(&out) + "\n"
}
