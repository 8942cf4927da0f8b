//! Connections, as in the policy's document.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::MAX_ACCOUNTS;
use super::account::AccountDocument;
use super::sign_in_needs::SignInNeedsDocument;
use crate::checked_text::{ClientId, ClusterName, EndpointPath, VariableName};
use crate::client_auth::ClientAuthDocument;
use crate::issuers::document::JwksDocument;
use crate::value::{Count, Period};
use crate::vault::{MAX_CONVERSATIONS, MetaKeys};
use oauth::client::{IssParameter, Prompt};
use oauth::{ClaimPath, ClaimSource};

/// How the filter signs in the user of a browser, to identify the user of its pages (OpenID Connect).
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SignInDocument {
    /// The issuer's authorization endpoint, a URL. The browser goes there.
    pub authorize: String,
    /// The issuer's token endpoint, which redeems the code.
    pub token: PlaceDocument,
    /// The filter's client id at the issuer, or `metadata`: the URL of the document that the filter
    /// publishes at `/.mcp-auth/client.json`. The redirect URI is `/.mcp-auth/signed-in` at the origin of
    /// `resource`.
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
    /// The audience of the assertions that this key signs. Default: the issuer.
    pub assertion_audience: Option<String>,
    /// The requested scopes.
    #[serde(default = "default_scopes")]
    pub scopes: Vec<String>,
    /// The maximum age of a sign-in, as `auth_time` of the ID token says it. It is requested from the issuer and
    /// checked before a user connects an account, agrees to a call or approves one. 1m to 90d. Default: any age.
    pub max_age: Option<Period>,
    /// The accepted values of `acr` in the ID token, the preferred one first. They are requested and checked like
    /// `max_age`. Default: all.
    #[serde(default)]
    pub acr: Vec<String>,
    /// The page that the issuer must show at a sign-in. It is requested and not checked; `max_age` is. Default: the
    /// issuer decides.
    pub prompt: Option<Prompt>,
    /// The claim of the ID token that names the same user as the access token. Default: the
    /// issuer's `identity.user`.
    pub user: Option<ClaimSource>,
    /// The keys of ID tokens and logout tokens, if the issuer has `introspection` instead of `jwks`.
    pub jwks: Option<JwksDocument>,
    /// Whether the issuer reports sign-outs (OpenID Connect Back-Channel Logout) at `/.mcp-auth/logout`.
    /// Connections that the user made before are then not used any more.
    #[serde(default)]
    pub back_channel_logout: bool,
}

/// An endpoint: a path on an Envoy cluster.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PlaceDocument {
    /// The Envoy cluster.
    pub cluster: ClusterName,
    /// The path on that cluster.
    pub path: EndpointPath,
    /// The `:authority` of the call. Default: the host of `authorize`.
    pub authority: Option<String>,
}

/// A resource where users have accounts of their own.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ConnectionDocument {
    /// Its name on pages. Default: the key.
    pub title: Option<String>,
    /// The kind of account.
    #[serde(default)]
    pub kind: AccountKind,
    /// The issuer identifier of its authorization server: the expected `iss` of the redirect (RFC 9207). With
    /// `kind: oauth`, as all keys up to `refresh`.
    pub issuer: Option<String>,
    /// Whether `iss` is required.
    pub iss: Option<IssParameter>,
    /// The filter fetches the endpoints from the authorization server's metadata each time a user connects,
    /// instead of `authorize`, `token` and `revoke`.
    pub discover: Option<DiscoverDocument>,
    /// The authorization endpoint, a URL. The browser goes there.
    pub authorize: Option<String>,
    /// The token endpoint, which redeems codes and refreshes tokens.
    pub token: Option<PlaceDocument>,
    /// The revocation endpoint, for the end of a connection (RFC 7009).
    pub revoke: Option<PlaceDocument>,
    /// The filter's client id, or `metadata`: the URL of the document that the filter publishes at
    /// `/.mcp-auth/client.json`. The redirect URI is `/.mcp-auth/callback/` and the connection's key, at
    /// the origin of `resource`. With `discover` it may be left out. The filter then uses that document if
    /// the authorization server supports it, and registers otherwise (RFC 7591).
    pub client_id: Option<ClientId>,
    /// The environment variable (of the Wasm VM) with the client's secret. Without it, the client is
    /// public.
    pub client_secret_env: Option<VariableName>,
    /// How the client authenticates. Default: `basic` with `client_secret_env`, `private_key_jwt` with
    /// `client_key_env`, `none` with neither.
    /// With `discover`, the server's metadata chooses between `basic` and `post`.
    pub client_auth: Option<ClientAuthDocument>,
    /// The environment variable (of the Wasm VM) with the client's private key, a PEM (PKCS #8) or a JWK: for
    /// EdDSA, ES256, RS256, or PS256 if `alg` of the JWK says so.
    pub client_key_env: Option<VariableName>,
    /// The audience of the assertions that this key signs. Default: the issuer.
    pub assertion_audience: Option<String>,
    /// The requested scopes.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// The permissions that the page shows, one line each. Default: the scopes.
    #[serde(default)]
    pub allows: Vec<String>,
    /// The resource that the token is for (RFC 8707), if the authorization server needs it.
    pub resource: Option<String>,
    /// The source of the name of the token's account, for the log, the pages and `auth_connections`. It is read
    /// when the user connects.
    pub account: Option<AccountDocument>,
    /// The sign-in that a user needs before connecting, if it is stricter than the issuer's `sign_in`.
    pub sign_in: Option<SignInNeedsDocument>,
    /// Whether its token is refreshed during `lifetime`. If not, the filter does not keep refresh tokens.
    /// Default: true.
    pub refresh: Option<bool>,
    /// The request that checks a key or password before it is kept. With `kind: key` or `password`.
    pub check: Option<CheckDocument>,
    /// A sentence on the page: where a user finds the key or password. With `kind: key` or `password`.
    pub help: Option<String>,
    /// Keys or passwords that an administrator sets, one for each organization or role. Users then type none.
    /// The first one that fits the caller is used. With `kind: key` or `password`.
    #[serde(default)]
    pub credentials: Vec<AssignedDocument>,
    /// The headers in which the server receives the credential. Default: `basic` for a password, otherwise
    /// `bearer`.
    pub apply: Option<ApplyDocument>,
    /// The maximum duration of a connection.
    #[serde(default = "default_lifetime")]
    pub lifetime: Period,
    /// How many accounts of this connection a user can keep in one conversation. Calls use one of them, the
    /// current one. Default: 1, so that another account replaces the one before.
    #[serde(default = "default_accounts")]
    pub accounts: Count<MAX_ACCOUNTS>,
}

/// The kind of account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AccountKind {
    /// The user signs in at an authorization server, which gives the filter tokens.
    #[default]
    Oauth,
    /// The user types an API key or a personal access token into a page of the filter.
    Key,
    /// The user types a user name and a password into a page of the filter.
    Password,
}

/// The request that checks a key or password.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CheckDocument {
    /// The Envoy cluster.
    pub cluster: ClusterName,
    /// The path on that cluster. The request has the credential as `apply` says.
    pub path: EndpointPath,
    /// The `:authority` of the call. Default: the cluster's name.
    pub authority: Option<String>,
    /// The status of the answer to a good credential. Default: 200.
    #[serde(default = "default_status")]
    pub status: Count<599>,
    /// The field of the answer, a JSON object, that names the account in the log and on pages.
    pub field: Option<ClaimPath>,
}

/// A credential that an administrator sets. Without `organization` and `role` it is for all callers.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AssignedDocument {
    /// The organization of its callers.
    pub organization: Option<String>,
    /// A role of its callers.
    pub role: Option<String>,
    /// The environment variable (of the Wasm VM) that holds the key, or the user name and the password with `:`
    /// between them.
    pub env: VariableName,
    /// The account's name in the log.
    pub account: Option<String>,
}

/// Header names, each with the template of its value.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HeaderTemplates(pub BTreeMap<String, String>);

/// Read like a structure: then a value that is no mapping has a stand-in (`read/stand_in.rs`).
impl<'de> Deserialize<'de> for HeaderTemplates {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_struct("HeaderTemplates", &[], HeaderTemplatesVisitor)
    }
}

struct HeaderTemplatesVisitor;

impl<'de> Visitor<'de> for HeaderTemplatesVisitor {
    type Value = HeaderTemplates;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("header names with values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<HeaderTemplates, A::Error> {
        let mut templates = BTreeMap::new();
        while let Some((name, template)) = members.next_entry()? {
            templates.insert(name, template);
        }
        Ok(HeaderTemplates(templates))
    }
}

/// The headers in which the server receives a credential.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ApplyDocument {
    /// `Authorization: Bearer` and the key or token.
    Bearer,
    /// `Authorization: Basic` with the user name and the password. With `kind: password`.
    Basic,
    /// Header names, each with its value: a text with `{key}` (the key or token), or `{user}`, `{password}` and
    /// `{basic}` (both of them in Base64, RFC 7617).
    Headers(HeaderTemplates),
}

/// Discovery of an authorization server's endpoints (RFC 8414).
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DiscoverDocument {
    /// The Envoy cluster of the issuer's host.
    pub cluster: ClusterName,
    /// Other hosts that its endpoints may have, each with its Envoy cluster. A port is written as in URLs:
    /// `auth.example.com:8443`.
    #[serde(default)]
    pub hosts: BTreeMap<String, ClusterName>,
    /// The metadata of the connection's `resource` (RFC 9728), which must name the `issuer`.
    pub resource: Option<DiscoverResourceDocument>,
}

/// The endpoint of a resource's metadata.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DiscoverResourceDocument {
    /// The Envoy cluster of the resource's host.
    pub cluster: ClusterName,
}

/// The conversations and clients that connections belong to.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct VaultDocument {
    /// The meaning of a conversation. A connection made in one conversation is not used in another.
    pub conversation: Conversation,
    /// Whether linked accounts and agreements of one client are valid for other clients of the user.
    pub clients: ClientSharing,
    /// Whether sessions of the server share linked accounts and agreements, if a claim or `_meta` names the
    /// conversation. Default: `own`.
    pub sessions: Option<SessionSharing>,
    /// The maximum number of conversations with linked accounts of a user and a client, 1 to 64. The oldest one
    /// ends when the user agrees to link an account in a newer one. Default: 64.
    pub conversations: Option<Count<MAX_CONVERSATIONS>>,
    /// A conversation ends after this time without a call that needs a linked account, 10s to 90d. Default:
    /// 30m where nothing names the conversation, no limit otherwise.
    pub idle: Option<Period>,
}

/// Whether sessions of a conversation share linked accounts and agreements.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SessionSharing {
    /// Each session of the server is a conversation of its own.
    #[default]
    Own,
    /// The claim or `_meta` alone names the conversation.
    Shared,
}

/// Whether clients of a user share linked accounts and agreements.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ClientSharing {
    /// Each client (`client_id` or `azp` of its token) has its own.
    #[default]
    Own,
    /// All clients of a user share them.
    Shared,
}

/// The meaning of a conversation.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Conversation {
    /// The server's session. Without sessions, as in 2026-07-28, all calls of a user are one conversation.
    #[default]
    Session,
    /// The value of this claim of the caller's token, such as `sid`, and the server's session, if there is one.
    /// A caller without the claim cannot connect accounts.
    Claim(ClaimPath),
    /// The value of the first of these keys that the `_meta` of the call has, such as `openai/session`, and the
    /// server's session, if there is one. The client chooses the value, so it only divides the calls of one
    /// user and client.
    Meta(MetaKeys),
}

fn default_scopes() -> Vec<String> {
    vec!["openid".to_owned()]
}

fn default_lifetime() -> Period {
    Period(Duration::from_secs(3600))
}

fn default_accounts() -> Count<MAX_ACCOUNTS> {
    Count(1)
}

fn default_status() -> Count<599> {
    Count(200)
}
