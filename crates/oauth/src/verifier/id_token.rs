//! ID tokens of sign-ins (OpenID Connect Core section 3.1.3.7). Only this module makes
//! [`VerifiedIdToken`]s.

use std::time::Duration;

use serde_json::{Map, Value};

use super::access_token::{audiences, check_times, time};
use super::failed_checks::FailedChecks;
use super::{PendingFetch, Verifier};
use crate::algorithm::TokenType;
use crate::bearer::{BearerToken, Unverified};
use crate::claims::{ClaimPath, ClaimSource, text};
use crate::client_network::ClientNetwork;
use crate::error::TokenError;
use crate::host_check::HostCheck;
use crate::issuer::{IssuerId, JwksCache, TrustedIssuer};
use base::secret::Secret;
use base::time::UnixTime;

/// How far the clock of an account's authorization server may differ.
const RECEIVED_SKEW: Duration = Duration::from_secs(60);
/// Claims with a display name of the user, the best one first.
const DISPLAY_NAME_CLAIMS: [&str; 3] = ["preferred_username", "email", "name"];

/// The user of an ID token that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedIdToken {
    user: String,
    name: String,
    session: Option<String>,
    organization: Option<String>,
    roles: Vec<String>,
    asks_view: bool,
    auth_time: Option<UnixTime>,
    acr: Option<String>,
}

/// The values that the ID token of a sign-in must have.
#[derive(Debug, Clone, Copy)]
pub struct SignInAnswer<'a> {
    /// The issuer of the sign-in.
    pub issuer: IssuerId,
    /// The filter's client id at the issuer.
    pub client_id: &'a str,
    /// The nonce of the authorization request.
    pub nonce: &'a str,
    /// The claim that identifies the user, as in access tokens.
    pub user: &'a ClaimSource,
}

/// The outcome of verifying an ID token.
#[derive(Debug, PartialEq, Eq)]
pub enum IdVerification {
    /// The token is accepted.
    Verified(VerifiedIdToken),
    /// The issuer's keys must be fetched first.
    PendingFetch(PendingFetch),
}

impl VerifiedIdToken {
    /// The user id, as in access tokens of the same issuer.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The display name of the user.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The session at the issuer (`sid`), which logout tokens name.
    pub fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }
}

impl VerifiedIdToken {
    /// The organization, if the token names it as access tokens do.
    pub fn organization(&self) -> Option<&str> {
        self.organization.as_deref()
    }

    /// The roles, if the token names them as access tokens do.
    pub fn roles(&self) -> &[String] {
        &self.roles
    }

    /// When the user signed in, if the token says so.
    pub fn auth_time(&self) -> Option<UnixTime> {
        self.auth_time
    }

    /// How strong the sign-in was (`acr`), if the token says so.
    pub fn acr(&self) -> Option<&str> {
        self.acr.as_deref()
    }

    /// Whether the token asks to act with another identity (`view_as`).
    pub fn asks_view(&self) -> bool {
        self.asks_view
    }
}

impl Verifier {
    /// Verifies the ID token of a sign-in.
    ///
    /// # Errors
    ///
    /// The token is no valid ID token, or belongs to another sign-in.
    pub fn verify_id_token(
        &mut self,
        token: &Secret,
        answer: SignInAnswer<'_>,
        now: UnixTime,
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
        let verified = check_user(&unverified.claims, issuer, answer, now)?;
        // It comes from the issuer's token endpoint, and not from a client.
        let checks = (keys, &mut self.failed, self.host, ClientNetwork::UNKNOWN);
        match is_signed(&token, &unverified, checks, now)? {
            true => Ok(IdVerification::Verified(verified)),
            false => Ok(IdVerification::PendingFetch(PendingFetch::Keys(id))),
        }
    }
}

/// Verifies the signature of an ID token or logout token, which came from a network. False: the issuer's keys must be
/// fetched first.
pub(super) fn is_signed(
    token: &BearerToken<'_>,
    unverified: &Unverified,
    (keys, failed, host, client): (
        &mut JwksCache,
        &mut FailedChecks,
        Option<HostCheck>,
        ClientNetwork,
    ),
    now: UnixTime,
) -> Result<bool, TokenError> {
    let key_id = unverified.key_id.as_deref();
    if !keys.state(unverified.algorithm, key_id, now)? {
        return Ok(false);
    }
    failed.check(client, now)?;
    let set = keys.current(now).ok_or(TokenError::KeysUnavailable)?;
    match set.verify(token.secret(), unverified.algorithm, key_id, None, host) {
        true => Ok(true),
        false => {
            failed.note(client, set.check_us(unverified.algorithm, key_id));
            Err(TokenError::Signature)
        }
    }
}

/// The values that the ID token of an account's authorization server must have.
#[derive(Debug, Clone, Copy)]
pub struct ReceivedIdToken<'a> {
    /// The issuer identifier of the authorization server.
    pub issuer: &'a str,
    /// The filter's client id there.
    pub client_id: &'a str,
    /// The nonce of the authorization request.
    pub nonce: &'a str,
}

impl ReceivedIdToken<'_> {
    /// Reads the claims of an ID token that the token endpoint sent to the filter itself. They are checked like
    /// those of a sign-in. The signature is not: the policy has no keys of this issuer, and the connection to the
    /// token endpoint identifies it (OpenID Connect Core section 3.1.3.7, number 6). So such claims name an account
    /// to its own user, and give no rights.
    ///
    /// # Errors
    ///
    /// It is no ID token for this request.
    pub fn claims(&self, token: &Secret, now: UnixTime) -> Result<Map<String, Value>, TokenError> {
        let header = format!("Bearer {}", token.reveal());
        let token = BearerToken::of_header(&header).ok_or(TokenError::Encoding)?;
        let unverified = token.read()?.unverified()?;
        if unverified.token_type == TokenType::AccessToken {
            return Err(TokenError::Type);
        }
        check_claims(&unverified.claims, *self, RECEIVED_SKEW, now)?;
        Ok(unverified.claims)
    }
}

/// Checks the claims of an ID token that do not depend on its user.
fn check_claims(
    claims: &Map<String, Value>,
    answer: ReceivedIdToken<'_>,
    clock_skew: Duration,
    now: UnixTime,
) -> Result<(), TokenError> {
    let named = |name: &str| claims.get(name).and_then(Value::as_str);
    refuse_other_tokens(claims)?;
    if named("iss") != Some(answer.issuer) {
        return Err(TokenError::Issuer);
    }
    // Another audience of the token could send it here.
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
    if claims.get("sub").and_then(text).is_none() {
        return Err(TokenError::Claim("sub"));
    }
    let expires = time(claims, "exp")?.ok_or(TokenError::Claim("exp"))?;
    let issued = time(claims, "iat")?.ok_or(TokenError::Claim("iat"))?;
    let not_before = time(claims, "nbf")?.unwrap_or_default().max(issued);
    check_times(not_before, expires, clock_skew, now)
}

/// Checks the claims of the ID token of a sign-in, and reads its user.
fn check_user(
    claims: &Map<String, Value>,
    issuer: &TrustedIssuer,
    answer: SignInAnswer<'_>,
    now: UnixTime,
) -> Result<VerifiedIdToken, TokenError> {
    let received = ReceivedIdToken {
        issuer: &issuer.issuer,
        client_id: answer.client_id,
        nonce: answer.nonce,
    };
    check_claims(claims, received, issuer.clock_skew, now)?;
    let named = |name: &str| claims.get(name).and_then(Value::as_str);
    let user = answer.user.identifier(claims);
    let user = user.ok().flatten().ok_or(TokenError::Claim("user"))?;
    let name = DISPLAY_NAME_CLAIMS
        .iter()
        .find_map(|name| ClaimPath::claim(name).identifier(claims));
    let paths = &issuer.claims;
    let organization = paths.organization.as_ref();
    // A claim of a wrong form names nothing here.
    let organization = organization.and_then(|source| source.identifier(claims).ok().flatten());
    Ok(VerifiedIdToken {
        organization,
        roles: paths.role_names(claims).unwrap_or_default(),
        asks_view: !matches!(paths.view_as(claims), Ok(None)),
        name: name.unwrap_or_else(|| user.clone()),
        session: named("sid").map(str::to_owned),
        auth_time: time(claims, "auth_time").ok().flatten(),
        acr: named("acr").map(str::to_owned),
        user,
    })
}

/// Refuses other tokens that the issuer signs with the same key. Keycloak marks them with `typ`, Cognito
/// and Hydra with `token_use`; logout tokens have `events`.
fn refuse_other_tokens(claims: &Map<String, Value>) -> Result<(), TokenError> {
    let absent_or_one_of = |name: &str, expected: &[&str]| {
        let value = claims.get(name);
        value.is_none_or(|value| {
            value
                .as_str()
                .is_some_and(|value| expected.contains(&value))
        })
    };
    let is_id_token = absent_or_one_of("typ", &["ID"])
        && absent_or_one_of("token_use", &["id", "id_token"])
        && !claims.contains_key("events");
    is_id_token.then_some(()).ok_or(TokenError::Type)
}
