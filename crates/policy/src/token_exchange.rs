//! How the caller's token becomes one for the server.

use serde::Deserialize;
use url::Url;

use super::document::{AuthorizationDocument, Document, Dpop, Hold};
use super::error::{Errors, PolicyError};
use super::issuers::{check_place, host_of};
use super::resource::web_url;
use super::scopes::check_word;
use base::http::Endpoint;

/// The authorization server that exchanges the caller's token for one for the server (RFC 8693).
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TokenExchangeDocument {
    /// The Envoy cluster.
    pub cluster: String,
    /// The path of its token endpoint.
    pub path: String,
    /// The `:authority` of the call. Default: the host of the first issuer.
    pub authority: Option<String>,
    /// The client id of this filter there.
    pub client_id: String,
    /// The environment variable (of the Wasm VM) that holds the client's secret. Without it, the
    /// client is a public one.
    pub client_secret_env: Option<String>,
    /// The server the token is to be for, by its name there. With `id_jag`, the issuer identifier of
    /// the server's own authorization server.
    pub audience: Option<String>,
    /// The server the token is to be for, as a URL (RFC 8707).
    pub resource: Option<String>,
    /// Scopes asked for.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// What the caller's token is called.
    #[serde(default)]
    pub subject_token_type: SubjectTokenType,
    /// With a second step: what comes of the exchange is an identity assertion (ID-JAG), for which the
    /// server's own authorization server gives the token.
    pub id_jag: Option<AssertionDocument>,
}

/// The server's own authorization server, which takes an assertion of the caller's identity (RFC 7523).
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AssertionDocument {
    /// The Envoy cluster.
    pub cluster: String,
    /// The path of its token endpoint.
    pub path: String,
    /// The `:authority` of the call. Default: the host of `audience`.
    pub authority: Option<String>,
    /// The client id of this filter there.
    pub client_id: String,
    /// The environment variable (of the Wasm VM) that holds the client's secret. Without it, the
    /// client is a public one.
    pub client_secret_env: Option<String>,
}

/// What a token that is exchanged is called (RFC 8693 section 3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SubjectTokenType {
    /// An access token.
    #[default]
    AccessToken,
    /// A JWT.
    Jwt,
}

impl SubjectTokenType {
    /// Its identifier.
    pub fn urn(self) -> &'static str {
        match self {
            Self::AccessToken => "urn:ietf:params:oauth:token-type:access_token",
            Self::Jwt => "urn:ietf:params:oauth:token-type:jwt",
        }
    }
}

/// How the caller's token becomes one for the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenExchange {
    /// This filter where tokens are exchanged.
    pub client: TokenClient,
    /// The server the token is for, by name.
    pub audience: Option<String>,
    /// The server the token is for, as a URL.
    pub resource: Option<String>,
    /// Scopes asked for.
    pub scopes: Vec<String>,
    /// What the caller's token is called.
    pub subject_token_type: SubjectTokenType,
    /// This filter where an assertion becomes a token. `None`: the exchange makes that already.
    pub id_jag: Option<TokenClient>,
}

/// This filter as a client of a token endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenClient {
    /// The token endpoint.
    pub token: Endpoint,
    /// The client id.
    pub client_id: String,
    /// The environment variable that holds its secret; `None` for a public client.
    pub client_secret_env: Option<String>,
}

/// What has to be there for an exchange, and what does not go with it.
pub(super) fn compile_token_exchange(
    document: &Document,
    errors: &mut Errors,
) -> Option<TokenExchange> {
    const PATH: &str = "upstream.exchange";
    let exchange = &document.upstream.exchange;
    let is_asked = document.upstream.authorization == AuthorizationDocument::Exchange;
    let exchange = match (exchange, is_asked) {
        (Some(exchange), true) => exchange,
        (Some(_), false) => {
            errors.push(PolicyError::new(
                PATH,
                "goes with `authorization: exchange`",
            ));
            return None;
        }
        (None, true) => {
            let message = "found none, expected where the caller's token is exchanged";
            errors.push(PolicyError::new(PATH, message));
            return None;
        }
        (None, false) => return None,
    };
    check_surroundings(document, errors);
    check_targets(PATH, exchange, errors);
    let host = |url: &str| host_of(&Url::parse(url).ok()?);
    let of_issuer = document.issuers.first();
    let written = (&*exchange.cluster, &*exchange.path, &exchange.authority);
    let place = compile_place(PATH, written, || host(&of_issuer?.issuer), errors);
    let client = (&*exchange.client_id, &exchange.client_secret_env);
    let id_jag = exchange.id_jag.as_ref().map(|assertion| {
        let path = format!("{PATH}.id_jag");
        let written = (&*assertion.cluster, &*assertion.path, &assertion.authority);
        let of_audience = || host(exchange.audience.as_deref()?);
        let place = compile_place(&path, written, of_audience, errors);
        let client = (&*assertion.client_id, &assertion.client_secret_env);
        compile_client(&path, place, client, errors)
    });
    Some(TokenExchange {
        client: compile_client(PATH, place, client, errors),
        audience: exchange.audience.clone(),
        resource: exchange.resource.clone(),
        scopes: exchange.scopes.clone(),
        subject_token_type: exchange.subject_token_type,
        id_jag,
    })
}

/// What the rest of the policy may not say.
fn check_surroundings(document: &Document, errors: &mut Errors) {
    let buffer_filter = document.hold == Hold::BufferFilter;
    for (path, is_set, message) in [
        (
            "local",
            document.local.is_some(),
            "does not go with `upstream.exchange`: there is no token",
        ),
        (
            "dpop",
            document.dpop != Dpop::Refused,
            "does not go with `upstream.exchange`: only the caller could prove the key of its token \
             where that is exchanged",
        ),
        (
            "hold",
            buffer_filter,
            "`buffer_filter` does not go with `upstream.exchange`: the token is there after the \
             request's headers went on",
        ),
    ] {
        if is_set {
            errors.push(PolicyError::new(path, message));
        }
    }
}

/// What the token is to be for.
fn check_targets(path: &str, exchange: &TokenExchangeDocument, errors: &mut Errors) {
    let mut refuse = |key: &str, message: String| {
        errors.push(PolicyError::new(format!("{path}.{key}"), message));
    };
    if exchange.audience.as_ref().is_some_and(String::is_empty) {
        refuse("audience", "found none, expected a name".into());
    }
    if let Some(resource) = &exchange.resource
        && let Err(message) = web_url(resource)
    {
        refuse("resource", format!("found `{resource}`, {message}"));
    }
    match (&exchange.id_jag, &exchange.audience) {
        (Some(_), None) => {
            let message = "`id_jag` needs it: the issuer identifier of the server's own \
                           authorization server";
            refuse("audience", message.into());
        }
        (None, None) if exchange.resource.is_none() && exchange.scopes.is_empty() => {
            let message = "found none, and no `resource` and `scopes` either: expected what the \
                           token is to be for";
            refuse("audience", message.into());
        }
        _ => {}
    }
    for (index, scope) in exchange.scopes.iter().enumerate() {
        check_word(&format!("{path}.scopes[{index}]"), scope, errors);
    }
}

fn compile_place(
    path: &str,
    (cluster, place, authority): (&str, &str, &Option<String>),
    host: impl FnOnce() -> Option<String>,
    errors: &mut Errors,
) -> Endpoint {
    check_place(path, cluster, place, errors);
    let authority = authority.clone().or_else(host).unwrap_or_default();
    if authority.is_empty() {
        let message = "found none, expected the host to ask";
        errors.push(PolicyError::new(format!("{path}.authority"), message));
    }
    Endpoint {
        cluster: cluster.to_owned(),
        path: place.to_owned(),
        authority,
    }
}

fn compile_client(
    path: &str,
    token: Endpoint,
    (client_id, secret): (&str, &Option<String>),
    errors: &mut Errors,
) -> TokenClient {
    if client_id.is_empty() {
        let message = "found none, expected a client id";
        errors.push(PolicyError::new(format!("{path}.client_id"), message));
    }
    if secret.as_ref().is_some_and(String::is_empty) {
        let message = "found none, expected the name of an environment variable";
        let key = format!("{path}.client_secret_env");
        errors.push(PolicyError::new(key, message));
    }
    TokenClient {
        token,
        client_id: client_id.to_owned(),
        client_secret_env: secret.clone(),
    }
}
