//! Logout tokens (OpenID Connect Back-Channel Logout 1.0 sections 2.4 and 2.6). Only this module makes
//! [`VerifiedLogout`]s.

use std::time::Duration;

use serde_json::{Map, Value};

use super::access_token::{audiences, check_times, time};
use super::id_token::is_signed;
use super::{PendingFetch, Verifier};
use crate::bearer::BearerToken;
use crate::claims;
use crate::client_network::ClientNetwork;
use crate::error::TokenError;
use crate::issuer::{IssuerId, TrustedIssuer};
use base::secret::Secret;
use base::time::UnixTime;

/// The maximum age of a logout token. Issuers send it at once.
const MAX_AGE: Duration = Duration::from_secs(300);
const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
const MAX_CLAIM_BYTES: usize = 512;

/// The sign-out of a logout token that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedLogout {
    /// `jti`: unique among the issuer's logout tokens.
    pub id: String,
    /// When the token is no longer accepted.
    pub until: UnixTime,
    /// The user: `sub`.
    pub user: Option<String>,
    /// The session at the issuer: `sid`.
    pub session: Option<String>,
}

/// The outcome of verifying a logout token.
#[derive(Debug, PartialEq, Eq)]
pub enum LogoutVerification {
    /// The token is accepted.
    Verified(VerifiedLogout),
    /// The issuer's keys must be fetched first.
    PendingFetch(PendingFetch),
}

impl Verifier {
    /// Verifies a logout token. Any client can send one, so each client network has its own share of failed checks.
    /// `client_id` returns the filter's client id at an issuer with `back_channel_logout`.
    ///
    /// # Errors
    ///
    /// The token is no valid logout token, or its issuer has no `back_channel_logout`.
    pub fn verify_logout(
        &mut self,
        (token, client): (&Secret, ClientNetwork),
        client_id: impl Fn(IssuerId) -> Option<String>,
        now: UnixTime,
    ) -> Result<(IssuerId, LogoutVerification), TokenError> {
        let header = format!("Bearer {}", token.reveal());
        let token = BearerToken::of_header(&header).ok_or(TokenError::Encoding)?;
        token.check_size()?;
        let unverified = token.read()?.unverified_logout()?;
        let named = unverified.claims.get("iss").and_then(Value::as_str);
        let id = self.issuer_named(named.ok_or(TokenError::Claim("iss"))?)?;
        let client_id = client_id(id).ok_or(TokenError::Issuer)?;
        let (issuer, source) = self.issuers.get_mut(id.0).ok_or(TokenError::Issuer)?;
        let keys = source.id_token_keys();
        let (signatures, keys) = keys.ok_or(TokenError::Issuer)?;
        if !signatures.algorithms.contains(&unverified.algorithm) {
            return Err(TokenError::Algorithm);
        }
        let verified = check_claims(&unverified.claims, issuer, &client_id, now)?;
        let checks = (keys, &mut self.failed, self.host, client);
        let verification = match is_signed(&token, &unverified, checks, now)? {
            true => LogoutVerification::Verified(verified),
            false => LogoutVerification::PendingFetch(PendingFetch::Keys(id)),
        };
        Ok((id, verification))
    }
}

fn check_claims(
    claims: &Map<String, Value>,
    issuer: &TrustedIssuer,
    client_id: &str,
    now: UnixTime,
) -> Result<VerifiedLogout, TokenError> {
    if !audiences(claims)?.contains(&client_id) {
        return Err(TokenError::Audience);
    }
    let events = claims.get("events").and_then(Value::as_object);
    let event = events.and_then(|events| events.get(LOGOUT_EVENT));
    if !event.is_some_and(Value::is_object) {
        return Err(TokenError::Claim("events"));
    }
    // ID tokens have a nonce; logout tokens must not (section 2.4).
    if claims.contains_key("nonce") {
        return Err(TokenError::Claim("nonce"));
    }
    let issued = time(claims, "iat")?.ok_or(TokenError::Claim("iat"))?;
    let oldest = issued.saturating_add(MAX_AGE);
    let expires = time(claims, "exp")?.unwrap_or(oldest).min(oldest);
    let not_before = time(claims, "nbf")?.unwrap_or_default().max(issued);
    check_times(not_before, expires, issuer.clock_skew, now)?;
    let (user, session) = (text(claims, "sub")?, text(claims, "sid")?);
    if user.is_none() && session.is_none() {
        return Err(TokenError::Claim("sub"));
    }
    Ok(VerifiedLogout {
        id: text(claims, "jti")?.ok_or(TokenError::Claim("jti"))?,
        until: expires
            .saturating_add(issuer.clock_skew)
            .saturating_add(Duration::from_secs(1)),
        user,
        session,
    })
}

fn text(members: &Map<String, Value>, name: &'static str) -> Result<Option<String>, TokenError> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() && text.len() <= MAX_CLAIM_BYTES => {
            Ok(Some(text.clone()))
        }
        // Issuers with numeric users write the same number here.
        Some(number @ Value::Number(_)) if name == "sub" => {
            Ok(Some(claims::text(number).ok_or(TokenError::Claim(name))?))
        }
        Some(_) => Err(TokenError::Claim(name)),
    }
}
