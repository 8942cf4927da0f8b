//! Responses of token endpoints. All places that read tokens read them here: codes, refreshes, exchanges and
//! assertions. Deviations of known servers are accepted if they cannot make a token seem to be another one.

use std::time::Duration;

use serde_json::{Map, Value};
use thiserror::Error;

use crate::token_type::is_bearer;
use base::http::HttpResponse;
use base::json::Reader;
use base::secret::Secret;
use base::time::UnixTime;

/// The maximum size of a response, in bytes.
const MAX_RESPONSE_BYTES: usize = 64 * 1024;
/// The maximum size of a token, in bytes.
const MAX_TOKEN_BYTES: usize = 16 * 1024;
/// The maximum size of a scope, in bytes.
const MAX_SCOPE_BYTES: usize = 16 * 1024;
/// The maximum nesting depth of JSON.
const MAX_DEPTH: usize = 16;
/// The longest lifetime that is believed: some servers send a date in place of a lifetime.
const MAX_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// The tokens in a successful response (RFC 6749 section 5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// The access token.
    pub access_token: Secret,
    /// The refresh token.
    pub refresh_token: Option<Secret>,
    /// When the access token ends. `None`: the response does not say.
    pub expires: Option<UnixTime>,
    /// The scope, if it is not the requested one: names with spaces between them.
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
        // GitHub and Slack send errors with 200.
        (200 | 201, Some(members)) if is_error(&members) => Err(NoMembers::Error(code(&members))),
        (200 | 201, members) => members.ok_or(NoMembers::Format),
        (400..=403, members) => Err(NoMembers::Error(members.as_ref().and_then(code))),
        _ => Err(NoMembers::Unavailable),
    }
}

/// Whether a response with a status of success has an error.
fn is_error(members: &Map<String, Value>) -> bool {
    let is_absent = match members.get("error") {
        None | Some(Value::Null) => true,
        Some(error) => error == "",
    };
    !is_absent || members.get("ok") == Some(&Value::Bool(false))
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
    // Slack has the user's token in an object of its own, and sometimes only its scope.
    let nested = members.get("authed_user").and_then(Value::as_object);
    let own = match (is_absent(members, "access_token"), nested) {
        (true, Some(nested)) => nested,
        _ => members,
    };
    if !is_bearer(own.get("token_type")) {
        // This filter does not send tokens that need a proof.
        return None;
    }
    let scope = match (is_absent(own, "scope"), nested) {
        (true, Some(nested)) => nested,
        _ => own,
    };
    let lasts = optional(own, "expires_in", lifetime)?.flatten();
    Some(Tokens {
        access_token: token(own.get("access_token")?)?,
        refresh_token: optional(own, "refresh_token", token)?,
        expires: lasts.map(|lasts| now.saturating_add(lasts)),
        scope: optional(scope, "scope", scope_names)?,
        id_token: optional(members, "id_token", token)?,
    })
}

/// Whether a member is missing. Some servers write `null` or an empty text.
fn is_absent(members: &Map<String, Value>, name: &str) -> bool {
    match members.get(name) {
        None | Some(Value::Null) => true,
        Some(value) => value == "",
    }
}

/// A member that may be missing. `None`: it cannot be read.
fn optional<T>(
    members: &Map<String, Value>,
    name: &str,
    read: impl Fn(&Value) -> Option<T>,
) -> Option<Option<T>> {
    match members.get(name) {
        Some(value) if !is_absent(members, name) => read(value).map(Some),
        _ => Some(None),
    }
}

/// The lifetime of a token, in whole seconds. Some servers write it as text (Microsoft Entra v1, Apigee) or with
/// decimals. `Some(None)`: zero or less, by which some servers mean a token without an end (Mailchimp); the
/// resource refuses it when it has ended. `None`: it cannot be read.
fn lifetime(value: &Value) -> Option<Option<Duration>> {
    let seconds = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => {
            let text = text.trim();
            let is_number = text
                .bytes()
                .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+'));
            text.parse::<f64>().ok().filter(|_| is_number)?
        }
        _ => return None,
    };
    if seconds.is_nan() || seconds < 1.0 {
        return Some(None);
    }
    // A conversion of a float to an integer stops at the largest integer.
    let lifetime = Duration::from_secs(seconds as u64);
    Some(Some(lifetime.min(MAX_LIFETIME)))
}

/// The names of a scope, with spaces between them. Some servers write a list (Twitch), or commas (GitHub, Slack).
fn scope_names(value: &Value) -> Option<String> {
    let names = match value {
        Value::String(text) => text.split_whitespace().collect::<Vec<&str>>(),
        Value::Array(names) => names.iter().map(Value::as_str).collect::<Option<_>>()?,
        _ => return None,
    };
    let names = names.join(" ");
    (names.len() <= MAX_SCOPE_BYTES).then_some(names)
}

/// The requested scopes that are not among those of a token. Names that only change what an ID token or a refresh
/// token is, and that many servers do not repeat, never count.
pub fn missing_scopes<'s>(requested: &'s [String], granted: Option<&str>) -> Vec<&'s str> {
    const NOT_REPEATED: [&str; 6] = [
        "openid",
        "offline_access",
        "profile",
        "email",
        "address",
        "phone",
    ];
    let Some(granted) = granted.filter(|granted| !granted.is_empty()) else {
        return Vec::new();
    };
    let is_granted = |scope: &str| {
        let mut names = granted.split(' ');
        names.any(|name| name == scope || name.split(',').any(|name| name == scope))
    };
    let requested = requested.iter().map(String::as_str);
    requested
        .filter(|scope| !NOT_REPEATED.contains(scope) && !is_granted(scope))
        .collect()
}

/// A token that a header can carry (RFC 6749 appendix A.12, RFC 6750 section 2.1).
pub(super) fn token(value: &Value) -> Option<Secret> {
    let text = value.as_str()?;
    let sound = !text.is_empty()
        && text.len() <= MAX_TOKEN_BYTES
        && text.bytes().all(|byte| matches!(byte, b'!'..=b'~'));
    sound.then(|| Secret::new(text.to_owned()))
}

/// The error of a code: those of RFC 6749 section 5.2, and those of GitHub and Slack.
fn error_of(code: Option<&str>) -> TokenAnswerError {
    match code {
        Some(
            "invalid_grant"
            | "bad_verification_code"
            | "bad_refresh_token"
            | "invalid_code"
            | "code_already_used"
            | "invalid_refresh_token"
            | "token_expired"
            | "token_revoked",
        ) => TokenAnswerError::TokenGrant,
        Some(
            "invalid_client"
            | "unauthorized_client"
            | "incorrect_client_credentials"
            | "invalid_client_id"
            | "bad_client_secret",
        ) => TokenAnswerError::UnknownClient,
        Some("temporarily_unavailable" | "server_error") => TokenAnswerError::Unavailable,
        _ => TokenAnswerError::Client,
    }
}

#[cfg(test)]
mod tests;
