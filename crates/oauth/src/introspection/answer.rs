//! An issuer's answer about a token (RFC 7662 section 2.2).

use serde_json::{Map, Value};
use thiserror::Error;

use crate::bearer::strict_object;
use crate::error::TokenError;

const MAX_ANSWER: usize = 64 * 1024;

/// What an issuer says of a token.
pub(crate) enum Answer {
    /// It is good, as far as the issuer goes, and these are its claims.
    Active(Map<String, Value>),
    /// It is none of its own, has expired or was revoked.
    Inactive,
}

/// Why what came back is no answer. Whoever waits for it is told to come back later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AnswerError {
    /// `active` is missing, or neither `true` nor `false`.
    #[error("`active` is not `true` or `false`")]
    Active,
    /// Not one strict JSON object.
    #[error("not a JSON object, or one that can be read in two ways")]
    Format,
    /// Larger than any sensible answer.
    #[error("larger than 64 KiB")]
    TooLarge,
}

/// Reads an answer.
pub(crate) fn read(document: &[u8]) -> Result<Answer, AnswerError> {
    if document.len() > MAX_ANSWER {
        return Err(AnswerError::TooLarge);
    }
    let claims = strict_object(document).map_err(|_| AnswerError::Format)?;
    match claims.get("active") {
        Some(Value::Bool(true)) => Ok(Answer::Active(claims)),
        Some(Value::Bool(false)) => Ok(Answer::Inactive),
        _ => Err(AnswerError::Active),
    }
}

/// Checks what an answer says beside the claims a JWT has: whose token it is, and of which type.
pub(crate) fn check_answer(claims: &Map<String, Value>, issuer: &str) -> Result<(), TokenError> {
    if claims.get("iss").is_some_and(|named| named != issuer) {
        return Err(TokenError::Issuer);
    }
    match claims.get("token_type") {
        None => Ok(()),
        Some(Value::String(name)) if name.eq_ignore_ascii_case("bearer") => Ok(()),
        // Without the key it could be sent as a bearer token.
        Some(Value::String(name)) if name.eq_ignore_ascii_case("dpop") => {
            let is_bound = claims.contains_key("cnf");
            is_bound.then_some(()).ok_or(TokenError::Bound)
        }
        Some(_) => Err(TokenError::Type),
    }
}
