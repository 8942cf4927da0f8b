//! Signed access tokens.

use jwt_simple::prelude::{Duration as JwtDuration, VerificationOptions};

use super::access_token::{VerifiedBy, VerifiedToken, check_claims, check_header};
use crate::bearer::{BearerToken, Jwt};
use crate::error::TokenError;
use crate::issuer::{IssuerId, JwksCache, KeyState, Signatures, TrustedIssuer};

/// Verifies a JWT. `None`: the keys must be fetched first.
pub(super) fn verify_signature(
    token: &BearerToken<'_>,
    jwt: Jwt,
    (issuer, id): (&TrustedIssuer, IssuerId),
    (signatures, keys): (&Signatures, &mut JwksCache),
    now: u64,
) -> Result<Option<VerifiedToken>, TokenError> {
    let unverified = jwt.unverified()?;
    check_header(&unverified, signatures)?;
    let verified_by = VerifiedBy::Signature(unverified.key_id.clone());
    let verified = check_claims(&unverified.claims, verified_by, issuer, id, now)?;
    let key_id = unverified.key_id.as_deref();
    match keys.state(unverified.algorithm, key_id, now) {
        KeyState::Fetch => return Ok(None),
        KeyState::Unknown => return Err(TokenError::Key),
        KeyState::Unavailable => return Err(TokenError::KeysUnavailable),
        KeyState::Known => {}
    }
    let options = VerificationOptions {
        allowed_issuers: Some([issuer.issuer.clone()].into()),
        allowed_audiences: Some(issuer.audiences.iter().cloned().collect()),
        artificial_time: Some(JwtDuration::from_secs(now)),
        time_tolerance: Some(JwtDuration::from_secs(issuer.clock_skew.as_secs())),
        ..VerificationOptions::default()
    };
    let set = keys.current(now).ok_or(TokenError::KeysUnavailable)?;
    if !set.verify(token.secret(), unverified.algorithm, key_id, &options) {
        return Err(TokenError::Signature);
    }
    Ok(Some(verified))
}
