//! This filter as an OAuth client of authorization servers: requests, and what responses say. It knows
//! no policy, and sends nothing itself.

mod authorization_url;
mod client_auth;
mod client_key;
mod registration;
mod server_metadata;
mod token_endpoint;
mod token_exchange;
mod token_response;
mod web_url;

use serde::Deserialize;
use url::Url;

pub use self::authorization_url::{AuthorizationUrl, Prompt};
pub(crate) use self::client_auth::authenticated;
pub use self::client_auth::{ClientAuth, ClientCredentials, SecretMethod};
pub use self::client_key::{ClientKey, ClientKeyError};
pub use self::registration::{RegistrationError, read_registration};
pub use self::server_metadata::{
    ClientIdSource, DiscoveredServer, DiscoveryError, check_resource, metadata_paths, read_metadata,
};
pub use self::token_endpoint::{RevokedToken, TokenGrant, revocation_request, token_request};
pub use self::token_exchange::{
    ExchangeError, SubjectTokenType, TokenExchange, read_assertion, read_exchanged, read_redeemed,
};
pub use self::token_response::{TokenAnswerError, Tokens, missing_scopes, object, read_tokens};
pub use self::web_url::{host_of, web_url};
use base::http::Endpoint;

/// This filter as a client of a token endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenClient {
    /// The token endpoint.
    pub endpoint: Endpoint,
    /// The client id.
    pub client_id: String,
    /// How it authenticates.
    pub auth: ClientAuth,
}

/// This filter as a client that sends browsers to an authorization server and redeems the codes
/// they come back with (RFC 6749 section 4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// The authorization endpoint, a URL.
    pub authorize: String,
    /// The token endpoint, and this filter's credentials there.
    pub token: TokenClient,
    /// The revocation endpoint (RFC 7009).
    pub revoke: Option<Endpoint>,
}

/// How this filter becomes a client of an account's authorization server.
#[derive(Debug, Clone)]
pub enum AuthorizationServer {
    /// The policy has its endpoints.
    Written(Client),
    /// Its endpoints are discovered each time a user connects an account.
    Discovered(Discovery),
}

impl AuthorizationServer {
    /// The client id, if the policy has one.
    pub fn client_id(&self) -> Option<&str> {
        match self {
            Self::Written(client) => Some(&client.token.client_id),
            Self::Discovered(discovery) => discovery.client_id.as_deref(),
        }
    }

    /// How the client authenticates, if the policy has one.
    pub fn auth(&self) -> &ClientAuth {
        match self {
            Self::Written(client) => &client.token.auth,
            Self::Discovered(discovery) => &discovery.auth,
        }
    }
}

/// How the endpoints of an authorization server are discovered (RFC 8414).
#[derive(Debug, Clone)]
pub struct Discovery {
    /// The only origins that endpoints may have, each with its Envoy cluster. The issuer's own is
    /// the first.
    pub origins: Vec<(url::Origin, String)>,
    /// Where the metadata of the protected resource is requested (RFC 9728 section 3), if it is.
    pub resource: Option<Endpoint>,
    /// This filter's client id there; `None` if it is obtained on the way.
    pub client_id: Option<String>,
    /// How that client authenticates.
    pub auth: ClientAuth,
    /// Whether the server's metadata chooses how requests carry the client's secret.
    pub chooses_method: bool,
}

impl Discovery {
    /// The endpoint for a URL. `None` for a URL whose origin the policy has no cluster for: such a
    /// URL is never requested.
    pub fn endpoint(&self, url: &Url) -> Option<Endpoint> {
        let origin = url.origin();
        let mut known = self.origins.iter();
        let (_, cluster) = known.find(|(known, _)| *known == origin)?;
        let query = url.query().map(|query| format!("?{query}"));
        Some(Endpoint {
            cluster: cluster.clone(),
            path: format!("{}{}", url.path(), query.unwrap_or_default()),
            authority: host_of(url)?,
        })
    }
}

/// Whether the `iss` parameter must be present when the browser comes back (RFC 9207).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum IssParameter {
    /// It is compared if it is present. An answer of one authorization server is not taken for
    /// another's either way: each connection has its own redirect URI.
    #[default]
    IfSent,
    /// Without it, no account is connected.
    Required,
}
