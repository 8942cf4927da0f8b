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
    /// Check a policy: every mistake with its line, and rules that can hardly be meant.
    ///
    /// Exit status: 0 the filter loads it (also with warnings), 1 it does not, 2 the file cannot
    /// be read.
    Check {
        /// The policy, in YAML or JSON; `-` reads standard input.
        policy: PathBuf,
    },
    /// Explain what the filter decides about a request, and why.
    ///
    /// Exit status: 0 the request goes on to the server, 1 it is refused, 2 it could not be judged.
    Explain(explain::ExplainArguments),
    /// Print the pins of the tools in a saved list, as YAML for a policy.
    ///
    /// Exit status: 0 they are printed, 1 a tool is not as the policy's pin says, 2 the list cannot
    /// be read.
    Pin(pin::PinArguments),
    /// Print the JSON Schema of a policy, for editors.
    Schema,
    /// Print every reason of a decision: its meaning, what the caller sees, and what to do.
    Reasons,
    /// Print the argument names that say who is calling, and what happens to each.
    Arguments {
        /// The rules in force with this policy, instead of the built-in ones alone.
        #[arg(long)]
        policy: Option<PathBuf>,
        /// Of several policies the one to ask, by its path or its `resource`.
        #[arg(long, requires = "policy")]
        path: Option<String>,
    },
}

/// What a command has to say.
#[derive(Debug, Default)]
struct CommandOutput {
    /// The answer.
    stdout: String,
    /// What is wrong, or doubtful.
    stderr: String,
    /// The exit status.
    status: u8,
}

/// Why a command has no answer.
#[derive(Debug)]
struct Failure {
    /// What is wrong, in whole lines.
    message: String,
    /// What to do about it.
    next: String,
    /// The exit status.
    status: u8,
}

impl Failure {
    /// The command was not used as it is meant, or a file cannot be read.
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
    // Whoever reads only the first lines of the output has what they wanted.
    let _ = std::io::stderr().write_all(outcome.stderr.as_bytes());
    let _ = std::io::stdout().write_all(outcome.stdout.as_bytes());
    ExitCode::from(outcome.status)
}
