//! `squall completions` and `squall man`: both are made from the command line's own definition.

use clap::{Command, CommandFactory};

use crate::Exit;
use crate::args::{Cli, CompletionsArgs};
use crate::output::print;

/// Prints completions for a shell.
pub fn completions(args: &CompletionsArgs) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "squall", &mut script);
    print(&String::from_utf8(script)?)?;
    Ok(Exit::Valid)
}

/// Prints the manual page: every command on one page.
pub fn man() -> anyhow::Result<Exit> {
    let mut command = Cli::command();
    command.build();
    let mut page = Vec::new();
    let man = clap_mangen::Man::new(command.clone());
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    for sub in command.get_subcommands().filter(|c| c.get_name() != "help") {
        section(sub.clone(), &mut page)?;
    }
    man.render_extra_section(&mut page)?;
    print(&String::from_utf8(page)?)?;
    Ok(Exit::Valid)
}

/// One command: its own heading, then how it is called and its flags.
fn section(sub: Command, page: &mut Vec<u8>) -> anyhow::Result<()> {
    let heading = format!("squall {}", sub.get_name()).to_uppercase();
    let man = clap_mangen::Man::new(sub);
    let mut text = Vec::new();
    man.render_description_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_options_section(&mut text)?;
    // One page has one heading of each name: a command's sections become parts of its own.
    let text = String::from_utf8(text)?.replacen(".SH DESCRIPTION", &format!(".SH \"{heading}\""), 1);
    page.extend_from_slice(
        text.replace(".SH SYNOPSIS", ".SS SYNOPSIS").replace(".SH OPTIONS", ".SS OPTIONS").as_bytes(),
    );
    Ok(())
}
