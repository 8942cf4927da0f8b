//! Issuers, as in the policy's document.

use std::time::Duration;

use serde::Deserialize;

use crate::checked_text::{ClientId, ClusterName, EndpointPath, VariableName};
use crate::client_auth::ClientAuthDocument;
use crate::connections::document::SignInDocument;
use crate::value::Period;
use oauth::{Algorithm, ClaimPath, ClaimSource, TokenType};

/// An authorization server whose tokens are accepted.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct IssuerDocument {
    /// The exact `iss` claim. With `tenants` it has `{tenantid}` in place of a tenant.
    pub issuer: String,
    /// The tenants whose tokens are accepted, where one issuer entry is for several tenants (Microsoft Entra).
    pub tenants: Option<Vec<String>>,
    /// The authorization server that the metadata of the resource names to clients. Default: `issuer`, with
    /// `organizations` in place of `{tenantid}`.
    pub authorization_server: Option<String>,
    /// The source of its keys. Either this or `introspection`.
    pub jwks: Option<JwksDocument>,
    /// Introspection of tokens that are not JWTs, or whose signature only the issuer can check. At most one
    /// issuer may have it: such a token does not name its issuer.
    pub introspection: Option<IntrospectionDocument>,
    /// Accepted signature algorithms, with `jwks`. Only asymmetric ones. Default: all.
    pub algorithms: Option<Vec<Algorithm>>,
    /// Accepted audiences. The token must have one of them. Default: `resource`.
    pub audiences: Option<Vec<String>>,
    /// The clients whose tokens are accepted without `aud`, for issuers that write none (Amazon Cognito).
    /// Default: a token without `aud` is refused.
    pub without_audience: Option<WithoutAudienceDocument>,
    /// Accepted values of the token's `typ` header, with `jwks`. Default: `at+jwt` and `JWT`.
    pub types: Option<Vec<TokenType>>,
    /// The claims that identify the caller.
    #[serde(default)]
    pub identity: IdentityDocument,
    /// The sign-in of users in browsers, for the filter's pages. `connections` needs it.
    pub sign_in: Option<SignInDocument>,
    /// Whether its tokens may name an actor that acts for the caller (`act`, RFC 8693 section 4.1).
    #[serde(default)]
    pub delegation: DelegationDocument,
    /// The actors that may act for its callers: `sub` of the current actor, as in `act`. For an actor of
    /// another issuer: that issuer, `|` and `sub`. Default: all actors that the issuer names.
    pub actors: Option<Vec<String>>,
    /// How far this issuer's clock may differ. At most 5m.
    #[serde(default = "default_clock_skew")]
    pub clock_skew: Period,
    /// Tokens valid for longer than this are refused.
    #[serde(default = "default_max_lifetime")]
    pub max_lifetime: Period,
}

/// The clients whose tokens need no `aud`.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WithoutAudienceDocument {
    /// The claim that names the client, such as `client_id`.
    pub claim: ClaimPath,
    /// Its accepted values.
    pub values: Vec<String>,
}

/// The rule for tokens that name an actor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DelegationDocument {
    /// They are accepted, and the log names the actor. Other tokens are accepted too.
    #[default]
    Accepted,
    /// They are refused.
    Refused,
    /// Only they are accepted.
    Required,
}

/// The source of an issuer's keys: a path on an Envoy cluster, or the policy.
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
    /// The time between fetches of the key set.
    #[serde(default = "default_refresh")]
    pub refresh: Period,
    /// How long a fetched key set is used if fetches fail.
    #[serde(default = "default_keep")]
    pub keep: Period,
}

/// The introspection endpoint of an issuer (RFC 7662): a path on an Envoy cluster.
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
    /// The filter's client id at the issuer.
    pub client_id: ClientId,
    /// The environment variable (of the Wasm VM) with the client's secret. Either this or `client_key_env`.
    pub client_secret_env: Option<VariableName>,
    /// How the client authenticates. Default: `basic` with `client_secret_env`, `private_key_jwt` with
    /// `client_key_env`.
    pub client_auth: Option<ClientAuthDocument>,
    /// The environment variable (of the Wasm VM) with the client's private key, a PEM (PKCS #8) or a JWK: for
    /// EdDSA, ES256, RS256, or PS256 if `alg` of the JWK says so.
    pub client_key_env: Option<VariableName>,
    /// The audience of the assertions that this key signs. Default: the issuer.
    pub assertion_audience: Option<String>,
    /// How long a response is cached, and so how long a revoked token may still pass. 1s to 10m.
    #[serde(default = "default_cache")]
    pub cache: Period,
}

/// The claims that identify the caller. A string is split at its dots. A list names each step exactly, for
/// claim names with dots. A mapping names several claims, or the form of their values.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct IdentityDocument {
    /// The user. A token without it is refused.
    pub user: ClaimSource,
    /// The organization, tenant or workspace.
    pub organization: Option<ClaimSource>,
    /// Role names: a list, or a text that is one name.
    pub roles: Option<ClaimSource>,
    /// Scopes: a list, or one string with spaces between them.
    pub scopes: ClaimSource,
    /// The test user or role that the caller asks to act as: `role:NAME` or `user:ID`, as in the header of
    /// `view_as`.
    pub view_as: Option<ClaimPath>,
}

impl Default for IdentityDocument {
    fn default() -> Self {
        Self {
            user: ClaimSource::claim("sub"),
            organization: None,
            roles: None,
            scopes: ClaimSource::claim("scope"),
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
