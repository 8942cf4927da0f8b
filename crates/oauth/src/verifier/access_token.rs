//! Checks of access tokens, signed or introspected.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::bearer::{Unverified, refuse_not_access_token};
use crate::claims::{Identity, numeric_date, text};
use crate::dpop::Thumbprint;
use crate::error::TokenError;
use crate::issuer::{IssuerId, Signatures, TrustedIssuer};
use base::time::UnixTime;

/// An access token whose origin, issuer, audience, times and type were checked.
#[derive(Debug)]
pub struct VerifiedToken {
    identity: Identity,
    issuer: IssuerId,
    issuer_name: String,
    tenant: Option<String>,
    verified_by: VerifiedBy,
    bound_to: Option<Thumbprint>,
    view_as: Option<String>,
    not_before: UnixTime,
    expires: UnixTime,
    usable_until: UnixTime,
    issued: Option<UnixTime>,
    signed_in: Option<UnixTime>,
    conversation: Option<String>,
    client: Option<String>,
}

/// How the origin of a token was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VerifiedBy {
    /// The issuer introspected it.
    Introspection,
    /// Its signature was checked. Holds the token's `kid`.
    Signature(Option<String>),
}

impl VerifiedToken {
    /// The caller.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// How the origin of the token was checked.
    pub fn verified_by(&self) -> &VerifiedBy {
        &self.verified_by
    }

    /// The test user or role that the caller asks to act as.
    pub fn view_as(&self) -> Option<&str> {
        self.view_as.as_deref()
    }

    /// The issuer of the token.
    pub fn issuer(&self) -> IssuerId {
        self.issuer
    }

    /// The name of the issuer: `iss` of the token. Tenants of one application have different names.
    pub fn issuer_name(&self) -> &str {
        &self.issuer_name
    }

    /// The tenant that `iss` names, if the policy has tenants.
    pub(super) fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// Whether it is accepted only with a proof (RFC 9449 section 6).
    pub fn is_bound(&self) -> bool {
        self.bound_to.is_some()
    }

    /// The key that the caller must prove.
    pub(crate) fn bound_to(&self) -> Option<&Thumbprint> {
        self.bound_to.as_ref()
    }

    /// `exp`.
    pub fn expires(&self) -> UnixTime {
        self.expires
    }

    /// The latest of `nbf`, `iat` and `auth_time`.
    pub(super) fn not_before(&self) -> UnixTime {
        self.not_before
    }

    /// `exp` plus the clock skew.
    pub fn usable_until(&self) -> UnixTime {
        self.usable_until
    }

    /// `iat`.
    pub fn issued(&self) -> Option<UnixTime> {
        self.issued
    }

    /// The time since `auth_time`, or else since `iat`.
    pub fn age(&self, now: UnixTime) -> Option<Duration> {
        let then = self.signed_in.or(self.issued)?;
        Some(now.since(then))
    }

    /// The conversation that the token is used in, if the policy names a claim for it.
    pub fn conversation(&self) -> Option<&str> {
        self.conversation.as_deref()
    }

    /// The client that the token was issued to, if the token names it.
    pub fn client(&self) -> Option<&str> {
        self.client.as_deref()
    }

    /// Checks `nbf`, `iat`, `auth_time` and `exp` against the clock.
    pub(super) fn check_times(&self, skew: Duration, now: UnixTime) -> Result<(), TokenError> {
        check_times(self.not_before, self.expires, skew, now)
    }
}

/// Checks the header of a JWT. Cheap checks come before the signature.
pub(super) fn check_header(token: &Unverified, accepted: &Signatures) -> Result<(), TokenError> {
    if !accepted.types.contains(&token.token_type) {
        return Err(TokenError::Type);
    }
    if !accepted.algorithms.contains(&token.algorithm) {
        return Err(TokenError::Algorithm);
    }
    Ok(())
}

/// Checks claims: those of a JWT, before its signature, or those of an introspection response.
pub(super) fn check_claims(
    claims: &Map<String, Value>,
    verified_by: VerifiedBy,
    issuer: &TrustedIssuer,
    id: IssuerId,
    now: UnixTime,
) -> Result<VerifiedToken, TokenError> {
    refuse_not_access_token(claims)?;
    check_audience(claims, issuer)?;
    // RFC 7519 section 4.1.2: a text. Some issuers write the number of the user.
    if claims
        .get("sub")
        .is_some_and(|sub| !sub.is_string() && text(sub).is_none())
    {
        return Err(TokenError::Claim("sub"));
    }
    let named = claims.get("iss").and_then(Value::as_str);
    let tenant = named.and_then(|iss| issuer.named_tenant(iss));
    // Microsoft Entra names the tenant twice.
    if let (Some(tenant), Some(tid)) = (tenant, claims.get("tid"))
        && tid != tenant
    {
        return Err(TokenError::Claim("tid"));
    }
    let expires = time(claims, "exp")?.ok_or(TokenError::Claim("exp"))?;
    let issued = time(claims, "iat")?;
    let signed_in = time(claims, "auth_time")?;
    // An `auth_time` in the future, such as one in milliseconds, would never be too old.
    let not_before = [time(claims, "nbf")?, issued, signed_in];
    let not_before = not_before.into_iter().flatten().max().unwrap_or_default();
    check_times(not_before, expires, issuer.clock_skew, now)?;
    let latest = now.saturating_add(issuer.max_lifetime);
    if expires > latest.saturating_add(issuer.clock_skew) {
        return Err(TokenError::Lifetime);
    }
    let actors = issuer.delegation.check(claims, &issuer.issuer)?;
    let identity = Identity::of_claims(claims, &issuer.claims)?;
    Ok(VerifiedToken {
        identity: Identity { actors, ..identity },
        issuer: id,
        issuer_name: named.unwrap_or(&issuer.issuer).to_owned(),
        tenant: tenant.map(str::to_owned),
        verified_by,
        bound_to: binding(claims)?,
        view_as: issuer.claims.view_as(claims)?,
        not_before,
        expires,
        usable_until: expires.saturating_add(issuer.clock_skew),
        issued,
        signed_in,
        conversation: issuer
            .claims
            .conversation
            .as_ref()
            .and_then(|path| path.identifier(claims)),
        client: client(claims),
    })
}

/// Checks that the token is for this server: by `aud`, or if it has none, by the client that the policy
/// accepts in its place.
fn check_audience(claims: &Map<String, Value>, issuer: &TrustedIssuer) -> Result<(), TokenError> {
    let is_accepted = match (&issuer.without_audience, claims.contains_key("aud")) {
        (Some(clients), false) => {
            let client = clients.claim.identifier(claims);
            let client = client.ok_or(TokenError::Claim("aud"))?;
            clients.values.contains(&client)
        }
        _ => {
            let audiences = audiences(claims)?;
            let mut own = issuer.audiences.iter();
            own.any(|own| audiences.contains(&own.as_str()))
        }
    };
    is_accepted.then_some(()).ok_or(TokenError::Audience)
}

/// The client that a token was issued to: `client_id` (RFC 9068 section 2.2, RFC 7662 section 2.2), or the
/// older names `azp` (OpenID Connect), `cid` (Okta), `appid` (Microsoft Entra).
fn client(claims: &Map<String, Value>) -> Option<String> {
    let names = ["client_id", "azp", "cid", "appid"];
    let named = names.iter().filter_map(|name| claims.get(*name)?.as_str());
    named
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .next()
}

/// The key that a token is bound to (RFC 7800 section 3.1). Refuses other bindings, such as certificates
/// (RFC 8705).
fn binding(claims: &Map<String, Value>) -> Result<Option<Thumbprint>, TokenError> {
    let Some(confirmation) = claims.get("cnf") else {
        return Ok(None);
    };
    match confirmation
        .as_object()
        .map(|cnf| (cnf.len(), cnf.get("jkt")))
    {
        Some((1, Some(Value::String(jkt)))) => Ok(Some(Thumbprint(jkt.clone()))),
        _ => Err(TokenError::Bound),
    }
}

/// Checks `not_before <= now < expires`, with the clock skew.
pub(super) fn check_times(
    not_before: UnixTime,
    expires: UnixTime,
    skew: Duration,
    now: UnixTime,
) -> Result<(), TokenError> {
    if now >= expires.saturating_add(skew) {
        return Err(TokenError::Expired);
    }
    if not_before > now.saturating_add(skew) {
        return Err(TokenError::NotYet);
    }
    Ok(())
}

/// The audiences in `aud`: a string or an array of strings.
pub(super) fn audiences(claims: &Map<String, Value>) -> Result<Vec<&str>, TokenError> {
    const AUD: TokenError = TokenError::Claim("aud");
    match claims.get("aud") {
        Some(Value::String(audience)) => Ok(vec![audience]),
        Some(Value::Array(audiences)) => audiences
            .iter()
            .map(|audience| audience.as_str().ok_or(AUD))
            .collect(),
        _ => Err(AUD),
    }
}

/// A `NumericDate` claim.
pub(super) fn time(
    claims: &Map<String, Value>,
    name: &'static str,
) -> Result<Option<UnixTime>, TokenError> {
    let time = |value| numeric_date(value).ok_or(TokenError::Claim(name));
    claims.get(name).map(time).transpose()
}
