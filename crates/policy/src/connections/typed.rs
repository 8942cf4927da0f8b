//! Accounts with a key or a password. Each user types it into a page.

use super::document::ConnectionDocument;
use crate::endpoint::compile_endpoint;
use crate::error::{Errors, PolicyError};
use base::http::Endpoint;
use oauth::ClaimPath;

/// A key or password that each user types into a page.
#[derive(Debug, Clone)]
pub struct TypedCredential {
    /// The request that checks it before it is kept.
    pub check: CredentialCheck,
    /// Where a user finds it, for the page.
    pub help: Option<String>,
}

/// The request that checks a key or password.
#[derive(Debug, Clone)]
pub struct CredentialCheck {
    /// The endpoint of the resource.
    pub endpoint: Endpoint,
    /// The status of the answer to a good credential.
    pub status: u16,
    /// The field of the answer that names the account.
    pub field: Option<ClaimPath>,
}

/// Checks the keys of a connection with `kind: key` or `kind: password`, without `credentials`.
pub(super) fn compile_typed(
    path: &str,
    document: &ConnectionDocument,
    errors: &mut Errors,
) -> Option<TypedCredential> {
    let Some(check) = &document.check else {
        let message =
            "found none, expected the request that checks what a user types, or `credentials`";
        errors.push(PolicyError::new(format!("{path}.check"), message));
        return None;
    };
    let path = format!("{path}.check");
    if !(200..=299).contains(&check.status.0) {
        let message = "expected a status from 200 to 299";
        errors.push(PolicyError::new(format!("{path}.status"), message));
    }
    let place = (&check.cluster, &check.path, &check.authority);
    let host = Some(String::from(&check.cluster));
    Some(TypedCredential {
        check: CredentialCheck {
            endpoint: compile_endpoint(&path, place, host, errors)?,
            status: check.status.0,
            field: check.field.clone(),
        },
        help: document.help.clone(),
    })
}

/// Refuses the keys of typed credentials for an account of an authorization server.
pub(super) fn refuse_typed_keys(path: &str, document: &ConnectionDocument, errors: &mut Errors) {
    for (key, is_written) in [
        ("check", document.check.is_some()),
        ("help", document.help.is_some()),
        ("credentials", !document.credentials.is_empty()),
    ] {
        if is_written {
            let message = "goes with `kind: key` or `kind: password`";
            errors.push(PolicyError::new(format!("{path}.{key}"), message));
        }
    }
}
