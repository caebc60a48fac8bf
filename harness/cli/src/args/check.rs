//! Flags of `check`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use squall_engine::units::{parse_duration, parse_size};
use squall_history::import::Keyed;

use super::Format;

/// See the module.
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// Histories: Jepsen's EDN or log lines, JSON lines, run logs, text formats; packed with gzip or zstd or
    /// not. `-` is standard input; a run's folder stands for its log
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// What the history is a history of; `squall list models` names all. Not needed where --consistency is given
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// The consistency; if not given it depends on the model. `strongest` says which models are violated and
    /// which are not
    #[arg(long, value_name = "NAME")]
    pub consistency: Option<String>,
    /// The value before the first operation, as JSON: 0, null, '"a"'
    #[arg(long, value_name = "VALUE")]
    pub initial: Option<String>,
    /// Whether values are [key value] tuples of independent objects
    #[arg(long, value_enum, default_value = "auto")]
    pub keyed: KeyedArg,
    /// How far the clocks of the recording machines may have been apart
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "0s")]
    pub clock_error: Duration,
    /// How long one file may take, reading included; then what is left is unknown
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub time_limit: Option<Duration>,
    /// How much memory a search may hold beside the history
    #[arg(long, value_name = "SIZE", value_parser = parse_size, default_value = "2GiB")]
    pub memory_limit: u64,
    /// Where to write the proof of the verdict, for `squall verify`; of a single history only
    #[arg(long, value_name = "FILE")]
    pub certificate: Option<PathBuf>,
    /// What standard output gets
    #[arg(long, value_enum, default_value_t, env = "SQUALL_FORMAT")]
    pub format: Format,
}

/// Flags of `verify`.
#[derive(Clone, Debug, Args)]
pub struct VerifyArgs {
    /// The run's folder in the store, or a history in any format that `check` reads
    #[arg(value_name = "RUN", default_value = "store/latest")]
    pub run: PathBuf,
    /// The certificate; certificate.json in the run's folder if not given
    #[arg(long, value_name = "FILE")]
    pub certificate: Option<PathBuf>,
    /// Of a history: whether values are [key value] tuples of independent objects
    #[arg(long, value_enum, default_value = "auto")]
    pub keyed: KeyedArg,
    /// What standard output gets
    #[arg(long, value_enum, default_value_t, env = "SQUALL_FORMAT")]
    pub format: Format,
}

/// Whether values are `[key value]` tuples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum KeyedArg {
    /// Told by the history; refused where it does not tell
    #[default]
    Auto,
    /// They are
    Yes,
    /// They are not
    No,
}

impl From<KeyedArg> for Keyed {
    fn from(arg: KeyedArg) -> Keyed {
        match arg {
            KeyedArg::Auto => Keyed::Auto,
            KeyedArg::Yes => Keyed::Yes,
            KeyedArg::No => Keyed::No,
        }
    }
}
