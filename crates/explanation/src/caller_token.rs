//! A token with the given claims, so that they are checked like all tokens.
//!
//! Only the real verification makes a verified token. So the issuers of the policy get a new key, the
//! claims are signed with it, and its private half is dropped after the decision. All checks except the
//! signature are those of a real token.

use std::time::Duration;

use base::json::Reader;
use oauth::signing::SigningKey;
use oauth::{
    Algorithm, KeySource, Signatures, TENANT_PLACEHOLDER, TokenCheck, TokenType, TrustedIssuer,
};
use policy::Policy;
use serde_json::{Map, Value, json};

use crate::error::ExplainError;
use crate::proof::Prover;
use base::time::UnixTime;

/// The lifetime of a token without `exp`, if the policy allows it.
pub const LIFETIME: Duration = Duration::from_secs(300);
pub(crate) const MAX_DEPTH: usize = 16;

/// Signed claims.
pub(crate) struct Token {
    /// The token.
    pub(crate) text: String,
    /// The claims that were added to those of the file.
    pub(crate) filled_in: Vec<&'static str>,
    /// The key it is bound to.
    pub(crate) prover: Option<Prover>,
    /// Whether its signature is the issuer's own, and is checked.
    pub(crate) is_verified: bool,
}

/// Reads claims: one JSON object, as strictly as those of a token.
///
/// # Errors
///
/// It is not one, or some readers would read it in another way.
pub fn read_claims(text: &[u8]) -> Result<Map<String, Value>, ExplainError> {
    let mut reader = Reader::new(text, MAX_DEPTH);
    let strict = reader.skip().and_then(|_| reader.end());
    strict.map_err(|error| ExplainError::Claims(error.to_string()))?;
    serde_json::from_slice(text).map_err(|error| ExplainError::Claims(error.to_string()))
}

/// Signs the claims with a new key, and makes the issuers trust only this key. `age`: the seconds since the
/// sign-in.
pub(crate) fn sign(
    Policy { issuers, dpop, .. }: &mut Policy,
    mut claims: Map<String, Value>,
    age: Option<u64>,
    now: UnixTime,
) -> Result<Token, ExplainError> {
    let key = new_key(issuers, |_| vec![TokenType::Jwt])?;
    let prover = match dpop {
        Some(rules) => Prover::of(rules, &mut claims)?,
        None => None,
    };
    let mut filled_in = fill_in(issuers, &mut claims, age, LIFETIME, now);
    filled_in.extend(prover.is_some().then_some("cnf"));
    let text = key.sign(&json!({}), &Value::Object(claims))?;
    Ok(Token {
        text,
        filled_in,
        prover,
        is_verified: false,
    })
}

/// A new key that all issuers trust, and no other. `types`: the types of tokens that an issuer accepts.
pub(crate) fn new_key(
    issuers: &mut [TrustedIssuer],
    types: impl Fn(&TokenCheck) -> Vec<TokenType>,
) -> Result<SigningKey, ExplainError> {
    let key = SigningKey::generate(Algorithm::EdDSA)?;
    let jwks = key.key_set().to_string();
    for issuer in issuers.iter_mut() {
        issuer.check = TokenCheck::Signature(Signatures {
            algorithms: vec![Algorithm::EdDSA],
            types: types(&issuer.check),
            keys: KeySource::Inline(jwks.clone()),
        });
    }
    Ok(key)
}

/// Adds claims that a token needs and that are missing. `lifetime`: the time to `exp`.
pub fn fill_in(
    issuers: &[TrustedIssuer],
    claims: &mut Map<String, Value>,
    age: Option<u64>,
    lifetime: Duration,
    now: UnixTime,
) -> Vec<&'static str> {
    let mut filled_in = Vec::new();
    let mut fill = |claims: &mut Map<String, Value>, name: &'static str, value: Value| {
        if !claims.contains_key(name) {
            claims.insert(name.to_owned(), value);
            filled_in.push(name);
        }
    };
    let named = claims.get("iss").and_then(Value::as_str);
    let known = named.and_then(|named| issuers.iter().find(|issuer| issuer.is_named(named)));
    if let Some(issuer) = known.or(issuers.first()) {
        let tenant = issuer.tenants.first().map_or("", String::as_str);
        let iss = issuer.issuer.replace(TENANT_PLACEHOLDER, tenant);
        fill(claims, "iss", Value::from(iss));
        let has_client = issuer.without_audience.is_some();
        if let Some(audience) = issuer.audiences.first().filter(|_| !has_client) {
            fill(claims, "aud", Value::from(audience.clone()));
        }
        let expires = now.saturating_add(issuer.max_lifetime.min(lifetime));
        fill(claims, "exp", Value::from(expires.as_secs()));
    }
    let signed_in = now.saturating_sub(Duration::from_secs(age.unwrap_or(0)));
    let signed_in = signed_in.as_secs();
    if age.is_some() {
        claims.remove("auth_time");
        fill(claims, "auth_time", Value::from(signed_in));
    }
    fill(claims, "iat", Value::from(signed_in));
    filled_in
}
