//! Measurements.

use crate::Exit;
use crate::args::BenchArgs;

/// Measures what was named.
pub fn bench(_args: &BenchArgs) -> anyhow::Result<Exit> {
    anyhow::bail!("`bench` is not available in this build")
}
