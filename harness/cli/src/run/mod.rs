//! Running: one run after another, judged and stored as they end.

mod judge;
pub mod live;
pub mod one;
mod signals;
mod store;

use crate::args::{AnalyzeArgs, RunArgs};
use crate::{Exit, Registry};

/// Runs a campaign.
pub fn run(_registry: &Registry, _args: &RunArgs) -> anyhow::Result<Exit> {
    anyhow::bail!("`run` is not available in this build")
}

/// Judges a stored run again.
pub fn analyze(_registry: &Registry, _args: &AnalyzeArgs) -> anyhow::Result<Exit> {
    anyhow::bail!("`analyze` is not available in this build")
}
