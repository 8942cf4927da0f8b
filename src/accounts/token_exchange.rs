//! The caller's token, exchanged for one for the server (RFC 8693), at once or through an assertion of
//! the caller's identity (RFC 7523, "Identity Assertion Authorization Grant").

mod exchanger;

use serde_json::{Map, Value};
use thiserror::Error;

pub use self::exchanger::{Progress, TokenExchanger};
use super::Clients;
use super::token_request::{NoMembers, Tokens, form_of, members, token, tokens};
use base::http::{HttpRequest, HttpResponse};
use base::secret::Secret;
use policy::{SubjectTokenType, TokenClient, TokenExchange};

const ID_JAG: &str = "urn:ietf:params:oauth:token-type:id-jag";

/// Why the server gets no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ExchangeError {
    /// Too many tokens are being exchanged.
    #[error("too many tokens are being exchanged")]
    Busy,
    /// This filter may not exchange tokens there.
    #[error("the authorization server does not let this proxy exchange tokens")]
    Client,
    /// The caller gets no token for the server.
    #[error("the authorization server gives this caller no access to the server behind")]
    Denied,
    /// What came back is no answer that can be used.
    #[error("the authorization server's answer cannot be used")]
    Format,
    /// The caller's token is not, or no longer, good there.
    #[error("the authorization server does not accept the token any more")]
    Subject,
    /// It did not answer.
    #[error("the authorization server that exchanges tokens is not available")]
    Unavailable,
}

impl ExchangeError {
    /// Whether another try may help soon.
    pub fn is_unavailable(self) -> bool {
        matches!(self, Self::Busy | Self::Unavailable)
    }

    /// Of an error code (RFC 6749 section 5.2, RFC 8693 section 2.2.2).
    fn of_code(code: Option<&str>) -> Self {
        match code {
            Some("invalid_grant") => Self::Subject,
            // RFC 8693 has the first for a token it does not want, too.
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

/// Asks for another token in place of this one (RFC 8693 section 2.1).
fn exchange(exchange: &TokenExchange, clients: &Clients, subject: &Secret) -> HttpRequest {
    let wanted = match exchange.id_jag {
        Some(_) => ID_JAG,
        None => SubjectTokenType::AccessToken.urn(),
    };
    let scope = exchange.scopes.join(" ");
    let form = [
        (
            "grant_type",
            Some("urn:ietf:params:oauth:grant-type:token-exchange"),
        ),
        ("requested_token_type", Some(wanted)),
        ("audience", exchange.audience.as_deref()),
        ("resource", exchange.resource.as_deref()),
        ("scope", (!scope.is_empty()).then_some(&*scope)),
        ("subject_token", Some(subject.reveal())),
        (
            "subject_token_type",
            Some(exchange.subject_token_type.urn()),
        ),
    ];
    post(&exchange.client, clients, &form)
}

/// Asks for a token for who is named in an assertion (RFC 7523 section 2.1).
fn redeem(client: &TokenClient, clients: &Clients, assertion: &Secret) -> HttpRequest {
    let form = [
        (
            "grant_type",
            Some("urn:ietf:params:oauth:grant-type:jwt-bearer"),
        ),
        ("assertion", Some(assertion.reveal())),
    ];
    post(client, clients, &form)
}

fn post(client: &TokenClient, clients: &Clients, form: &[(&str, Option<&str>)]) -> HttpRequest {
    let authorization = clients.of_token_client(client);
    let form = form_of(&client.client_id, authorization.as_ref(), form);
    client.token.post(form, authorization.as_ref())
}

/// Reads what came of an exchange (RFC 8693 section 2.2.1).
fn read_exchanged(answer: Option<&HttpResponse>, now: u64) -> Result<Tokens, ExchangeError> {
    let members = members(answer)?;
    let kinds = [SubjectTokenType::AccessToken, SubjectTokenType::Jwt];
    if !kinds.iter().any(|kind| is_issued(&members, kind.urn())) {
        return Err(ExchangeError::Format);
    }
    tokens(&members, now).ok_or(ExchangeError::Format)
}

/// Reads the assertion that came of an exchange, which is no access token.
fn read_assertion(answer: Option<&HttpResponse>) -> Result<Secret, ExchangeError> {
    let members = members(answer)?;
    let kind = members.get("token_type").and_then(Value::as_str);
    let is_none = kind.is_some_and(|kind| kind.eq_ignore_ascii_case("N_A"));
    let assertion = members.get("access_token").and_then(token);
    match assertion {
        Some(assertion) if is_none && is_issued(&members, ID_JAG) => Ok(assertion),
        _ => Err(ExchangeError::Format),
    }
}

/// Reads the token that was given for an assertion.
fn read_redeemed(answer: Option<&HttpResponse>, now: u64) -> Result<Tokens, ExchangeError> {
    let members = members(answer).map_err(|error| match error.into() {
        // Another sign-in makes no other assertion.
        ExchangeError::Subject => ExchangeError::Denied,
        error => error,
    })?;
    tokens(&members, now).ok_or(ExchangeError::Format)
}

fn is_issued(members: &Map<String, Value>, kind: &str) -> bool {
    members.get("issued_token_type").and_then(Value::as_str) == Some(kind)
}

#[cfg(test)]
mod tests;
