//! `local`: one fixed caller instead of issuers, for a server on the user's own machine.

use std::rc::Rc;

use serde::Deserialize;

use super::document::{AuthorizationDocument, Document, Dpop, OperationDocument};
use super::error::{Errors, PolicyError};
use super::roles::check_known_roles;
use super::scopes::ScopeHierarchy;
use oauth::Identity;

/// The caller of all requests, without a sign-in. Requests are accepted from this machine only.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LocalDocument {
    /// The user.
    pub user: String,
    /// The organization, tenant or workspace.
    pub organization: Option<String>,
    /// Names of roles.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Scopes.
    #[serde(default)]
    pub scopes: Vec<String>,
}

/// The fixed caller. `None`: tokens identify the caller.
pub(super) fn compile_local(
    document: &Document,
    hierarchy: &ScopeHierarchy,
    errors: &mut Errors,
) -> Option<Rc<Identity>> {
    let Some(local) = &document.local else {
        if document.issuers.is_empty() {
            let message = "found none, expected at least one; or `local`, for one's own machine";
            errors.push(PolicyError::new("issuers", message));
        }
        return None;
    };
    if !document.issuers.is_empty() {
        let message = "found with `issuers`, expected one of them";
        errors.push(PolicyError::new("local", message));
    }
    check_name("local.user", &local.user, errors);
    if let Some(organization) = &local.organization {
        check_name("local.organization", organization, errors);
    }
    check_known_roles("local.roles", &local.roles, &document.roles, errors);
    check_needs_no_token(document, errors);
    check_scopes_suffice(document, hierarchy, &local.scopes, errors);
    Some(Rc::new(Identity {
        user: Some(local.user.clone()),
        organization: local.organization.clone(),
        roles: local.roles.clone(),
        scopes: local.scopes.clone(),
        actors: Vec::new(),
    }))
}

/// Checks a user or organization: a token's claim could have this value.
pub(super) fn check_name(path: &str, name: &str, errors: &mut Errors) {
    if name.is_empty() || name.trim() != name || name.contains(char::is_control) {
        let message = "expected a name without spaces around it and control characters";
        errors.push(PolicyError::new(path, message));
    }
}

/// Refuses keys about tokens or anonymous callers.
fn check_needs_no_token(document: &Document, errors: &mut Errors) {
    let pass = document.upstream.authorization == AuthorizationDocument::Pass;
    for (path, is_set) in [
        ("anonymous", document.anonymous.is_some()),
        ("dpop", document.dpop != Dpop::Refused),
        ("upstream.authorization", pass),
    ] {
        if is_set {
            let message = "needs `issuers`: with `local` there is no token";
            errors.push(PolicyError::new(path, message));
        }
    }
    for (path, operation) in operations(document) {
        for (key, is_set) in [
            ("max_token_age", operation.max_token_age.is_some()),
            ("single_use", operation.single_use),
        ] {
            if is_set {
                let message = "needs `issuers`: with `local` there is no token";
                errors.push(PolicyError::new(format!("{path}.{key}"), message));
            }
        }
    }
}

/// Checks that the fixed caller has all scopes: a sign-in for more is not possible.
fn check_scopes_suffice(
    document: &Document,
    hierarchy: &ScopeHierarchy,
    own: &[String],
    errors: &mut Errors,
) {
    let general = ("scopes".to_owned(), &document.scopes);
    let of_operations =
        operations(document).map(|(path, operation)| (format!("{path}.scopes"), &operation.scopes));
    for (path, needed) in std::iter::once(general).chain(of_operations) {
        let lacks = |scope: &&String| hierarchy.satisfying(scope, own).is_none();
        if let Some(missing) = needed.iter().find(lacks) {
            let message = format!("`{missing}` is not among `local.scopes`");
            errors.push(PolicyError::new(path, message));
        }
    }
}

fn operations(document: &Document) -> impl Iterator<Item = (String, &OperationDocument)> {
    let sections = [("tools", &document.tools), ("prompts", &document.prompts)];
    sections.into_iter().flat_map(|(section, operations)| {
        operations
            .iter()
            .map(move |(name, operation)| (format!("{section}.{name}"), operation))
    })
}
