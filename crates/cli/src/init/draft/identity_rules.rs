//! Rules for arguments that identify the caller.

use std::collections::BTreeMap;
use std::fmt::Write;

use mcp::argument_names::fold;
use policy::{ArgumentRule, IdentityField, builtin_arguments};
use serde_json::Value;

use super::super::ServerLists;
use super::super::danger::words;
use super::super::schema_names::of_schema;
use super::{Draft, Uses, key};
use crate::terminal_text::printable;

/// Words in the names of tools that take another user as data: `assign`, for example.
const MANAGES_USERS: [&str; 6] = ["invite", "assign", "grant", "member", "users", "share"];

impl Draft {
    pub(super) fn add_arguments(
        &mut self,
        uses: &Uses<'_>,
        tool_count: usize,
        has_organization: bool,
    ) {
        let built_in: Vec<(String, ArgumentRule)> = builtin_arguments(has_organization)
            .map(|(name, rule)| (fold(name).into_owned(), rule))
            .collect();
        let mut required: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (name, tools) in uses {
            let rule = built_in
                .iter()
                .find(|(known, _)| *known == fold(name))
                .map(|(_, rule)| rule);
            let who = tool_names(tools);
            let manages = tools.iter().any(|(tool, _)| {
                words(tool)
                    .iter()
                    .any(|word| MANAGES_USERS.contains(&word.as_str()))
            });
            match rule {
                Some(ArgumentRule::Set(field)) => {
                    let field = match field {
                        IdentityField::User => "user",
                        IdentityField::Organization => "organization",
                    };
                    let _ = writeln!(
                        self.arguments,
                        "  {}: {{set: {field}}}  # identifies the caller, by its name; in {who}",
                        key(name)
                    );
                    for (tool, _) in tools.iter().filter(|(_, is_required)| *is_required) {
                        required
                            .entry(tool)
                            .or_default()
                            .push(format!("{}: {{set: {field}}}", key(name)));
                    }
                    if manages && field == "user" {
                        self.ask(format!(
                            "Is `{name}` of {who} the caller, or another user? If it is data, write `keep` for that \
                             tool."
                        ));
                    }
                }
                Some(ArgumentRule::Remove) => {
                    let _ = writeln!(
                        self.arguments,
                        "  {}: remove  # the caller's rights come from the token; in {who}",
                        key(name)
                    );
                    if manages {
                        self.ask(format!(
                            "Is `{name}` of {who} the caller's own, or that of another user? If it is data, write \
                             `keep` for that tool."
                        ));
                    }
                }
                Some(_) => {
                    let _ = writeln!(
                        self.arguments,
                        "  {}: reject  # may identify the caller; in {who}",
                        key(name)
                    );
                    self.ask(format!(
                        "Does `{name}` of {who} identify the caller, or is it data? Calls with it are refused until \
                         the rule says `set: user`, `set: organization`, `remove` or `keep`."
                    ));
                }
                None if is_like_identity(name) => {
                    self.ask(format!(
                        "Does `{name}` of {who} identify the caller? It is passed as it comes. If it does, add it \
                         under `arguments`."
                    ));
                }
                None => {}
            }
        }
        // What every tool requires is one rule.
        let mut everywhere: Option<Vec<String>> = None;
        for rules in required.values() {
            everywhere = Some(match everywhere {
                None => rules.clone(),
                Some(common) => common
                    .into_iter()
                    .filter(|rule| rules.contains(rule))
                    .collect(),
            });
        }
        let everywhere = everywhere.filter(|_| tool_count > 1 && required.len() == tool_count);
        let everywhere = everywhere.unwrap_or_default();
        let mut add = |tool: &str, rules: &[String]| {
            let comment = "required there: set also where it is left out";
            let rules = rules.join(", ");
            let _ = writeln!(
                self.tools,
                "  {}: {{arguments: {{{rules}}}}}  # {comment}",
                key(tool)
            );
        };
        if !everywhere.is_empty() {
            add("*", &everywhere);
        }
        for (tool, mut rules) in required {
            rules.retain(|rule| !everywhere.contains(rule));
            if !rules.is_empty() {
                add(tool, &rules);
            }
        }
    }
}

/// The arguments of all tools and prompts.
pub(super) fn arguments(lists: &ServerLists) -> Uses<'_> {
    let mut uses = Uses::new();
    for tool in &lists.tools {
        let name = tool.get("name").and_then(Value::as_str);
        let (Some(name), Some(schema)) = (name, tool.get("inputSchema")) else {
            continue;
        };
        for (argument, is_required) in of_schema(schema) {
            uses.entry(argument).or_default().push((name, is_required));
        }
    }
    uses
}

/// Whether a name that is not in the built-in list has a word of it.
fn is_like_identity(name: &str) -> bool {
    const WORDS: [&str; 9] = [
        "user",
        "organization",
        "organisation",
        "org",
        "tenant",
        "workspace",
        "owner",
        "caller",
        "impersonate",
    ];
    words(name)
        .iter()
        .any(|word| WORDS.contains(&word.as_str()))
}

/// Some of the tools.
fn tool_names(tools: &[(&str, bool)]) -> String {
    let shown: Vec<String> = tools
        .iter()
        .take(3)
        .map(|(tool, _)| printable(tool))
        .collect();
    match tools.len().saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
