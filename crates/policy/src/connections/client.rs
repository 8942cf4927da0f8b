//! This filter as a client of authorization servers, where the policy says who it is.

use url::Url;

use super::discover::Discover;
use super::document::{ConnectionDocument, PlaceDocument};
use super::{Connection, SignIn};
use crate::PAGES;
use crate::error::{Errors, PolicyError};
use crate::issuers::{check_place, host_of};
use crate::resource::web_url;
use crate::scopes::check_word;
use base::http::Endpoint;

/// In place of a client id: this filter is known by the document it publishes.
const METADATA: &str = "metadata";

/// A client of an authorization server: this filter's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// The authorization endpoint, a URL.
    pub authorize: String,
    /// The token endpoint.
    pub token: Endpoint,
    /// The revocation endpoint.
    pub revoke: Option<Endpoint>,
    /// The client id.
    pub client_id: String,
    /// The environment variable that holds its secret; `None` for a public client.
    pub client_secret_env: Option<String>,
}

/// How this filter comes to be a client of a connection's authorization server.
#[derive(Debug, Clone)]
pub enum Server {
    /// The policy says all of it.
    Written(Client),
    /// It is asked for each time a user connects.
    Discovered(Discover),
}

impl Server {
    /// The client id, if the policy says it.
    pub fn client_id(&self) -> Option<&str> {
        match self {
            Self::Written(client) => Some(&client.client_id),
            Self::Discovered(discover) => discover.client_id.as_deref(),
        }
    }

    /// The environment variable that holds the client's secret.
    pub fn client_secret_env(&self) -> Option<&String> {
        match self {
            Self::Written(client) => client.client_secret_env.as_ref(),
            Self::Discovered(discover) => discover.client_secret_env.as_ref(),
        }
    }

    fn client_id_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::Written(client) => Some(&mut client.client_id),
            Self::Discovered(discover) => discover.client_id.as_mut(),
        }
    }
}

/// Gives clients without an id of their own the URL of this filter's document.
pub(crate) fn name_clients(
    resource: &str,
    connections: &mut [Connection],
    sign_ins: &mut [Option<SignIn>],
    errors: &mut Errors,
) {
    let connections = connections.iter_mut().filter_map(|each| {
        let has_secret = each.server.client_secret_env().is_some();
        let path = format!("connections.{}", each.name);
        Some((path, has_secret, each.server.client_id_mut()?))
    });
    let sign_ins = sign_ins.iter_mut().enumerate();
    let sign_ins = sign_ins.filter_map(|(index, sign_in)| {
        let client = &mut sign_in.as_mut()?.client;
        let has_secret = client.client_secret_env.is_some();
        let path = format!("issuers[{index}].sign_in");
        Some((path, has_secret, &mut client.client_id))
    });
    for (path, has_secret, client_id) in connections.chain(sign_ins) {
        if client_id != METADATA {
            continue;
        }
        if has_secret {
            let message = "does not go with `client_id: metadata`: a document holds no secret";
            errors.push(PolicyError::new(
                format!("{path}.client_secret_env"),
                message,
            ));
        }
        *client_id = document_url(resource);
    }
}

pub(super) fn document_url(resource: &str) -> String {
    format!("{}{PAGES}client.json", origin_of(resource))
}

pub(super) fn origin_of(resource: &str) -> &str {
    let after_scheme = resource.find("://").map_or(0, |at| at.saturating_add(3));
    let rest = resource.get(after_scheme..).unwrap_or_default();
    let end = rest.find('/').unwrap_or(rest.len());
    resource
        .get(..end.saturating_add(after_scheme))
        .unwrap_or_default()
}

/// A client of which the policy says everything.
pub(super) fn compile_written(
    path: &str,
    document: &ConnectionDocument,
    errors: &mut Errors,
) -> Option<Client> {
    let (authorize, token) = (document.authorize.as_ref(), document.token.as_ref());
    let client_id = document.client_id.as_ref();
    for (key, is_written) in [
        ("authorize", authorize.is_some()),
        ("token", token.is_some()),
        ("client_id", client_id.is_some()),
    ] {
        if !is_written {
            let message = "found none, expected one, or `discover`";
            errors.push(PolicyError::new(format!("{path}.{key}"), message));
        }
    }
    let (authorize, token, client_id) = (authorize?, token?, client_id?);
    let secret = document.client_secret_env.as_ref();
    let client = compile_client(path, authorize, token, (client_id, secret), errors);
    let revoke = document.revoke.as_ref();
    let revoke =
        revoke.map(|place| compile_place(&format!("{path}.revoke"), place, authorize, errors));
    Some(Client { revoke, ..client })
}

pub(super) fn compile_client(
    path: &str,
    authorize: &str,
    token: &PlaceDocument,
    (client_id, secret): (&str, Option<&String>),
    errors: &mut Errors,
) -> Client {
    let problem = web_url(authorize).and_then(|url| match url.fragment() {
        Some(_) => Err("expected a URL without fragment (RFC 6749 section 3.1)"),
        None => Ok(()),
    });
    if let Err(message) = problem {
        let message = format!("found `{authorize}`, {message}");
        errors.push(PolicyError::new(format!("{path}.authorize"), message));
    }
    check_client_id(path, client_id, secret, errors);
    Client {
        authorize: authorize.to_owned(),
        token: compile_place(&format!("{path}.token"), token, authorize, errors),
        revoke: None,
        client_id: client_id.to_owned(),
        client_secret_env: secret.cloned(),
    }
}

pub(super) fn check_client_id(
    path: &str,
    client_id: &str,
    secret: Option<&String>,
    errors: &mut Errors,
) {
    if client_id.is_empty() {
        let message = "found none, expected a client id";
        errors.push(PolicyError::new(format!("{path}.client_id"), message));
    }
    if secret.is_some_and(String::is_empty) {
        let message = "found none, expected the name of an environment variable";
        errors.push(PolicyError::new(
            format!("{path}.client_secret_env"),
            message,
        ));
    }
}

pub(super) fn check_scopes(path: &str, scopes: &[String], errors: &mut Errors) {
    for (index, scope) in scopes.iter().enumerate() {
        check_word(&format!("{path}.scopes[{index}]"), scope, errors);
    }
}

pub(super) fn compile_place(
    path: &str,
    document: &PlaceDocument,
    authorize: &str,
    errors: &mut Errors,
) -> Endpoint {
    check_place(path, &document.cluster, &document.path, errors);
    let authorize = Url::parse(authorize).ok();
    let host = authorize.as_ref().and_then(host_of);
    Endpoint {
        cluster: document.cluster.clone(),
        path: document.path.clone(),
        // Without a host, `authorize` is refused.
        authority: document.authority.clone().or(host).unwrap_or_default(),
    }
}
