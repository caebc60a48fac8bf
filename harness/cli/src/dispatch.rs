//! Which function a command is.

use std::ffi::OsString;

use crate::args::{Cli, Command};
use crate::{
    Exit, Registry, bench, check, commands, conformance, declared, export, museum, run, serve, skeleton,
    trend, verify,
};

pub(crate) fn dispatch(registry: &Registry, cli: &Cli) -> anyhow::Result<Exit> {
    match &cli.command {
        Command::Run(args) => run::run(registry, args),
        Command::Check(args) => check::check(args),
        Command::Verify(args) => verify::verify(args),
        Command::Analyze(args) => run::analyze(registry, args),
        Command::Serve(args) => serve::serve(args),
        Command::Trend(args) => trend::trend(args),
        Command::Diff(args) => trend::diff(args),
        Command::Replay(args) => run::replay(registry, args),
        Command::Shrink(args) => run::shrink(registry, args),
        Command::Bench(args) => bench::bench(args),
        Command::Raftkv { args } => raftkv(registry, args.clone()),
        Command::Export(args) => export::export(args),
        Command::List(args) => commands::list(registry, args),
        Command::Doctor(args) => match &args.target {
            Some(target) => declared::trial(registry, target, args),
            None => commands::doctor(registry, args),
        },
        Command::NewTarget(args) => skeleton::new_target(args),
        Command::CheckClient(args) => conformance::check_client(args),
        Command::Schema(args) => commands::schema(registry, args),
        Command::Completions(args) => commands::completions(args),
        Command::Man => commands::man(),
    }
}

/// Its command line is its own, but for what needs the harness.
pub(crate) fn raftkv(registry: &Registry, args: impl IntoIterator<Item = OsString>) -> anyhow::Result<Exit> {
    let mut args = args.into_iter().peekable();
    if args.next_if(|a| a == "museum").is_some() {
        return museum::museum(registry, args);
    }
    let code = squall_raftkv::cli::run(args);
    Ok(Exit::from_code(u8::try_from(code).unwrap_or(Exit::Broken.code())))
}
