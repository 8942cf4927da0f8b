//! Accounts at an authorization server, which gives the filter tokens.

use super::account::{AccountSource, compile_account};
use super::client::{check_scopes, compile_written};
use super::discover::compile_discover;
use super::document::ConnectionDocument;
use crate::error::{Errors, PolicyError};
use oauth::client::{AuthorizationServer, IssParameter, web_url};

/// The authorization server of a connection.
#[derive(Debug, Clone)]
pub struct OAuthConnection {
    /// The expected `iss` (RFC 9207).
    pub issuer: String,
    /// Whether `iss` is required.
    pub iss: IssParameter,
    /// The authorization server, and the filter's client there.
    pub server: AuthorizationServer,
    /// The requested scopes.
    pub scopes: Vec<String>,
    /// The resource that tokens are requested for (RFC 8707).
    pub resource: Option<String>,
    /// The source of the account's name.
    pub account: Option<AccountSource>,
    /// Whether its token is refreshed.
    pub refresh: bool,
}

/// Checks the part of a connection about its authorization server.
pub(super) fn compile_oauth(
    path: &str,
    document: &ConnectionDocument,
    errors: &mut Errors,
) -> Option<OAuthConnection> {
    let issuer = document.issuer.as_deref().unwrap_or_default();
    let problem = match &document.issuer {
        None => {
            Some("found none, expected the issuer identifier of the authorization server".into())
        }
        Some(_) => web_url(issuer)
            .err()
            .map(|message| format!("found `{issuer}`, {message}")),
    };
    if let Some(message) = problem {
        errors.push(PolicyError::new(format!("{path}.issuer"), message));
    }
    check_scopes(path, &document.scopes, errors);
    let server = match &document.discover {
        Some(discover) => {
            let discover = compile_discover(path, (issuer, document), discover, errors);
            Some(AuthorizationServer::Discovered(discover))
        }
        None => compile_written(path, document, errors).map(AuthorizationServer::Written),
    };
    let account = match &document.account {
        Some(account) => Some(compile_account(path, document, account, errors)?),
        None => None,
    };
    Some(OAuthConnection {
        issuer: issuer.to_owned(),
        iss: document.iss.unwrap_or_default(),
        server: server?,
        scopes: document.scopes.clone(),
        resource: document.resource.clone(),
        account,
        refresh: document.refresh.unwrap_or(true),
    })
}

/// Refuses the keys of an authorization server for another kind of account.
pub(super) fn refuse_oauth_keys(path: &str, document: &ConnectionDocument, errors: &mut Errors) {
    for (key, is_written) in [
        ("issuer", document.issuer.is_some()),
        ("iss", document.iss.is_some()),
        ("discover", document.discover.is_some()),
        ("authorize", document.authorize.is_some()),
        ("token", document.token.is_some()),
        ("revoke", document.revoke.is_some()),
        ("client_id", document.client_id.is_some()),
        ("client_secret_env", document.client_secret_env.is_some()),
        ("client_auth", document.client_auth.is_some()),
        ("client_key_env", document.client_key_env.is_some()),
        ("assertion_audience", document.assertion_audience.is_some()),
        ("scopes", !document.scopes.is_empty()),
        ("resource", document.resource.is_some()),
        ("account", document.account.is_some()),
        ("refresh", document.refresh.is_some()),
    ] {
        if is_written {
            let message = "goes with `kind: oauth`";
            errors.push(PolicyError::new(format!("{path}.{key}"), message));
        }
    }
}
