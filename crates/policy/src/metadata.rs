//! Further members of the metadata document (RFC 9728 section 2).

use serde::{Deserialize, Serialize};

use super::error::{Errors, PolicyError};
use super::scopes::check_scopes;
use oauth::client::web_url;

/// Further members of the protected resource metadata document (RFC 9728 section 2).
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Metadata {
    /// The server's display name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_name: Option<String>,
    /// A page for developers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_documentation: Option<String>,
    /// A page about the use of the server's data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_policy_uri: Option<String>,
    /// The terms of service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_tos_uri: Option<String>,
    /// The scopes that a client requests first. Default: `scopes`. A tool that needs more asks for them
    /// when it is called. An empty list leaves the member out.
    #[serde(skip_serializing)]
    pub scopes_supported: Option<Vec<String>>,
}

pub(super) fn check_metadata(metadata: &Metadata, errors: &mut Errors) {
    let name = metadata.resource_name.as_deref();
    if name.is_some_and(|name| name.trim().is_empty() || name.contains(char::is_control)) {
        errors.push(PolicyError::new(
            "metadata.resource_name",
            "expected a name of one line",
        ));
    }
    let pages = [
        ("resource_documentation", &metadata.resource_documentation),
        ("resource_policy_uri", &metadata.resource_policy_uri),
        ("resource_tos_uri", &metadata.resource_tos_uri),
    ];
    for (key, page) in pages {
        let Some(page) = page else { continue };
        if let Err(message) = web_url(page) {
            let message = format!("found `{page}`, {message}");
            errors.push(PolicyError::new(format!("metadata.{key}"), message));
        }
    }
    let scopes = metadata.scopes_supported.as_deref().unwrap_or_default();
    check_scopes("metadata.scopes_supported", scopes, errors);
}
