//! Rules for answers: owners and fields that few callers should see.

use std::fmt::Write;

use mcp::argument_names::fold;
use policy::{ArgumentRule, IdentityField, builtin_arguments};
use serde_json::Value;

use super::super::ServerLists;
use super::super::schema_names::{of_result, of_schema};
use super::{Draft, Uses, is_organization, key, list};

/// Fields that few callers should see, folded.
const SENSITIVE: [&str; 24] = [
    "ssn",
    "social_security_number",
    "card_number",
    "credit_card",
    "credit_card_number",
    "cvv",
    "iban",
    "account_number",
    "password",
    "password_hash",
    "secret",
    "api_key",
    "access_token",
    "refresh_token",
    "private_key",
    "tax_id",
    "passport",
    "passport_number",
    "date_of_birth",
    "dob",
    "birth_date",
    "salary",
    "client_secret",
    "pin_code",
];

impl Draft {
    pub(super) fn add_results(&mut self, lists: &ServerLists, has_organization: bool) {
        let fields = fields(lists);
        for (name, tools) in &fields {
            let names: Vec<&str> = tools.iter().map(|(tool, _)| *tool).collect();
            let is_user = builtin_arguments(true).any(|(known, rule)| {
                fold(known) == fold(name) && rule == ArgumentRule::Set(IdentityField::User)
            }) || ["owner", "owner_id", "created_by"]
                .map(fold)
                .contains(&fold(name));
            if is_organization(name) {
                let comment = if has_organization { "" } else { "# " };
                let tools = list("", &names);
                let _ = writeln!(
                    self.results,
                    "  {comment}- {{tools: {}, owner: {{field: {}, is: organization}}}}",
                    tools.trim_end(),
                    key(name)
                );
                if !has_organization {
                    self.ask(format!(
                        "Answers name an owner in `{name}`. Which organization does a caller have? With \
                         `identity.organization`, answers lose the objects of others."
                    ));
                }
            } else if is_user {
                let tools = list("", &names);
                let _ = writeln!(
                    self.results,
                    "  # - {{tools: {}, owner: {{field: {}, is: user}}}}",
                    tools.trim_end(),
                    key(name)
                );
                self.ask(format!(
                    "Is `{name}` in answers the owner of an object? If a caller may see only its own, use the rule for it \
                     under `results`."
                ));
            }
        }
        let hidden: Vec<(&str, Vec<&str>)> = fields
            .iter()
            .filter(|(name, _)| SENSITIVE.map(fold).contains(&fold(name)))
            .map(|(name, tools)| (name.as_str(), tools.iter().map(|(tool, _)| *tool).collect()))
            .collect();
        if !hidden.is_empty() {
            let mut tools: Vec<&str> = hidden
                .iter()
                .flat_map(|(_, tools)| tools.iter().copied())
                .collect();
            tools.sort_unstable();
            tools.dedup();
            let names: Vec<&str> = hidden.iter().map(|(name, _)| *name).collect();
            let (tools, names) = (list("", &tools), list("", &names));
            let _ = writeln!(
                self.results,
                "  - {{tools: {}, redact: {}, text: keep}}",
                tools.trim_end(),
                names.trim_end()
            );
            self.ask("Which roles may see the hidden fields? Name them with `unless_role` under `results`.");
        }
    }
}

/// The fields of the answers of all tools, by their output schemas and samples.
fn fields(lists: &ServerLists) -> Uses<'_> {
    let mut uses = Uses::new();
    let mut add = |field: String, tool| {
        let tools: &mut Vec<(&str, bool)> = uses.entry(field).or_default();
        if !tools.iter().any(|(known, _)| *known == tool) {
            tools.push((tool, false));
        }
    };
    for tool in &lists.tools {
        let name = tool.get("name").and_then(Value::as_str);
        if let (Some(name), Some(schema)) = (name, tool.get("outputSchema")) {
            of_schema(schema)
                .into_iter()
                .for_each(|(field, _)| add(field, name));
        }
    }
    for (tool, result) in &lists.samples {
        of_result(result)
            .into_iter()
            .for_each(|field| add(field, tool));
    }
    uses
}
