//! Further conditions for resources.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::compile::compile_max_result;
use super::error::{Errors, PolicyError};
use super::owner::NamedOwner;
use super::pattern::Pattern;
use super::value::Size;

/// Conditions for resources, in addition to a role that allows them.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ResourceDocument {
    /// The place of the owner in their URIs, and the expected owner.
    pub owner: Option<NamedOwner>,
    /// The largest answer that the caller receives. A larger one is replaced by an error that says its size.
    pub max_result: Option<Size>,
}

/// Checked conditions for resources.
#[derive(Debug)]
pub struct ResourceRule {
    /// The resources.
    pub pattern: Pattern,
    /// The owner that their URIs must name.
    pub owner: Option<NamedOwner>,
    /// The largest answer that the caller receives, in bytes.
    pub max_result: Option<usize>,
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
        if let Some(owner) = &owner {
            owner.check_claim(&format!("{path}.owner"), has_organization, errors);
        }
        if owner.is_none() && document.max_result.is_none() {
            let message = "expected `owner` or `max_result`";
            errors.push(PolicyError::new(path.as_str(), message));
        }
        rules.push(ResourceRule {
            pattern: Pattern::name(uri),
            owner,
            max_result: compile_max_result(&path, document.max_result, errors),
        });
    }
    rules
}
