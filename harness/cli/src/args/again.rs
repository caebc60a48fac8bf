//! Flags of the commands that do a stored run again.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use squall_engine::units::parse_duration;

use super::Format;
use super::run::MAX_REPEAT;

/// Flags of `replay`.
#[derive(Clone, Debug, Args)]
pub struct ReplayArgs {
    /// The run's folder in the store
    #[arg(value_name = "RUN", default_value = "store/latest")]
    pub run: PathBuf,
    /// Harm the very nodes that were harmed, at the very times, instead of those that have their roles now
    #[arg(long)]
    pub exact: bool,
    /// How often; says in how many of them the run's anomalies were found again
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=MAX_REPEAT))]
    pub times: u32,
    /// The folder that keeps runs
    #[arg(long, value_name = "DIR", default_value = "store")]
    pub store: PathBuf,
    /// What standard output gets
    #[arg(long, value_enum, default_value_t, env = "SQUALL_FORMAT")]
    pub format: Format,
}

/// Flags of `shrink`.
#[derive(Clone, Debug, Args)]
pub struct ShrinkArgs {
    /// The folder of a run that found an anomaly
    #[arg(value_name = "RUN", default_value = "store/latest")]
    pub run: PathBuf,
    /// How often each candidate is tried
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub times: u32,
    /// When to be content with what was found
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "10min")]
    pub time_limit: Duration,
    /// Where to write the smallest campaign that fails; smallest.yaml in the run's folder if not given
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The folder that keeps the runs that are tried
    #[arg(long, value_name = "DIR", default_value = "store")]
    pub store: PathBuf,
    /// What standard output gets
    #[arg(long, value_enum, default_value_t, env = "SQUALL_FORMAT")]
    pub format: Format,
}
