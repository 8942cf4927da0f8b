//! Verifies tokens. The only place where a [`VerifiedToken`] is made.

mod check;
mod id_token;
mod logout;
mod signature;

use std::num::NonZeroUsize;
use std::rc::Rc;

use lru::LruCache;
use serde_json::Value;

use self::check::check_claims;
use self::signature::verify_signature;
use super::bearer::{BearerToken, Jwt, TokenDigest, refuse_not_access_token};
use super::dpop::{Proof, SeenProofs};
use super::error::{FetchError, SetupError, TokenError};
use super::introspection::{self, Answer, AnswerError, Introspector};
use super::issuer::{IssuerId, JwksCache, Signatures, TokenCheck, TrustedIssuer};
use super::keys::{KeySet, KeySetError};
use base::http::HttpRequest;

pub use self::check::{VerifiedToken, Vouched};
pub use self::id_token::{IdVerification, SignInAnswer, VerifiedIdToken};
pub use self::logout::{LogoutVerification, VerifiedLogout};

/// How many verified tokens a worker remembers.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);

/// The outcome of looking at a token.
#[derive(Debug)]
pub enum Verification {
    /// It is good.
    Verified(Rc<VerifiedToken>),
    /// It is not.
    Refused(TokenError),
    /// Something has to be fetched first.
    PendingFetch(PendingFetch),
}

/// What has to be fetched before a token can be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PendingFetch {
    /// An issuer's keys.
    Keys(IssuerId),
    /// An issuer's word about a token.
    Token(IssuerId, TokenDigest),
}

/// The tokens and keys one worker knows.
#[derive(Debug)]
pub struct Verifier {
    issuers: Vec<(TrustedIssuer, Source)>,
    verified: LruCache<TokenDigest, Remembered>,
    proofs: SeenProofs,
}

/// Where it is known from that an issuer made a token.
#[derive(Debug)]
enum Source {
    Keys(Signatures, JwksCache),
    /// The keys are those of ID tokens and logout tokens, and of no access token.
    Introspection(Introspector, Option<Box<(Signatures, JwksCache)>>),
}

#[derive(Debug)]
struct Remembered {
    token: Rc<VerifiedToken>,
    /// The issuer's word counts up to here. A signature lasts as long as its key.
    until: Option<u64>,
}

impl PendingFetch {
    /// Why a token is refused when this cannot be had.
    pub fn unavailable(&self) -> TokenError {
        match self {
            Self::Keys(_) => TokenError::KeysUnavailable,
            Self::Token(..) => TokenError::IntrospectionUnavailable,
        }
    }

    /// The issuer it is needed from.
    pub fn issuer(&self) -> IssuerId {
        match self {
            Self::Keys(issuer) | Self::Token(issuer, _) => *issuer,
        }
    }
}

impl Source {
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
                let name = &endpoint.client_secret_env;
                let secret = environment(name).filter(|secret| !secret.is_empty());
                let secret = secret.ok_or_else(|| SetupError::Secret(id, name.clone()))?;
                let introspector = Introspector::new(endpoint.clone(), &secret);
                let id_tokens = id_tokens.as_ref().map(keys).transpose()?.map(Box::new);
                Ok(Self::Introspection(introspector, id_tokens))
            }
        }
    }

    /// What ID tokens and logout tokens are verified with. Not for access tokens.
    fn id_token_keys(&mut self) -> Option<(&Signatures, &mut JwksCache)> {
        match self {
            Self::Keys(signatures, keys) => Some((signatures, keys)),
            Self::Introspection(_, id_tokens) => {
                let (signatures, keys) = id_tokens.as_deref_mut()?;
                Some((signatures, keys))
            }
        }
    }

    /// The keys that are fetched from the issuer.
    fn keys(&self) -> Option<&JwksCache> {
        match self {
            Self::Keys(_, keys) => Some(keys),
            Self::Introspection(_, id_tokens) => id_tokens.as_deref().map(|(_, keys)| keys),
        }
    }
}

impl Verifier {
    /// A verifier for issuers that need no secret.
    ///
    /// # Errors
    ///
    /// What is wrong with the key set the policy has for one of them.
    pub fn new(issuers: Vec<TrustedIssuer>) -> Result<Self, SetupError> {
        Self::with_environment(issuers, &|_| None)
    }

    /// A verifier for these issuers, with secrets from an environment.
    ///
    /// # Errors
    ///
    /// What is wrong with the key set the policy has for one of them, or which secret is missing.
    pub fn with_environment(
        issuers: Vec<TrustedIssuer>,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, SetupError> {
        let mut known = Vec::with_capacity(issuers.len());
        for (index, issuer) in issuers.into_iter().enumerate() {
            let source = Source::of(&issuer, IssuerId(index), environment)?;
            known.push((issuer, source));
        }
        Ok(Self {
            issuers: known,
            verified: LruCache::new(REMEMBERED),
            proofs: SeenProofs::new(),
        })
    }

    /// Looks at a token sent without a proof. `now` is in Unix seconds.
    pub fn verify(&mut self, token: &BearerToken<'_>, now: u64) -> Verification {
        match self.look(token, now) {
            Verification::Verified(token) if token.is_bound() => {
                Verification::Refused(TokenError::Bound)
            }
            verification => verification,
        }
    }

    /// Looks at a token sent with a proof, and uses the proof up.
    pub fn verify_bound(
        &mut self,
        token: &BearerToken<'_>,
        proof: &Proof<'_>,
        now: u64,
    ) -> Verification {
        let token = match self.look(token, now) {
            Verification::Verified(token) => token,
            verification => return verification,
        };
        let Some(key) = token.bound_to() else {
            return Verification::Refused(TokenError::Unbound);
        };
        let signed = proof.check_signer(key);
        match signed.and_then(|()| self.proofs.take(proof, key, now)) {
            Ok(()) => Verification::Verified(token),
            Err(error) => Verification::Refused(error.into()),
        }
    }

    /// Looks at a token by itself: whether it takes a proof is not asked.
    fn look(&mut self, token: &BearerToken<'_>, now: u64) -> Verification {
        if let Some(verification) = self.recall(&token.digest(), now) {
            return verification;
        }
        self.verify_unknown(token, now)
            .unwrap_or_else(Verification::Refused)
    }

    /// A token that was verified before.
    fn recall(&mut self, digest: &TokenDigest, now: u64) -> Option<Verification> {
        let known = self.verified.get(digest)?;
        let (issuer, source) = self.issuers.get_mut(known.token.issuer().0)?;
        let counts = match source {
            Source::Keys(_, keys) => keys.in_use(now),
            Source::Introspection(..) => known.until.is_some_and(|until| now <= until),
        };
        if !counts {
            return None;
        }
        Some(match known.token.check_times(issuer.clock_skew, now) {
            Ok(()) => Verification::Verified(Rc::clone(&known.token)),
            Err(error) => Verification::Refused(error),
        })
    }

    /// The keys of an issuer.
    #[cfg(test)]
    fn keys_mut(&mut self, issuer: IssuerId) -> Option<&mut JwksCache> {
        let (_, source) = self.issuers.get_mut(issuer.0)?;
        source.id_token_keys().map(|(_, keys)| keys)
    }

    /// The call that fetches what is needed. `None`: it is under way, or nobody waits for it.
    pub fn start(&mut self, need: PendingFetch) -> Option<HttpRequest> {
        match (need, &mut self.issuers.get_mut(need.issuer().0)?.1) {
            (PendingFetch::Keys(_), source) => source.id_token_keys()?.1.start_call(),
            (PendingFetch::Token(_, digest), Source::Introspection(introspector, _)) => {
                introspector.start(&digest)
            }
            (PendingFetch::Token(..), Source::Keys(..)) => None,
        }
    }

    /// Takes the body of the answer, or `None` if there was none. `jitter` between 0.5 and 1
    /// spreads the next fetches of keys.
    ///
    /// # Errors
    ///
    /// What was fetched is of no use.
    pub fn fetched(
        &mut self,
        need: PendingFetch,
        document: Option<&[u8]>,
        now: u64,
        jitter: f64,
    ) -> Result<(), FetchError> {
        match need {
            PendingFetch::Keys(issuer) => self.keys_fetched(issuer, document, now, jitter)?,
            PendingFetch::Token(issuer, digest) => {
                self.introspected(issuer, digest, document, now)?
            }
        }
        Ok(())
    }

    /// Issuers whose keys the timer should fetch now.
    pub fn due(&self, now: u64) -> Vec<IssuerId> {
        let due = |(index, (_, source)): (usize, &(_, Source))| {
            let keys = source.keys()?;
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

    /// Takes an issuer's answer about a token (RFC 7662 section 2.2).
    fn introspected(
        &mut self,
        id: IssuerId,
        digest: TokenDigest,
        document: Option<&[u8]>,
        now: u64,
    ) -> Result<(), AnswerError> {
        let Some((issuer, Source::Introspection(introspector, _))) = self.issuers.get_mut(id.0)
        else {
            return Ok(());
        };
        let (token, outcome) = match document.map(introspection::read) {
            Some(Ok(Answer::Active(claims))) => {
                let token = introspection::check_answer(&claims, &issuer.issuer)
                    .and_then(|()| check_claims(&claims, Vouched::Introspection, issuer, id, now));
                (token, Ok(()))
            }
            Some(Ok(Answer::Inactive)) => (Err(TokenError::Inactive), Ok(())),
            Some(Err(error)) => (Err(TokenError::IntrospectionUnavailable), Err(error)),
            None => (Err(TokenError::IntrospectionUnavailable), Ok(())),
        };
        introspector.finish(digest, token.as_ref().err().copied(), now);
        match token {
            Ok(token) => {
                let remembered = Remembered {
                    token: Rc::new(token),
                    until: Some(now.saturating_add(introspector.cache())),
                };
                self.verified.put(digest, remembered);
            }
            Err(_) => drop(self.verified.pop(&digest)),
        }
        outcome
    }

    fn issuer_named(&self, name: &str) -> Result<IssuerId, TokenError> {
        self.issuers
            .iter()
            .position(|(issuer, _)| issuer.issuer == name)
            .map(IssuerId)
            .ok_or(TokenError::Issuer)
    }

    /// The issuer that is asked about tokens that do not name theirs.
    fn introspecting(&self) -> Option<IssuerId> {
        let asked = |(_, source): &(_, Source)| matches!(source, Source::Introspection(..));
        self.issuers.iter().position(asked).map(IssuerId)
    }

    /// Whose token it is, and what can be read of it.
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

    /// Verifies a token that was not seen before.
    fn verify_unknown(
        &mut self,
        token: &BearerToken<'_>,
        now: u64,
    ) -> Result<Verification, TokenError> {
        let (id, jwt) = self.read(token)?;
        let (issuer, source) = self.issuers.get_mut(id.0).ok_or(TokenError::Issuer)?;
        let verified = match (source, jwt) {
            (Source::Introspection(introspector, _), jwt) => {
                if let Some(jwt) = jwt {
                    // What is plainly no access token is not asked about.
                    jwt.token_type()?;
                    refuse_not_access_token(&jwt.claims)?;
                }
                introspector.ask(token, now)?;
                return Ok(Verification::PendingFetch(PendingFetch::Token(
                    id,
                    token.digest(),
                )));
            }
            (Source::Keys(signatures, keys), Some(jwt)) => {
                match verify_signature(token, jwt, (issuer, id), (signatures, keys), now)? {
                    Some(verified) => Rc::new(verified),
                    None => return Ok(Verification::PendingFetch(PendingFetch::Keys(id))),
                }
            }
            (Source::Keys(..), None) => return Err(TokenError::Encoding),
        };
        let remembered = Remembered {
            token: Rc::clone(&verified),
            until: None,
        };
        self.verified.put(token.digest(), remembered);
        Ok(Verification::Verified(verified))
    }
}

#[cfg(test)]
mod tests;
