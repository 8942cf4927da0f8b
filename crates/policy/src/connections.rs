//! The second layer of a policy, checked: the sign-ins on the filter's pages, and the connections.

pub(super) mod account;
mod client;
mod discover;
pub(super) mod document;
pub(super) mod sign_in_needs;

use std::collections::BTreeMap;
use std::time::Duration;

pub use self::account::AccountSource;
use self::account::compile_account;
pub(super) use self::client::name_clients;
use self::client::{
    check_scopes, compile_client, compile_place, compile_written, document_url, origin_of,
};
use self::discover::compile_discover;
pub use self::document::{ClientSharing, Conversation};
use self::document::{ConnectionDocument, SignInDocument};
use self::sign_in_needs::SignInNeedsDocument;
pub use self::sign_in_needs::{SignInNeeds, UnmetNeed};
use super::client_auth::WrittenAuth;
use super::document::{Document, Hold, OperationDocument};
use super::error::{Errors, PolicyError, nearest};
use super::issuers::document::IssuerDocument;
use super::{Operation, Policy};
use oauth::client::{AuthorizationServer, Client, IssParameter, Prompt, web_url};
use oauth::{ClaimSource, Identity};

/// All connections end, and are then deleted.
const LIFETIME: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(10)..=Duration::from_secs(90 * 24 * 3600);

/// The sign-in of users in browsers with an issuer.
#[derive(Debug, Clone)]
pub struct SignIn {
    /// The filter's client at the issuer.
    pub client: Client,
    /// The requested scopes.
    pub scopes: Vec<String>,
    /// The claim of the ID token that identifies the user as access tokens do.
    pub user: ClaimSource,
    /// Whether the issuer reports sign-outs.
    pub back_channel_logout: bool,
    /// How fresh and how strong a sign-in must be.
    pub needs: SignInNeeds,
    /// The page that the issuer must show.
    pub prompt: Option<Prompt>,
}

/// A resource where users have accounts of their own.
#[derive(Debug, Clone)]
pub struct Connection {
    /// The key in the policy.
    pub name: String,
    /// Its name on pages.
    pub title: String,
    /// The expected `iss` (RFC 9207).
    pub issuer: String,
    /// Whether `iss` is required.
    pub iss: IssParameter,
    /// The authorization server, and the filter's client there.
    pub server: AuthorizationServer,
    /// The requested scopes.
    pub scopes: Vec<String>,
    /// The permissions that the page shows.
    pub allows: Vec<String>,
    /// The resource that tokens are requested for (RFC 8707).
    pub resource: Option<String>,
    /// The source of the account's name.
    pub account: Option<AccountSource>,
    /// The sign-in that a user needs before connecting, in addition to the issuer's.
    pub sign_in: SignInNeeds,
    /// The maximum duration of a connection.
    pub lifetime: Duration,
    /// Whether its token is refreshed during that time.
    pub refresh: bool,
}

/// The connection of an operation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OperationConnection {
    /// The connection whose token the server receives.
    pub name: Option<String>,
    /// The maximum age of the connection.
    pub lifetime: Option<Duration>,
}

impl Policy {
    /// The connection that a call needs, and its maximum age. `operations` are those that match the call,
    /// the most specific first.
    pub fn connection_for(&self, operations: &[&Operation]) -> Option<(&Connection, Duration)> {
        let name = operations
            .iter()
            .find_map(|operation| operation.connection.name.as_deref())?;
        let connection = self.connection(name)?;
        let own = operations
            .iter()
            .filter_map(|operation| operation.connection.lifetime);
        let shortest = own.fold(connection.lifetime, Duration::min);
        Some((connection, shortest))
    }

    /// A connection by its name.
    pub fn connection(&self, name: &str) -> Option<&Connection> {
        self.connections
            .iter()
            .find(|connection| connection.name == name)
    }

    /// The sign-in that a user needs before connecting an account: the connection's own, and at most as old as the
    /// tokens may be for tools that work with it.
    pub fn sign_in_for_connection(&self, connection: &Connection) -> SignInNeeds {
        let name = Some(connection.name.as_str());
        let works_with_it = |operation: &&Operation| operation.connection.name.as_deref() == name;
        let of_connection = || self.tools.iter().filter(works_with_it);
        let ages = self.tools.iter().filter_map(|operation| {
            let overlaps = |other: &Operation| operation.pattern.overlaps(&other.pattern);
            operation
                .max_token_age
                .filter(|_| of_connection().any(overlaps))
        });
        connection.sign_in.within(ages.min())
    }

    /// The sign-in that a user needs to agree to a call of a tool: at most as old as tokens may be for it.
    pub fn sign_in_for_tool(&self, tool: &str) -> SignInNeeds {
        // The patterns of tools do not depend on the caller.
        let identity = Identity::default();
        let ages = self.tools.iter().filter_map(|operation| {
            let matches = operation.pattern.matches(tool, &identity);
            operation.max_token_age.filter(|_| matches)
        });
        SignInNeeds::default().within(ages.min())
    }

    /// Whether the filter has pages.
    pub fn has_pages(&self) -> bool {
        !self.connections.is_empty() || self.asks_on_pages() || self.has_approvals()
    }

    /// Whether users can agree to calls on a page. With `hold: buffer_filter` the filter could not hold its
    /// form.
    pub fn asks_on_pages(&self) -> bool {
        self.hold == Hold::StopIteration
            && self.tools.iter().any(|tool| tool.confirm)
            && self.sign_ins.iter().any(Option::is_some)
    }

    /// The origin of `resource`, which has the filter's pages.
    pub fn origin(&self) -> &str {
        origin_of(&self.resource)
    }

    /// The URL of the filter's client metadata document, which is its client id at servers that support it
    /// (OAuth Client ID Metadata Document).
    pub fn document_url(&self) -> String {
        document_url(&self.resource)
    }

    /// Whether the document may be a client id, so that the filter publishes it.
    pub fn publishes_document(&self) -> bool {
        let own = self.document_url();
        let sign_ins = self.sign_ins.iter().flatten();
        let mut sign_ins = sign_ins.map(|sign_in| &sign_in.client.token.client_id);
        let mut connections = self.connections.iter();
        sign_ins.any(|id| *id == own)
            || connections.any(|connection| match connection.server.client_id() {
                Some(id) => id == own,
                None => true,
            })
    }
}

/// Checks the sign-in with an issuer, if it has one.
pub(super) fn compile_sign_in(
    path: &str,
    issuer: &IssuerDocument,
    errors: &mut Errors,
) -> Option<SignIn> {
    let SignInDocument {
        authorize,
        token,
        client_id,
        client_secret_env,
        client_auth,
        client_key_env,
        assertion_audience,
        scopes,
        user,
        jwks,
        back_channel_logout,
        max_age,
        acr,
        prompt,
    } = issuer.sign_in.as_ref()?;
    let path = format!("{path}.sign_in");
    let keys = match (&issuer.jwks, &issuer.introspection, jwks) {
        (None, Some(_), None) => Some(
            "found none, expected the keys of ID tokens: `introspection` does not identify the user \
             of a sign-in",
        ),
        (Some(_), _, Some(_)) => {
            Some("does not go with the issuer's own `jwks`: these are the keys of ID tokens, too")
        }
        _ => None,
    };
    if let Some(message) = keys {
        errors.push(PolicyError::new(format!("{path}.jwks"), message));
    }
    if *back_channel_logout && issuer.identity.user != ClaimSource::claim("sub") {
        let message = "expected `sub` as `identity.user`: a logout token names the user by it";
        errors.push(PolicyError::new(
            format!("{path}.back_channel_logout"),
            message,
        ));
    }
    if !scopes.iter().any(|scope| scope == "openid") {
        let message = "expected `openid` among them: without it there is no ID token";
        errors.push(PolicyError::new(format!("{path}.scopes"), message));
    }
    check_scopes(&path, scopes, errors);
    let auth = WrittenAuth {
        method: *client_auth,
        secret: client_secret_env.as_ref(),
        key: client_key_env.as_ref(),
        audience: assertion_audience.as_ref(),
    };
    let auth = auth.compile(&path, Some(&issuer.issuer), errors);
    let needs = SignInNeedsDocument {
        max_age: *max_age,
        acr: acr.clone(),
    };
    let needs = SignInNeeds::compile(&path, &needs, errors);
    let client = (client_id, auth);
    Some(SignIn {
        client: compile_client(&path, authorize, token, client, errors)?,
        scopes: scopes.clone(),
        user: user.clone().unwrap_or_else(|| issuer.identity.user.clone()),
        back_channel_logout: *back_channel_logout,
        needs,
        prompt: *prompt,
    })
}

/// Checks all connections, and the settings that they need.
pub(super) fn compile_connections(document: &Document, errors: &mut Errors) -> Vec<Connection> {
    let compiled = document.connections.iter();
    let compiled = compiled.filter_map(|(name, connection)| compile(name, connection, errors));
    let compiled: Vec<Connection> = compiled.collect();
    if compiled.is_empty() {
        return compiled;
    }
    let mut refuse = |key: String, message: &str| errors.push(PolicyError::new(key, message));
    if document.seal.is_none() {
        refuse(
            "seal".into(),
            "`connections` needs it: tokens are kept sealed",
        );
    }
    if document.hold == Hold::BufferFilter {
        let message = "`buffer_filter` does not go with `connections`: which token a call gets is \
                       known after its headers went on";
        refuse("hold".into(), message);
    }
    if document.local.is_some() {
        refuse(
            "local".into(),
            "does not go with `connections`: nobody signs in",
        );
    }
    for (index, issuer) in document.issuers.iter().enumerate() {
        if issuer.sign_in.is_none() {
            let message = "`connections` needs it, to identify the user of a page";
            refuse(format!("issuers[{index}].sign_in"), message);
        }
    }
    compiled
}

/// Checks the connection of an operation.
pub(super) fn compile_operation(
    section: &str,
    path: &str,
    operation: &OperationDocument,
    connections: &BTreeMap<String, ConnectionDocument>,
    errors: &mut Errors,
) -> OperationConnection {
    let mut refuse = |key: &str, message: String| {
        errors.push(PolicyError::new(format!("{path}.{key}"), message));
    };
    let lifetime = operation.lifetime.map(|period| period.0);
    if section != "tools" && operation.connection.is_some() {
        refuse("connection", "only tools have one".into());
    }
    if section != "tools" && lifetime.is_some() {
        refuse("lifetime", "only tools have one".into());
    }
    if lifetime.is_some_and(|lifetime| !LIFETIME.contains(&lifetime)) {
        refuse("lifetime", "expected 10s to 90d".into());
    }
    if lifetime.is_some() && connections.is_empty() {
        refuse("lifetime", "there are no `connections`".into());
    }
    if let Some(name) = &operation.connection {
        match connections.get(name) {
            Some(connection) if lifetime > Some(connection.lifetime.0) => {
                let message = format!("expected at most the lifetime of connections.{name}");
                refuse("lifetime", message);
            }
            Some(_) => {}
            None => {
                let known = nearest(name, connections.keys().map(String::as_str));
                let hint = known.map(|known| format!("; did you mean `{known}`?"));
                let hint = hint.unwrap_or_default();
                refuse(
                    "connection",
                    format!("`{name}` is not under `connections`{hint}"),
                );
            }
        }
    }
    OperationConnection {
        name: operation.connection.clone(),
        lifetime,
    }
}

fn compile(name: &str, document: &ConnectionDocument, errors: &mut Errors) -> Option<Connection> {
    let path = format!("connections.{name}");
    // The name is part of a redirect URI.
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    if name.is_empty() || !name.bytes().all(plain) {
        let message = "expected a name of lower-case letters, digits, `-` and `_`";
        errors.push(PolicyError::new(path.as_str(), message));
    }
    if let Err(message) = web_url(&document.issuer) {
        let message = format!("found `{}`, {message}", document.issuer);
        errors.push(PolicyError::new(format!("{path}.issuer"), message));
    }
    if !LIFETIME.contains(&document.lifetime.0) {
        errors.push(PolicyError::new(
            format!("{path}.lifetime"),
            "expected 10s to 90d",
        ));
    }
    check_scopes(&path, &document.scopes, errors);
    let server = match &document.discover {
        Some(discover) => {
            let discover = compile_discover(&path, document, discover, errors);
            Some(AuthorizationServer::Discovered(discover))
        }
        None => compile_written(&path, document, errors).map(AuthorizationServer::Written),
    };
    let account = match &document.account {
        Some(account) => Some(compile_account(&path, document, account, errors)?),
        None => None,
    };
    let sign_in = document.sign_in.as_ref().map(|needs| {
        let path = format!("{path}.sign_in");
        SignInNeeds::compile(&path, needs, errors)
    });
    let allows = match document.allows.as_slice() {
        [] => document.scopes.clone(),
        lines => lines.to_vec(),
    };
    Some(Connection {
        name: name.to_owned(),
        title: document.title.clone().unwrap_or_else(|| name.to_owned()),
        issuer: document.issuer.clone(),
        iss: document.iss,
        server: server?,
        scopes: document.scopes.clone(),
        allows,
        resource: document.resource.clone(),
        account,
        sign_in: sign_in.unwrap_or_default(),
        lifetime: document.lifetime.0,
        refresh: document.refresh,
    })
}
