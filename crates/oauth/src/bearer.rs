//! Tokens as they arrive, and their content before the signature is checked.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::algorithm::{Algorithm, TokenType};
use super::error::TokenError;
use base::json::Reader;

/// Envoy accepts request headers of 60 KiB.
const MAX_TOKEN_BYTES: usize = 32 * 1024;
const MAX_HEADER_BYTES: usize = 4 * 1024;
const MAX_DEPTH: usize = 16;

/// The token of a request. Its `Debug` form does not show it.
pub struct BearerToken<'a>(&'a str);

/// A token's SHA-256. Caches use it in place of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenDigest([u8; 32]);

/// The header and claims of a JWT, read strictly. Its signature is not checked yet.
pub(super) struct Jwt {
    pub header: Map<String, Value>,
    pub claims: Map<String, Value>,
}

/// The claims of a JWT whose header is acceptable. Its signature is not checked yet.
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
    /// The token of an `Authorization` header with the scheme `Bearer`, in any case (RFC 9110 section 11.1).
    /// `None` unless one `token68` follows (RFC 6750 section 2.1).
    pub fn of_header(value: &'a str) -> Option<Self> {
        Self::of_scheme("bearer", value)
    }

    /// The token of an `Authorization` header with the scheme `DPoP` (RFC 9449 section 7.1).
    pub fn of_dpop_header(value: &'a str) -> Option<Self> {
        Self::of_scheme("dpop", value)
    }

    fn of_scheme(expected: &str, value: &'a str) -> Option<Self> {
        let (scheme, token) = value.split_once(' ')?;
        let token = token.trim_matches(' ');
        // Without a branch for each byte, the compiler compares many bytes at once.
        let is_token68 = token.bytes().fold(!token.is_empty(), |all, byte| {
            all & (byte.is_ascii_alphanumeric()
                | matches!(byte, b'-'..=b'/' | b'_' | b'~' | b'+' | b'='))
        });
        (scheme.eq_ignore_ascii_case(expected) && is_token68).then_some(Self(token))
    }

    /// The token's SHA-256.
    pub fn digest(&self) -> TokenDigest {
        TokenDigest(hmac_sha256::Hash::hash(self.0.as_bytes()))
    }

    /// The token itself, to check its signature, to introspect it or to exchange it.
    pub fn secret(&self) -> &'a str {
        self.0
    }

    /// Refuses tokens beyond [`MAX_TOKEN_BYTES`].
    pub(super) fn check_size(&self) -> Result<(), TokenError> {
        if self.0.len() > MAX_TOKEN_BYTES {
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
        if header.len() > MAX_HEADER_BYTES {
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

    /// The type that the header names.
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

    /// Reads the header. Refuses headers that are not acceptable with any key.
    pub(super) fn unverified(self) -> Result<Unverified, TokenError> {
        Ok(Unverified {
            algorithm: algorithm(&self.header)?,
            key_id: optional_text(&self.header, "kid")?,
            token_type: self.token_type()?,
            claims: self.claims,
        })
    }
}

/// Header parameters that need an extension, or hold a key of the token's own. URLs of keys and certificates
/// (`jku`, `x5u`) are ignored: only the policy says where keys come from.
pub(super) const REFUSED_PARAMETERS: &[&str] = &["crit", "b64", "jwk", "zip", "enc", "epk"];

/// The algorithm of a header. Refuses headers that hold a key or need an extension.
fn algorithm(header: &Map<String, Value>) -> Result<Algorithm, TokenError> {
    if REFUSED_PARAMETERS
        .iter()
        .any(|name| header.contains_key(*name))
    {
        return Err(TokenError::Header);
    }
    optional_text(header, "alg")?
        .and_then(|name| Algorithm::named(&name))
        .ok_or(TokenError::Algorithm)
}

/// Refuses claims of ID, refresh and logout tokens: issuers sign them with the same key and `typ`.
pub(super) fn refuse_not_access_token(claims: &Map<String, Value>) -> Result<(), TokenError> {
    other_token(claims).map_or(Ok(()), |_| Err(TokenError::Type))
}

/// The claim that shows that a token is no access token.
pub(super) fn other_token(claims: &Map<String, Value>) -> Option<&'static str> {
    // Keycloak writes `typ` as a claim; Cognito and Hydra write `token_use`.
    let others = ["ID", "Refresh", "Offline", "Logout"];
    let other_uses = ["id", "id_token", "refresh", "refresh_token"];
    let named = |name: &str| claims.get(name).and_then(Value::as_str);
    if named("typ").is_some_and(|typ| others.contains(&typ)) {
        return Some("typ");
    }
    if named("token_use").is_some_and(|usage| other_uses.contains(&usage)) {
        return Some("token_use");
    }
    let of_others = ["at_hash", "c_hash", "events"].into_iter();
    let mut of_others = of_others.filter(|name| claims.contains_key(*name));
    of_others.next()
}

fn decoded_object(part: &str) -> Result<Map<String, Value>, TokenError> {
    let bytes = BASE64_URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| TokenError::Encoding)?;
    strict_object(&bytes)
}

/// Reads one strict JSON object.
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
