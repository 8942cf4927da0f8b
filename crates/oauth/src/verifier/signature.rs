//! Signed access tokens.

use super::access_token::{VerifiedBy, VerifiedToken, check_claims, check_header};
use super::failed_checks::FailedChecks;
use crate::bearer::{BearerToken, Jwt};
use crate::client_network::ClientNetwork;
use crate::error::TokenError;
use crate::host_check::HostCheck;
use crate::issuer::{IssuerId, JwksCache, Signatures, TrustedIssuer};
use base::time::UnixTime;

/// The outcome of verifying a JWT.
pub(super) enum Checked {
    /// The token is accepted.
    Verified(Box<VerifiedToken>),
    /// The keys must be fetched first.
    NeedsKeys,
    /// Only the signature is left to check. The network of the client must be known first.
    NeedsClient,
}

/// Verifies a JWT by its signature.
pub(super) fn verify_signature(
    token: &BearerToken<'_>,
    jwt: Jwt,
    (issuer, id): (&TrustedIssuer, IssuerId),
    (signatures, keys, host): (&Signatures, &mut JwksCache, Option<HostCheck>),
    (client, failed): (Option<ClientNetwork>, &mut FailedChecks),
    now: UnixTime,
) -> Result<Checked, TokenError> {
    let unverified = jwt.unverified()?;
    check_header(&unverified, signatures)?;
    let verified_by = VerifiedBy::Signature(unverified.key_id.clone());
    let verified = check_claims(&unverified.claims, verified_by, issuer, id, now)?;
    let key_id = unverified.key_id.as_deref();
    if !keys.state(unverified.algorithm, key_id, now)? {
        return Ok(Checked::NeedsKeys);
    }
    let Some(client) = client else {
        return Ok(Checked::NeedsClient);
    };
    failed.check(client, now)?;
    let set = keys.current(now).ok_or(TokenError::KeysUnavailable)?;
    if !set.verify(
        token.secret(),
        unverified.algorithm,
        key_id,
        verified.tenant(),
        host,
    ) {
        failed.note(client, set.check_us(unverified.algorithm, key_id));
        return Err(TokenError::Signature);
    }
    Ok(Checked::Verified(Box::new(verified)))
}
