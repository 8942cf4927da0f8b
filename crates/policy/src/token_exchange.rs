//! Token exchange: the caller's token is exchanged for one for the server.

use serde::Deserialize;
use url::Url;

use super::checked_text::{ClientId, ClusterName, EndpointPath, VariableName};
use super::client_auth::{ClientAuthDocument, WrittenAuth};
use super::document::{AuthorizationDocument, Document, Dpop, Hold};
use super::endpoint::compile_endpoint;
use super::error::{Errors, PolicyError};
use super::scopes::check_word;
use oauth::client::{SubjectTokenType, TokenClient, TokenExchange, host_of, web_url};

/// The authorization server that exchanges the caller's token for one for the server (RFC 8693).
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TokenExchangeDocument {
    /// The Envoy cluster.
    pub cluster: ClusterName,
    /// The path of its token endpoint.
    pub path: EndpointPath,
    /// The `:authority` of the call. Default: the host of the first issuer.
    pub authority: Option<String>,
    /// The filter's client id there.
    pub client_id: ClientId,
    /// The environment variable (of the Wasm VM) with the client's secret. Without it, the client is
    /// public.
    pub client_secret_env: Option<VariableName>,
    /// How the client authenticates. Default: `basic` with `client_secret_env`, `private_key_jwt` with
    /// `client_key_env`, `none` with neither.
    pub client_auth: Option<ClientAuthDocument>,
    /// The environment variable (of the Wasm VM) with the client's private key, a PEM (PKCS #8) or a JWK: for
    /// EdDSA, ES256, RS256, or PS256 if `alg` of the JWK says so.
    pub client_key_env: Option<VariableName>,
    /// The audience of the assertions that this key signs. Default: the first issuer.
    pub assertion_audience: Option<String>,
    /// The server that the new token is for, by its name. With `id_jag`, the issuer identifier of the
    /// server's own authorization server.
    pub audience: Option<String>,
    /// The server that the new token is for, as a URL (RFC 8707).
    pub resource: Option<String>,
    /// The requested scopes.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// The type of the caller's token.
    #[serde(default)]
    pub subject_token_type: SubjectTokenType,
    /// A second step: the exchange returns an identity assertion (ID-JAG), and the server's own
    /// authorization server issues the token for it.
    pub id_jag: Option<AssertionDocument>,
}

/// The server's own authorization server, which accepts an assertion of the caller's identity (RFC 7523).
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AssertionDocument {
    /// The Envoy cluster.
    pub cluster: ClusterName,
    /// The path of its token endpoint.
    pub path: EndpointPath,
    /// The `:authority` of the call. Default: the host of `audience`.
    pub authority: Option<String>,
    /// The filter's client id there.
    pub client_id: ClientId,
    /// The environment variable (of the Wasm VM) with the client's secret. Without it, the client is
    /// public.
    pub client_secret_env: Option<VariableName>,
    /// How the client authenticates. Default: `basic` with `client_secret_env`, `private_key_jwt` with
    /// `client_key_env`, `none` with neither.
    pub client_auth: Option<ClientAuthDocument>,
    /// The environment variable (of the Wasm VM) with the client's private key, a PEM (PKCS #8) or a JWK: for
    /// EdDSA, ES256, RS256, or PS256 if `alg` of the JWK says so.
    pub client_key_env: Option<VariableName>,
    /// The audience of the assertions that this key signs. Default: `audience` of the exchange.
    pub assertion_audience: Option<String>,
}

/// Checks the keys that an exchange needs, and those that exclude it.
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
    let of_issuer = of_issuer.and_then(|issuer| host(&issuer.issuer));
    let written = (&exchange.cluster, &exchange.path, &exchange.authority);
    let endpoint = compile_endpoint(PATH, written, of_issuer, errors);
    let auth = WrittenAuth {
        method: exchange.client_auth,
        secret: exchange.client_secret_env.as_ref(),
        key: exchange.client_key_env.as_ref(),
        audience: exchange.assertion_audience.as_ref(),
    };
    let issuer = document
        .issuers
        .first()
        .map(|issuer| issuer.issuer.as_str());
    let auth = auth.compile(PATH, issuer, errors);
    let id_jag = exchange.id_jag.as_ref().map(|assertion| {
        let path = format!("{PATH}.id_jag");
        let written = (&assertion.cluster, &assertion.path, &assertion.authority);
        let of_audience = exchange.audience.as_deref().and_then(host);
        let endpoint = compile_endpoint(&path, written, of_audience, errors)?;
        let auth = WrittenAuth {
            method: assertion.client_auth,
            secret: assertion.client_secret_env.as_ref(),
            key: assertion.client_key_env.as_ref(),
            audience: assertion.assertion_audience.as_ref(),
        };
        Some(TokenClient {
            endpoint,
            client_id: String::from(&assertion.client_id),
            auth: auth.compile(&path, exchange.audience.as_deref(), errors),
        })
    });
    Some(TokenExchange {
        client: TokenClient {
            endpoint: endpoint?,
            client_id: String::from(&exchange.client_id),
            auth,
        },
        audience: exchange.audience.clone(),
        resource: exchange.resource.clone(),
        scopes: exchange.scopes.clone(),
        subject_token_type: exchange.subject_token_type,
        id_jag: match id_jag {
            Some(client) => Some(client?),
            None => None,
        },
    })
}

/// Refuses other keys that exclude an exchange.
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

/// Checks the target of the new token.
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
