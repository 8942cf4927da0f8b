//! `mcp-auth completion` and `mcp-auth man`.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::{CommandLine, CommandOutput, Failure};

/// The completion for a shell.
pub(crate) fn completion(shell: Shell) -> Result<CommandOutput, Failure> {
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut CommandLine::command(), "mcp-auth", &mut out);
    text(out)
}

/// The manual page: the command itself, and then each subcommand.
pub(crate) fn man() -> Result<CommandOutput, Failure> {
    let mut out = Vec::new();
    let failure = |error: std::io::Error| {
        Failure::usage(
            format!("cannot write the page: {error}"),
            "report this as a bug",
        )
    };
    let mut command = CommandLine::command();
    command.build();
    clap_mangen::Man::new(command.clone())
        .render(&mut out)
        .map_err(failure)?;
    for subcommand in command
        .get_subcommands()
        .filter(|each| each.get_name() != "help")
    {
        let name = format!("mcp-auth-{}", subcommand.get_name());
        let page = clap_mangen::Man::new(subcommand.clone()).title(name);
        page.render(&mut out).map_err(failure)?;
    }
    text(out)
}

fn text(bytes: Vec<u8>) -> Result<CommandOutput, Failure> {
    Ok(CommandOutput {
        stdout: String::from_utf8_lossy(&bytes).into_owned(),
        ..CommandOutput::default()
    })
}
