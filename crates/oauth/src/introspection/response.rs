//! Introspection responses (RFC 7662 section 2.2).

use serde_json::{Map, Value};
use thiserror::Error;

use crate::bearer::strict_object;
use crate::error::TokenError;
use crate::token_type::is_bearer;

const MAX_RESPONSE_BYTES: usize = 64 * 1024;

/// An introspection response.
pub(crate) enum IntrospectionResponse {
    /// The token is active and has these claims.
    Active(Map<String, Value>),
    /// The token is unknown, expired or revoked.
    Inactive,
}

/// Why an introspection response is not usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IntrospectionError {
    /// `active` is missing, or neither `true` nor `false`.
    #[error("`active` is not `true` or `false`")]
    Active,
    /// The response is no strict JSON object.
    #[error("not a strict JSON object")]
    Format,
    /// The response is larger than this crate reads.
    #[error("larger than 64 KiB")]
    TooLarge,
}

/// Reads a response.
pub(crate) fn read(document: &[u8]) -> Result<IntrospectionResponse, IntrospectionError> {
    if document.len() > MAX_RESPONSE_BYTES {
        return Err(IntrospectionError::TooLarge);
    }
    let claims = strict_object(document).map_err(|_| IntrospectionError::Format)?;
    match claims.get("active") {
        Some(Value::Bool(true)) => Ok(IntrospectionResponse::Active(claims)),
        Some(Value::Bool(false)) => Ok(IntrospectionResponse::Inactive),
        _ => Err(IntrospectionError::Active),
    }
}

/// Checks the members of a response that a JWT does not have: issuer and token type.
pub(crate) fn check_response(claims: &Map<String, Value>, issuer: &str) -> Result<(), TokenError> {
    if claims.get("iss").is_some_and(|named| named != issuer) {
        return Err(TokenError::Issuer);
    }
    match claims.get("token_type") {
        // Without `cnf` the token could be sent as a bearer token.
        Some(Value::String(name)) if name.eq_ignore_ascii_case("dpop") => {
            let is_bound = claims.contains_key("cnf");
            is_bound.then_some(()).ok_or(TokenError::Bound)
        }
        kind if is_bearer(kind) => Ok(()),
        _ => Err(TokenError::Type),
    }
}
