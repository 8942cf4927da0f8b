//! `view_as`: acting with a lower role, or as a test user.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::document::{AuthorizationDocument, Document, RoleDocument};
use super::error::{Errors, PolicyError, unknown};
use super::local::check_name;
use super::roles::{check_known_roles, with_extended};

/// How a caller asks to act with another identity, and the test users.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ViewAs {
    /// The request header that asks for it: `role:NAME` or `user:ID`. An issuer's `identity.view_as` names
    /// a claim for the same.
    pub header: Option<String>,
    /// Users nobody signs in as.
    pub users: BTreeMap<String, TestUser>,
}

/// A user nobody signs in as.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct TestUser {
    /// The organization, tenant or workspace.
    pub organization: Option<String>,
    /// Names of roles that callers have when they act as this user.
    pub roles: Vec<String>,
    /// Connections at which this user has an account. Each caller who acts as this user connects it once. The
    /// accounts of the callers themselves are not used.
    pub connections: Vec<String>,
    /// Whether the server gets the caller's own token. With `upstream.authorization: pass` or `exchange`.
    pub own_token: bool,
}

/// The roles and test users that callers with a role may act as. A role also has those of the roles that it
/// extends.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ViewGrants {
    /// With these roles only. Lower ones: the role itself, or one it extends.
    pub roles: Vec<String>,
    /// As these test users, whose roles are lower, too.
    pub users: Vec<String>,
}

impl ViewGrants {
    pub(super) fn extend(&mut self, grants: &Self) {
        self.roles.extend(grants.roles.iter().cloned());
        self.users.extend(grants.users.iter().cloned());
    }
}

pub(super) fn check_view_as(document: &Document, errors: &mut Errors) {
    let roles = &document.roles;
    for (id, user) in &document.view_as.users {
        let path = format!("view_as.users.{id}");
        check_name(&path, id, errors);
        if let Some(organization) = &user.organization {
            check_name(&format!("{path}.organization"), organization, errors);
        }
        check_known_roles(&format!("{path}.roles"), &user.roles, roles, errors);
        check_credentials(&path, user, document, errors);
    }
    for (name, role) in roles {
        check_grants(name, role, document, errors);
    }
}

/// What a test user gets of the real caller's is something that the policy has.
fn check_credentials(path: &str, user: &TestUser, document: &Document, errors: &mut Errors) {
    let connections = &document.connections;
    for (index, name) in user.connections.iter().enumerate() {
        if !connections.contains_key(name) {
            let message = unknown("connection", name, connections.keys());
            errors.push(PolicyError::new(
                format!("{path}.connections[{index}]"),
                message,
            ));
        }
    }
    let gets_token = matches!(
        document.upstream.authorization,
        AuthorizationDocument::Pass | AuthorizationDocument::Exchange
    );
    if user.own_token && !gets_token {
        let message = "goes with `upstream.authorization: pass` or `exchange`";
        errors.push(PolicyError::new(format!("{path}.own_token"), message));
    }
}

/// Nobody may act as more than they are: what a role grants is among its own roles.
fn check_grants(name: &str, role: &RoleDocument, document: &Document, errors: &mut Errors) {
    let grants = &role.view_as;
    let path = format!("roles.{name}.view_as");
    let by_claim =
        |issuer: &super::issuers::document::IssuerDocument| issuer.identity.view_as.is_some();
    let can_ask = document.view_as.header.is_some() || document.issuers.iter().any(by_claim);
    let grants_views = !grants.roles.is_empty() || !grants.users.is_empty();
    if grants_views && !can_ask {
        let message = "nobody can ask for it: say how with `view_as: {header: x-view-as}`";
        errors.push(PolicyError::new(path.as_str(), message));
    }
    check_known_roles(
        &format!("{path}.roles"),
        &grants.roles,
        &document.roles,
        errors,
    );
    let own = with_extended(name, &document.roles);
    let is_higher = |role: &&String| document.roles.contains_key(*role) && !own.contains(&&***role);
    for (index, higher) in grants.roles.iter().enumerate() {
        if is_higher(&higher) {
            let message = format!("`{higher}` is not lower: `{name}` does not extend it");
            errors.push(PolicyError::new(format!("{path}.roles[{index}]"), message));
        }
    }
    for (index, id) in grants.users.iter().enumerate() {
        let users = &document.view_as.users;
        let message = match users.get(id) {
            None => unknown("test user", id, users.keys()),
            Some(user) => match user.roles.iter().find(is_higher) {
                Some(higher) => {
                    format!(
                        "`{id}` is not lower: it has `{higher}`, which `{name}` does not extend"
                    )
                }
                None => continue,
            },
        };
        errors.push(PolicyError::new(format!("{path}.users[{index}]"), message));
    }
}
