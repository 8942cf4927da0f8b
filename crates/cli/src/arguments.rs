//! `mcp-auth arguments`: the names of arguments that identify the caller, with their rules.

use std::fmt::Write;
use std::path::PathBuf;

use mcp::argument_names::fold;
use policy::document::Document;
use policy::{ArgumentRule, IdentityField, Operation, Policy, builtin_arguments};
use serde_json::json;

use crate::terminal_text::{printable, wrapped};
use crate::{CommandOutput, Failure, policy_file};

/// The source of a rule.
const POLICY: &str = "policy";
const BUILT_IN: &str = "built in";

/// An argument name, its rule, and the source of the rule.
type Row<'a> = (&'a str, ArgumentRule, &'static str);

/// The arguments of `mcp-auth arguments`.
#[derive(Debug, clap::Args)]
pub(crate) struct NamesArguments {
    /// Include the rules of this policy.
    #[arg(long)]
    policy: Option<PathBuf>,
    /// The policy to use if there are several, by its path or its `resource`.
    #[arg(long, requires = "policy")]
    path: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Prints the rules of a policy in a file, or the built-in ones.
pub(crate) fn run(arguments: &NamesArguments) -> Result<CommandOutput, Failure> {
    let stdout = match &arguments.policy {
        Some(path) => {
            let (policy, json) = policy_file::load(path)?.single(arguments.path.as_deref())?;
            let document = serde_json::from_value(json).map_err(|error| {
                Failure::usage(format!("cannot read the policy: {error}"), "check it")
            })?;
            let rows = effective(&document, &policy);
            match arguments.json {
                true => as_json(&rows, Some(&policy)),
                false => [
                    introduction(),
                    table(&rows),
                    of_operations("tools", &policy.tools),
                    of_operations("prompts", &policy.prompts),
                ]
                .concat(),
            }
        }
        None => {
            let rows: Vec<Row<'_>> = builtin_arguments(true)
                .map(|(name, rule)| (name, rule, BUILT_IN))
                .collect();
            let end = "Where an issuer has no `identity.organization`, names set to the organization \
                       are refused. A policy changes a rule under `arguments`, for one tool under \
                       `tools.NAME.arguments`, and turns all of them off with `builtin_arguments: false`.";
            match arguments.json {
                true => as_json(&rows, None),
                false => format!(
                    "{}{}\n{}",
                    introduction(),
                    table(&rows),
                    wrapped("", "", end)
                ),
            }
        }
    };
    Ok(CommandOutput {
        stdout,
        ..CommandOutput::default()
    })
}

fn introduction() -> String {
    let text = "Arguments that identify the caller. Names match in any case, with any separators and \
                Unicode spelling, at any depth.";
    wrapped("", "", text) + "\n"
}

/// The rules, and those of single tools and prompts of a policy.
fn as_json(rows: &[Row<'_>], policy: Option<&Policy>) -> String {
    let rows = rows.iter();
    let rows =
        rows.map(|(name, rule, from)| json!({"name": name, "rule": written(rule), "from": from}));
    let sections = policy.map(|policy| [("tools", &policy.tools), ("prompts", &policy.prompts)]);
    let single = sections
        .into_iter()
        .flatten()
        .flat_map(|(section, operations)| {
            operations.iter().flat_map(move |operation| {
                let pattern = operation.pattern.written();
                operation.arguments.iter().map(move |(_, name, rule)| {
                json!({"section": section, "pattern": pattern, "name": name, "rule": written(rule)})
            })
            })
        });
    let all = json!({"arguments": rows.collect::<Vec<_>>(), "single": single.collect::<Vec<_>>()});
    format!("{all:#}\n")
}

/// The rules of all names of the policy and of the built-in list, as the filter applies them.
fn effective<'d>(document: &'d Document, policy: &Policy) -> Vec<Row<'d>> {
    let rule = |name: &str| {
        let id = policy.names.find(&fold(name))?;
        Some(policy.argument_rule(id, &[]).clone())
    };
    let own = document.arguments.keys().map(String::as_str);
    let own_folded: Vec<_> = own.clone().map(fold).collect();
    let built_in = builtin_arguments(true)
        .map(|(name, _)| name)
        .filter(|name| document.builtin_arguments && !own_folded.contains(&fold(name)));
    own.map(|name| (name, POLICY))
        .chain(built_in.map(|name| (name, BUILT_IN)))
        .filter_map(|(name, from)| Some((name, rule(name)?, from)))
        .collect()
}

fn table(rows: &[Row<'_>]) -> String {
    let mut out = format!("{:<26} {:<18} FROM\n", "NAME", "RULE");
    for (name, rule, from) in rows {
        let name = printable(name);
        let _ = writeln!(out, "{name:<26} {:<18} {from}", written(rule));
    }
    out
}

/// The rules of single tools or prompts, in the order in which they apply.
fn of_operations(section: &str, operations: &[Operation]) -> String {
    let mut out = String::new();
    for operation in operations {
        let pattern = printable(operation.pattern.written());
        let rules = operation.arguments.iter();
        let rules = rules.map(|(_, name, rule)| match rule {
            ArgumentRule::Set(_) => {
                format!("{} {}, also when left out", printable(name), written(rule))
            }
            _ => format!("{} {}", printable(name), written(rule)),
        });
        let rules: Vec<String> = rules.collect();
        if !rules.is_empty() {
            let first = format!("  {pattern:<24} ");
            out.push_str(&wrapped(&first, &" ".repeat(27), &rules.join("; ")));
        }
    }
    if out.is_empty() {
        return out;
    }
    format!("\nBefore these, for single {section}:\n{out}")
}

/// A rule, as a policy writes it.
fn written(rule: &ArgumentRule) -> &'static str {
    match rule {
        ArgumentRule::Set(IdentityField::User) => "set: user",
        ArgumentRule::Set(IdentityField::Organization) => "set: organization",
        ArgumentRule::Remove => "remove",
        ArgumentRule::Reject => "reject",
        ArgumentRule::Keep => "keep",
        ArgumentRule::Owner(owner) => match owner.is {
            IdentityField::User => "owner: user",
            IdentityField::Organization => "owner: organization",
        },
    }
}
