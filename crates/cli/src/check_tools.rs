//! `mcp-auth check --tools`: rules of a policy that meet no tool of a server, and tools that no rule meets.

use std::collections::BTreeMap;

use mcp::argument_names::fold;
use mcp_auth_filter::authorize::{Target, is_for_a_role, is_for_anonymous};
use oauth::Identity;
use policy::document::Document;
use policy::{ArgumentRule, Pattern, Policy, PolicyError, builtin_arguments};
use serde_json::Value;

use crate::init::of_schema;
use crate::tool_list::names;

/// Names at least this similar are probably one name (Jaro-Winkler).
const SIMILAR: f64 = 0.9;

/// Warnings about a policy and the tools of its server.
pub(crate) fn warnings(policy: &Policy, document: &Document, tools: &[Value]) -> Vec<PolicyError> {
    let names: Vec<&str> = names(tools).collect();
    let mut warnings = Vec::new();
    let mut check = |path: String, pattern: &str| {
        let is_met = names
            .iter()
            .any(|name| Pattern::name(pattern).matches(name, Identity::anonymous()));
        if !is_met && !pattern.contains("://") {
            warnings.push(PolicyError::new(path, no_tool(pattern, &names)));
        }
    };
    for (role, of_role) in &document.roles {
        for (list, patterns) in [("tools", &of_role.tools), ("deny", &of_role.deny)] {
            for (pattern, index) in patterns.iter().zip(0_usize..) {
                // A denial may name prompts and resources, too.
                if list == "tools" || document.prompts.is_empty() && of_role.prompts.is_empty() {
                    check(format!("roles.{role}.{list}[{index}]"), pattern);
                }
            }
        }
    }
    let anonymous = document
        .anonymous
        .iter()
        .flat_map(|anonymous| anonymous.tools.iter().zip(0_usize..));
    for (pattern, index) in anonymous {
        check(format!("anonymous.tools[{index}]"), pattern);
    }
    for pattern in document.tools.keys() {
        check(format!("tools.{pattern}"), pattern);
    }
    warnings.extend(arguments(document, tools));
    warnings.extend(look_alikes(&names));
    warnings.extend(unreachable(policy, &names));
    warnings.extend(built_in(document, policy, tools));
    warnings
}

fn no_tool(pattern: &str, names: &[&str]) -> String {
    let likeness =
        |name: &&&str| strsim::jaro_winkler(&pattern.to_lowercase(), &name.to_lowercase());
    let nearest = names
        .iter()
        .max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
    let hint = match nearest.filter(|nearest| likeness(nearest) > SIMILAR) {
        Some(nearest) => format!("; did you mean `{nearest}`?"),
        None if pattern.contains('?') => "; only `*` is a wildcard".to_owned(),
        None => String::new(),
    };
    format!("no tool of the server matches `{pattern}`{hint}")
}

/// Rules for arguments that no tool has.
fn arguments(document: &Document, tools: &[Value]) -> Vec<PolicyError> {
    let mut warnings = Vec::new();
    let has = |tool: &Value, argument: &str| {
        let names = tool.get("inputSchema").map(of_schema).unwrap_or_default();
        names.iter().any(|(name, _)| fold(name) == fold(argument))
    };
    for argument in document.arguments.keys() {
        if !tools.iter().any(|tool| has(tool, argument)) {
            let message = "no tool of the server has this argument";
            warnings.push(PolicyError::new(format!("arguments.{argument}"), message));
        }
    }
    for (pattern, operation) in &document.tools {
        let matching: Vec<&Value> = tools
            .iter()
            .filter(|tool| {
                let name = tool.get("name").and_then(Value::as_str).unwrap_or_default();
                Pattern::name(pattern).matches(name, Identity::anonymous())
            })
            .collect();
        for (argument, rule) in &operation.arguments {
            if matching.is_empty() || matching.iter().any(|tool| has(tool, argument)) {
                continue;
            }
            let message = match rule {
                ArgumentRule::Set(_) => {
                    "no tool that matches has this argument, and `set` adds it: strict servers refuse it"
                }
                _ => "no tool that matches has this argument",
            };
            let path = format!("tools.{pattern}.arguments.{argument}");
            warnings.push(PolicyError::new(path, message));
        }
    }
    warnings
}

/// Tools with equal names, apart from case and separators.
fn look_alikes(names: &[&str]) -> Vec<PolicyError> {
    let mut by_folded: BTreeMap<String, &str> = BTreeMap::new();
    let mut warnings = Vec::new();
    for name in names {
        if let Some(other) = by_folded
            .insert(fold(name).into_owned(), name)
            .filter(|other| other != name)
        {
            let message = format!(
                "the server has `{other}` and `{name}`, which differ only in their spelling"
            );
            warnings.push(PolicyError::new("tools", message));
        }
    }
    warnings
}

/// Tools that no role allows.
fn unreachable(policy: &Policy, names: &[&str]) -> Option<PolicyError> {
    let nobody = Identity::anonymous();
    let is_open = |name: &str| {
        let tool = Target::Tool(name);
        is_for_a_role(policy, nobody, tool) || is_for_anonymous(policy, nobody, tool)
    };
    let closed: Vec<String> = names
        .iter()
        .filter(|name| !is_open(name))
        .map(|name| format!("`{name}`"))
        .collect();
    let message = format!("no role allows {} of the server", closed.join(", "));
    (!closed.is_empty()).then(|| PolicyError::new("roles", message))
}

/// Arguments of tools that only the built-in list has a rule for.
fn built_in(document: &Document, policy: &Policy, tools: &[Value]) -> Vec<PolicyError> {
    if !document.builtin_arguments {
        return Vec::new();
    }
    let has_organization = policy
        .issuers
        .iter()
        .any(|issuer| issuer.claims.organization.is_some())
        || policy
            .local
            .as_ref()
            .is_some_and(|local| local.organization.is_some());
    let mut hits: BTreeMap<String, (ArgumentRule, Vec<&str>)> = BTreeMap::new();
    for tool in tools {
        let name = tool.get("name").and_then(Value::as_str).unwrap_or_default();
        for (argument, _) in tool.get("inputSchema").map(of_schema).unwrap_or_default() {
            let own = document
                .arguments
                .keys()
                .any(|known| fold(known) == fold(&argument));
            let for_tool = document.tools.iter().any(|(pattern, operation)| {
                Pattern::name(pattern).matches(name, Identity::anonymous())
                    && operation
                        .arguments
                        .keys()
                        .any(|known| fold(known) == fold(&argument))
            });
            let rule = builtin_arguments(has_organization)
                .find(|(known, _)| fold(known) == fold(&argument));
            if let (false, false, Some((_, rule))) = (own, for_tool, rule) {
                hits.entry(argument)
                    .or_insert_with(|| (rule, Vec::new()))
                    .1
                    .push(name);
            }
        }
    }
    let hits = hits.into_iter().map(|(argument, (rule, tools))| {
        let effect = match rule {
            ArgumentRule::Set(_) => "it is set from the caller",
            ArgumentRule::Remove => "it is removed",
            _ => "calls with it are refused",
        };
        let message = format!(
            "the built-in list has a rule for `{argument}` of {}: {effect}",
            tools.join(", ")
        );
        PolicyError::new("arguments", message)
    });
    hits.collect()
}
