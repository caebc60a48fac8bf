//! Flags of the commands that judge nothing.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use clap_complete::Shell;

use super::Format;
use crate::campaign::{Cell, ProviderChoice};
use crate::export::To;

/// Flags of `list`.
#[derive(Clone, Debug, Args)]
pub struct ListArgs {
    /// What to list
    #[arg(value_enum)]
    pub what: Listed,
    /// Text for people or one JSON document, on standard output
    #[arg(long, value_enum, default_value_t, env = "SQUALL_FORMAT")]
    pub format: Format,
}

/// What can be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Listed {
    /// Systems under test
    Targets,
    /// What clients do
    Workloads,
    /// Kinds of harm
    Faults,
    /// What histories are judged by
    Models,
}

/// Flags of `doctor`.
#[derive(Clone, Debug, Args)]
pub struct DoctorArgs {
    /// A target to start once, by name or by the path of its description; without one, the machine is examined
    #[arg(value_name = "TARGET")]
    pub target: Option<Cell>,
    /// Examine this provider instead of this machine, by name or with options
    #[arg(long, value_name = "NAME", conflicts_with = "target")]
    pub provider: Option<ProviderChoice>,
    /// Text for people or one JSON document, on standard output
    #[arg(long, value_enum, default_value_t, env = "SQUALL_FORMAT")]
    pub format: Format,
}

/// Flags of `new-target`.
#[derive(Clone, Debug, Args)]
pub struct NewTargetArgs {
    /// What it is called: a folder of this name is made
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// Flags of `check-client`.
#[derive(Clone, Debug, Args)]
pub struct CheckClientArgs {
    /// The client and its arguments
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<OsString>,
    /// A running server to stand behind the one that misbehaves, for clients that need answers to connect
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub server: Option<SocketAddr>,
    /// Text for people or one JSON document, on standard output
    #[arg(long, value_enum, default_value_t, env = "SQUALL_FORMAT")]
    pub format: Format,
}

/// Flags of `schema`.
#[derive(Clone, Debug, Args)]
pub struct SchemaArgs {
    /// Of what
    #[arg(value_enum, default_value = "campaign")]
    pub of: SchemaOf,
}

/// What has a JSON Schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// A campaign file
    Campaign,
    /// The description of a target
    Target,
    /// A line between the harness and a client program
    Client,
    /// A line of a history in JSON lines, as `check` reads it and `export` writes it
    History,
    /// What `check --format json` prints for a file
    Check,
    /// What `run --format json` prints
    Run,
}

/// Flags of `completions`.
#[derive(Clone, Debug, Args)]
pub struct CompletionsArgs {
    /// For which shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Flags of `export`.
#[derive(Clone, Debug, Args)]
pub struct ExportArgs {
    /// The run's folder in the store, or a history in any format that `check` reads
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// The form to write
    #[arg(long, value_enum, value_name = "FORM")]
    pub to: To,
    /// Where to; standard output if not given. A file that is there is not overwritten
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}
