//! Verifies tokens. Only this module makes [`VerifiedToken`]s.

mod access_token;
mod failed_checks;
mod id_token;
mod known_digests;
mod logout_token;
mod signature;

use std::num::NonZeroUsize;
use std::rc::Rc;

use lru::LruCache;
use serde_json::Value;

use self::access_token::check_claims;
use self::failed_checks::FailedChecks;
use self::known_digests::KnownDigests;
use self::signature::{Checked, verify_signature};
use super::bearer::{BearerToken, Jwt, TokenDigest, refuse_not_access_token};
use super::client::ClientAuth;
use super::client_network::ClientNetwork;
use super::dpop::{Proof, SeenProofs};
use super::error::{FetchError, SetupError, TokenError};
use super::host_check::HostCheck;
use super::introspection::{self, IntrospectionError, IntrospectionResponse, Introspector};
use super::issuer::{IssuerId, JwksCache, Signatures, TokenCheck, TrustedIssuer};
use super::key_set::{KeySet, KeySetError};
use super::refused::{RefusedToken, TokenFinding};
use base::time::UnixTime;

pub use self::access_token::{VerifiedBy, VerifiedToken};
pub use self::id_token::{IdVerification, ReceivedIdToken, SignInAnswer, VerifiedIdToken};
pub use self::logout_token::{LogoutVerification, VerifiedLogout};
pub use super::introspection::FetchStart;

/// The number of verified tokens that a worker caches.
const MAX_CACHED_TOKENS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);

/// The outcome of verifying an access token.
#[derive(Debug)]
pub enum Verification {
    /// The token is accepted.
    Verified(Rc<VerifiedToken>),
    /// The token is refused.
    Refused(RefusedToken),
    /// Something must be fetched first.
    PendingFetch(PendingFetch),
    /// The token is new, and all cheap checks passed. The rest is work of which each network of clients has
    /// a share: call again with the network.
    NeedsClient,
}

/// What must be fetched before a token can be verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PendingFetch {
    /// An issuer's keys.
    Keys(IssuerId),
    /// An issuer's introspection of a token.
    Token(IssuerId, TokenDigest),
}

/// Verifies tokens, and holds one worker's caches of keys, tokens and proofs.
#[derive(Debug)]
pub struct Verifier {
    issuers: Vec<(TrustedIssuer, IssuerState)>,
    verified: LruCache<TokenDigest, CachedToken>,
    digests: KnownDigests,
    proofs: SeenProofs,
    failed: FailedChecks,
    host: Option<HostCheck>,
}

/// The state of an issuer: its keys, or its pending introspections.
#[derive(Debug)]
enum IssuerState {
    Keys(Signatures, JwksCache),
    /// The keys are for ID tokens and logout tokens only.
    Introspection(Introspector, Option<Box<(Signatures, JwksCache)>>),
}

#[derive(Debug)]
struct CachedToken {
    token: Rc<VerifiedToken>,
    /// When the introspection response expires. `None` for a signed token: it is cached as long as its
    /// key.
    until: Option<UnixTime>,
}

impl PendingFetch {
    /// Why the token is refused if the fetch fails.
    pub fn unavailable(&self) -> TokenError {
        match self {
            Self::Keys(_) => TokenError::KeysUnavailable,
            Self::Token(..) => TokenError::IntrospectionUnavailable,
        }
    }

    /// The issuer to fetch from.
    pub fn issuer(&self) -> IssuerId {
        match self {
            Self::Keys(issuer) | Self::Token(issuer, _) => *issuer,
        }
    }
}

impl IssuerState {
    fn of(
        issuer: &TrustedIssuer,
        id: IssuerId,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, SetupError> {
        let keys = |signatures: &Signatures| {
            let keys = JwksCache::new(signatures);
            let keys = keys.map_err(|error| SetupError::Keys(id, error))?;
            Ok((signatures.clone(), keys))
        };
        match &issuer.check {
            TokenCheck::Signature(signatures) => {
                let (signatures, keys) = keys(signatures)?;
                Ok(Self::Keys(signatures, keys))
            }
            TokenCheck::Introspection(endpoint, id_tokens) => {
                let name = match &endpoint.client.auth {
                    ClientAuth::Key { env, .. } | ClientAuth::Secret { env, .. } => env.as_str(),
                    ClientAuth::Public => "",
                };
                let secret = environment(name).filter(|secret| !secret.is_empty());
                let is_key = matches!(endpoint.client.auth, ClientAuth::Key { .. });
                let secret = secret.ok_or_else(|| match is_key {
                    true => SetupError::NoClientKey(id, name.to_owned()),
                    false => SetupError::Secret(id, name.to_owned()),
                })?;
                let introspector = Introspector::new(endpoint.clone(), &secret);
                let introspector =
                    introspector.map_err(|error| SetupError::ClientKey(id, error))?;
                let id_tokens = id_tokens.as_ref().map(keys).transpose()?.map(Box::new);
                Ok(Self::Introspection(introspector, id_tokens))
            }
        }
    }

    /// The keys for ID tokens and logout tokens, not for access tokens.
    fn id_token_keys(&mut self) -> Option<(&Signatures, &mut JwksCache)> {
        match self {
            Self::Keys(signatures, keys) => Some((signatures, keys)),
            Self::Introspection(_, id_tokens) => {
                let (signatures, keys) = id_tokens.as_deref_mut()?;
                Some((signatures, keys))
            }
        }
    }

    /// The keys of the issuer, if it has any.
    fn keys(&self) -> Option<&JwksCache> {
        match self {
            Self::Keys(_, keys) => Some(keys),
            Self::Introspection(_, id_tokens) => id_tokens.as_deref().map(|(_, keys)| keys),
        }
    }
}

impl Verifier {
    /// A verifier for issuers without introspection.
    ///
    /// # Errors
    ///
    /// A key set in the policy is not usable.
    pub fn new(issuers: Vec<TrustedIssuer>) -> Result<Self, SetupError> {
        Self::with_environment(issuers, &|_| None)
    }

    /// A verifier with client secrets for introspection from an environment.
    ///
    /// # Errors
    ///
    /// A key set in the policy is not usable, or a secret is missing.
    pub fn with_environment(
        issuers: Vec<TrustedIssuer>,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, SetupError> {
        let mut known = Vec::with_capacity(issuers.len());
        for (index, issuer) in issuers.into_iter().enumerate() {
            let source = IssuerState::of(&issuer, IssuerId(index), environment)?;
            known.push((issuer, source));
        }
        Ok(Self {
            issuers: known,
            verified: LruCache::new(MAX_CACHED_TOKENS),
            digests: KnownDigests::new(),
            proofs: SeenProofs::new(),
            failed: FailedChecks::default(),
            host: None,
        })
    }

    /// Sets the source of random bytes, for the assertions with which issuers are asked about tokens.
    #[must_use]
    pub fn with_random(mut self, random: fn() -> Option<[u8; 32]>) -> Self {
        for (_, state) in &mut self.issuers {
            if let IssuerState::Introspection(introspector, _) = state {
                introspector.set_random(random);
            }
        }
        self
    }

    /// Lets the host check the signatures that it can check. [`crate::is_reliable`] must hold.
    #[must_use]
    pub fn with_host_check(mut self, host: Option<HostCheck>) -> Self {
        self.host = host;
        self
    }

    /// Verifies a token sent without a proof. `client` is known after [`Verification::NeedsClient`].
    pub fn verify(
        &mut self,
        token: &BearerToken<'_>,
        client: Option<ClientNetwork>,
        now: UnixTime,
    ) -> Verification {
        match self.verify_token(token, client, now) {
            Verification::Verified(token) if token.is_bound() => {
                Verification::Refused(TokenError::Bound.into())
            }
            verification => verification,
        }
    }

    /// Verifies a token sent with a proof. A proof is accepted once.
    pub fn verify_bound(
        &mut self,
        token: &BearerToken<'_>,
        proof: &Proof<'_>,
        client: Option<ClientNetwork>,
        now: UnixTime,
    ) -> Verification {
        let token = match self.verify_token(token, client, now) {
            Verification::Verified(token) => token,
            verification => return verification,
        };
        let Some(key) = token.bound_to() else {
            return Verification::Refused(TokenError::Unbound.into());
        };
        let signed = proof.check_signer(key);
        match signed.and_then(|()| self.proofs.take(proof, key, now)) {
            Ok(()) => Verification::Verified(token),
            Err(error) => Verification::Refused(TokenError::from(error).into()),
        }
    }

    /// Verifies a token, and does not check whether it needs a proof.
    fn verify_token(
        &mut self,
        token: &BearerToken<'_>,
        client: Option<ClientNetwork>,
        now: UnixTime,
    ) -> Verification {
        let known = self.digests.get(token);
        let digest = known.unwrap_or_else(|| token.digest());
        if let Some(verification) = self.verify_cached(&digest, now) {
            if known.is_none() {
                self.digests.put(token, digest);
            }
            return verification;
        }
        match self.verify_uncached(token, client, now) {
            Ok(verification) => verification,
            Err(refused) if refused.finding.is_some() => Verification::Refused(refused),
            Err(refused) => Verification::Refused(RefusedToken::with(
                refused.error,
                self.finding(token, refused.error, now),
            )),
        }
    }

    /// What the log says about a refused token. Only for errors in what the token says: it is read again.
    fn finding(
        &self,
        token: &BearerToken<'_>,
        error: TokenError,
        now: UnixTime,
    ) -> Option<TokenFinding> {
        match error {
            TokenError::TooLarge => return Some(TokenFinding::size(token.secret().len())),
            TokenError::Signature | TokenError::Encoding | TokenError::Json(_) => return None,
            error if error.is_unavailable() => return None,
            _ => {}
        }
        let jwt = token.read().ok()?;
        let named = jwt.claims.get("iss").and_then(Value::as_str);
        if let (TokenError::Issuer, Some(iss)) = (error, named) {
            let issuers = self.issuers.iter().map(|(issuer, _)| issuer);
            return Some(TokenFinding::untrusted(iss, issuers));
        }
        let id = match named {
            Some(named) => self.issuer_named(named).ok(),
            None => self.introspecting(),
        };
        // Without an issuer, only `iss` is of interest.
        let id = id.unwrap_or(IssuerId(0));
        let (issuer, _) = self.issuers.get(id.0)?;
        TokenFinding::of_jwt(error, &jwt, (issuer, id), now)
    }

    /// The outcome for a cached token.
    fn verify_cached(&mut self, digest: &TokenDigest, now: UnixTime) -> Option<Verification> {
        let known = self.verified.get(digest)?;
        let (issuer, source) = self.issuers.get_mut(known.token.issuer().0)?;
        let is_current = match source {
            IssuerState::Keys(_, keys) => keys.in_use(now),
            // A response from the future has expired: the clock was set back.
            IssuerState::Introspection(introspector, _) => known.until.is_some_and(|until| {
                now <= until && until <= now.saturating_add(introspector.cache())
            }),
        };
        if !is_current {
            return None;
        }
        Some(match known.token.check_times(issuer.clock_skew, now) {
            Ok(()) => Verification::Verified(Rc::clone(&known.token)),
            Err(error) => {
                let (token, id) = (&known.token, known.token.issuer());
                let finding = match error {
                    TokenError::Expired => TokenFinding::time("exp", token.expires(), now, id),
                    _ => TokenFinding::time("nbf", token.not_before(), now, id),
                };
                Verification::Refused(RefusedToken::with(error, Some(finding)))
            }
        })
    }

    /// The keys of an issuer.
    #[cfg(test)]
    fn keys_mut(&mut self, issuer: IssuerId) -> Option<&mut JwksCache> {
        let (_, source) = self.issuers.get_mut(issuer.0)?;
        source.id_token_keys().map(|(_, keys)| keys)
    }

    /// Starts a fetch.
    pub fn start(&mut self, need: PendingFetch) -> FetchStart {
        let source = self.issuers.get_mut(need.issuer().0);
        match (need, source.map(|(_, source)| source)) {
            (PendingFetch::Keys(_), Some(source)) => {
                let keys = source.id_token_keys();
                let call = keys.and_then(|(_, keys)| keys.start_call());
                call.map_or(FetchStart::Nothing, FetchStart::Call)
            }
            (PendingFetch::Token(_, digest), Some(IssuerState::Introspection(introspector, _))) => {
                introspector.start(&digest)
            }
            (PendingFetch::Token(..), Some(IssuerState::Keys(..))) | (_, None) => {
                FetchStart::Nothing
            }
        }
    }

    /// Takes the body of the response, or `None` if the fetch failed. `jitter`, between 0.5 and 1, spreads
    /// the next fetches of keys.
    ///
    /// # Errors
    ///
    /// The document is not usable.
    pub fn fetched(
        &mut self,
        fetch: PendingFetch,
        document: Option<&[u8]>,
        now: UnixTime,
        jitter: f64,
    ) -> Result<(), FetchError> {
        match fetch {
            PendingFetch::Keys(issuer) => self.keys_fetched(issuer, document, now, jitter)?,
            PendingFetch::Token(issuer, digest) => {
                self.introspected(issuer, digest, document, now)?
            }
        }
        Ok(())
    }

    /// The issuers whose keys the timer should fetch now.
    pub fn due(&self, now: UnixTime) -> Vec<IssuerId> {
        let due = |(index, (_, source)): (usize, &(_, IssuerState))| {
            let keys = source.keys()?;
            keys.is_due(now).then_some(IssuerId(index))
        };
        self.issuers.iter().enumerate().filter_map(due).collect()
    }

    /// Takes a fetched key set, or `None` if the fetch failed. If the key set changed, the cached tokens
    /// are verified again. `jitter`, between 0.5 and 1, spreads the next fetches.
    ///
    /// # Errors
    ///
    /// The document is no usable key set. The cached keys stay.
    pub fn keys_fetched(
        &mut self,
        issuer: IssuerId,
        document: Option<&[u8]>,
        now: UnixTime,
        jitter: f64,
    ) -> Result<(), KeySetError> {
        let source = self.issuers.get_mut(issuer.0);
        let Some((signatures, keys)) = source.and_then(|(_, source)| source.id_token_keys()) else {
            return Ok(());
        };
        let parsed = document.map(|document| KeySet::parse(document, &signatures.algorithms));
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

    /// Takes an introspection response (RFC 7662 section 2.2).
    fn introspected(
        &mut self,
        id: IssuerId,
        digest: TokenDigest,
        document: Option<&[u8]>,
        now: UnixTime,
    ) -> Result<(), IntrospectionError> {
        let Some((issuer, IssuerState::Introspection(introspector, _))) =
            self.issuers.get_mut(id.0)
        else {
            return Ok(());
        };
        let (token, outcome) = match document.map(introspection::read) {
            Some(Ok(IntrospectionResponse::Active(claims))) => {
                let token = introspection::check_response(&claims, &issuer.issuer).and_then(|()| {
                    check_claims(&claims, VerifiedBy::Introspection, issuer, id, now)
                });
                let token = token.map_err(|error| {
                    let finding = TokenFinding::of_claims(error, &claims, (issuer, id), now);
                    RefusedToken::with(error, finding)
                });
                (token, Ok(()))
            }
            Some(Ok(IntrospectionResponse::Inactive)) => (Err(TokenError::Inactive.into()), Ok(())),
            Some(Err(error)) => (Err(TokenError::IntrospectionUnavailable.into()), Err(error)),
            None => (Err(TokenError::IntrospectionUnavailable.into()), Ok(())),
        };
        introspector.finish(digest, token.as_ref().err().cloned(), now);
        match token {
            Ok(token) => {
                let cached = CachedToken {
                    token: Rc::new(token),
                    until: Some(now.saturating_add(introspector.cache())),
                };
                self.verified.put(digest, cached);
            }
            Err(_) => drop(self.verified.pop(&digest)),
        }
        outcome
    }

    fn issuer_named(&self, name: &str) -> Result<IssuerId, TokenError> {
        self.issuers
            .iter()
            .position(|(issuer, _)| issuer.is_named(name))
            .map(IssuerId)
            .ok_or(TokenError::Issuer)
    }

    /// The issuer that introspects tokens without `iss`.
    fn introspecting(&self) -> Option<IssuerId> {
        let asked =
            |(_, source): &(_, IssuerState)| matches!(source, IssuerState::Introspection(..));
        self.issuers.iter().position(asked).map(IssuerId)
    }

    /// The issuer of a token, and its content if it is a JWT.
    fn read(&self, token: &BearerToken<'_>) -> Result<(IssuerId, Option<Jwt>), TokenError> {
        token.check_size()?;
        let jwt = match (token.read(), self.introspecting()) {
            (Ok(jwt), _) => jwt,
            (Err(_), Some(introspecting)) => return Ok((introspecting, None)),
            (Err(error), None) => return Err(error),
        };
        let issuer = match (jwt.claims.get("iss"), self.introspecting()) {
            (Some(Value::String(named)), _) => self.issuer_named(named)?,
            (_, Some(introspecting)) => introspecting,
            (_, None) => return Err(TokenError::Claim("iss")),
        };
        Ok((issuer, Some(jwt)))
    }

    /// Verifies a token that is not cached.
    fn verify_uncached(
        &mut self,
        token: &BearerToken<'_>,
        client: Option<ClientNetwork>,
        now: UnixTime,
    ) -> Result<Verification, RefusedToken> {
        let (id, jwt) = self.read(token)?;
        let (issuer, source) = self.issuers.get_mut(id.0).ok_or(TokenError::Issuer)?;
        let verified = match (source, jwt) {
            (IssuerState::Introspection(introspector, _), jwt) => {
                if let Some(jwt) = jwt {
                    // Other tokens than access tokens are refused without introspection.
                    jwt.token_type()?;
                    refuse_not_access_token(&jwt.claims)?;
                }
                let Some(client) = client else {
                    return Ok(Verification::NeedsClient);
                };
                introspector.ask(token, client, now)?;
                return Ok(Verification::PendingFetch(PendingFetch::Token(
                    id,
                    token.digest(),
                )));
            }
            (IssuerState::Keys(signatures, keys), Some(jwt)) => {
                let limits = (client, &mut self.failed);
                let keys = (&*signatures, keys, self.host);
                match verify_signature(token, jwt, (issuer, id), keys, limits, now)? {
                    Checked::Verified(verified) => Rc::from(verified),
                    Checked::NeedsKeys => {
                        return Ok(Verification::PendingFetch(PendingFetch::Keys(id)));
                    }
                    Checked::NeedsClient => return Ok(Verification::NeedsClient),
                }
            }
            (IssuerState::Keys(..), None) => return Err(TokenError::Encoding.into()),
        };
        let cached = CachedToken {
            token: Rc::clone(&verified),
            until: None,
        };
        self.verified.put(token.digest(), cached);
        Ok(Verification::Verified(verified))
    }
}

#[cfg(test)]
mod tests;
