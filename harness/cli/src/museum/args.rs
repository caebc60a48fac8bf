//! Flags of `raftkv museum`.

use std::path::PathBuf;

use clap::Parser;

use crate::args::{Format, MAX_REPEAT};
use crate::campaign::Shard;

/// Run the museum: for each classic mistake, the campaign that was made to find it
#[derive(Clone, Debug, Parser)]
#[command(name = "squall raftkv museum", after_help = EXIT_CODES)]
pub(super) struct MuseumArgs {
    /// The exhibits (YAML); those that come built in, if not given
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// One campaign for all: every workload and every fault, not made for any bug. `--bug none` is the correct store
    #[arg(long, conflicts_with = "file")]
    pub blind: bool,
    /// Only these bugs. Repeat for several, or separate them by commas
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub bug: Vec<String>,
    /// Seeds for each bug
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=MAX_REPEAT as u64))]
    pub seeds: u64,
    /// The first of them
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub first_seed: u64,
    /// Runs at once: more than one fakes elections where the machine is busy
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub parallel: u32,
    /// The folder that keeps runs and findings. A run whose finding is there already is not run again
    #[arg(long, value_name = "DIR", default_value = "store/museum")]
    pub store: PathBuf,
    /// Run only the M-th of N parts, from 1
    #[arg(long, value_name = "M/N", env = "SQUALL_SHARD")]
    pub shard: Option<Shard>,
    /// Run nothing: only the score of what is in the store
    #[arg(long)]
    pub score: bool,
    /// A table for people or one JSON document, on standard output
    #[arg(long, value_enum, default_value_t, env = "SQUALL_FORMAT")]
    pub format: Format,
}

const EXIT_CODES: &str = "\
Exit codes: 0 each bug was found in 9 of 10 of its seeds, 1 one was not (or something was in the correct store), 254 bad arguments or exhibits, 255 a run
broke, 130 interrupted.";
