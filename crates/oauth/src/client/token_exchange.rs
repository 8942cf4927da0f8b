//! Token exchange: the caller's token is exchanged for one that the MCP server accepts.

use serde::Deserialize;
use serde_json::{Map, Value};
use thiserror::Error;

use super::TokenClient;
use super::token_response::{NoMembers, Tokens, members, token, tokens};
use base::http::HttpResponse;
use base::secret::Secret;
use base::time::UnixTime;

/// The type of an identity assertion ("Identity Assertion Authorization Grant").
pub(super) const ID_JAG: &str = "urn:ietf:params:oauth:token-type:id-jag";

/// The policy's token exchange (RFC 8693).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenExchange {
    /// The filter's client at the token endpoint for exchanges.
    pub client: TokenClient,
    /// `audience`: the server's name.
    pub audience: Option<String>,
    /// `resource`: the server's URL (RFC 8707).
    pub resource: Option<String>,
    /// The requested scopes.
    pub scopes: Vec<String>,
    /// The type of the caller's token.
    pub subject_token_type: SubjectTokenType,
    /// The filter's client at the token endpoint that redeems identity assertions (RFC 7523). `None`: the
    /// exchange itself issues the token.
    pub id_jag: Option<TokenClient>,
}

/// The type of a token that is exchanged (RFC 8693 section 3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SubjectTokenType {
    /// An access token.
    #[default]
    AccessToken,
    /// A JWT.
    Jwt,
    /// An ID token: for callers that send one in place of an access token.
    IdToken,
}

impl SubjectTokenType {
    /// Its identifier.
    pub fn urn(self) -> &'static str {
        match self {
            Self::AccessToken => "urn:ietf:params:oauth:token-type:access_token",
            Self::Jwt => "urn:ietf:params:oauth:token-type:jwt",
            Self::IdToken => "urn:ietf:params:oauth:token-type:id_token",
        }
    }
}

/// Why a token was not exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ExchangeError {
    /// Too many tokens are being exchanged.
    #[error("too many tokens are being exchanged")]
    Busy,
    /// The client may not exchange tokens there.
    #[error("the authorization server does not let this proxy exchange tokens")]
    Client,
    /// The caller gets no token for the server.
    #[error("the authorization server gives this caller no access to the server behind")]
    Denied,
    /// The response cannot be used.
    #[error("the authorization server's answer cannot be used")]
    Format,
    /// The caller's token is not valid there.
    #[error("the authorization server does not accept the token any more")]
    Subject,
    /// There was no response.
    #[error("the authorization server that exchanges tokens is not available")]
    Unavailable,
}

impl ExchangeError {
    /// Whether another try may help soon.
    pub fn is_unavailable(self) -> bool {
        matches!(self, Self::Busy | Self::Unavailable)
    }

    /// The error of an error code (RFC 6749 section 5.2, RFC 8693 section 2.2.2).
    fn of_code(code: Option<&str>) -> Self {
        match code {
            Some("invalid_grant") => Self::Subject,
            // RFC 8693 uses `invalid_request` for a subject token that is not acceptable, too.
            Some("invalid_request" | "invalid_target" | "invalid_scope" | "access_denied") => {
                Self::Denied
            }
            Some("temporarily_unavailable" | "server_error") => Self::Unavailable,
            _ => Self::Client,
        }
    }
}

impl From<NoMembers> for ExchangeError {
    fn from(error: NoMembers) -> Self {
        match error {
            NoMembers::Error(code) => Self::of_code(code.as_deref()),
            NoMembers::Format => Self::Format,
            NoMembers::Unavailable => Self::Unavailable,
        }
    }
}

/// Reads the response to a token exchange (RFC 8693 section 2.2.1). `now` is when it arrived, in Unix
/// seconds.
///
/// # Errors
///
/// It has no token.
pub fn read_exchanged(
    response: Option<&HttpResponse>,
    now: UnixTime,
) -> Result<Tokens, ExchangeError> {
    let members = members(response)?;
    let kinds = [SubjectTokenType::AccessToken, SubjectTokenType::Jwt];
    if !kinds.iter().any(|kind| is_issued(&members, kind.urn())) {
        return Err(ExchangeError::Format);
    }
    tokens(&members, now).ok_or(ExchangeError::Format)
}

/// Reads the response to a token exchange that gives an assertion.
///
/// # Errors
///
/// It has no assertion.
pub fn read_assertion(response: Option<&HttpResponse>) -> Result<Secret, ExchangeError> {
    let members = members(response)?;
    let kind = members.get("token_type").and_then(Value::as_str);
    let is_none = kind.is_some_and(|kind| kind.eq_ignore_ascii_case("N_A"));
    let assertion = members.get("access_token").and_then(token);
    match assertion {
        Some(assertion) if is_none && is_issued(&members, ID_JAG) => Ok(assertion),
        _ => Err(ExchangeError::Format),
    }
}

/// Reads the response to a request with an assertion. `now` is when it arrived, in Unix seconds.
///
/// # Errors
///
/// It has no token.
pub fn read_redeemed(
    response: Option<&HttpResponse>,
    now: UnixTime,
) -> Result<Tokens, ExchangeError> {
    let members = members(response).map_err(|error| match error.into() {
        // The caller's token is valid: another sign-in would not help.
        ExchangeError::Subject => ExchangeError::Denied,
        error => error,
    })?;
    tokens(&members, now).ok_or(ExchangeError::Format)
}

fn is_issued(members: &Map<String, Value>, kind: &str) -> bool {
    members.get("issued_token_type").and_then(Value::as_str) == Some(kind)
}
