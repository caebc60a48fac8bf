//! Which function a command is.

use crate::args::{Cli, Command};
use crate::{Exit, Registry, bench, check, commands, export, run};

pub(crate) fn dispatch(registry: &Registry, cli: &Cli) -> anyhow::Result<Exit> {
    match &cli.command {
        Command::Run(args) => run::run(registry, args),
        Command::Check(args) => check::check(args),
        Command::Analyze(args) => run::analyze(registry, args),
        Command::Bench(args) => bench::bench(args),
        Command::Export(args) => export::export(args),
        Command::List(args) => commands::list(registry, args),
        Command::Doctor(args) => commands::doctor(registry, args),
        Command::Schema(args) => commands::schema(registry, args),
        Command::Completions(args) => commands::completions(args),
        Command::Man => commands::man(),
    }
}
