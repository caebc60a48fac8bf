//! Flags of the commands that look at the store.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::Format;

/// Flags of `trend`.
#[derive(Clone, Debug, Args)]
pub struct TrendArgs {
    /// The folder that keeps runs
    #[arg(value_name = "STORE", default_value = "store", env = "SQUALL_STORE")]
    pub store: PathBuf,
    /// Only runs whose name has this in it
    #[arg(long, value_name = "TEXT")]
    pub name: Option<String>,
    /// Only this campaign
    #[arg(long, value_name = "NAME")]
    pub campaign: Option<String>,
    /// Text for people or one JSON document, on standard output
    #[arg(long, value_enum, default_value_t, env = "SQUALL_FORMAT")]
    pub format: Format,
}

/// Flags of `diff`.
#[derive(Clone, Debug, Args)]
pub struct DiffArgs {
    /// A campaign in the store, such as store/nightly/20260131T120000Z; of store/nightly, the newest
    #[arg(value_name = "A")]
    pub first: PathBuf,
    /// Another
    #[arg(value_name = "B")]
    pub second: PathBuf,
    /// Text for people or one JSON document, on standard output
    #[arg(long, value_enum, default_value_t, env = "SQUALL_FORMAT")]
    pub format: Format,
}

/// Flags of `serve`.
#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    /// The folder that keeps runs
    #[arg(value_name = "STORE", default_value = "store", env = "SQUALL_STORE")]
    pub store: PathBuf,
    /// Where to listen: a loopback address and a port, 0 for any that is free
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7187")]
    pub listen: SocketAddr,
}
