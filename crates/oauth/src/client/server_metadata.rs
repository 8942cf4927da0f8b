//! The metadata of authorization servers and resources (RFC 8414, RFC 9728), checked against what is
//! trusted: the issuer, and the origins in a [`Discovery`].

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;
use url::Url;

use super::token_response::object;
use super::{
    AuthorizationServer, Client, ClientAuth, Discovery, SecretMethod, TokenClient, web_url,
};
use base::http::{Endpoint, HttpResponse};

/// The longest URL or client id, in bytes: it is kept in a cookie, sealed.
pub(super) const MAX_TEXT_BYTES: usize = 2048;

/// A discovered authorization server, and this filter's client id there. It is kept with an authorization
/// request and with the account that is linked by it: both stay with the server of their beginning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiscoveredServer {
    authorize: String,
    token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoke: Option<String>,
    /// Whether `iss` must be present when the browser comes back (RFC 9207 section 2.4).
    pub iss: bool,
    /// The endpoint that describes the user of a token (OpenID Connect Core section 5.3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    userinfo: Option<String>,
    /// Whether requests carry the client's secret in the form.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    secret_in_form: bool,
    /// The client id, if it was discovered too. `None`: the policy's.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
}

/// How this filter gets a client id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientIdSource {
    /// It has one: the policy's, or the URL of its document.
    Known,
    /// It registers at this endpoint (RFC 7591).
    Register(Endpoint),
}

/// Why an authorization server cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DiscoveryError {
    /// It does not accept the way in which this filter authenticates.
    #[error("it does not accept the way in which this server authenticates (`client_auth`)")]
    ClientAuth,
    /// An endpoint is missing, or its URL is not valid.
    #[error("`{0}` is not a URL of an endpoint")]
    Endpoint(&'static str),
    /// Its metadata is not one strict JSON object, or is too large.
    #[error("its metadata cannot be read")]
    Format,
    /// The policy has no cluster for the origin of an endpoint.
    #[error("`{0}` is on a host that the policy does not have for it")]
    Host(&'static str),
    /// The metadata names another issuer (RFC 8414 section 3.3).
    #[error("its metadata names another issuer")]
    Issuer,
    /// There is no way to get a client id.
    #[error("it accepts neither dynamic registration nor client metadata documents")]
    NoClientId,
    /// It publishes no metadata.
    #[error("it publishes no metadata")]
    NotOffered,
    /// It does not support PKCE: a stolen code could be redeemed.
    #[error("its metadata does not offer PKCE with S256")]
    Pkce,
    /// It accepts only clients with a secret, which a discovered client does not have.
    #[error("it accepts no clients without a secret")]
    PublicClient,
    /// The resource's metadata is not one strict JSON object, or is too large.
    #[error("the resource's metadata cannot be read")]
    ResourceFormat,
    /// The resource does not accept tokens of the issuer.
    #[error("the resource's metadata does not name the issuer")]
    ResourceIssuer,
    /// The metadata names another resource (RFC 9728 section 3.3).
    #[error("the resource's metadata names another resource")]
    ResourceName,
    /// It does not issue codes.
    #[error("it does not support the response type `code`")]
    ResponseType,
    /// Its endpoints and the client id are too long for a cookie.
    #[error("its endpoints and the client id are too long")]
    TooLong,
    /// There was no response.
    #[error("there was no answer")]
    Unavailable,
}

impl DiscoveryError {
    /// Whether another try may help.
    pub fn is_unavailable(self) -> bool {
        self == Self::Unavailable
    }
}

impl AuthorizationServer {
    /// This filter as a client there. `None`: its endpoints were not discovered, or the policy does not
    /// allow them any more.
    pub fn client(&self, discovered: Option<&DiscoveredServer>) -> Option<Cow<'_, Client>> {
        match self {
            Self::Written(client) => Some(Cow::Borrowed(client)),
            Self::Discovered(discovery) => discovered?.client(discovery).map(Cow::Owned),
        }
    }
}

impl DiscoveredServer {
    /// Whether the client id was discovered, and can be discovered again.
    pub fn has_client_id(&self) -> bool {
        self.client_id.is_some()
    }

    /// The same server with a client id.
    #[must_use]
    pub fn known_as(self, client_id: String) -> Self {
        Self {
            client_id: Some(client_id),
            ..self
        }
    }

    /// The endpoint that describes the user of a token, if the policy allows it.
    pub fn userinfo(&self, discovery: &Discovery) -> Option<Endpoint> {
        discovery.endpoint(&Url::parse(self.userinfo.as_deref()?).ok()?)
    }

    /// The client, with the clusters that the policy has now.
    fn client(&self, discovery: &Discovery) -> Option<Client> {
        let endpoint = |url: &String| discovery.endpoint(&Url::parse(url).ok()?);
        let (client_id, auth) = match (&self.client_id, &discovery.auth) {
            (Some(id), _) => (id.clone(), ClientAuth::Public),
            (None, ClientAuth::Secret { env, .. }) if self.secret_in_form => {
                let (env, method) = (env.clone(), SecretMethod::Post);
                (
                    discovery.client_id.clone()?,
                    ClientAuth::Secret { env, method },
                )
            }
            (None, auth) => (discovery.client_id.clone()?, auth.clone()),
        };
        Some(Client {
            authorize: self.authorize.clone(),
            token: TokenClient {
                endpoint: endpoint(&self.token)?,
                client_id,
                auth,
            },
            revoke: self.revoke.as_ref().and_then(endpoint),
        })
    }
}

/// The paths where an issuer's metadata may be, in the order in which they are tried: RFC 8414 section 3.1,
/// then the same for OpenID Connect (RFC 8414 section 5), then OpenID Connect Discovery section 4.
pub fn metadata_paths(issuer: &Url) -> Vec<String> {
    let path = issuer.path().trim_end_matches('/');
    let mut paths = vec![
        format!("/.well-known/oauth-authorization-server{path}"),
        format!("/.well-known/openid-configuration{path}"),
    ];
    if !path.is_empty() {
        paths.push(format!("{path}/.well-known/openid-configuration"));
    }
    paths
}

/// Checks the metadata of a resource: it must accept tokens of the issuer. It cannot send this filter to
/// another one.
///
/// # Errors
///
/// It is the metadata of another resource, or does not name the issuer.
pub fn check_resource(
    (resource, issuer): (Option<&str>, &str),
    response: Option<&HttpResponse>,
) -> Result<(), DiscoveryError> {
    let response = response.ok_or(DiscoveryError::Unavailable)?;
    let members = match response.status {
        200 => object(&response.body).ok_or(DiscoveryError::ResourceFormat)?,
        400..=499 => return Err(DiscoveryError::ResourceFormat),
        _ => return Err(DiscoveryError::Unavailable),
    };
    let named = members.get("resource").and_then(Value::as_str);
    if named.is_none() || named != resource {
        return Err(DiscoveryError::ResourceName);
    }
    match list(&members, "authorization_servers") {
        Ok(Some(issuers)) if issuers.contains(&issuer) => Ok(()),
        Ok(_) => Err(DiscoveryError::ResourceIssuer),
        Err(_) => Err(DiscoveryError::ResourceFormat),
    }
}

/// Reads an authorization server's metadata (RFC 8414 section 2). `document_url` is that of the document
/// that describes this filter as a client.
///
/// # Errors
///
/// It is the metadata of another issuer, or of a server that this filter cannot use.
pub fn read_metadata(
    (issuer, discovery): (&str, &Discovery),
    document_url: &str,
    body: &[u8],
) -> Result<(DiscoveredServer, ClientIdSource), DiscoveryError> {
    let members = object(body).ok_or(DiscoveryError::Format)?;
    if members.get("issuer").and_then(Value::as_str) != Some(issuer) {
        return Err(DiscoveryError::Issuer);
    }
    let takes_pkce = list(&members, "code_challenge_methods_supported")?;
    if !takes_pkce.is_some_and(|methods| methods.contains(&"S256")) {
        return Err(DiscoveryError::Pkce);
    }
    let response_types = list(&members, "response_types_supported")?;
    if response_types.is_some_and(|types| !types.contains(&"code")) {
        return Err(DiscoveryError::ResponseType);
    }
    // Only the browser goes there, so its origin is free.
    let authorize = required(&members, "authorization_endpoint")?;
    let token = required(&members, "token_endpoint")?;
    known_origin(discovery, "token_endpoint", &token)?;
    let revoke = endpoint(&members, "revocation_endpoint")?;
    if let Some(revoke) = &revoke {
        known_origin(discovery, "revocation_endpoint", revoke)?;
    }
    let userinfo = endpoint(&members, "userinfo_endpoint")?;
    let secret_in_form = secret_in_form(discovery, &members)?;
    let (client_id, way) = client_id(document_url, discovery, &members)?;
    let discovered = DiscoveredServer {
        authorize: authorize.into(),
        token: token.into(),
        revoke: revoke.map(Into::into),
        userinfo: userinfo.map(Into::into),
        secret_in_form,
        iss: is_true(&members, "authorization_response_iss_parameter_supported"),
        client_id,
    };
    Ok((discovered, way))
}

/// Whether requests carry the client's secret in the form: as the policy says, or else as the server supports it.
/// Without a list it supports the header only (RFC 8414 section 2).
fn secret_in_form(
    discovery: &Discovery,
    members: &Map<String, Value>,
) -> Result<bool, DiscoveryError> {
    let methods = list(members, "token_endpoint_auth_methods_supported")?;
    let has = |method: &str| match &methods {
        None => true,
        Some(methods) => methods.contains(&method),
    };
    match &discovery.auth {
        ClientAuth::Public => Ok(false),
        ClientAuth::Secret { .. } if discovery.chooses_method && !has("client_secret_basic") => {
            match has("client_secret_post") {
                true => Ok(true),
                false => Err(DiscoveryError::ClientAuth),
            }
        }
        auth if has(auth.method()) => Ok(false),
        _ => Err(DiscoveryError::ClientAuth),
    }
}

/// The discovered client id, or how to get one.
fn client_id(
    document_url: &str,
    discovery: &Discovery,
    members: &Map<String, Value>,
) -> Result<(Option<String>, ClientIdSource), DiscoveryError> {
    if discovery.client_id.is_some() {
        return Ok((None, ClientIdSource::Known));
    }
    let methods = list(members, "token_endpoint_auth_methods_supported")?;
    if methods.is_some_and(|methods| !methods.contains(&"none")) {
        return Err(DiscoveryError::PublicClient);
    }
    let can_be_fetched = document_url.starts_with("https://");
    if can_be_fetched && is_true(members, "client_id_metadata_document_supported") {
        return Ok((Some(document_url.to_owned()), ClientIdSource::Known));
    }
    const ENDPOINT: &str = "registration_endpoint";
    let register = endpoint(members, ENDPOINT)?.ok_or(DiscoveryError::NoClientId)?;
    Ok((
        None,
        ClientIdSource::Register(known_origin(discovery, ENDPOINT, &register)?),
    ))
}

/// An endpoint whose origin has a cluster.
fn known_origin(
    discovery: &Discovery,
    name: &'static str,
    url: &Url,
) -> Result<Endpoint, DiscoveryError> {
    discovery.endpoint(url).ok_or(DiscoveryError::Host(name))
}

fn required(members: &Map<String, Value>, name: &'static str) -> Result<Url, DiscoveryError> {
    endpoint(members, name)?.ok_or(DiscoveryError::Endpoint(name))
}

/// An endpoint's URL (RFC 6749 sections 3.1 and 3.2), if there is one.
fn endpoint(
    members: &Map<String, Value>,
    name: &'static str,
) -> Result<Option<Url>, DiscoveryError> {
    let text = match members.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value.as_str().filter(|text| text.len() <= MAX_TEXT_BYTES),
    };
    let url = text.and_then(|text| web_url(text).ok());
    let url = url.filter(|url| {
        url.fragment().is_none() && url.username().is_empty() && url.password().is_none()
    });
    url.map(Some).ok_or(DiscoveryError::Endpoint(name))
}

/// A list of texts, if there is one.
fn list<'m>(
    members: &'m Map<String, Value>,
    name: &str,
) -> Result<Option<Vec<&'m str>>, DiscoveryError> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(values)) => {
            let texts: Option<Vec<&str>> = values.iter().map(Value::as_str).collect();
            texts.map(Some).ok_or(DiscoveryError::Format)
        }
        Some(_) => Err(DiscoveryError::Format),
    }
}

fn is_true(members: &Map<String, Value>, name: &str) -> bool {
    members.get(name) == Some(&Value::Bool(true))
}

#[cfg(test)]
mod tests;
