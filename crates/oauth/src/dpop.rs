//! Proofs of possession of the key that a token is bound to (DPoP, RFC 9449).
//!
//! A proof is a JWT for one request, signed with the caller's key. The claims are checked first. The
//! signature is checked only if the key is the one of the token, so that a caller without a bound token
//! cannot cause signature checks.

mod proof_key;
mod proof_url;
mod replay;

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use thiserror::Error;

use self::proof_key::ProofKey;
pub use self::proof_url::ProofUrl;
pub(super) use self::replay::SeenProofs;
use super::algorithm::Algorithm;
use super::bearer::{BearerToken, Jwt};
use super::claims::numeric_date;
use base::time::UnixTime;

/// The accepted algorithms: the two that are fast enough to check on every request.
pub const PROOF_ALGORITHMS: [Algorithm; 2] = [Algorithm::ES256, Algorithm::EdDSA];

const MAX_PROOF_BYTES: usize = 8 * 1024;

/// The policy's rules for proofs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofRules {
    /// Whether tokens without a proof are refused.
    pub required: bool,
    /// The URL that `htu` must name.
    pub url: ProofUrl,
    /// The largest accepted difference between `iat` and now.
    pub window: Duration,
}

/// A proof for this request and token. Its signer is not checked yet. Its `Debug` form shows `jti` only.
pub struct Proof<'a> {
    signed: &'a str,
    signature: Vec<u8>,
    algorithm: Algorithm,
    jwk: String,
    id: String,
    issued: UnixTime,
    window: Duration,
}

/// Without the proof and its key.
impl fmt::Debug for Proof<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Proof")
    }
}

/// The RFC 7638 thumbprint of a caller's key, as `cnf.jkt` has it (RFC 9449 section 6.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Thumbprint(pub String);

/// Why a proof is not accepted (RFC 9449 section 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ProofError {
    /// `alg` is not accepted.
    #[error("the proof's algorithm is not accepted")]
    Algorithm,
    /// The key is not the one the token is bound to.
    #[error("the proof's key is not the one the token is bound to")]
    Binding,
    /// A claim that must be there is missing or has the wrong type.
    #[error("the proof's claim `{0}` is missing or malformed")]
    Claim(&'static str),
    /// A header parameter that is not understood.
    #[error("the proof's header has a parameter that is not accepted")]
    Header,
    /// `jwk` is missing, broken, or holds more than a public key.
    #[error("the proof's `jwk` is not a usable public key")]
    Key,
    /// Not a JWT, or not strict JSON.
    #[error("the proof is not a JWT that can be read in one way only")]
    Malformed,
    /// `htm` names another HTTP method.
    #[error("the proof is for another HTTP method")]
    Method,
    /// The `DPoP` header is missing.
    #[error("the DPoP header is missing")]
    Missing,
    /// The `DPoP` header is repeated.
    #[error("there is more than one DPoP header")]
    Repeated,
    /// The proof was used before.
    #[error("the proof was used before")]
    Replayed,
    /// The signature does not verify.
    #[error("the proof's signature is not valid")]
    Signature,
    /// `iat` is too old or too far ahead.
    #[error("the proof was not made just now")]
    Time,
    /// `ath` is the hash of another token.
    #[error("the proof is for another token")]
    Token,
    /// `typ` is not `dpop+jwt`.
    #[error("the proof's type is not dpop+jwt")]
    Type,
    /// `htu` names another URL.
    #[error("the proof is for another URL")]
    Url,
}

impl<'a> Proof<'a> {
    /// Reads the proof of a request with this method and token.
    ///
    /// # Errors
    ///
    /// The proof is malformed, is for another request or token, or is too old (RFC 9449 section 4.3).
    pub fn read(
        header: &'a str,
        method: &str,
        token: &BearerToken<'_>,
        rules: &ProofRules,
        now: UnixTime,
    ) -> Result<Self, ProofError> {
        if header.len() > MAX_PROOF_BYTES {
            return Err(ProofError::Malformed);
        }
        let jwt = Jwt::read(header).map_err(|_| ProofError::Malformed)?;
        let (signed, signature) = header.rsplit_once('.').ok_or(ProofError::Malformed)?;
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature);
        let (algorithm, jwk) = read_header(&jwt.header)?;
        let issued = read_claims(&jwt.claims, method, token, rules, now)?;
        Ok(Self {
            signed,
            signature: signature.map_err(|_| ProofError::Malformed)?,
            algorithm,
            jwk,
            id: text(&jwt.claims, "jti")?.to_owned(),
            issued,
            window: rules.window,
        })
    }

    /// Checks that the proof is signed with the key the token is bound to.
    pub(super) fn check_signer(&self, bound_to: &Thumbprint) -> Result<(), ProofError> {
        let key = ProofKey::of_jwk(&self.jwk, self.algorithm).ok_or(ProofError::Key)?;
        if key.thumbprint() != *bound_to {
            return Err(ProofError::Binding);
        }
        if !key.verifies(self.signed.as_bytes(), &self.signature) {
            return Err(ProofError::Signature);
        }
        Ok(())
    }
}

/// The algorithm and the key in a proof's header.
fn read_header(header: &Map<String, Value>) -> Result<(Algorithm, String), ProofError> {
    const REFUSED_PARAMETERS: &[&str] = &["crit", "b64", "jku", "x5u", "x5c", "zip", "enc", "epk"];
    if header.get("typ").and_then(Value::as_str) != Some("dpop+jwt") {
        return Err(ProofError::Type);
    }
    if REFUSED_PARAMETERS
        .iter()
        .any(|name| header.contains_key(*name))
    {
        return Err(ProofError::Header);
    }
    let algorithm = header
        .get("alg")
        .and_then(Value::as_str)
        .and_then(Algorithm::named)
        .filter(|algorithm| PROOF_ALGORITHMS.contains(algorithm))
        .ok_or(ProofError::Algorithm)?;
    match header.get("jwk") {
        Some(jwk @ Value::Object(_)) => Ok((algorithm, jwk.to_string())),
        _ => Err(ProofError::Key),
    }
}

/// Checks that the proof is for this request, and returns its `iat`.
fn read_claims(
    claims: &Map<String, Value>,
    method: &str,
    token: &BearerToken<'_>,
    rules: &ProofRules,
    now: UnixTime,
) -> Result<UnixTime, ProofError> {
    if text(claims, "htm")? != method {
        return Err(ProofError::Method);
    }
    if ProofUrl::of(text(claims, "htu")?).as_ref() != Some(&rules.url) {
        return Err(ProofError::Url);
    }
    let hash = hmac_sha256::Hash::hash(token.secret().as_bytes());
    if text(claims, "ath")? != BASE64_URL_SAFE_NO_PAD.encode(hash) {
        return Err(ProofError::Token);
    }
    let window = rules.window;
    let issued = date(claims, "iat")?.ok_or(ProofError::Claim("iat"))?;
    let has_expired = date(claims, "exp")?.is_some_and(|end| now >= end);
    let is_not_yet_valid =
        date(claims, "nbf")?.is_some_and(|start| start > now.saturating_add(window));
    if issued.abs_diff(now) > window || has_expired || is_not_yet_valid {
        return Err(ProofError::Time);
    }
    Ok(issued)
}

fn text<'c>(claims: &'c Map<String, Value>, name: &'static str) -> Result<&'c str, ProofError> {
    claims
        .get(name)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
        .ok_or(ProofError::Claim(name))
}

fn date(claims: &Map<String, Value>, name: &'static str) -> Result<Option<UnixTime>, ProofError> {
    let date = |value| numeric_date(value).ok_or(ProofError::Claim(name));
    claims.get(name).map(date).transpose()
}

#[cfg(test)]
mod tests;
