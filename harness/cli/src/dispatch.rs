//! Which function a command is.

use crate::args::{Cli, Command};
use crate::{Exit, Registry, bench, check, commands, run};

pub(crate) fn dispatch(registry: &Registry, cli: &Cli) -> anyhow::Result<Exit> {
    match &cli.command {
        Command::Run(args) => run::run(registry, args),
        Command::Check(args) => check::check(args),
        Command::Analyze(args) => run::analyze(registry, args),
        Command::Bench(args) => bench::bench(args),
        Command::List(args) => commands::list(registry, args),
    }
}
