//! `mcp-auth audit`: what an access log says, as tables and as a page.

mod charts;
mod log_page;
mod signs;
mod tally;

use std::path::PathBuf;

use self::tally::Tally;
use crate::{CommandOutput, Failure, access_log, files, page};

/// The arguments of `mcp-auth audit`.
#[derive(Debug, clap::Args)]
pub(crate) struct AuditArguments {
    /// The access log; `-` reads standard input. Several files are one log.
    #[arg(required = true)]
    logs: Vec<PathBuf>,
    /// Only requests of this caller, as the log names it (`mcp-auth hash`).
    #[arg(long, value_name = "ID")]
    caller: Option<String>,
    /// Only requests for this tool.
    #[arg(long)]
    tool: Option<String>,
    /// Only requests with this reason.
    #[arg(long, value_name = "CODE")]
    reason: Option<String>,
    /// Write a page with charts. It needs no other file.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &AuditArguments) -> Result<CommandOutput, Failure> {
    let mut tally = Tally::default();
    let wanted = [
        ("enduser.id", &arguments.caller),
        ("gen_ai.tool.name", &arguments.tool),
        ("reason", &arguments.reason),
    ];
    for path in &arguments.logs {
        for (time, record) in access_log::read_timed(path)? {
            let is = |(key, value): &(&str, &Option<String>)| {
                let text = record.get(*key).and_then(serde_json::Value::as_str);
                value.as_deref().is_none_or(|value| text == Some(value))
            };
            if wanted.iter().all(is) {
                tally.add(time, &record);
            }
        }
    }
    if tally.requests == 0 {
        return Err(Failure::usage(
            "no record is of this caller, tool and reason",
            "leave one of the options away",
        ));
    }
    let mut stdout = match arguments.json {
        true => format!("{:#}\n", tally.json()),
        false => tally.text(),
    };
    if let Some(path) = &arguments.html {
        page::write(path, &log_page::log_page(&tally)?)?;
        if !arguments.json {
            stdout.push_str(&format!("\nwrote {}\n", files::name(path)));
        }
    }
    Ok(CommandOutput {
        stdout,
        ..CommandOutput::default()
    })
}
