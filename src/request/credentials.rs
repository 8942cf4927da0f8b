//! The token of a request, and its proof.

use crate::refusal::Refusal;
use base::time::UnixTime;
use mcp::headers::{HeaderError, Headers};
use oauth::{
    BearerToken, ClientNetwork, Proof, ProofError, SingleUse, TokenError, Verification,
    VerifiedToken, Verifier,
};
use policy::Policy;

/// Verifies the token of a request, and its proof. `client` is known after the verifier asked for it.
pub(super) fn verify(
    policy: &Policy,
    headers: &Headers,
    verifier: &mut Verifier,
    client: Option<ClientNetwork>,
    now: UnixTime,
) -> Result<Verification, Refusal> {
    let header = headers.one("authorization").map_err(Refusal::Header)?;
    let header = header.ok_or(Refusal::NoToken)?;
    if let Some(rules) = &policy.dpop {
        if let Some(token) = BearerToken::of_dpop_header(header) {
            let method = headers.one(":method").map_err(Refusal::Header)?;
            let proof = the_proof(headers).and_then(|proof| {
                Proof::read(proof, method.unwrap_or_default(), &token, rules, now)
            });
            let proof = proof.map_err(|error| Refusal::Token(TokenError::from(error).into()))?;
            return Ok(verifier.verify_bound(&token, &proof, client, now));
        }
        if rules.required && BearerToken::of_header(header).is_some() {
            return Err(Refusal::Token(TokenError::ProofRequired.into()));
        }
    }
    let token = BearerToken::of_header(header).ok_or(Refusal::NoToken)?;
    Ok(verifier.verify(&token, client, now))
}

/// The token or proof that a verified request uses.
pub(super) fn single_use(
    policy: &Policy,
    headers: &Headers,
    verified: &VerifiedToken,
    now: UnixTime,
) -> Result<SingleUse, Refusal> {
    let header = headers.one("authorization").map_err(Refusal::Header)?;
    let header = header.ok_or(Refusal::NoToken)?;
    if let (Some(rules), Some(token)) = (&policy.dpop, BearerToken::of_dpop_header(header)) {
        let method = headers.one(":method").map_err(Refusal::Header)?;
        let used = the_proof(headers)
            .and_then(|proof| Proof::read(proof, method.unwrap_or_default(), &token, rules, now))
            .and_then(|proof| SingleUse::of_proof(&proof, verified));
        return used.map_err(|error| Refusal::Token(TokenError::from(error).into()));
    }
    let token = BearerToken::of_header(header).ok_or(Refusal::NoToken)?;
    Ok(SingleUse::of_token(&token, verified))
}

/// The caller's bearer token after verification.
pub(super) fn bearer(headers: &Headers) -> Option<BearerToken<'_>> {
    BearerToken::of_header(headers.one("authorization").ok()??)
}

/// The one `DPoP` header (RFC 9449 section 4.3).
fn the_proof(headers: &Headers) -> Result<&str, ProofError> {
    match headers.one("dpop") {
        Ok(Some(proof)) => Ok(proof),
        Ok(None) => Err(ProofError::Missing),
        Err(HeaderError::NotText(_)) => Err(ProofError::Malformed),
        Err(HeaderError::Repeated(_)) => Err(ProofError::Repeated),
    }
}
