//! The token endpoint and the revocation endpoint: requests and responses.

use std::time::Duration;

use serde_json::{Map, Value};
use thiserror::Error;
use url::form_urlencoded::Serializer;

use super::token_exchange::ID_JAG;
use super::{Client, SubjectTokenType, TokenClient, TokenExchange};
use base::http::{HttpRequest, HttpResponse};
use base::json::Reader;
use base::secret::Secret;
use base::time::UnixTime;

/// The maximum size of a response, in bytes.
const MAX_RESPONSE_BYTES: usize = 64 * 1024;
/// The maximum size of a token, in bytes.
const MAX_TOKEN_BYTES: usize = 16 * 1024;
/// The maximum nesting depth of JSON.
const MAX_DEPTH: usize = 16;

/// The tokens in a successful response (RFC 6749 section 5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// The access token.
    pub access_token: Secret,
    /// The refresh token.
    pub refresh_token: Option<Secret>,
    /// When the access token ends. `None`: the response does not say.
    pub expires: Option<UnixTime>,
    /// The scope, if it is not the requested one.
    pub scope: Option<String>,
    /// The ID token (OpenID Connect Core section 3.1.3.3). It is not verified yet.
    pub id_token: Option<Secret>,
}

/// Why a response has no tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TokenAnswerError {
    /// It is not the response of a token endpoint.
    #[error("the authorization server's answer cannot be read")]
    Format,
    /// The code or refresh token is not valid (RFC 6749 section 5.2).
    #[error("the authorization server does not accept what it handed out")]
    TokenGrant,
    /// The client may not do that.
    #[error("the authorization server does not accept this client")]
    Client,
    /// There was no response.
    #[error("the authorization server is not available")]
    Unavailable,
    /// The client is unknown, or not one for codes (RFC 6749 section 5.2).
    #[error("the authorization server does not know this client")]
    UnknownClient,
}

/// The grant of a token request.
#[derive(Clone, Copy)]
pub enum TokenGrant<'a> {
    /// An authorization code (RFC 6749 section 4.1.3).
    Code {
        /// The code.
        code: &'a str,
        /// The PKCE code verifier (RFC 7636 section 4.5).
        verifier: &'a str,
        /// The redirect URI of the authorization request.
        redirect_uri: &'a str,
        /// The resource that the token is for (RFC 8707 section 2.2).
        resource: Option<&'a str>,
    },
    /// A refresh token (RFC 6749 section 6).
    Refresh {
        /// The refresh token.
        refresh_token: &'a Secret,
        /// The resource that the token is for (RFC 8707 section 2.2).
        resource: Option<&'a str>,
    },
    /// Another token (RFC 8693 section 2.1).
    Exchange {
        /// The exchange.
        exchange: &'a TokenExchange,
        /// The other token.
        subject: &'a Secret,
    },
    /// An assertion of a user's identity (RFC 7523 section 2.1).
    Assertion(&'a Secret),
}

/// Without the content, which has codes and tokens.
impl std::fmt::Debug for TokenGrant<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("TokenGrant")
    }
}

/// A request for tokens. `credentials` are the client's; `None` for a public client.
pub fn token_request(
    client: &TokenClient,
    credentials: Option<&Secret>,
    grant: TokenGrant<'_>,
) -> HttpRequest {
    let scope;
    let form = match grant {
        TokenGrant::Code {
            code,
            verifier,
            redirect_uri,
            resource,
        } => vec![
            ("grant_type", Some("authorization_code")),
            ("code", Some(code)),
            ("redirect_uri", Some(redirect_uri)),
            ("code_verifier", Some(verifier)),
            ("resource", resource),
        ],
        TokenGrant::Refresh {
            refresh_token,
            resource,
        } => vec![
            ("grant_type", Some("refresh_token")),
            ("refresh_token", Some(refresh_token.reveal())),
            ("resource", resource),
        ],
        TokenGrant::Exchange { exchange, subject } => {
            scope = exchange.scopes.join(" ");
            let grant_type = "urn:ietf:params:oauth:grant-type:token-exchange";
            let requested = match exchange.id_jag {
                Some(_) => ID_JAG,
                None => SubjectTokenType::AccessToken.urn(),
            };
            let subject_token_type = exchange.subject_token_type.urn();
            vec![
                ("grant_type", Some(grant_type)),
                ("requested_token_type", Some(requested)),
                ("audience", exchange.audience.as_deref()),
                ("resource", exchange.resource.as_deref()),
                ("scope", (!scope.is_empty()).then_some(scope.as_str())),
                ("subject_token", Some(subject.reveal())),
                ("subject_token_type", Some(subject_token_type)),
            ]
        }
        TokenGrant::Assertion(assertion) => {
            let grant_type = "urn:ietf:params:oauth:grant-type:jwt-bearer";
            vec![
                ("grant_type", Some(grant_type)),
                ("assertion", Some(assertion.reveal())),
            ]
        }
    };
    let form = encode(&client.client_id, credentials, &form);
    client.endpoint.post(form, credentials)
}

/// A token to be revoked.
#[derive(Debug, Clone, Copy)]
pub enum RevokedToken<'a> {
    /// An access token.
    Access(&'a Secret),
    /// A refresh token; the access tokens made from it are revoked, too.
    Refresh(&'a Secret),
}

/// A request to revoke a token (RFC 7009 section 2.1). `None`: there is no revocation endpoint.
pub fn revocation_request(
    client: &Client,
    credentials: Option<&Secret>,
    token: RevokedToken<'_>,
) -> Option<HttpRequest> {
    let (token, hint) = match token {
        RevokedToken::Access(token) => (token, "access_token"),
        RevokedToken::Refresh(token) => (token, "refresh_token"),
    };
    let form = [
        ("token", Some(token.reveal())),
        ("token_type_hint", Some(hint)),
    ];
    let form = encode(&client.token.client_id, credentials, &form);
    Some(client.revoke.as_ref()?.post(form, credentials))
}

/// Reads a response to a request with a code or refresh token. `now` is when it arrived, in Unix seconds.
///
/// # Errors
///
/// It has no tokens.
pub fn read_tokens(
    response: Option<&HttpResponse>,
    now: UnixTime,
) -> Result<Tokens, TokenAnswerError> {
    let members = members(response).map_err(|error| match error {
        NoMembers::Error(code) => error_of(code.as_deref()),
        NoMembers::Format => TokenAnswerError::Format,
        NoMembers::Unavailable => TokenAnswerError::Unavailable,
    })?;
    tokens(&members, now).ok_or(TokenAnswerError::Format)
}

/// Why a response has no members to read.
pub(super) enum NoMembers {
    /// It is an error, with this code (RFC 6749 section 5.2).
    Error(Option<String>),
    /// It is not the response of a token endpoint.
    Format,
    /// There was no response.
    Unavailable,
}

/// The members of a successful response.
pub(super) fn members(response: Option<&HttpResponse>) -> Result<Map<String, Value>, NoMembers> {
    let response = response.ok_or(NoMembers::Unavailable)?;
    let code = |members: &Map<String, Value>| Some(members.get("error")?.as_str()?.to_owned());
    match (response.status, object(&response.body)) {
        // GitHub sends errors with 200.
        (200, Some(members)) if members.contains_key("error") => {
            Err(NoMembers::Error(code(&members)))
        }
        (200, members) => members.ok_or(NoMembers::Format),
        (400..=403, members) => Err(NoMembers::Error(members.as_ref().and_then(code))),
        _ => Err(NoMembers::Unavailable),
    }
}

/// Reads one strict JSON object, without repeated members.
pub fn object(bytes: &[u8]) -> Option<Map<String, Value>> {
    if bytes.len() > MAX_RESPONSE_BYTES {
        return None;
    }
    let mut reader = Reader::new(bytes, MAX_DEPTH);
    reader.skip().ok()?;
    reader.end().ok()?;
    serde_json::from_slice(bytes).ok()
}

/// The tokens of a successful response. `None`: it has none that this filter can use.
pub(super) fn tokens(members: &Map<String, Value>, now: UnixTime) -> Option<Tokens> {
    let kind = members.get("token_type")?.as_str()?;
    if !kind.eq_ignore_ascii_case("bearer") {
        // This filter does not send tokens that need a proof.
        return None;
    }
    let lasts = match members.get("expires_in") {
        None | Some(Value::Null) => None,
        Some(value) => Some(Duration::from_secs(value.as_u64()?)),
    };
    Some(Tokens {
        access_token: token(members.get("access_token")?)?,
        refresh_token: optional(members, "refresh_token", token)?,
        expires: lasts.map(|lasts| now.saturating_add(lasts)),
        scope: optional(members, "scope", |value| value.as_str().map(str::to_owned))?,
        id_token: optional(members, "id_token", token)?,
    })
}

/// A member that may be missing. `None`: it cannot be read.
fn optional<T>(
    members: &Map<String, Value>,
    name: &str,
    read: impl Fn(&Value) -> Option<T>,
) -> Option<Option<T>> {
    match members.get(name) {
        None | Some(Value::Null) => Some(None),
        Some(value) => read(value).map(Some),
    }
}

/// A token that a header can carry (RFC 6749 appendix A.12, RFC 6750 section 2.1).
pub(super) fn token(value: &Value) -> Option<Secret> {
    let text = value.as_str()?;
    let sound = !text.is_empty()
        && text.len() <= MAX_TOKEN_BYTES
        && text.bytes().all(|byte| matches!(byte, b'!'..=b'~'));
    sound.then(|| Secret::new(text.to_owned()))
}

fn error_of(code: Option<&str>) -> TokenAnswerError {
    match code {
        Some("invalid_grant" | "bad_verification_code" | "bad_refresh_token") => {
            TokenAnswerError::TokenGrant
        }
        Some("invalid_client" | "unauthorized_client") => TokenAnswerError::UnknownClient,
        _ => TokenAnswerError::Client,
    }
}

/// A form. A public client sends its id in the form (RFC 6749 section 3.2.1).
fn encode(client_id: &str, credentials: Option<&Secret>, pairs: &[(&str, Option<&str>)]) -> String {
    let mut form = Serializer::new(String::new());
    for (name, value) in pairs {
        if let Some(value) = value {
            form.append_pair(name, value);
        }
    }
    if credentials.is_none() {
        form.append_pair("client_id", client_id);
    }
    form.finish()
}

#[cfg(test)]
mod tests;
