//! A bearer token as it arrives, and what can be read of it before its signature is checked.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::algorithm::{Algorithm, TokenType};
use super::error::TokenError;
use crate::mcp::json::Reader;

const MAX_TOKEN: usize = 16 * 1024;
const MAX_HEADER: usize = 4 * 1024;
const MAX_DEPTH: usize = 16;

/// A token of a request. Not printable, so that it cannot end up in a log.
pub struct BearerToken<'a>(&'a str);

/// A token's header and claims, read strictly and not yet believed.
pub(super) struct Unverified {
    pub algorithm: Algorithm,
    pub key_id: Option<String>,
    pub token_type: TokenType,
    pub claims: Map<String, Value>,
}

impl<'a> BearerToken<'a> {
    /// The token of an `Authorization` header. The scheme's case does not matter (RFC 9110
    /// section 11.1); anything else than one `token68` is no bearer token (RFC 6750 section 2.1).
    pub fn of_header(value: &'a str) -> Option<Self> {
        let (scheme, token) = value.split_once(' ')?;
        let token = token.trim_matches(' ');
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && token.bytes().all(allowed))
            .then_some(Self(token))
    }

    /// The token's SHA-256, under which it is remembered.
    pub(super) fn digest(&self) -> [u8; 32] {
        hmac_sha256::Hash::hash(self.0.as_bytes())
    }

    /// The token, for the signature check only.
    pub(super) fn secret(&self) -> &'a str {
        self.0
    }

    /// Reads header and claims, and refuses what no key could make acceptable.
    pub(super) fn peek(&self) -> Result<Unverified, TokenError> {
        if self.0.len() > MAX_TOKEN {
            return Err(TokenError::TooLarge);
        }
        let mut parts = self.0.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TokenError::Encoding);
        };
        if header.len() > MAX_HEADER {
            return Err(TokenError::TooLarge);
        }
        if signature.is_empty() || BASE64_URL_SAFE_NO_PAD.decode(signature).is_err() {
            return Err(TokenError::Encoding);
        }
        let header = strict_object(header)?;
        let claims = strict_object(claims)?;
        refuse_not_access_token(&claims)?;
        Ok(Unverified {
            algorithm: algorithm(&header)?,
            key_id: optional_text(&header, "kid")?,
            token_type: TokenType::named(optional_text(&header, "typ")?.as_deref())
                .ok_or(TokenError::Type)?,
            claims,
        })
    }
}

/// The algorithm of a header that names no key of its own and asks for nothing unusual.
fn algorithm(header: &Map<String, Value>) -> Result<Algorithm, TokenError> {
    const UNACCEPTABLE: &[&str] = &["crit", "b64", "jku", "jwk", "x5u", "zip", "enc", "epk"];
    if UNACCEPTABLE.iter().any(|name| header.contains_key(*name)) {
        return Err(TokenError::Header);
    }
    optional_text(header, "alg")?
        .and_then(|name| Algorithm::named(&name))
        .ok_or(TokenError::Algorithm)
}

/// Refuses what an issuer signs with the same key and the same `typ` for another purpose.
fn refuse_not_access_token(claims: &Map<String, Value>) -> Result<(), TokenError> {
    if claims.contains_key("cnf") {
        return Err(TokenError::Bound);
    }
    let of_id_token = ["at_hash", "c_hash"];
    let named_type = claims.get("typ").and_then(Value::as_str);
    if of_id_token.iter().any(|name| claims.contains_key(*name))
        || named_type.is_some_and(|typ| ["ID", "Refresh", "Logout"].contains(&typ))
        || claims.contains_key("events")
    {
        return Err(TokenError::Type);
    }
    Ok(())
}

fn strict_object(part: &str) -> Result<Map<String, Value>, TokenError> {
    let bytes = BASE64_URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| TokenError::Encoding)?;
    let mut reader = Reader::new(&bytes, MAX_DEPTH);
    reader.skip()?;
    reader.end()?;
    serde_json::from_slice(&bytes).map_err(|_| TokenError::Encoding)
}

fn optional_text(object: &Map<String, Value>, name: &str) -> Result<Option<String>, TokenError> {
    match object.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(TokenError::Header),
    }
}
