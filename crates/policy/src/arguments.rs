//! Rules for arguments that name the caller or an owner.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::builtin::builtin_arguments;
use super::document::{Document, IdentityField};
use super::error::{Errors, PolicyError};
use super::owner::NamedOwner;
use mcp::argument_names::{NameId, NameTable, fold};

/// The rule for an argument that names the caller or an owner.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ArgumentRule {
    /// Replace its value with the caller's.
    Set(IdentityField),
    /// Remove it.
    Remove,
    /// Refuse the request.
    Reject,
    /// Keep it: here it is data.
    Keep,
    /// Keep it if its text, or each text of a list, names the caller. Otherwise refuse the request.
    Owner(NamedOwner),
}

pub(super) fn compile_arguments(
    document: &Document,
    has_organization: bool,
    names: &mut NameTable,
    errors: &mut Errors,
) -> BTreeMap<NameId, ArgumentRule> {
    let mut rules = BTreeMap::new();
    for (name, rule) in check_names("arguments", &document.arguments, has_organization, errors) {
        rules.insert(names.add(name), rule);
    }
    if document.builtin_arguments {
        for (name, rule) in builtin_arguments(has_organization) {
            rules.entry(names.add(name)).or_insert(rule);
        }
    }
    rules
}

/// Argument rules whose names are valid and differ also after folding.
pub(super) fn check_names<'d>(
    path: &str,
    rules: &'d BTreeMap<String, ArgumentRule>,
    has_organization: bool,
    errors: &mut Errors,
) -> Vec<(&'d str, ArgumentRule)> {
    let mut folded: HashMap<String, &str> = HashMap::new();
    let mut checked = Vec::new();
    for (name, rule) in rules {
        let path = format!("{path}.{name}");
        let key = fold(name).into_owned();
        if key.is_empty() {
            errors.push(PolicyError::new(
                path,
                "expected a name with a letter or digit in it",
            ));
            continue;
        }
        if let Some(other) = folded.insert(key, name) {
            errors.push(PolicyError::new(
                path,
                format!("the same name as `{other}`, in another spelling"),
            ));
            continue;
        }
        check_claim(&path, rule, has_organization, errors);
        checked.push((name.as_str(), rule.clone()));
    }
    checked
}

/// Checks that all callers have the value that a rule uses.
fn check_claim(path: &str, rule: &ArgumentRule, has_organization: bool, errors: &mut Errors) {
    match rule {
        ArgumentRule::Set(IdentityField::Organization) if !has_organization => {
            let message = "`set: organization` needs `identity.organization` at every issuer";
            errors.push(PolicyError::new(path, message));
        }
        ArgumentRule::Owner(owner) => {
            owner.check_claim(&format!("{path}.owner"), has_organization, errors);
        }
        _ => {}
    }
}
