//! The rules of policies that cases reach.

use std::collections::{BTreeMap, BTreeSet};

use mcp::argument_names::fold;
use mcp_auth_filter::audit::Record;
use policy::Policy;
use serde_json::Value;

/// The rules of policies, by file, and whether a case reached them.
#[derive(Debug, Default)]
pub(super) struct Coverage(BTreeMap<String, BTreeMap<String, bool>>);

impl Coverage {
    /// Adds the rules of a policy.
    pub(super) fn add(&mut self, file: &str, policy: &Policy, document: &Value) {
        let rules = self.0.entry(file.to_owned()).or_default();
        let mut add = |rule: String| {
            rules.entry(rule).or_insert(false);
        };
        let mut names: BTreeSet<(String, String)> = BTreeSet::new();
        for role in policy.roles.values().chain(&policy.anonymous) {
            for (list, grants) in [
                (
                    "",
                    role.tools
                        .iter()
                        .chain(&role.prompts)
                        .chain(&role.resources)
                        .collect::<Vec<_>>(),
                ),
                (".deny", role.deny.iter().collect()),
            ] {
                names.extend(grants.iter().map(|grant| {
                    (
                        format!("{}{list}", path(&grant.role)),
                        grant.pattern.written().to_owned(),
                    )
                }));
            }
        }
        names
            .into_iter()
            .for_each(|(path, pattern)| add(format!("{path}: `{pattern}`")));
        for (section, operations) in [("tools", &policy.tools), ("prompts", &policy.prompts)] {
            for operation in operations
                .iter()
                .filter(|operation| operation.when.is_some())
            {
                add(format!("{section}.{}.when", operation.pattern.written()));
            }
        }
        let arguments = document.get("arguments").and_then(Value::as_object);
        for (name, rule) in arguments.into_iter().flatten() {
            if rule != "keep" {
                add(format!("arguments.{name}"));
            }
        }
    }

    /// Notes the rules that a request reached.
    pub(super) fn reach(&mut self, file: &str, record: &Record) {
        let Some(rules) = self.0.get_mut(file) else {
            return;
        };
        let changed = record.arguments_set.iter().chain(&record.arguments_removed);
        let changed: Vec<String> = changed.map(|name| fold(name).into_owned()).collect();
        for (rule, is_reached) in rules.iter_mut() {
            let by_evidence =
                record
                    .decision
                    .evidence
                    .iter()
                    .any(|evidence| match rule.split_once(": ") {
                        Some((path, pattern)) => {
                            evidence.source == path && evidence.summary.contains(pattern)
                        }
                        None => evidence.source == *rule,
                    });
            let by_argument = rule.strip_prefix("arguments.").is_some_and(|name| {
                changed.contains(&fold(name).into_owned())
                    || record
                        .decision
                        .evidence
                        .iter()
                        .any(|evidence| evidence.summary.contains(&format!("`{name}`")))
            });
            *is_reached |= by_evidence || by_argument;
        }
    }

    /// The part of the rules that is reached, in percent, rounded down.
    pub(super) fn percent(&self) -> u8 {
        let all: Vec<bool> = self
            .0
            .values()
            .flat_map(BTreeMap::values)
            .copied()
            .collect();
        let reached = all.iter().filter(|is_reached| **is_reached).count();
        let percent = reached
            .saturating_mul(100)
            .checked_div(all.len())
            .unwrap_or(100);
        u8::try_from(percent).unwrap_or(100)
    }

    /// The number of rules.
    pub(super) fn rules(&self) -> usize {
        self.0.values().map(BTreeMap::len).sum()
    }

    /// The rules that no case reaches: file and rule.
    pub(super) fn missed(&self) -> Vec<(&str, &str)> {
        let all = self
            .0
            .iter()
            .flat_map(|(file, rules)| rules.iter().map(move |rule| (file.as_str(), rule)));
        all.filter(|(_, (_, is_reached))| !**is_reached)
            .map(|(file, (rule, _))| (file, rule.as_str()))
            .collect()
    }
}

/// The path of a role in a policy.
fn path(role: &str) -> String {
    match role {
        "anonymous" => role.to_owned(),
        role => format!("roles.{role}"),
    }
}
