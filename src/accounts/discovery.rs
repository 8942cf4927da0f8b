//! What authorization servers and resources publish about themselves (RFC 8414, RFC 9728), held
//! against what the policy trusts: the issuer, and the hosts it has clusters for.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;
use url::Url;

use super::token_request::object;
use base::http::{Endpoint, HttpResponse};
use policy::{Client, Connection, Discover, Policy, Server, web_url};

/// A longer URL or client id is none: it goes through the browser, sealed.
pub(crate) const MAX_TEXT: usize = 2048;

/// What was found out about an authorization server, and about this filter there. It stays with an
/// attempt and with the connection that came of it, so that both go on where they began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discovered {
    authorize: String,
    token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoke: Option<String>,
    /// Whether `iss` has to be there when the browser comes back (RFC 9207 section 2.4).
    pub(crate) iss: bool,
    /// This filter's client id there, if that was found out, too. `None`: the policy's.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
}

/// How this filter comes to a client id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ClientIdSource {
    /// There is one: the policy's, or this filter's document.
    Known,
    /// It registers here.
    Register(Endpoint),
}

/// Why a connection's authorization server cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DiscoveryError {
    /// An endpoint is missing, or is not at an address for one.
    #[error("`{0}` is no URL for an endpoint")]
    Endpoint(&'static str),
    /// What it publishes is not one strict JSON object, or is too large.
    #[error("its metadata cannot be read")]
    Format,
    /// An endpoint is where the policy has no cluster for.
    #[error("`{0}` is on a host that the policy does not have for it")]
    Host(&'static str),
    /// It speaks for another issuer (RFC 8414 section 3.3).
    #[error("its metadata is that of another issuer")]
    Issuer,
    /// There is no way to a client id.
    #[error("it registers no clients, and takes none by their document")]
    NoClientId,
    /// It publishes nothing.
    #[error("it publishes no metadata")]
    NotOffered,
    /// A code that is caught could be redeemed by whoever has it.
    #[error("it does not say that it takes PKCE with S256")]
    Pkce,
    /// It takes only clients with a secret, which this filter does not get by itself.
    #[error("it takes no clients without a secret")]
    PublicClient,
    /// What the resource publishes is not one strict JSON object, or is too large.
    #[error("the resource's metadata cannot be read")]
    ResourceFormat,
    /// The resource does not take tokens of the policy's issuer.
    #[error("the resource's metadata does not name the issuer")]
    ResourceIssuer,
    /// It speaks for another resource (RFC 9728 section 3.3).
    #[error("the resource's metadata is that of another resource")]
    ResourceName,
    /// It hands out no codes.
    #[error("it does not hand out codes")]
    ResponseType,
    /// There was no answer.
    #[error("there was no answer")]
    Unavailable,
}

impl DiscoveryError {
    /// Whether another try may help.
    pub fn is_unavailable(self) -> bool {
        self == Self::Unavailable
    }
}

/// This filter as a client of a connection's authorization server. `None` if that is not known: it
/// was found out under another policy, or not at all.
pub fn client<'c>(
    connection: &'c Connection,
    discovered: Option<&Discovered>,
) -> Option<Cow<'c, Client>> {
    match &connection.server {
        Server::Written(client) => Some(Cow::Borrowed(client)),
        Server::Discovered(discover) => discovered?.client(discover).map(Cow::Owned),
    }
}

impl Discovered {
    /// Whether the client id was found out, and can be found out anew.
    pub fn has_client_id(&self) -> bool {
        self.client_id.is_some()
    }

    /// The same with a client id.
    pub(crate) fn known_as(self, client_id: String) -> Self {
        Self {
            client_id: Some(client_id),
            ..self
        }
    }

    /// Which clusters are called is the policy's to say, each time.
    fn client(&self, discover: &Discover) -> Option<Client> {
        let place = |url: &String| discover.place(&Url::parse(url).ok()?);
        let (client_id, client_secret_env) = match &self.client_id {
            Some(id) => (id.clone(), None),
            None => (
                discover.client_id.clone()?,
                discover.client_secret_env.clone(),
            ),
        };
        Some(Client {
            authorize: self.authorize.clone(),
            token: place(&self.token)?,
            revoke: self.revoke.as_ref().and_then(place),
            client_id,
            client_secret_env,
        })
    }
}

/// Where an issuer's metadata may be, in the order in which it is looked for: RFC 8414 section 3.1,
/// then the same for OpenID Connect (RFC 8414 section 5), then OpenID Connect Discovery section 4.
pub(crate) fn server_paths(issuer: &Url) -> Vec<String> {
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

/// Holds what a resource publishes against the policy: it has to take tokens of the policy's issuer,
/// and cannot name another one for this filter to go to.
///
/// # Errors
///
/// It is another resource's, or does not name the issuer.
pub(crate) fn check_resource(
    connection: &Connection,
    answer: Option<&HttpResponse>,
) -> Result<(), DiscoveryError> {
    let answer = answer.ok_or(DiscoveryError::Unavailable)?;
    let members = match answer.status {
        200 => object(&answer.body).ok_or(DiscoveryError::ResourceFormat)?,
        400..=499 => return Err(DiscoveryError::ResourceFormat),
        _ => return Err(DiscoveryError::Unavailable),
    };
    let resource = members.get("resource").and_then(Value::as_str);
    if resource.is_none() || resource != connection.resource.as_deref() {
        return Err(DiscoveryError::ResourceName);
    }
    match list(&members, "authorization_servers") {
        Ok(Some(issuers)) if issuers.contains(&connection.issuer.as_str()) => Ok(()),
        Ok(_) => Err(DiscoveryError::ResourceIssuer),
        Err(_) => Err(DiscoveryError::ResourceFormat),
    }
}

/// Reads an authorization server's metadata (RFC 8414 section 2).
///
/// # Errors
///
/// It is not the issuer's, or says something this filter cannot go along with.
pub(crate) fn read_server(
    policy: &Policy,
    (issuer, discover): (&str, &Discover),
    body: &[u8],
) -> Result<(Discovered, ClientIdSource), DiscoveryError> {
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
    // The browser goes there, and no call of this filter's.
    let authorize = required(&members, "authorization_endpoint")?;
    let token = required(&members, "token_endpoint")?;
    place(discover, "token_endpoint", &token)?;
    let revoke = endpoint(&members, "revocation_endpoint")?;
    if let Some(revoke) = &revoke {
        place(discover, "revocation_endpoint", revoke)?;
    }
    let (client_id, way) = client_id(policy, discover, &members)?;
    let discovered = Discovered {
        authorize: authorize.into(),
        token: token.into(),
        revoke: revoke.map(Into::into),
        iss: is_true(&members, "authorization_response_iss_parameter_supported"),
        client_id,
    };
    Ok((discovered, way))
}

/// The client id that was found out, or how to come by one.
fn client_id(
    policy: &Policy,
    discover: &Discover,
    members: &Map<String, Value>,
) -> Result<(Option<String>, ClientIdSource), DiscoveryError> {
    if discover.client_id.is_some() {
        return Ok((None, ClientIdSource::Known));
    }
    let methods = list(members, "token_endpoint_auth_methods_supported")?;
    if methods.is_some_and(|methods| !methods.contains(&"none")) {
        return Err(DiscoveryError::PublicClient);
    }
    let document = policy.document_url();
    let can_be_fetched = document.starts_with("https://");
    if can_be_fetched && is_true(members, "client_id_metadata_document_supported") {
        return Ok((Some(document), ClientIdSource::Known));
    }
    const ENDPOINT: &str = "registration_endpoint";
    let register = endpoint(members, ENDPOINT)?.ok_or(DiscoveryError::NoClientId)?;
    Ok((
        None,
        ClientIdSource::Register(place(discover, ENDPOINT, &register)?),
    ))
}

/// Where calls to an endpoint go.
fn place(discover: &Discover, name: &'static str, url: &Url) -> Result<Endpoint, DiscoveryError> {
    discover.place(url).ok_or(DiscoveryError::Host(name))
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
        Some(value) => value.as_str().filter(|text| text.len() <= MAX_TEXT),
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
