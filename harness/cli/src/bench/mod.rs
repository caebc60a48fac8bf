//! Benchmarks: one JSON object a row.

mod engine;

use serde::Serialize;

use crate::Exit;
use crate::args::BenchArgs;

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
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

pub(crate) async fn engine_rows() -> Result<Vec<Row>, squall_engine::Error> {
    engine::rows().await
}

/// Measures what was named.
pub fn bench(_args: &BenchArgs) -> anyhow::Result<Exit> {
    anyhow::bail!("`bench` is not available in this build")
}
