//! The source of an account's name: the ID token, userinfo, or an endpoint of the resource.

use serde::Deserialize;
use serde_json::Value;

use super::client::compile_place;
use super::document::{ConnectionDocument, PlaceDocument};
use crate::checked_text::{ClusterName, EndpointPath};
use crate::error::{Errors, PolicyError};
use base::http::Endpoint;
use oauth::ClaimPath;

/// The maximum size of the body of a request for an account, in bytes.
const MAX_BODY_BYTES: usize = 4096;

/// The source of the account of a token: a claim of the ID token, the authorization server's userinfo endpoint, or
/// another endpoint that returns a JSON object.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AccountDocument {
    /// The claim of the ID token that names the account. The connection needs the scope `openid`.
    pub id_token: Option<ClaimPath>,
    /// The field of the userinfo response that names the account. The endpoint is the one in the authorization
    /// server's metadata, so the connection needs `discover`.
    pub userinfo: Option<ClaimPath>,
    /// The Envoy cluster.
    pub cluster: Option<ClusterName>,
    /// The path on that cluster. The request has the token; the response is a JSON object.
    pub path: Option<EndpointPath>,
    /// The `:authority` of the call. Default: the host of `authorize`, or of the issuer.
    pub authority: Option<String>,
    /// The method of the request. Default: `GET`, or `POST` with `body`.
    pub method: Option<AccountMethod>,
    /// The JSON body of a POST request, such as a GraphQL query.
    pub body: Option<Value>,
    /// The field of the response that names the account. Its steps are separated by dots: `data.viewer.email`.
    pub field: Option<ClaimPath>,
}

/// The method of the request for an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum AccountMethod {
    /// Without a body.
    #[serde(rename = "GET")]
    Get,
    /// With a JSON body.
    #[serde(rename = "POST")]
    Post,
}

/// The source of the account of a token, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountSource {
    /// A claim of the ID token.
    IdToken(ClaimPath),
    /// A field of the response of the discovered userinfo endpoint.
    Userinfo(ClaimPath),
    /// A field of the response to a request.
    Asked {
        /// The endpoint.
        endpoint: Endpoint,
        /// The JSON body of a POST request. `None`: the request is a GET request.
        body: Option<String>,
        /// The field.
        field: ClaimPath,
    },
}

pub(super) fn compile_account(
    path: &str,
    connection: &ConnectionDocument,
    document: &AccountDocument,
    errors: &mut Errors,
) -> Option<AccountSource> {
    let path = format!("{path}.account");
    let mut refuse = |key: &str, message: &str| {
        errors.push(PolicyError::new(format!("{path}.{key}"), message));
    };
    let asks = [
        ("cluster", document.cluster.is_some()),
        ("path", document.path.is_some()),
        ("authority", document.authority.is_some()),
        ("method", document.method.is_some()),
        ("body", document.body.is_some()),
        ("field", document.field.is_some()),
    ];
    let other = match (&document.id_token, &document.userinfo) {
        (Some(_), Some(_)) => {
            refuse("userinfo", "does not go with `id_token`");
            return None;
        }
        (Some(claim), None) => {
            if !connection.scopes.iter().any(|scope| scope == "openid") {
                let message =
                    "the connection's `scopes` need `openid`: without it there is no ID token";
                refuse("id_token", message);
            }
            Some(("id_token", AccountSource::IdToken(claim.clone())))
        }
        (None, Some(field)) => {
            if connection.discover.is_none() {
                let message = "goes with `discover`; without it, write the endpoint as `cluster`, `path` and \
                               `field`";
                refuse("userinfo", message);
            }
            Some(("userinfo", AccountSource::Userinfo(field.clone())))
        }
        (None, None) => None,
    };
    if let Some((name, source)) = other {
        for (key, _) in asks.iter().filter(|(_, is_written)| *is_written) {
            refuse(key, &format!("does not go with `{name}`"));
        }
        return Some(source);
    }
    let mut needs = |key: &str, is_written: bool| {
        if !is_written {
            refuse(key, "found none, expected one, or `id_token` or `userinfo`");
        }
    };
    needs("cluster", document.cluster.is_some());
    needs("path", document.path.is_some());
    needs("field", document.field.is_some());
    let body = document.body.as_ref().map(Value::to_string);
    let body = match (document.method, body) {
        (Some(AccountMethod::Get), Some(_)) => {
            refuse("body", "goes with `method: POST`");
            None
        }
        (Some(AccountMethod::Post), None) => Some("{}".to_owned()),
        (_, body) => body,
    };
    if body
        .as_ref()
        .is_some_and(|body| body.len() > MAX_BODY_BYTES)
    {
        refuse("body", "expected at most 4096 bytes");
    }
    let (cluster, account_path) = (document.cluster.clone()?, document.path.clone()?);
    let place = PlaceDocument {
        cluster,
        path: account_path,
        authority: document.authority.clone(),
    };
    // With `discover` only the issuer is known.
    let issuer = connection.issuer.as_deref().unwrap_or_default();
    let authorize = connection.authorize.as_deref().unwrap_or(issuer);
    Some(AccountSource::Asked {
        endpoint: compile_place(&path, &place, authorize, errors)?,
        body,
        field: document.field.clone()?,
    })
}
