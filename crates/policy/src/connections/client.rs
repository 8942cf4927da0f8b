//! The filter as a client of authorization servers, as the policy names it.

use url::Url;

use super::document::{ConnectionDocument, PlaceDocument};
use super::{Connection, ConnectionKind, SignIn};
use crate::PAGES;
use crate::checked_text::ClientId;
use crate::client_auth::WrittenAuth;
use crate::endpoint::compile_endpoint;
use crate::error::{Errors, PolicyError};
use crate::scopes::check_word;
use base::http::Endpoint;
use oauth::client::{AuthorizationServer, Client, ClientAuth, TokenClient, host_of, web_url};

/// The value of a client id that stands for the URL of the filter's client metadata document.
const METADATA: &str = "metadata";

/// The client id, if the policy has one.
fn client_id_mut(server: &mut AuthorizationServer) -> Option<&mut String> {
    match server {
        AuthorizationServer::Written(client) => Some(&mut client.token.client_id),
        AuthorizationServer::Discovered(discovery) => discovery.client_id.as_mut(),
    }
}

/// Sets the URL of the client metadata document for clients without an id.
pub(crate) fn name_clients(
    resource: &str,
    connections: &mut [Connection],
    sign_ins: &mut [Option<SignIn>],
    errors: &mut Errors,
) {
    let connections = connections.iter_mut().filter_map(|each| {
        let ConnectionKind::OAuth(oauth) = &mut each.kind else {
            return None;
        };
        let auth = oauth.server.auth().clone();
        let path = format!("connections.{}", each.name);
        Some((path, auth, client_id_mut(&mut oauth.server)?))
    });
    let sign_ins = sign_ins.iter_mut().enumerate();
    let sign_ins = sign_ins.filter_map(|(index, sign_in)| {
        let client = &mut sign_in.as_mut()?.client.token;
        let auth = client.auth.clone();
        let path = format!("issuers[{index}].sign_in");
        Some((path, auth, &mut client.client_id))
    });
    for (path, auth, client_id) in connections.chain(sign_ins) {
        if client_id != METADATA {
            continue;
        }
        let message = match auth {
            ClientAuth::Public => None,
            ClientAuth::Secret { .. } => Some(("client_secret_env", "a document holds no secret")),
            ClientAuth::Key { .. } => Some(("client_key_env", "the document names no key")),
        };
        if let Some((key, reason)) = message {
            let message = format!("does not go with `client_id: metadata`: {reason}");
            errors.push(PolicyError::new(format!("{path}.{key}"), message));
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

/// How the client of a connection authenticates, as the policy says it.
pub(super) fn connection_auth(document: &ConnectionDocument) -> WrittenAuth<'_> {
    WrittenAuth {
        method: document.client_auth,
        secret: document.client_secret_env.as_ref(),
        key: document.client_key_env.as_ref(),
        audience: document.assertion_audience.as_ref(),
    }
}

/// A client with all values in the policy.
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
    let auth = connection_auth(document).compile(path, document.issuer.as_deref(), errors);
    let client = compile_client(path, authorize, token, (client_id, auth), errors);
    let revoke = match &document.revoke {
        Some(place) => Some(compile_place(
            &format!("{path}.revoke"),
            place,
            authorize,
            errors,
        )?),
        None => None,
    };
    Some(Client { revoke, ..client? })
}

pub(super) fn compile_client(
    path: &str,
    authorize: &str,
    token: &PlaceDocument,
    (client_id, auth): (&ClientId, ClientAuth),
    errors: &mut Errors,
) -> Option<Client> {
    let problem = web_url(authorize).and_then(|url| match url.fragment() {
        Some(_) => Err("expected a URL without fragment (RFC 6749 section 3.1)"),
        None => Ok(()),
    });
    if let Err(message) = problem {
        let message = format!("found `{authorize}`, {message}");
        errors.push(PolicyError::new(format!("{path}.authorize"), message));
    }
    Some(Client {
        authorize: authorize.to_owned(),
        token: TokenClient {
            endpoint: compile_place(&format!("{path}.token"), token, authorize, errors)?,
            client_id: client_id.into(),
            auth,
        },
        revoke: None,
    })
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
) -> Option<Endpoint> {
    // Without a URL, `authorize` is refused.
    let host = host_of(&Url::parse(authorize).ok()?);
    let written = (&document.cluster, &document.path, &document.authority);
    compile_endpoint(path, written, host, errors)
}
