//! The issuers of a policy, and the cache of their key sets.

use std::time::Duration;

use super::algorithm::{Algorithm, TokenType};
use super::claims::ClaimPaths;
use super::delegation::Delegation;
use super::introspection::Introspection;
use super::key_set::{KeySet, KeySetError};
use base::http::{Endpoint, HttpRequest};

/// An unknown `kid` causes at most one fetch in this time, in seconds.
const REFETCH_PAUSE_S: u64 = 30;
/// After a failed fetch the next one waits this long, in seconds.
const RETRY_PAUSE_S: u64 = 5;

/// The position of an issuer in the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IssuerId(pub usize);

/// An issuer, and the policy for its tokens.
#[derive(Debug, Clone)]
pub struct TrustedIssuer {
    /// The exact `iss` claim.
    pub issuer: String,
    /// The accepted audiences.
    pub audiences: Vec<String>,
    /// The claims that identify the caller.
    pub claims: ClaimPaths,
    /// How far the issuer's clock may differ.
    pub clock_skew: Duration,
    /// The longest accepted time from now to `exp`.
    pub max_lifetime: Duration,
    /// Whether delegated tokens are accepted.
    pub delegation: Delegation,
    /// How the origin of a token is checked.
    pub check: TokenCheck,
}

/// How the origin of a token is checked.
#[derive(Debug, Clone)]
pub enum TokenCheck {
    /// The issuer introspects it. The signatures are for ID tokens and logout tokens only.
    Introspection(Introspection, Option<Signatures>),
    /// By its signature.
    Signature(Signatures),
}

/// The signatures that are accepted from an issuer.
#[derive(Debug, Clone)]
pub struct Signatures {
    /// Accepted signature algorithms.
    pub algorithms: Vec<Algorithm>,
    /// Accepted `typ` headers.
    pub types: Vec<TokenType>,
    /// The source of its keys.
    pub keys: KeySource,
}

/// The source of an issuer's keys.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// A key set in the policy.
    Inline(String),
    /// A URL to fetch the key set from.
    Fetch(KeyFetch),
}

/// How a key set is fetched.
#[derive(Debug, Clone)]
pub struct KeyFetch {
    /// The key set's endpoint.
    pub endpoint: Endpoint,
    /// The time between fetches.
    pub refresh: Duration,
    /// How long the key set is used if fetches fail.
    pub keep: Duration,
}

/// One worker's cache of an issuer's keys.
#[derive(Debug)]
pub struct JwksCache {
    keys: Option<KeySet>,
    fetch: Option<KeyFetch>,
    /// When the keys were fetched, in Unix seconds.
    fetched: u64,
    /// No fetch before this time, in Unix seconds.
    not_before: u64,
    /// When the timer fetches the keys again.
    refresh_at: u64,
    in_flight: bool,
    /// Whether a request has used the keys since the last fetch. A worker without requests, such as
    /// Envoy's main thread, does not fetch.
    used: bool,
}

/// The state of the key that a token names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyState {
    /// The key is in the cache.
    Known,
    /// A fetch may bring the key.
    Fetch,
    /// The cached key set does not have the key.
    Unknown,
    /// There is no usable key set.
    Unavailable,
}

impl JwksCache {
    /// A cache before the first fetch.
    ///
    /// # Errors
    ///
    /// The key set in the policy is not usable.
    pub fn new(signatures: &Signatures) -> Result<Self, KeySetError> {
        let (keys, fetch) = match &signatures.keys {
            KeySource::Inline(document) => {
                let keys = KeySet::parse(document.as_bytes(), &signatures.algorithms)?;
                (Some(keys), None)
            }
            KeySource::Fetch(fetch) => (None, Some(fetch.clone())),
        };
        Ok(Self {
            keys,
            fetch,
            fetched: 0,
            not_before: 0,
            refresh_at: u64::MAX,
            in_flight: false,
            used: false,
        })
    }

    /// How to fetch these keys.
    pub fn fetch(&self) -> Option<&KeyFetch> {
        self.fetch.as_ref()
    }

    /// Starts a fetch. False if one is in progress, or the keys are in the policy.
    pub fn start_fetch(&mut self) -> bool {
        self.fetch.is_some() && !std::mem::replace(&mut self.in_flight, true)
    }

    /// Starts a fetch and returns its request.
    pub(super) fn start_call(&mut self) -> Option<HttpRequest> {
        if !self.start_fetch() {
            return None;
        }
        let fetch = self.fetch.as_ref()?;
        Some(fetch.endpoint.get_key_set())
    }

    /// Ends a fetch. If it failed (`None`), the cached keys stay. `jitter` spreads the next fetches.
    pub fn finish_fetch(&mut self, keys: Option<KeySet>, now: u64, jitter: f64) {
        self.in_flight = false;
        let Some(fetch) = &self.fetch else { return };
        let refresh = fetch.refresh.mul_f64(jitter.clamp(0.5, 1.0)).as_secs();
        if let Some(keys) = keys {
            self.keys = Some(keys);
            self.fetched = now;
            self.not_before = now.saturating_add(REFETCH_PAUSE_S);
            self.refresh_at = now.saturating_add(refresh.max(1));
            self.used = false;
        } else {
            self.not_before = now.saturating_add(RETRY_PAUSE_S);
            self.refresh_at = self.not_before;
        }
    }

    /// Whether the cache holds this key set.
    pub(super) fn holds(&self, keys: &KeySet) -> bool {
        self.keys
            .as_ref()
            .is_some_and(|own| own.digest() == keys.digest())
    }

    /// Whether the timer should fetch the keys now.
    pub fn is_due(&self, now: u64) -> bool {
        self.fetch.is_some() && self.used && !self.in_flight && now >= self.refresh_at
    }

    /// The keys, unless they are older than the policy accepts.
    pub(super) fn current(&self, now: u64) -> Option<&KeySet> {
        let keep = self
            .fetch
            .as_ref()
            .map_or(u64::MAX, |fetch| fetch.keep.as_secs());
        self.keys
            .as_ref()
            .filter(|_| self.fetched.saturating_add(keep) >= now)
    }

    /// Marks the keys as used. Returns whether there is a usable key set.
    pub(super) fn in_use(&mut self, now: u64) -> bool {
        self.used = true;
        self.current(now).is_some()
    }

    /// The state of a key, and marks the keys as used.
    pub(super) fn state(&mut self, algorithm: Algorithm, kid: Option<&str>, now: u64) -> KeyState {
        self.used = true;
        let keys = self.current(now);
        if keys.is_some_and(|keys| keys.knows(algorithm, kid)) {
            return KeyState::Known;
        }
        let may_fetch = self.fetch.is_some() && (self.in_flight || now >= self.not_before);
        match keys {
            _ if may_fetch => KeyState::Fetch,
            Some(_) => KeyState::Unknown,
            None => KeyState::Unavailable,
        }
    }
}
