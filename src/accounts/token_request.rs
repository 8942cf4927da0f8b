//! What this filter asks authorization servers as their client, and what their answers say.

use serde_json::{Map, Value};
use thiserror::Error;
use url::form_urlencoded::Serializer;

use super::clients::Clients;
use base::http::{HttpRequest, HttpResponse};
use base::json::Reader;
use base::secret::Secret;
use policy::Client;

const MAX_ANSWER: usize = 64 * 1024;
const MAX_TOKEN: usize = 16 * 1024;
const MAX_DEPTH: usize = 16;

/// Tokens as an authorization server hands them out (RFC 6749 section 5.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// What the resource takes.
    pub access_token: Secret,
    /// What brings the next one.
    pub refresh_token: Option<Secret>,
    /// When the access token ends, in Unix seconds, if the server says so.
    pub expires: Option<u64>,
    /// What it is good for, if that is not what was asked for.
    pub scope: Option<String>,
    /// Who signed in (OpenID Connect Core section 3.1.3.3). Not verified.
    pub id_token: Option<Secret>,
}

/// Why there are no tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TokenAnswerError {
    /// What came back is no answer of a token endpoint.
    #[error("the authorization server's answer cannot be read")]
    Format,
    /// The code or refresh token is not, or no longer, good (RFC 6749 section 5.2).
    #[error("the authorization server does not accept what it handed out")]
    Grant,
    /// It does not let this filter do that.
    #[error("the authorization server does not accept this client")]
    Client,
    /// It did not answer.
    #[error("the authorization server is not available")]
    Unavailable,
    /// It does not know this filter, or not as a client for codes (RFC 6749 section 5.2).
    #[error("the authorization server does not know this client")]
    UnknownClient,
}

/// A code that came back with the browser, and what belongs to it.
#[derive(Debug, Clone, Copy)]
pub struct Redeemed<'a> {
    /// The code.
    pub code: &'a str,
    /// The PKCE code verifier (RFC 7636 section 4.5).
    pub verifier: &'a str,
    /// Where the browser came back to, as it was asked for.
    pub redirect_uri: &'a str,
    /// What the token is for (RFC 8707 section 2.2).
    pub resource: Option<&'a str>,
}

/// Redeems a code (RFC 6749 section 4.1.3).
pub fn redeem(client: &Client, clients: &Clients, redeemed: Redeemed<'_>) -> HttpRequest {
    let form = [
        ("grant_type", Some("authorization_code")),
        ("code", Some(redeemed.code)),
        ("redirect_uri", Some(redeemed.redirect_uri)),
        ("code_verifier", Some(redeemed.verifier)),
        ("resource", redeemed.resource),
    ];
    let authorization = clients.authorization(client);
    let form = form_of(&client.client_id, authorization.as_ref(), &form);
    client.token.post(form, authorization.as_ref())
}

/// Asks for the next access token (RFC 6749 section 6).
pub fn refresh(
    client: &Client,
    clients: &Clients,
    resource: Option<&str>,
    refresh_token: &Secret,
) -> HttpRequest {
    let form = [
        ("grant_type", Some("refresh_token")),
        ("refresh_token", Some(refresh_token.reveal())),
        ("resource", resource),
    ];
    let authorization = clients.authorization(client);
    let form = form_of(&client.client_id, authorization.as_ref(), &form);
    client.token.post(form, authorization.as_ref())
}

/// Ends a token (RFC 7009 section 2.1), where the authorization server lets it be ended. With a
/// refresh token go the access tokens made from it.
pub fn revoke(client: &Client, clients: &Clients, tokens: Revoked<'_>) -> Option<HttpRequest> {
    let (token, hint) = match tokens {
        Revoked::Access(token) => (token, "access_token"),
        Revoked::Refresh(token) => (token, "refresh_token"),
    };
    let form = [
        ("token", Some(token.reveal())),
        ("token_type_hint", Some(hint)),
    ];
    let authorization = clients.authorization(client);
    let form = form_of(&client.client_id, authorization.as_ref(), &form);
    let place = client.revoke.as_ref()?;
    Some(place.post(form, authorization.as_ref()))
}

/// A token to be revoked.
#[derive(Debug, Clone, Copy)]
pub enum Revoked<'a> {
    /// An access token.
    Access(&'a Secret),
    /// A refresh token.
    Refresh(&'a Secret),
}

/// Reads the answer of a token endpoint; `now` is when it arrived, in Unix seconds.
///
/// # Errors
///
/// There are no tokens in it, for this reason.
pub fn read_tokens(answer: Option<&HttpResponse>, now: u64) -> Result<Tokens, TokenAnswerError> {
    let members = members(answer).map_err(|error| match error {
        NoMembers::Error(code) => refusal(code.as_deref()),
        NoMembers::Format => TokenAnswerError::Format,
        NoMembers::Unavailable => TokenAnswerError::Unavailable,
    })?;
    tokens(&members, now).ok_or(TokenAnswerError::Format)
}

/// Why there is nothing to read in an answer.
pub(super) enum NoMembers {
    /// It says no, with this code (RFC 6749 section 5.2).
    Error(Option<String>),
    /// It is no answer of a token endpoint.
    Format,
    /// There is none.
    Unavailable,
}

/// The members of a token endpoint's answer.
pub(super) fn members(answer: Option<&HttpResponse>) -> Result<Map<String, Value>, NoMembers> {
    let answer = answer.ok_or(NoMembers::Unavailable)?;
    let code = |members: &Map<String, Value>| Some(members.get("error")?.as_str()?.to_owned());
    match (answer.status, object(&answer.body)) {
        // GitHub refuses with 200.
        (200, Some(members)) if members.contains_key("error") => {
            Err(NoMembers::Error(code(&members)))
        }
        (200, members) => members.ok_or(NoMembers::Format),
        (400..=403, members) => Err(NoMembers::Error(members.as_ref().and_then(code))),
        _ => Err(NoMembers::Unavailable),
    }
}

/// One strict JSON object: nothing in it is there twice.
pub(crate) fn object(bytes: &[u8]) -> Option<Map<String, Value>> {
    if bytes.len() > MAX_ANSWER {
        return None;
    }
    let mut reader = Reader::new(bytes, MAX_DEPTH);
    reader.skip().ok()?;
    reader.end().ok()?;
    serde_json::from_slice(bytes).ok()
}

pub(super) fn tokens(members: &Map<String, Value>, now: u64) -> Option<Tokens> {
    let kind = members.get("token_type")?.as_str()?;
    if !kind.eq_ignore_ascii_case("bearer") {
        // A token that needs a proof cannot be sent by this filter.
        return None;
    }
    let lasts = match members.get("expires_in") {
        None | Some(Value::Null) => None,
        Some(value) => Some(value.as_u64()?),
    };
    Some(Tokens {
        access_token: token(members.get("access_token")?)?,
        refresh_token: optional(members, "refresh_token", token)?,
        expires: lasts.map(|lasts| now.saturating_add(lasts)),
        scope: optional(members, "scope", |value| value.as_str().map(str::to_owned))?,
        id_token: optional(members, "id_token", token)?,
    })
}

/// A member that may be missing. `None`: it is there and cannot be read.
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
        && text.len() <= MAX_TOKEN
        && text.bytes().all(|byte| matches!(byte, b'!'..=b'~'));
    sound.then(|| Secret::new(text.to_owned()))
}

fn refusal(code: Option<&str>) -> TokenAnswerError {
    match code {
        Some("invalid_grant" | "bad_verification_code" | "bad_refresh_token") => {
            TokenAnswerError::Grant
        }
        Some("invalid_client" | "unauthorized_client") => TokenAnswerError::UnknownClient,
        _ => TokenAnswerError::Client,
    }
}

/// A form; a public client says who it is in the form itself (RFC 6749 section 3.2.1).
pub(super) fn form_of(
    client_id: &str,
    authorization: Option<&Secret>,
    pairs: &[(&str, Option<&str>)],
) -> String {
    let mut form = Serializer::new(String::new());
    for (name, value) in pairs {
        if let Some(value) = value {
            form.append_pair(name, value);
        }
    }
    if authorization.is_none() {
        form.append_pair("client_id", client_id);
    }
    form.finish()
}

#[cfg(test)]
mod tests;
