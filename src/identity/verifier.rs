//! Verifies tokens. The only place where a [`VerifiedToken`] is made.

use std::num::NonZeroUsize;
use std::rc::Rc;

use jwt_simple::prelude::{Duration as JwtDuration, VerificationOptions};
use lru::LruCache;
use serde_json::{Map, Value};

use super::bearer::{BearerToken, Unverified};
use super::claims::Identity;
use super::error::TokenError;
use super::issuer::{IssuerId, IssuerKeys, KeyState, TrustedIssuer};
use super::keys::{KeySet, KeySetError};

/// How many verified tokens a worker remembers.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);

/// A token whose signature, issuer, audience, times, type and algorithm were checked.
#[derive(Debug)]
pub struct VerifiedToken {
    identity: Identity,
    issuer: IssuerId,
    key_id: Option<String>,
    not_before: u64,
    expires: u64,
    issued: Option<u64>,
    signed_in: Option<u64>,
}

/// The outcome of looking at a token.
#[derive(Debug)]
pub enum Verification {
    /// It is good.
    Verified(Rc<VerifiedToken>),
    /// It is not.
    Refused(TokenError),
    /// Its issuer's keys have to be fetched first.
    NeedKeys(IssuerId),
}

/// The tokens and keys one worker knows.
#[derive(Debug)]
pub struct Verifier {
    issuers: Vec<(TrustedIssuer, IssuerKeys)>,
    verified: LruCache<[u8; 32], Rc<VerifiedToken>>,
}

impl VerifiedToken {
    /// Who is calling.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The `kid` of the key that signed it, as the token names it.
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// Who vouches for the caller.
    pub fn issuer(&self) -> IssuerId {
        self.issuer
    }

    /// Seconds since the user signed in (`auth_time`), or else since the token was issued.
    pub fn age(&self, now: u64) -> Option<u64> {
        self.signed_in
            .or(self.issued)
            .map(|then| now.saturating_sub(then))
    }
}

impl Verifier {
    /// A verifier for these issuers.
    ///
    /// # Errors
    ///
    /// The issuer's position, and what is wrong with the key set the policy has for it.
    pub fn new(issuers: Vec<TrustedIssuer>) -> Result<Self, (IssuerId, KeySetError)> {
        let mut known = Vec::with_capacity(issuers.len());
        for (index, issuer) in issuers.into_iter().enumerate() {
            let keys = IssuerKeys::new(&issuer).map_err(|error| (IssuerId(index), error))?;
            known.push((issuer, keys));
        }
        Ok(Self {
            issuers: known,
            verified: LruCache::new(REMEMBERED),
        })
    }

    /// Looks at a token. `now` is in Unix seconds.
    pub fn verify(&mut self, token: &BearerToken<'_>, now: u64) -> Verification {
        let digest = token.digest();
        if let Some(known) = self.verified.get(&digest).map(Rc::clone)
            && let Some((issuer, keys)) = self.issuers.get_mut(known.issuer.0)
            && keys.in_use(now)
        {
            let skew = issuer.clock_skew.as_secs();
            return match check_times(known.not_before, known.expires, skew, now) {
                Ok(()) => Verification::Verified(known),
                Err(error) => Verification::Refused(error),
            };
        }
        match self.verify_unknown(token, now) {
            Ok(Some(token)) => {
                let token = Rc::new(token);
                self.verified.put(digest, Rc::clone(&token));
                Verification::Verified(token)
            }
            Ok(None) => match self.issuer_of(token) {
                Ok(issuer) => Verification::NeedKeys(issuer),
                Err(error) => Verification::Refused(error),
            },
            Err(error) => Verification::Refused(error),
        }
    }

    /// The keys of an issuer.
    pub fn keys_mut(&mut self, issuer: IssuerId) -> Option<&mut IssuerKeys> {
        self.issuers.get_mut(issuer.0).map(|(_, keys)| keys)
    }

    /// Issuers whose keys the timer should fetch now.
    pub fn due(&self, now: u64) -> Vec<IssuerId> {
        let due = |(index, (_, keys)): (usize, &(_, IssuerKeys))| {
            keys.is_due(now).then_some(IssuerId(index))
        };
        self.issuers.iter().enumerate().filter_map(due).collect()
    }

    /// Takes a fetched document, or `None` if the fetch failed. A key that is gone takes the
    /// tokens it signed with it. `jitter` between 0.5 and 1 spreads the next fetches.
    ///
    /// # Errors
    ///
    /// The document is no usable key set; the keys that were there stay.
    pub fn keys_fetched(
        &mut self,
        issuer: IssuerId,
        document: Option<&[u8]>,
        now: u64,
        jitter: f64,
    ) -> Result<(), KeySetError> {
        let Some((trusted, keys)) = self.issuers.get_mut(issuer.0) else {
            return Ok(());
        };
        let parsed = document.map(|document| KeySet::parse(document, &trusted.algorithms));
        let (fetched, outcome) = match parsed {
            Some(Ok(set)) => (Some(set), Ok(())),
            Some(Err(error)) => (None, Err(error)),
            None => (None, Ok(())),
        };
        if fetched.as_ref().is_some_and(|fetched| !keys.holds(fetched)) {
            self.verified.clear();
        }
        keys.finish_fetch(fetched, now, jitter);
        outcome
    }

    fn issuer_of(&self, token: &BearerToken<'_>) -> Result<IssuerId, TokenError> {
        self.find_issuer(&token.peek()?.claims)
    }

    fn find_issuer(&self, claims: &Map<String, Value>) -> Result<IssuerId, TokenError> {
        let Some(Value::String(named)) = claims.get("iss") else {
            return Err(TokenError::Claim("iss"));
        };
        self.issuers
            .iter()
            .position(|(issuer, _)| issuer.issuer == *named)
            .map(IssuerId)
            .ok_or(TokenError::Issuer)
    }

    /// Verifies a token that was not seen before. `None`: the keys have to be fetched first.
    fn verify_unknown(
        &mut self,
        token: &BearerToken<'_>,
        now: u64,
    ) -> Result<Option<VerifiedToken>, TokenError> {
        let unverified = token.peek()?;
        let id = self.find_issuer(&unverified.claims)?;
        let (issuer, keys) = self.issuers.get_mut(id.0).ok_or(TokenError::Issuer)?;
        let verified = check_claims(&unverified, issuer, id, now)?;
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
}

/// Checks everything but the signature: what fails here needs no key and no arithmetic.
fn check_claims(
    token: &Unverified,
    issuer: &TrustedIssuer,
    id: IssuerId,
    now: u64,
) -> Result<VerifiedToken, TokenError> {
    let claims = &token.claims;
    if !issuer.types.contains(&token.token_type) {
        return Err(TokenError::Type);
    }
    if !issuer.algorithms.contains(&token.algorithm) {
        return Err(TokenError::Algorithm);
    }
    if !audiences(claims)?
        .iter()
        .any(|audience| issuer.audiences.iter().any(|own| own == audience))
    {
        return Err(TokenError::Audience);
    }
    for name in ["sub", "jti", "nonce"] {
        // RFC 7519 section 4.1 for the first two; jwt-simple takes nothing else.
        if claims.get(name).is_some_and(|value| !value.is_string()) {
            return Err(TokenError::Claim(name));
        }
    }
    let expires = time(claims, "exp")?.ok_or(TokenError::Claim("exp"))?;
    let issued = time(claims, "iat")?;
    let signed_in = time(claims, "auth_time")?;
    // A sign-in ahead of now, such as one in milliseconds, would never be too long ago.
    let not_before = [time(claims, "nbf")?, issued, signed_in];
    let not_before = not_before.into_iter().flatten().max().unwrap_or(0);
    check_times(not_before, expires, issuer.clock_skew.as_secs(), now)?;
    let latest = now.saturating_add(issuer.max_lifetime.as_secs());
    if expires > latest.saturating_add(issuer.clock_skew.as_secs()) {
        return Err(TokenError::Lifetime);
    }
    Ok(VerifiedToken {
        identity: Identity::of_claims(claims, &issuer.claims)?,
        issuer: id,
        key_id: token.key_id.clone(),
        not_before,
        expires,
        issued,
        signed_in,
    })
}

fn check_times(not_before: u64, expires: u64, skew: u64, now: u64) -> Result<(), TokenError> {
    if now >= expires.saturating_add(skew) {
        return Err(TokenError::Expired);
    }
    if not_before > now.saturating_add(skew) {
        return Err(TokenError::NotYet);
    }
    Ok(())
}

fn audiences(claims: &Map<String, Value>) -> Result<Vec<&str>, TokenError> {
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

/// A `NumericDate` (RFC 7519 section 2) in whole seconds.
fn time(claims: &Map<String, Value>, name: &'static str) -> Result<Option<u64>, TokenError> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    let seconds = value.as_u64().or_else(|| {
        let seconds = value.as_f64()?;
        // Beyond this, a float does not hold every second: no clock says that.
        (0.0..1e15)
            .contains(&seconds)
            .then(|| seconds.floor() as u64)
    });
    seconds.map(Some).ok_or(TokenError::Claim(name))
}

#[cfg(test)]
mod tests;
