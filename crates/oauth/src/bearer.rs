//! A bearer token as it arrives, and what can be read of it before its signature is checked.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::algorithm::{Algorithm, TokenType};
use super::error::TokenError;
use base::json::Reader;

const MAX_TOKEN: usize = 16 * 1024;
const MAX_HEADER: usize = 4 * 1024;
const MAX_DEPTH: usize = 16;

/// The token of a request. Its `Debug` form does not show it.
pub struct BearerToken<'a>(&'a str);

/// A token's SHA-256, which stands for it wherever it is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenDigest([u8; 32]);

/// A JWT's header and claims, read strictly and not yet believed.
pub(super) struct Jwt {
    pub header: Map<String, Value>,
    pub claims: Map<String, Value>,
}

/// The same, once the header is one that can be accepted.
pub(super) struct Unverified {
    pub algorithm: Algorithm,
    pub key_id: Option<String>,
    pub token_type: TokenType,
    pub claims: Map<String, Value>,
}

/// Without the token.
impl fmt::Debug for BearerToken<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("BearerToken")
    }
}

impl<'a> BearerToken<'a> {
    /// The token of an `Authorization` header. The scheme's case does not matter (RFC 9110
    /// section 11.1); anything else than one `token68` is no bearer token (RFC 6750 section 2.1).
    pub fn of_header(value: &'a str) -> Option<Self> {
        Self::of_scheme("bearer", value)
    }

    /// The token of an `Authorization` header that says it comes with a proof (RFC 9449 section
    /// 7.1).
    pub fn of_dpop_header(value: &'a str) -> Option<Self> {
        Self::of_scheme("dpop", value)
    }

    fn of_scheme(expected: &str, value: &'a str) -> Option<Self> {
        let (scheme, token) = value.split_once(' ')?;
        let token = token.trim_matches(' ');
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        (scheme.eq_ignore_ascii_case(expected) && !token.is_empty() && token.bytes().all(allowed))
            .then_some(Self(token))
    }

    /// The token's SHA-256, under which it is remembered.
    pub fn digest(&self) -> TokenDigest {
        TokenDigest(hmac_sha256::Hash::hash(self.0.as_bytes()))
    }

    /// The token, for the signature check, for asking its issuer and for its exchange only.
    pub fn secret(&self) -> &'a str {
        self.0
    }

    /// Refuses what is larger than any sensible token.
    pub(super) fn check_size(&self) -> Result<(), TokenError> {
        if self.0.len() > MAX_TOKEN {
            return Err(TokenError::TooLarge);
        }
        Ok(())
    }

    /// Reads the token as a JWT.
    pub(super) fn read(&self) -> Result<Jwt, TokenError> {
        self.check_size()?;
        Jwt::read(self.0)
    }
}

impl Jwt {
    /// Reads the two objects of a JWT in compact form (RFC 7519 section 7.2).
    pub(super) fn read(text: &str) -> Result<Self, TokenError> {
        let mut parts = text.split('.');
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
        Ok(Self {
            header: decoded_object(header)?,
            claims: decoded_object(claims)?,
        })
    }

    /// What the header says of the token.
    pub(super) fn token_type(&self) -> Result<TokenType, TokenError> {
        TokenType::named(optional_text(&self.header, "typ")?.as_deref()).ok_or(TokenError::Type)
    }

    /// Reads the header of a logout token (OpenID Connect Back-Channel Logout 1.0 section 2.4).
    pub(super) fn unverified_logout(self) -> Result<Unverified, TokenError> {
        let typ = optional_text(&self.header, "typ")?;
        let typ = typ.map(|typ| typ.to_ascii_lowercase());
        match typ.as_deref() {
            None | Some("jwt" | "logout+jwt" | "application/logout+jwt") => {}
            Some(_) => return Err(TokenError::Type),
        }
        Ok(Unverified {
            algorithm: algorithm(&self.header)?,
            key_id: optional_text(&self.header, "kid")?,
            token_type: TokenType::Absent,
            claims: self.claims,
        })
    }

    /// Reads the header, and refuses what no key could make acceptable.
    pub(super) fn unverified(self) -> Result<Unverified, TokenError> {
        Ok(Unverified {
            algorithm: algorithm(&self.header)?,
            key_id: optional_text(&self.header, "kid")?,
            token_type: self.token_type()?,
            claims: self.claims,
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

/// Refuses what an issuer makes with the same key and the same `typ` for another purpose.
pub(super) fn refuse_not_access_token(claims: &Map<String, Value>) -> Result<(), TokenError> {
    let of_id_token = ["at_hash", "c_hash"];
    // Keycloak's, in tokens and answers; `token_use` is Cognito's and Hydra's.
    let others = ["ID", "Refresh", "Offline", "Logout"];
    let other_uses = ["id", "id_token", "refresh", "refresh_token"];
    let named = |name: &str| claims.get(name).and_then(Value::as_str);
    if of_id_token.iter().any(|name| claims.contains_key(*name))
        || named("typ").is_some_and(|typ| others.contains(&typ))
        || named("token_use").is_some_and(|usage| other_uses.contains(&usage))
        || claims.contains_key("events")
    {
        return Err(TokenError::Type);
    }
    Ok(())
}

fn decoded_object(part: &str) -> Result<Map<String, Value>, TokenError> {
    let bytes = BASE64_URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| TokenError::Encoding)?;
    strict_object(&bytes)
}

/// One JSON object, read strictly: nothing in it is there twice.
pub(super) fn strict_object(bytes: &[u8]) -> Result<Map<String, Value>, TokenError> {
    let mut reader = Reader::new(bytes, MAX_DEPTH);
    reader.skip()?;
    reader.end()?;
    serde_json::from_slice(bytes).map_err(|_| TokenError::Encoding)
}

fn optional_text(object: &Map<String, Value>, name: &str) -> Result<Option<String>, TokenError> {
    match object.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(TokenError::Header),
    }
}
