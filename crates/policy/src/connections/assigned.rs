//! Keys and passwords that an administrator sets for organizations or roles.

use std::collections::BTreeMap;

use super::document::ConnectionDocument;
use crate::document::RoleDocument;
use crate::error::{Errors, PolicyError, unknown};
use oauth::Identity;

/// A credential that an administrator set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignedCredential {
    /// The organization of its callers, if it is for one.
    pub organization: Option<String>,
    /// The role of its callers, if it is for one.
    pub role: Option<String>,
    /// The environment variable (of the Wasm VM) that holds it.
    pub env: String,
    /// The account's name in the log.
    pub account: Option<String>,
}

impl AssignedCredential {
    /// Whether the credential is for a caller with these roles.
    pub fn is_for(&self, identity: &Identity, has_role: impl Fn(&str) -> bool) -> bool {
        let organization = self.organization.as_deref();
        organization.is_none_or(|own| identity.organization.as_deref() == Some(own))
            && self.role.as_deref().is_none_or(has_role)
    }
}

/// Checks the credentials of a connection.
pub(super) fn compile_assigned(
    path: &str,
    document: &ConnectionDocument,
    roles: &BTreeMap<String, RoleDocument>,
    errors: &mut Errors,
) -> Vec<AssignedCredential> {
    let mut refuse = |key: String, message: String| errors.push(PolicyError::new(key, message));
    let not_typed = "does not go with `credentials`: users type none";
    for (key, is_written) in [
        ("check", document.check.is_some()),
        ("help", document.help.is_some()),
        ("accounts", document.accounts.0 != 1),
    ] {
        if is_written {
            refuse(format!("{path}.{key}"), not_typed.to_owned());
        }
    }
    for (index, credential) in document.credentials.iter().enumerate() {
        let path = format!("{path}.credentials[{index}]");
        let role = credential.role.as_ref();
        if let Some(role) = role.filter(|role| !roles.contains_key(*role)) {
            refuse(format!("{path}.role"), unknown("role", role, roles.keys()));
        }
        let before = document.credentials.get(..index).unwrap_or_default();
        let covers = before.iter().any(|other| {
            let is_wider =
                |wide: &Option<String>, own: &Option<String>| wide.is_none() || wide == own;
            is_wider(&other.organization, &credential.organization)
                && is_wider(&other.role, &credential.role)
        });
        if covers {
            refuse(
                path,
                "is never used: one before it is for the same callers".to_owned(),
            );
        }
    }
    let assigned = document.credentials.iter();
    let assigned = assigned.map(|credential| AssignedCredential {
        organization: credential.organization.clone(),
        role: credential.role.clone(),
        env: String::from(&credential.env),
        account: credential.account.clone(),
    });
    assigned.collect()
}
