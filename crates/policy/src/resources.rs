//! Further conditions for resources.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::error::{Errors, PolicyError};
use super::owner::NamedOwner;
use super::pattern::Pattern;

/// Conditions for resources, in addition to a role that allows them.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ResourceDocument {
    /// The place of the owner in their URIs, and the expected owner.
    pub owner: NamedOwner,
}

/// Checked conditions for resources.
#[derive(Debug)]
pub struct ResourceRule {
    /// The resources.
    pub pattern: Pattern,
    /// The owner that their URIs must name.
    pub owner: NamedOwner,
}

pub(super) fn compile_resources(
    documents: &BTreeMap<String, ResourceDocument>,
    has_organization: bool,
    errors: &mut Errors,
) -> Vec<ResourceRule> {
    let mut rules = Vec::new();
    for (uri, document) in documents {
        let path = format!("resources.{uri}");
        if uri.trim().is_empty() || uri.trim() != uri {
            let message =
                format!("found `{uri}`, expected a URI or pattern without spaces around it");
            errors.push(PolicyError::new(path.as_str(), message));
        }
        if uri.contains(['{', '}']) {
            let message =
                "expected a URI or pattern with `*`; the owner's place is told by `owner`";
            errors.push(PolicyError::new(path.as_str(), message));
        }
        let owner = document.owner.clone();
        owner.check_claim(&format!("{path}.owner"), has_organization, errors);
        rules.push(ResourceRule {
            pattern: Pattern::name(uri),
            owner,
        });
    }
    rules
}
