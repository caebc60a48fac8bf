//! Flags of `run`. Each overrides its key of the campaign file; `SQUALL_*` stands between the two.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use squall_engine::units::parse_duration;

use super::{Format, Together};
use crate::campaign::{Cell, Concurrency, ProviderChoice, Rate, Shard};

/// See the module.
#[derive(Clone, Debug, Default, Args)]
pub struct RunArgs {
    /// The campaign file (YAML); `-` for standard input
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// A system under test, by name or with options: etcd, '{etcd: {version: system}}'. Repeat for several
    #[arg(long, value_name = "NAME", env = "SQUALL_TARGET", value_delimiter = ';')]
    pub target: Vec<Cell>,
    /// What clients do, by name or with options. Repeat for several
    #[arg(long, value_name = "NAME", env = "SQUALL_WORKLOAD", value_delimiter = ';')]
    pub workload: Vec<Cell>,
    /// Faults: commas mean together, repeating the flag (or `;`) means alternatives; `all` is every kind that can be had
    #[arg(long, value_name = "A,B", env = "SQUALL_FAULTS", value_delimiter = ';')]
    pub faults: Vec<Together>,
    /// How nodes come to be, by name or with options
    #[arg(long, value_name = "NAME", env = "SQUALL_PROVIDER")]
    pub provider: Option<ProviderChoice>,
    /// Number of nodes
    #[arg(long, value_name = "N", env = "SQUALL_NODES", value_parser = clap::value_parser!(u32).range(1..=MAX_NODES))]
    pub nodes: Option<u32>,
    /// Processes that act at a time: a number, or 2n for two a node
    #[arg(long, value_name = "N|Nn", env = "SQUALL_CONCURRENCY")]
    pub concurrency: Option<Concurrency>,
    /// Operations a second, all processes together; `max` for as fast as answers come
    #[arg(long, value_name = "N", env = "SQUALL_RATE")]
    pub rate: Option<Rate>,
    /// How long the main phase lasts, with its unit: 30s, 5min
    #[arg(long, value_name = "TIME", env = "SQUALL_TIME_LIMIT", value_parser = parse_duration)]
    pub time_limit: Option<Duration>,
    /// How long an operation may take before it counts as unanswered
    #[arg(long, value_name = "TIME", env = "SQUALL_OP_TIMEOUT", value_parser = parse_duration)]
    pub op_timeout: Option<Duration>,
    /// The seed from which every decision follows; a random one, which is printed, if not given
    #[arg(long, value_name = "N", env = "SQUALL_SEED")]
    pub seed: Option<u64>,
    /// How often each combination runs
    #[arg(long, value_name = "N", env = "SQUALL_REPEAT", value_parser = clap::value_parser!(u32).range(1..=MAX_REPEAT))]
    pub repeat: Option<u32>,
    /// The folder that keeps runs
    #[arg(long, value_name = "DIR", env = "SQUALL_STORE")]
    pub store: Option<PathBuf>,
    /// Run only the M-th of N parts of the campaign, from 1
    #[arg(long, value_name = "M/N", env = "SQUALL_SHARD")]
    pub shard: Option<Shard>,
    /// Go on with the newest campaign of this name: runs that ended are not run again
    #[arg(long, env = "SQUALL_RESUME")]
    pub resume: bool,
    /// End a run as soon as a check finds an anomaly
    #[arg(long, env = "SQUALL_STOP_ON_ANOMALY")]
    pub stop_on_anomaly: bool,
    /// End the campaign at the first run that fails or breaks
    #[arg(long, env = "SQUALL_FAIL_FAST")]
    pub fail_fast: bool,
    /// Count undecided runs as passed
    #[arg(long, env = "SQUALL_ALLOW_UNKNOWN")]
    pub allow_unknown: bool,
    /// What standard output gets
    #[arg(long, value_enum, default_value_t, env = "SQUALL_FORMAT")]
    pub format: Format,
}

/// More nodes than this on one machine measure the machine.
pub(crate) const MAX_NODES: i64 = 99;
/// More repeats than this are a typing error.
pub(crate) const MAX_REPEAT: i64 = 100_000;
