//! Issuers as the policy's author writes them.

use std::time::Duration;

use serde::Deserialize;

use crate::checked_text::{ClientId, ClusterName, EndpointPath, VariableName};
use crate::connections::document::SignInDocument;
use crate::value::Period;
use oauth::{Algorithm, ClaimPath, TokenType};

/// An authorization server whose tokens are accepted.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct IssuerDocument {
    /// The exact `iss` claim.
    pub issuer: String,
    /// Where its keys come from. Either this or `introspection`.
    pub jwks: Option<JwksDocument>,
    /// How it is asked about tokens that are no JWTs, or whose signature nobody else can check. One
    /// issuer at most: such a token does not say whose it is.
    pub introspection: Option<IntrospectionDocument>,
    /// Signature algorithms accepted from it, with `jwks`. Asymmetric ones only. Default: all.
    pub algorithms: Option<Vec<Algorithm>>,
    /// Audiences accepted; one must be in the token. Default: `resource`.
    pub audiences: Option<Vec<String>>,
    /// Values of the token's `typ` header accepted, with `jwks`. Default: `at+jwt` and `JWT`.
    pub types: Option<Vec<TokenType>>,
    /// Which claims say who is calling.
    #[serde(default)]
    pub identity: IdentityDocument,
    /// How users of a browser sign in with it, to open this filter's pages. `connections` needs it.
    pub sign_in: Option<SignInDocument>,
    /// Whether its tokens may say that somebody acts for the caller (`act`, RFC 8693 section 4.1).
    #[serde(default)]
    pub delegation: DelegationDocument,
    /// Who may act for its callers: the `sub` of whoever calls, as `act` has it; for one of another
    /// issuer that issuer and `|` before it. Default: anybody the issuer names.
    pub actors: Option<Vec<String>>,
    /// How far this issuer's clock may be off. At most 5m.
    #[serde(default = "default_clock_skew")]
    pub clock_skew: Period,
    /// Tokens valid for longer than this are refused.
    #[serde(default = "default_max_lifetime")]
    pub max_lifetime: Period,
}

/// What becomes of tokens that say somebody acts for the caller.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DelegationDocument {
    /// They are accepted, and the log names who acts. Other tokens are accepted, too.
    #[default]
    Accepted,
    /// They are refused.
    Refused,
    /// Only they are accepted.
    Required,
}

/// Where the keys of an issuer come from: a path on an Envoy cluster, or the policy itself.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct JwksDocument {
    /// The Envoy cluster that serves the key set.
    pub cluster: Option<ClusterName>,
    /// The path of the key set on that cluster.
    pub path: Option<EndpointPath>,
    /// The `:authority` of the fetch. Default: the host of `issuer`.
    pub authority: Option<String>,
    /// A key set (RFC 7517 section 5) written into the policy.
    pub inline: Option<serde_json::Value>,
    /// How often a fetched key set is fetched again.
    #[serde(default = "default_refresh")]
    pub refresh: Period,
    /// How long a fetched key set is used while it cannot be fetched again.
    #[serde(default = "default_keep")]
    pub keep: Period,
}

/// Where an issuer is asked about a token (RFC 7662): a path on an Envoy cluster.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct IntrospectionDocument {
    /// The Envoy cluster of the introspection endpoint.
    pub cluster: ClusterName,
    /// The path of the introspection endpoint on that cluster.
    pub path: EndpointPath,
    /// The `:authority` of the call. Default: the host of `issuer`.
    pub authority: Option<String>,
    /// The client id of this filter at the issuer.
    pub client_id: ClientId,
    /// The environment variable (of the Wasm VM) that holds the client's secret.
    pub client_secret_env: VariableName,
    /// How long an answer is used, so how long a revoked token may still pass. 1s to 10m.
    #[serde(default = "default_cache")]
    pub cache: Period,
}

/// Which claims say who is calling. A string is split at its dots; a list names each step exactly,
/// for claim names that have dots themselves.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct IdentityDocument {
    /// The user; a token without it is refused.
    pub user: ClaimPath,
    /// The organization, tenant or workspace.
    pub organization: Option<ClaimPath>,
    /// Role names: a list, or one string with spaces between them.
    pub roles: Option<ClaimPath>,
    /// Scopes: a list, or one string with spaces between them.
    pub scopes: ClaimPath,
    /// As whom the caller wants to act: `role:NAME` or `user:ID`, as with the header of `view_as`.
    pub view_as: Option<ClaimPath>,
}

impl Default for IdentityDocument {
    fn default() -> Self {
        Self {
            user: ClaimPath::claim("sub"),
            organization: None,
            roles: None,
            scopes: ClaimPath::claim("scope"),
            view_as: None,
        }
    }
}

fn default_clock_skew() -> Period {
    Period(Duration::from_secs(30))
}

fn default_max_lifetime() -> Period {
    Period(Duration::from_secs(24 * 3600))
}

fn default_refresh() -> Period {
    Period(Duration::from_secs(5 * 60))
}

fn default_keep() -> Period {
    Period(Duration::from_secs(3600))
}

fn default_cache() -> Period {
    Period(Duration::from_secs(60))
}
