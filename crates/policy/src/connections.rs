//! The second layer of a policy, checked: the sign-ins on the filter's pages, and the connections.

pub(super) mod account;
mod apply;
mod assigned;
mod authorization_server;
mod client;
mod discover;
pub(super) mod document;
pub(super) mod sign_in_needs;
mod typed;

use std::collections::BTreeMap;
use std::time::Duration;

pub use self::account::AccountSource;
use self::apply::compile_apply;
pub use self::apply::{AppliedCredential, Apply, UnusableCredential, UsedCredential};
pub use self::assigned::AssignedCredential;
use self::assigned::compile_assigned;
pub use self::authorization_server::OAuthConnection;
use self::authorization_server::{compile_oauth, refuse_oauth_keys};
pub(super) use self::client::name_clients;
use self::client::{check_scopes, compile_client, document_url, origin_of};
pub use self::document::{AccountKind, ClientSharing, Conversation, SessionSharing};
use self::document::{ConnectionDocument, SignInDocument};
use self::sign_in_needs::SignInNeedsDocument;
pub use self::sign_in_needs::{SignInNeeds, UnmetNeed};
pub use self::typed::{CredentialCheck, TypedCredential};
use self::typed::{compile_typed, refuse_typed_keys};
use super::client_auth::WrittenAuth;
use super::document::{Document, Hold, OperationDocument, RoleDocument};
use super::error::{Errors, PolicyError, nearest};
use super::issuers::document::IssuerDocument;
use super::{Operation, Policy};
use oauth::client::{Client, Prompt};
use oauth::{ClaimSource, Identity};

/// All connections end, and are then deleted.
const LIFETIME: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(10)..=Duration::from_secs(90 * 24 * 3600);

/// The maximum number of accounts of one connection in a conversation.
const MAX_ACCOUNTS: u16 = 8;

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
    /// The source of its credential.
    pub kind: ConnectionKind,
    /// The headers in which the server receives the credential.
    pub apply: Apply,
    is_password: bool,
    /// The permissions that the page shows.
    pub allows: Vec<String>,
    /// The sign-in that a user needs before connecting, in addition to the issuer's.
    pub sign_in: SignInNeeds,
    /// The maximum duration of a connection.
    pub lifetime: Duration,
    /// The number of accounts that a user can keep in one conversation.
    pub accounts: usize,
}

/// The source of a connection's credential.
#[derive(Debug, Clone)]
pub enum ConnectionKind {
    /// The tokens of an authorization server.
    OAuth(Box<OAuthConnection>),
    /// A key or password that each user types into a page.
    Typed(Box<TypedCredential>),
    /// Keys or passwords that an administrator sets.
    Assigned(Vec<AssignedCredential>),
}

impl Connection {
    /// The authorization server's part, if the accounts are those of an authorization server.
    pub fn oauth(&self) -> Option<&OAuthConnection> {
        match &self.kind {
            ConnectionKind::OAuth(oauth) => Some(oauth),
            ConnectionKind::Typed(_) | ConnectionKind::Assigned(_) => None,
        }
    }

    /// The authorization server of its accounts, or the resource that checks their credentials. A credential of another
    /// source is not used for this connection.
    pub fn source(&self) -> String {
        match &self.kind {
            ConnectionKind::OAuth(oauth) => oauth.issuer.clone(),
            ConnectionKind::Typed(typed) => {
                let kind = if self.is_password { "password" } else { "key" };
                format!("{kind} {}", typed.check.endpoint.authority)
            }
            ConnectionKind::Assigned(_) => String::new(),
        }
    }

    /// Whether its credentials are user names and passwords.
    pub fn is_password(&self) -> bool {
        self.is_password
    }

    /// Whether users connect accounts on a page.
    pub fn is_connected_by_users(&self) -> bool {
        !matches!(self.kind, ConnectionKind::Assigned(_))
    }
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
            .find_map(|operation| operation.connection.name.as_deref())
            .or_else(|| self.upstream.connection())?;
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
        let servers = self.connections.iter().filter_map(Connection::oauth);
        let mut servers = servers.map(|oauth| &oauth.server);
        sign_ins.any(|id| *id == own)
            || servers.any(|server| server.client_id().is_none_or(|id| id == own))
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
    let compiled = compiled.filter_map(|each| compile(each, &document.roles, errors));
    let compiled: Vec<Connection> = compiled.collect();
    let own = &document.headers;
    for connection in &compiled {
        let mut names = connection.apply.names();
        let taken = names.find(|name| {
            [&own.user, &own.organization, &own.roles]
                .iter()
                .any(|own| own == name)
        });
        if let Some(name) = taken {
            let path = format!("connections.{}.apply", connection.name);
            let message =
                format!("found `{name}`, which names the caller to the server (`headers`)");
            errors.push(PolicyError::new(path, message));
        }
    }
    if !compiled.iter().any(Connection::is_connected_by_users) {
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

fn compile(
    (name, document): (&String, &ConnectionDocument),
    roles: &BTreeMap<String, RoleDocument>,
    errors: &mut Errors,
) -> Option<Connection> {
    let path = format!("connections.{name}");
    // The name is part of a redirect URI.
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    if name.is_empty() || !name.bytes().all(plain) {
        let message = "expected a name of lower-case letters, digits, `-` and `_`";
        errors.push(PolicyError::new(path.as_str(), message));
    }
    if !LIFETIME.contains(&document.lifetime.0) {
        errors.push(PolicyError::new(
            format!("{path}.lifetime"),
            "expected 10s to 90d",
        ));
    }
    let apply = compile_apply(&path, document, errors);
    let kind = match document.kind {
        AccountKind::Oauth => {
            refuse_typed_keys(&path, document, errors);
            compile_oauth(&path, document, errors)
                .map(|oauth| ConnectionKind::OAuth(Box::new(oauth)))
        }
        AccountKind::Key | AccountKind::Password => {
            refuse_oauth_keys(&path, document, errors);
            match document.credentials.is_empty() {
                true => compile_typed(&path, document, errors)
                    .map(|typed| ConnectionKind::Typed(Box::new(typed))),
                false => Some(ConnectionKind::Assigned(compile_assigned(
                    &path, document, roles, errors,
                ))),
            }
        }
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
        kind: kind?,
        is_password: document.kind == AccountKind::Password,
        apply: apply?,
        allows,
        sign_in: sign_in.unwrap_or_default(),
        lifetime: document.lifetime.0,
        accounts: usize::from(document.accounts.0),
    })
}
