#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod answer;
mod arguments;
mod caller_token;
mod check;
mod explain;
mod files;
mod pin;
mod policy_file;
mod proof;
mod reasons;
mod report;
mod request_headers;
mod schema;
mod terminal_text;
mod value_changes;
mod yaml;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Checks and explains the policies of mcp-auth-filter.
#[derive(Debug, Parser)]
#[command(name = "mcp-auth", version)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check a policy: all mistakes with their lines, and warnings.
    ///
    /// Exit status: 0: the filter loads it, maybe with warnings. 1: it does not. 2: the file cannot be
    /// read.
    Check {
        /// The policy, in YAML or JSON; `-` reads standard input.
        policy: PathBuf,
    },
    /// Explain the decision of the filter about a request.
    ///
    /// Exit status: 0: the server gets the request. 1: it is refused. 2: it could not be judged.
    Explain(explain::ExplainArguments),
    /// Print the pins of the tools in a saved list, as YAML for a policy.
    ///
    /// Exit status: 0: they are printed. 1: a tool differs from the policy's pin. 2: the list cannot be
    /// read.
    Pin(pin::PinArguments),
    /// Print the JSON Schema of a policy, for editors.
    Schema,
    /// Print all reasons of decisions: their meaning, the answer to the caller, and the next action.
    Reasons,
    /// Print the names of arguments that identify the caller, with their rules.
    Arguments {
        /// Include the rules of this policy.
        #[arg(long)]
        policy: Option<PathBuf>,
        /// The policy to use if there are several, by its path or its `resource`.
        #[arg(long, requires = "policy")]
        path: Option<String>,
    },
}

/// The output of a command.
#[derive(Debug, Default)]
struct CommandOutput {
    /// The answer.
    stdout: String,
    /// Errors and warnings.
    stderr: String,
    /// The exit status.
    status: u8,
}

/// The failure of a command.
#[derive(Debug)]
struct Failure {
    /// The error, in whole lines.
    message: String,
    /// The next action.
    next: String,
    /// The exit status.
    status: u8,
}

impl Failure {
    /// The arguments are wrong, or a file cannot be read.
    fn usage(message: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            message: format!("mcp-auth: {}\n", message.into()),
            next: next.into(),
            status: 2,
        }
    }
}

impl From<Failure> for CommandOutput {
    fn from(failure: Failure) -> Self {
        let next = terminal_text::wrapped("", "  ", &format!("Next: {}.", failure.next));
        Self {
            stdout: String::new(),
            stderr: format!("{}{next}", failure.message),
            status: failure.status,
        }
    }
}

fn main() -> ExitCode {
    let outcome = match CommandLine::parse().command {
        Command::Check { policy } => check::run(&policy),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Pin(arguments) => pin::run(&arguments),
        Command::Schema => schema::run(),
        Command::Reasons => reasons::run(),
        Command::Arguments { policy, path } => arguments::run(policy.as_deref(), path.as_deref()),
    };
    let outcome = outcome.unwrap_or_else(CommandOutput::from);
    // A reader such as `head` may close the output early.
    let _ = std::io::stderr().write_all(outcome.stderr.as_bytes());
    let _ = std::io::stdout().write_all(outcome.stdout.as_bytes());
    ExitCode::from(outcome.status)
}
