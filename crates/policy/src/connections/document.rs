//! Connections as the policy's author writes them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::checked_text::{ClientId, ClusterName, EndpointPath, VariableName};
use crate::issuers::document::JwksDocument;
use crate::value::Period;
use oauth::ClaimPath;
use oauth::client::IssParameter;

/// How this filter signs the user of a browser in, to know who opens its pages (OpenID Connect).
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SignInDocument {
    /// Where the browser goes: the issuer's authorization endpoint.
    pub authorize: String,
    /// Where the code is redeemed: the issuer's token endpoint.
    pub token: PlaceDocument,
    /// The client id of this filter at the issuer, or `metadata`: it is known there by the document
    /// it publishes at `/.mcp-auth/client.json`. Its redirect URI is `/.mcp-auth/signed-in` at
    /// the origin of `resource`.
    pub client_id: ClientId,
    /// The environment variable (of the Wasm VM) that holds the client's secret. Without it, the
    /// client is a public one.
    pub client_secret_env: Option<VariableName>,
    /// Scopes asked for.
    #[serde(default = "default_scopes")]
    pub scopes: Vec<String>,
    /// The claim of the ID token that names the same user as the access token. Default: the
    /// issuer's `identity.user`.
    pub user: Option<ClaimPath>,
    /// The keys of ID tokens and logout tokens, where the issuer has `introspection` in place of `jwks`.
    pub jwks: Option<JwksDocument>,
    /// Whether it tells this filter when a user signs out (OpenID Connect Back-Channel Logout), at
    /// `/.mcp-auth/logout`: connections the user made before are not used any more.
    #[serde(default)]
    pub back_channel_logout: bool,
}

/// Where something is asked: a path on an Envoy cluster.
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

/// A resource at which users have accounts of their own.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ConnectionDocument {
    /// Its name on pages. Default: the key.
    pub title: Option<String>,
    /// The issuer identifier of its authorization server: what `iss` has to say when the browser
    /// comes back (RFC 9207).
    pub issuer: String,
    /// Whether `iss` has to be there.
    #[serde(default)]
    pub iss: IssParameter,
    /// The authorization server is asked for its endpoints each time a user connects, in place of
    /// `authorize`, `token` and `revoke`.
    pub discover: Option<DiscoverDocument>,
    /// Where the browser goes: the authorization endpoint.
    pub authorize: Option<String>,
    /// Where codes are redeemed and tokens refreshed: the token endpoint.
    pub token: Option<PlaceDocument>,
    /// Where tokens are revoked when a connection ends (RFC 7009).
    pub revoke: Option<PlaceDocument>,
    /// The client id of this filter there, or `metadata`: it is known by the document it publishes
    /// at `/.mcp-auth/client.json`. Its redirect URI is `/.mcp-auth/callback/` and the
    /// connection's key, at the origin of `resource`. With `discover` it may be left out: that
    /// document, where the authorization server takes such ids, else this filter registers (RFC
    /// 7591).
    pub client_id: Option<ClientId>,
    /// The environment variable (of the Wasm VM) that holds the client's secret. Without it, the
    /// client is a public one.
    pub client_secret_env: Option<VariableName>,
    /// Scopes asked for.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// What the page says will be possible, one line each. Default: the scopes.
    #[serde(default)]
    pub allows: Vec<String>,
    /// What the token is for (RFC 8707), if the authorization server wants to know.
    pub resource: Option<String>,
    /// Where the token's account is asked for, to name it in the log and on pages.
    pub account: Option<AccountDocument>,
    /// How long a connection lasts at most.
    #[serde(default = "default_lifetime")]
    pub lifetime: Period,
    /// Whether its token is refreshed meanwhile. If not, a refresh token is not even kept.
    #[serde(default = "default_refresh")]
    pub refresh: bool,
}

/// Where the authorization server of a connection is asked for its endpoints (RFC 8414).
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DiscoverDocument {
    /// The Envoy cluster of the issuer's host.
    pub cluster: ClusterName,
    /// Other hosts at which its endpoints may be, each with its Envoy cluster. A port is written as in
    /// URLs: `auth.example.com:8443`.
    #[serde(default)]
    pub hosts: BTreeMap<String, ClusterName>,
    /// Where the metadata of the connection's `resource` is asked for (RFC 9728), which then has to
    /// name the `issuer`.
    pub resource: Option<DiscoverResourceDocument>,
}

/// Where a resource is asked for its metadata.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DiscoverResourceDocument {
    /// The Envoy cluster of the resource's host.
    pub cluster: ClusterName,
}

/// Where the account of a token is asked for.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AccountDocument {
    /// The Envoy cluster.
    pub cluster: ClusterName,
    /// The path on that cluster, asked with the token; the answer is a JSON object.
    pub path: EndpointPath,
    /// The `:authority` of the call. Default: the host of `authorize`, or of the issuer.
    pub authority: Option<String>,
    /// Which field of the answer names the account.
    pub field: ClaimPath,
}

/// Where connections belong.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct VaultDocument {
    /// What a conversation is: a connection made in one is not used in another.
    pub conversation: Conversation,
    /// Whether what a user links or agrees to through one client counts for another client of the user.
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

/// What a conversation is.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Conversation {
    /// The server's session. Where there is none, as in 2026-07-28, all calls of a user are one.
    #[default]
    Session,
    /// What this claim of the caller's token says, such as `sid`. A token without it connects
    /// nothing.
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
