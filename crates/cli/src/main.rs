#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod access;
mod access_log;
mod accounts;
mod arguments;
mod audit;
mod cases;
mod check;
mod check_tools;
mod diagnostic;
mod diff;
mod explain;
mod files;
mod http_agent;
mod identity_claims;
mod init;
mod page;
mod pin;
mod policy_file;
mod policy_needs;
mod progress;
mod proxy_file;
mod reasons;
mod render;
mod report;
mod run;
mod schema;
mod shell;
mod subject_hash;
mod terminal_text;
mod test_token;
mod tool_list;
mod who;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use explanation::{value_changes, yaml};

use self::diagnostic::Diagnostic;

/// Checks and explains the policies of mcp-auth-filter.
#[derive(Debug, Parser)]
#[command(name = "mcp-auth", version)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a first policy for an MCP server: roles, identity arguments, and questions.
    ///
    /// Exit status: 0: it is written. 2: the server or the issuer cannot be read.
    Init(init::InitArguments),
    /// Check a policy, alone or in the configuration of a proxy: all mistakes with their lines, and
    /// warnings.
    ///
    /// In a configuration of Envoy, Istio or Envoy Gateway, the settings of the filter and its place are
    /// checked, too. Exit status: 0: the filter loads it, maybe with warnings. 1: it does not, or does not
    /// protect. 2: the file cannot be read.
    Check(check::CheckArguments),
    /// Write the complete configuration of a proxy for a policy.
    ///
    /// Exit status: 0: it is written. 1: the filter does not load the policy. 2: something is missing, such as
    /// the address of a server.
    Render(render::RenderArguments),
    /// Start Envoy with the filter in front of an MCP server, and show decisions as they are made.
    ///
    /// Exit status: 0: it was ended. 1: Envoy or the filter refused the policy. 2: something is missing.
    Run(run::RunArguments),
    /// Explain the decision of the filter about a request.
    ///
    /// Exit status: 0: the server gets the request. 1: it is refused. 2: it could not be judged.
    Explain(explain::ExplainArguments),
    /// Make a token for tests, signed with a local key. The policy reads the given caller from it.
    ///
    /// Exit status: 0: it is printed. 1: the filter does not load the policy. 2: the policy would not accept it.
    Token(test_token::TestTokenArguments),
    /// Run cases of a policy: requests with the decisions that are expected.
    ///
    /// Exit status: 0: all are met. 1: one is not, or too few rules are reached. 2: a file cannot be read.
    Test(cases::CaseArguments),
    /// Print which role may call a tool, or what one caller may call, and why.
    ///
    /// Exit status: 0: a call is allowed. 1: none is. 2: a file cannot be read.
    Who(who::WhoArguments),
    /// Print what each role gains and loses between two policies.
    ///
    /// Exit status: 0: no role gains anything. 1: one gains something, or may. 2: a file cannot be read.
    Diff(diff::DiffArguments),
    /// Print what an access log says: decisions, tools, callers, reasons, and signs of attacks over time.
    Audit(audit::AuditArguments),
    /// List the linked accounts of a user in etcd, or end them.
    ///
    /// Exit status: 0: they are listed, or ended. 1: one did not end. 2: the store cannot be reached, or a file
    /// cannot be read.
    Accounts(accounts::AccountsArguments),
    /// Print the name of a user in the access log.
    Hash(subject_hash::HashArguments),
    /// Print the pins of the tools in a saved list, as YAML for a policy.
    ///
    /// Exit status: 0: they are printed. 1: a tool differs from the policy's pin. 2: the list cannot be
    /// read.
    Pin(pin::PinArguments),
    /// Print the JSON Schema of a policy, for editors.
    Schema,
    /// Print all reasons of decisions: their meaning, the answer to the caller, and the next action.
    Reasons(reasons::ReasonsArguments),
    /// Print the names of arguments that identify the caller, with their rules.
    Arguments(arguments::NamesArguments),
    /// Print the completion for a shell.
    Completion {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page.
    Man,
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
    /// The mistakes in a file.
    found: Vec<Diagnostic>,
    /// The error in whole lines, if it is not in a file.
    message: String,
    /// The next action.
    next: String,
    /// The exit status.
    status: u8,
}

impl Default for Failure {
    fn default() -> Self {
        Self {
            found: Vec::new(),
            message: String::new(),
            next: String::new(),
            status: 1,
        }
    }
}

impl Failure {
    /// The arguments are wrong, or a file cannot be read.
    fn usage(message: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            message: format!("mcp-auth: {}\n", message.into()),
            next: next.into(),
            status: 2,
            ..Self::default()
        }
    }

    /// The error for a terminal, in whole lines, without the next action.
    fn shown(&self) -> String {
        format!("{}{}", diagnostic::report(&self.found), self.message)
    }
}

impl From<Failure> for CommandOutput {
    fn from(failure: Failure) -> Self {
        let next = terminal_text::wrapped("", "  ", &format!("Next: {}.", failure.next));
        Self {
            stdout: String::new(),
            stderr: format!("{}{next}", failure.shown()),
            status: failure.status,
        }
    }
}

fn main() -> ExitCode {
    let outcome = match CommandLine::parse().command {
        Command::Init(arguments) => init::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Render(arguments) => render::run(&arguments),
        Command::Run(arguments) => run::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Token(arguments) => test_token::run(&arguments),
        Command::Test(arguments) => cases::run(&arguments),
        Command::Who(arguments) => who::run(&arguments),
        Command::Diff(arguments) => diff::run(&arguments),
        Command::Audit(arguments) => audit::run(&arguments),
        Command::Accounts(arguments) => accounts::run(&arguments),
        Command::Hash(arguments) => subject_hash::run(&arguments),
        Command::Completion { shell } => shell::completion(shell),
        Command::Man => shell::man(),
        Command::Pin(arguments) => pin::run(&arguments),
        Command::Schema => schema::run(),
        Command::Reasons(arguments) => reasons::run(&arguments),
        Command::Arguments(arguments) => arguments::run(&arguments),
    };
    let outcome = outcome.unwrap_or_else(CommandOutput::from);
    // A reader such as `head` may close the output early.
    let _ = anstream::stderr().write_all(outcome.stderr.as_bytes());
    let _ = std::io::stdout().write_all(outcome.stdout.as_bytes());
    ExitCode::from(outcome.status)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// The commands without `--json`, with the reason.
    const WITHOUT_JSON: [(&str, &str); 3] = [
        ("schema", "prints JSON anyway"),
        ("completion", "prints a script for a shell"),
        ("man", "prints a page for man"),
    ];

    #[test]
    fn each_command_prints_json_or_has_a_reason() {
        let mut command = CommandLine::command();
        command.build();
        let names = command
            .get_subcommands()
            .filter(|each| each.get_name() != "help");
        for subcommand in names {
            let name = subcommand.get_name();
            let has_json = subcommand
                .get_arguments()
                .any(|argument| argument.get_long() == Some("json"));
            let has_reason = WITHOUT_JSON.iter().any(|(without, _)| *without == name);
            assert_ne!(has_json, has_reason, "{name}");
        }
    }

    #[test]
    fn the_arguments_are_sound() {
        CommandLine::command().debug_assert();
    }
}
