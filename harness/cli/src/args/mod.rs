//! The command line as data. Nothing is looked up or started here: names are checked against the registry,
//! and files opened, by the commands.

mod again;
mod check;
mod cli;
mod more;
mod run;
mod store;
mod values;

#[cfg(test)]
mod tests;

pub use again::{ReplayArgs, ShrinkArgs};
pub use check::{CheckArgs, KeyedArg, VerifyArgs};
pub use cli::{AnalyzeArgs, BenchArgs, Cli, Command, Format, VersusPeer};
pub use more::{
    CheckClientArgs, CompletionsArgs, DoctorArgs, ExportArgs, ListArgs, Listed, NewTargetArgs, SchemaArgs,
    SchemaOf,
};
pub use run::RunArgs;
pub(crate) use run::{MAX_NODES, MAX_REPEAT};
pub use store::{DiffArgs, ServeArgs, TrendArgs};
pub use values::Together;
