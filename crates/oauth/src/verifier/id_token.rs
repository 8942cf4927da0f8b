//! Who signed in, in a browser: ID tokens (OpenID Connect Core section 3.1.3.7). The only place where
//! a [`VerifiedIdToken`] is made.

use jwt_simple::prelude::{Duration as JwtDuration, VerificationOptions};
use serde_json::{Map, Value};

use super::check::{audiences, check_times, time};
use super::{PendingFetch, Verifier};
use crate::algorithm::TokenType;
use crate::bearer::{BearerToken, Unverified};
use crate::claims::ClaimPath;
use crate::error::TokenError;
use crate::issuer::{IssuerId, JwksCache, KeyState, TrustedIssuer};
use base::secret::Secret;

/// Claims that name the user for people, the best one first.
const NAMES: [&str; 3] = ["preferred_username", "email", "name"];

/// Who signed in, once everything about the token was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedIdToken {
    user: String,
    name: String,
}

/// What an ID token has to say to be the answer to a sign-in.
#[derive(Debug, Clone, Copy)]
pub struct SignInAnswer<'a> {
    /// Whom the sign-in was made with.
    pub issuer: IssuerId,
    /// This filter, as the issuer knows it.
    pub client_id: &'a str,
    /// What was sent along.
    pub nonce: &'a str,
    /// The claim that names the user as access tokens do.
    pub user: &'a ClaimPath,
}

/// The outcome of looking at an ID token.
#[derive(Debug, PartialEq, Eq)]
pub enum IdVerification {
    /// It is good.
    Verified(VerifiedIdToken),
    /// The issuer's keys have to be fetched first.
    PendingFetch(PendingFetch),
}

impl VerifiedIdToken {
    /// The user, as access tokens of the same issuer name it.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The user, for people to read.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Verifier {
    /// Verifies the ID token that answers a sign-in. `now` is in Unix seconds.
    ///
    /// # Errors
    ///
    /// It is none, or not the answer to this sign-in.
    pub fn verify_id_token(
        &mut self,
        token: &Secret,
        answer: SignInAnswer<'_>,
        now: u64,
    ) -> Result<IdVerification, TokenError> {
        let id = answer.issuer;
        let (issuer, source) = self.issuers.get_mut(id.0).ok_or(TokenError::Issuer)?;
        let keys = source.id_token_keys();
        let (signatures, keys) = keys.ok_or(TokenError::Issuer)?;
        let header = format!("Bearer {}", token.reveal());
        let token = BearerToken::of_header(&header).ok_or(TokenError::Encoding)?;
        let unverified = token.read()?.unverified()?;
        if unverified.token_type == TokenType::AccessToken {
            return Err(TokenError::Type);
        }
        if !signatures.algorithms.contains(&unverified.algorithm) {
            return Err(TokenError::Algorithm);
        }
        let verified = check_claims(&unverified.claims, issuer, answer, now)?;
        let options = VerificationOptions {
            allowed_audiences: Some([answer.client_id.to_owned()].into()),
            required_nonce: Some(answer.nonce.to_owned()),
            ..VerificationOptions::default()
        };
        match is_signed(&token, &unverified, issuer, keys, options, now)? {
            true => Ok(IdVerification::Verified(verified)),
            false => Ok(IdVerification::PendingFetch(PendingFetch::Keys(id))),
        }
    }
}

/// Verifies the signature of a token for this filter itself. False: the issuer's keys have to be
/// fetched first.
pub(super) fn is_signed(
    token: &BearerToken<'_>,
    unverified: &Unverified,
    issuer: &TrustedIssuer,
    keys: &mut JwksCache,
    options: VerificationOptions,
    now: u64,
) -> Result<bool, TokenError> {
    let key_id = unverified.key_id.as_deref();
    match keys.state(unverified.algorithm, key_id, now) {
        KeyState::Fetch => return Ok(false),
        KeyState::Unknown => return Err(TokenError::Key),
        KeyState::Unavailable => return Err(TokenError::KeysUnavailable),
        KeyState::Known => {}
    }
    let options = VerificationOptions {
        allowed_issuers: Some([issuer.issuer.clone()].into()),
        artificial_time: Some(JwtDuration::from_secs(now)),
        time_tolerance: Some(JwtDuration::from_secs(issuer.clock_skew.as_secs())),
        ..options
    };
    let set = keys.current(now).ok_or(TokenError::KeysUnavailable)?;
    match set.verify(token.secret(), unverified.algorithm, key_id, &options) {
        true => Ok(true),
        false => Err(TokenError::Signature),
    }
}

fn check_claims(
    claims: &Map<String, Value>,
    issuer: &TrustedIssuer,
    answer: SignInAnswer<'_>,
    now: u64,
) -> Result<VerifiedIdToken, TokenError> {
    let named = |name: &str| claims.get(name).and_then(Value::as_str);
    refuse_other_tokens(claims)?;
    if named("iss") != Some(issuer.issuer.as_str()) {
        return Err(TokenError::Issuer);
    }
    // Whoever else it is for could use it here.
    let for_us = |audience: &&str| *audience == answer.client_id;
    let audiences = audiences(claims)?;
    if audiences.is_empty() || !audiences.iter().all(for_us) {
        return Err(TokenError::Audience);
    }
    if claims.get("azp").is_some_and(|azp| azp != answer.client_id) {
        return Err(TokenError::Audience);
    }
    if named("nonce") != Some(answer.nonce) {
        return Err(TokenError::Claim("nonce"));
    }
    if named("sub").is_none_or(str::is_empty) {
        return Err(TokenError::Claim("sub"));
    }
    let expires = time(claims, "exp")?.ok_or(TokenError::Claim("exp"))?;
    let issued = time(claims, "iat")?.ok_or(TokenError::Claim("iat"))?;
    let not_before = time(claims, "nbf")?.unwrap_or(0).max(issued);
    check_times(not_before, expires, issuer.clock_skew, now)?;
    let user = answer.user.identifier(claims);
    let user = user.ok_or(TokenError::Claim("user"))?;
    let name = NAMES
        .iter()
        .find_map(|name| ClaimPath::claim(name).identifier(claims));
    Ok(VerifiedIdToken {
        name: name.unwrap_or_else(|| user.clone()),
        user,
    })
}

/// Refuses what issuers make with the same key and say of it themselves that it is no ID token:
/// Keycloak with `typ`, Cognito and Hydra with `token_use`, anybody's logout tokens with `events`.
fn refuse_other_tokens(claims: &Map<String, Value>) -> Result<(), TokenError> {
    let says = |name: &str, expected: &[&str]| {
        let said = claims.get(name);
        said.is_none_or(|said| said.as_str().is_some_and(|said| expected.contains(&said)))
    };
    let is_id_token = says("typ", &["ID"])
        && says("token_use", &["id", "id_token"])
        && !claims.contains_key("events");
    is_id_token.then_some(()).ok_or(TokenError::Type)
}
