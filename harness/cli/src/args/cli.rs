//! Commands and their flags, but for `run`, which has a file of its own.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::{
    CheckArgs, CheckClientArgs, CompletionsArgs, DiffArgs, DoctorArgs, ExportArgs, ListArgs, NewTargetArgs,
    ReplayArgs, RunArgs, SchemaArgs, ServeArgs, ShrinkArgs, TrendArgs, VerifyArgs,
};

/// Puts a real cluster through a storm and says, with proof, whether it kept its promises
#[derive(Clone, Debug, Parser)]
#[command(name = "squall", version, propagate_version = true, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 valid or as expected, 1 invalid or not recovered, 2 unknown, 254 bad arguments, configuration
or input, 255 the harness broke, 130 interrupted.";

/// The commands.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Run a campaign; without a file, the built-in one: Raft KV, 5 nodes, partitions and clock skew, 30 s
    Run(Box<RunArgs>),
    /// Judge histories from anywhere
    Check(CheckArgs),
    /// Accept or reject the certificate of a verdict, by code that shares nothing with the checkers
    Verify(VerifyArgs),
    /// Judge a stored run again and rewrite its report
    Analyze(AnalyzeArgs),
    /// Look at the store in a browser
    Serve(ServeArgs),
    /// Show runs over time: verdicts, figures, and which anomalies are new, known or gone
    Trend(TrendArgs),
    /// Compare two campaigns, paired by seed; claims a change only beyond the spread of repeats
    Diff(DiffArgs),
    /// Run a stored run again, with its seed and its schedule
    Replay(ReplayArgs),
    /// Find the smallest campaign that still fails as a stored run did
    Shrink(ShrinkArgs),
    /// The Raft KV that comes built in: its server, and the bugs that it can be given
    #[command(disable_help_flag = true)]
    Raftkv {
        /// See `squall raftkv --help`
        #[arg(value_name = "ARGS", trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Measure checkers, engine, faults or Raft KV: one JSON object a row
    Bench(BenchArgs),
    /// Write a run's history in another form
    Export(ExportArgs),
    /// List what there is to name in a campaign, and what each needs
    List(ListArgs),
    /// Say what this machine allows, and how to allow more; or start a target once and say what is wrong
    Doctor(DoctorArgs),
    /// Make a folder with a target, a client and a campaign to begin from
    NewTarget(NewTargetArgs),
    /// Try out a client program of a target, and name its mistakes
    CheckClient(CheckClientArgs),
    /// Print a JSON Schema (draft-07) of what squall reads and writes
    Schema(SchemaArgs),
    /// Print completions for a shell
    Completions(CompletionsArgs),
    /// Print the manual page
    Man,
}

/// What standard output gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Text for people, on standard error
    #[default]
    Human,
    /// One JSON document, on standard output
    Json,
}

/// Flags of `analyze`.
#[derive(Clone, Debug, Args)]
pub struct AnalyzeArgs {
    /// The run's folder in the store, such as store/latest/RUN
    #[arg(value_name = "RUN", default_value = "store/latest")]
    pub run: PathBuf,
    /// Judge by this consistency instead of the one that the run was judged by
    #[arg(long, value_name = "MODEL")]
    pub consistency: Option<String>,
    /// What standard output gets
    #[arg(long, value_enum, default_value_t, env = "SQUALL_FORMAT")]
    pub format: Format,
}

/// Flags of `bench`.
#[derive(Clone, Debug, Args)]
pub struct BenchArgs {
    /// What to measure; all of it if nothing is named
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// With the name raftkv: measure beside this store, on the same machine, network and disk
    #[arg(long, value_enum, conflicts_with = "soak")]
    pub vs: Option<VersusPeer>,
    /// With the name raftkv: run this long at a low rate and watch the memory, such as 1h
    #[arg(long, value_name = "TIME")]
    pub soak: Option<humantime::Duration>,
}

/// Stores that Raft KV is measured beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum VersusPeer {
    /// etcd, from the PATH, over gRPC
    Etcd,
}
