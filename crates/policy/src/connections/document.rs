//! Connections, as in the policy's document.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::account::AccountDocument;
use super::sign_in_needs::SignInNeedsDocument;
use crate::checked_text::{ClientId, ClusterName, EndpointPath, VariableName};
use crate::client_auth::ClientAuthDocument;
use crate::issuers::document::JwksDocument;
use crate::value::Period;
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
    /// The issuer identifier of its authorization server: the expected `iss` of the redirect (RFC 9207).
    pub issuer: String,
    /// Whether `iss` is required.
    #[serde(default)]
    pub iss: IssParameter,
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
    /// The maximum duration of a connection.
    #[serde(default = "default_lifetime")]
    pub lifetime: Period,
    /// Whether its token is refreshed during that time. If not, the filter does not keep refresh tokens.
    #[serde(default = "default_refresh")]
    pub refresh: bool,
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
    /// The value of this claim of the caller's token, such as `sid`. A caller without it cannot connect
    /// accounts.
    Claim(ClaimPath),
}

fn default_scopes() -> Vec<String> {
    vec!["openid".to_owned()]
}

fn default_lifetime() -> Period {
    Period(Duration::from_secs(3600))
}

fn default_refresh() -> bool {
    true
}
