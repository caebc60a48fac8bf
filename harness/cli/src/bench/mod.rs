//! Measurements: one JSON object a row.

mod checkers;
mod client;
mod engine;
mod faults;
mod raftkv;
mod reports;
mod transactions;

use std::future::Future;

use anyhow::Context as _;
use serde::Serialize;

use crate::args::{BenchArgs, VersusPeer};
use crate::output::print_json;
use crate::suggest::hint;
use crate::{Exit, Refused};

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What was measured.
    pub name: String,
    /// The figure.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// What it should reach.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reach: Option<f64>,
    /// What peers reach.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// Circumstances.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Row {
    fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Row { name: name.into(), value, unit, reach: None, peer: None, note: None }
    }

    fn reach(self, reach: f64) -> Self {
        Row { reach: Some(reach), ..self }
    }
}

const NAMES: [&str; 7] = ["engine", "client", "faults", "checkers", "transactions", "raftkv", "reports"];

/// Operations of the largest input that is written to a file and read back.
const OPERATIONS_MAX: usize = 1_000_000;

/// Measures what was named, or everything.
pub fn bench(args: &BenchArgs) -> anyhow::Result<Exit> {
    if args.names == [client::ECHO] {
        client::echo().context("answering")?;
        return Ok(Exit::Valid);
    }
    if let Some(unknown) = args.names.iter().find(|n| !NAMES.contains(&n.as_str())) {
        let known = NAMES.join(", ");
        return Err(Refused::new(format!(
            "nothing to measure is called `{unknown}`; {} known: {known}",
            hint(unknown, NAMES)
        ))
        .into());
    }
    if (args.vs.is_some() || args.soak.is_some()) && args.names != ["raftkv"] {
        return Err(Refused::new("--vs and --soak go with the name raftkv alone".to_owned()).into());
    }
    for name in NAMES {
        if !args.names.is_empty() && !args.names.iter().any(|n| n == name) {
            continue;
        }
        let rows = match name {
            "engine" => in_runtime(engine::rows())??,
            "client" => in_runtime(client::rows())??,
            "faults" => {
                let tell = |row: Row| {
                    print_json(&row).map_err(|e| squall_engine::Error::Broken(format!("printing: {e}")))
                };
                in_runtime(faults::rows(tell))??;
                Vec::new()
            }
            "reports" => reports::rows()?,
            "raftkv" => match (args.vs, args.soak) {
                (Some(VersusPeer::Etcd), _) => shown(|show| in_runtime(raftkv::versus(show))?)?,
                (None, Some(lasting)) => in_runtime(raftkv::soak(lasting.into()))??,
                (None, None) => shown(|show| in_runtime(raftkv::rows(show))?)?,
            },
            "transactions" => {
                transactions::rows(OPERATIONS_MAX as u64, |row| {
                    print_json(&row).map_err(anyhow::Error::from)
                })?;
                Vec::new()
            }
            _ => {
                checkers::rows()?;
                Vec::new()
            }
        };
        for row in rows {
            print_json(&row)?;
        }
    }
    Ok(Exit::Valid)
}

/// For measurements that take long: each row is printed as it is measured.
fn shown(
    measure: impl FnOnce(fn(Row) -> anyhow::Result<()>) -> anyhow::Result<()>,
) -> anyhow::Result<Vec<Row>> {
    measure(|row| print_json(&row).map_err(anyhow::Error::from))?;
    Ok(Vec::new())
}

fn in_runtime<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    Ok(runtime.block_on(work))
}
