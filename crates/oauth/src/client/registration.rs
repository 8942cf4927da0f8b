//! The response to a dynamic client registration (RFC 7591).

use serde_json::{Map, Value};
use thiserror::Error;

use super::server_metadata::MAX_TEXT_BYTES;
use super::token_response::object;
use base::http::HttpResponse;

/// Why there is no client id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RegistrationError {
    /// The response is not a registration of what was requested.
    #[error("the answer to the registration cannot be used")]
    Format,
    /// The authorization server does not register this filter.
    #[error("it does not register this server as a client")]
    Refused,
    /// It registers only clients with a secret.
    #[error("it registers only clients with a secret")]
    Secret,
    /// It did not answer.
    #[error("there was no answer to the registration")]
    Unavailable,
}

impl RegistrationError {
    /// Whether another try may help.
    pub fn is_unavailable(self) -> bool {
        self == Self::Unavailable
    }
}

/// The client id in a response to a registration (RFC 7591 section 3.2.1).
///
/// # Errors
///
/// There is none that can be used.
pub fn read_registration(
    answer: Option<&HttpResponse>,
    redirect_uri: &str,
) -> Result<String, RegistrationError> {
    let answer = answer.ok_or(RegistrationError::Unavailable)?;
    match answer.status {
        200 | 201 => {}
        400..=499 => return Err(RegistrationError::Refused),
        _ => return Err(RegistrationError::Unavailable),
    }
    let members = object(&answer.body).ok_or(RegistrationError::Format)?;
    let has_secret = match members.get("token_endpoint_auth_method") {
        Some(method) if !method.is_null() => method != "none",
        // Without it the method is the requested one, unless there is a secret.
        _ => members
            .get("client_secret")
            .is_some_and(|secret| !secret.is_null() && secret != ""),
    };
    if has_secret {
        return Err(RegistrationError::Secret);
    }
    if !comes_back_to(&members, redirect_uri) {
        return Err(RegistrationError::Format);
    }
    let client_id = members.get("client_id").and_then(Value::as_str);
    let client_id = client_id.filter(|id| {
        // RFC 6749 appendix A.1, and neither empty nor very long.
        let sound = id.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        sound && !id.is_empty() && id.len() <= MAX_TEXT_BYTES
    });
    let client_id = client_id.ok_or(RegistrationError::Format)?;
    Ok(client_id.to_owned())
}

/// Whether a redirect URI was registered, as far as the answer says.
fn comes_back_to(members: &Map<String, Value>, redirect_uri: &str) -> bool {
    match members.get("redirect_uris") {
        None => true,
        Some(Value::Array(uris)) => uris.iter().any(|uri| uri == redirect_uri),
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests;
