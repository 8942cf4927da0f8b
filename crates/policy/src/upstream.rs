//! The credential and the headers for the server.

use super::document::{AuthorizationDocument, Document, UpstreamDocument};
use super::error::{Errors, PolicyError, unknown};
use super::token_exchange::compile_token_exchange;
use oauth::client::TokenExchange;

/// The client's headers that reach the server, and the credential for the server.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// The `Authorization` header.
    pub authorization: Authorization,
    /// Further headers of the client that the server would trust, to be removed.
    pub remove_headers: Vec<String>,
    /// Headers of the client that are passed although they look like an identity or a credential.
    pub pass_headers: Vec<String>,
    /// Where the filter's own calls to the server go.
    pub server: Option<ServerPlace>,
}

/// Where the filter's own calls to the server go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerPlace {
    /// The Envoy cluster.
    pub cluster: String,
    /// The path. `None`: that of the request.
    pub path: Option<String>,
    /// The authority. `None`: that of the request.
    pub authority: Option<String>,
}

/// The `Authorization` header for the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorization {
    /// The client's.
    Pass,
    /// None.
    Remove,
    /// One credential for all callers.
    Static(StaticCredential),
    /// The token that the caller's token is exchanged for. Callers without a token have none.
    Exchange(Box<TokenExchange>),
    /// The credential of the caller's account at this connection.
    Connection(String),
}

impl Upstream {
    /// The name of the connection with `authorization: connection`. All requests need the caller's account there.
    pub fn connection(&self) -> Option<&str> {
        match &self.authorization {
            Authorization::Connection(name) => Some(name),
            _ => None,
        }
    }

    /// Whether the server gets the caller's token, or one that the caller's token is exchanged for.
    pub fn has_callers_token(&self) -> bool {
        matches!(
            self.authorization,
            Authorization::Pass | Authorization::Exchange(_)
        )
    }
}

/// The source of a credential that is the same for all callers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticCredential {
    /// The environment variable (of the Wasm VM) that holds it.
    pub env: String,
    /// The authentication scheme before it (RFC 9110 section 11.1).
    pub scheme: String,
}

pub(super) fn compile_upstream(document: &Document, errors: &mut Errors) -> Upstream {
    let exchange = compile_token_exchange(document, errors);
    Upstream {
        authorization: authorization(document, exchange, errors),
        remove_headers: document.upstream.remove_headers.clone(),
        pass_headers: document.upstream.pass_headers.clone(),
        server: server(&document.upstream, errors),
    }
}

fn server(document: &UpstreamDocument, errors: &mut Errors) -> Option<ServerPlace> {
    let only_with_cluster = [
        ("path", document.path.is_some()),
        ("authority", document.authority.is_some()),
    ];
    let Some(cluster) = &document.cluster else {
        for (key, _) in only_with_cluster.iter().filter(|(_, is_set)| *is_set) {
            let message = "goes with `cluster`";
            errors.push(PolicyError::new(format!("upstream.{key}"), message));
        }
        return None;
    };
    let visible =
        |text: &String| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if document
        .authority
        .as_ref()
        .is_some_and(|text| !visible(text))
    {
        let message = "expected a host, and a port if it is not the usual one";
        errors.push(PolicyError::new("upstream.authority", message));
    }
    Some(ServerPlace {
        cluster: cluster.into(),
        path: document.path.as_ref().map(String::from),
        authority: document.authority.clone(),
    })
}

fn authorization(
    policy: &Document,
    exchange: Option<TokenExchange>,
    errors: &mut Errors,
) -> Authorization {
    let document = &policy.upstream;
    let static_only = [
        ("credential_env", document.credential_env.is_some()),
        ("scheme", document.scheme.is_some()),
    ];
    if document.authorization != AuthorizationDocument::Static {
        for (key, _) in static_only.iter().filter(|(_, is_set)| *is_set) {
            let message = "goes with `authorization: static`";
            errors.push(PolicyError::new(format!("upstream.{key}"), message));
        }
    }
    let is_connection = document.authorization == AuthorizationDocument::Connection;
    match &document.connection {
        Some(_) if !is_connection => {
            let message = "goes with `authorization: connection`";
            errors.push(PolicyError::new("upstream.connection", message));
        }
        Some(name) if !policy.connections.contains_key(name) => {
            let message = unknown("connection", name, policy.connections.keys());
            errors.push(PolicyError::new("upstream.connection", message));
        }
        None if is_connection => {
            let message = "found none, expected the connection whose account all requests need";
            errors.push(PolicyError::new("upstream.connection", message));
        }
        _ => {}
    }
    match document.authorization {
        AuthorizationDocument::Connection => {
            Authorization::Connection(document.connection.clone().unwrap_or_default())
        }
        AuthorizationDocument::Remove => Authorization::Remove,
        AuthorizationDocument::Pass => Authorization::Pass,
        // A mistake is reported.
        AuthorizationDocument::Static => {
            credential(document, errors).map_or(Authorization::Remove, Authorization::Static)
        }
        AuthorizationDocument::Exchange => exchange.map_or(
            // Without the variable it is refused.
            Authorization::Remove,
            |exchange| Authorization::Exchange(Box::new(exchange)),
        ),
    }
}

fn credential(document: &UpstreamDocument, errors: &mut Errors) -> Option<StaticCredential> {
    let env = document.credential_env.as_ref();
    if env.is_none() {
        let message = "found none, expected the name of an environment variable";
        errors.push(PolicyError::new("upstream.credential_env", message));
    }
    let env = env.map_or_else(String::new, String::from);
    StaticCredential::checked("upstream", env, document.scheme.as_deref(), errors)
}

impl StaticCredential {
    /// A credential of the section at `path`.
    pub(super) fn checked(
        path: &str,
        env: String,
        scheme: Option<&str>,
        errors: &mut Errors,
    ) -> Option<Self> {
        let scheme = scheme.unwrap_or("Bearer");
        // RFC 9110 section 5.6.2.
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let is_sound = !scheme.is_empty() && scheme.bytes().all(token);
        if !is_sound {
            let message = format!("found `{scheme}`, expected a scheme such as Bearer or Basic");
            errors.push(PolicyError::new(format!("{path}.scheme"), message));
        }
        is_sound.then(|| Self {
            env,
            scheme: scheme.to_owned(),
        })
    }
}
