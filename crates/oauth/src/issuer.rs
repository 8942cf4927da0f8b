//! The issuers a policy trusts, and when their key sets are fetched.

use std::time::Duration;

use super::algorithm::{Algorithm, TokenType};
use super::claims::ClaimPaths;
use super::delegation::Delegation;
use super::introspection::Introspection;
use super::keys::{KeySet, KeySetError};
use base::http::HttpRequest;

/// An unknown `kid` leads to at most one fetch in this time, whatever clients send.
const REFETCH_PAUSE: u64 = 30;
/// After a failed fetch the next one waits this long.
const RETRY_PAUSE: u64 = 5;

/// The position of an issuer in the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IssuerId(pub usize);

/// An issuer and what is accepted from it.
#[derive(Debug, Clone)]
pub struct TrustedIssuer {
    /// The exact `iss` claim.
    pub issuer: String,
    /// Audiences, one of which a token must have.
    pub audiences: Vec<String>,
    /// Which claims say who is calling.
    pub claims: ClaimPaths,
    /// How far its clock may be off.
    pub clock_skew: Duration,
    /// The longest accepted time between now and `exp`.
    pub max_lifetime: Duration,
    /// Whether somebody may act for the caller.
    pub delegation: Delegation,
    /// How it is known that a token is its own.
    pub check: TokenCheck,
}

/// How it is known that an issuer made a token.
#[derive(Debug, Clone)]
pub enum TokenCheck {
    /// The issuer is asked. Its signatures, if any are known, are those of ID tokens and logout tokens:
    /// no access token is accepted for one.
    Introspection(Introspection, Option<Signatures>),
    /// By the signature.
    Signature(Signatures),
}

/// Which signatures are accepted from an issuer.
#[derive(Debug, Clone)]
pub struct Signatures {
    /// Accepted signature algorithms.
    pub algorithms: Vec<Algorithm>,
    /// Accepted `typ` headers.
    pub types: Vec<TokenType>,
    /// Where its keys come from.
    pub keys: KeySource,
}

/// Where keys come from.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// Written into the policy: a key set document.
    Inline(String),
    /// Fetched with the host's HTTP call.
    Fetch(KeyFetch),
}

/// How a key set is fetched.
#[derive(Debug, Clone)]
pub struct KeyFetch {
    /// The host's name for the server: an Envoy cluster.
    pub cluster: String,
    /// The path, with its query.
    pub path: String,
    /// The `:authority` header.
    pub authority: String,
    /// Fetched again after this time.
    pub refresh: Duration,
    /// Used for this long while it cannot be fetched again.
    pub keep: Duration,
}

/// The keys of one issuer, as one worker knows them.
#[derive(Debug)]
pub struct JwksCache {
    keys: Option<KeySet>,
    fetch: Option<KeyFetch>,
    /// When the keys were fetched, in Unix seconds.
    fetched: u64,
    /// No fetch before this time, in Unix seconds.
    not_before: u64,
    /// When the keys are fetched again unasked.
    refresh_at: u64,
    in_flight: bool,
    /// Whether any request needed the keys since they were fetched: a worker without requests,
    /// and Envoy's main thread, leave the issuer alone.
    used: bool,
}

/// What is to be done for a token's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyState {
    /// It is there.
    Known,
    /// It may be there after a fetch.
    Fetch,
    /// There are keys, and it is not among them.
    Unknown,
    /// There are no keys that may be used.
    Unavailable,
}

impl JwksCache {
    /// The keys of an issuer before anything was fetched.
    ///
    /// # Errors
    ///
    /// A key set written into the policy is not usable.
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

    /// Takes the one fetch that may be under way. Keys of the policy itself have none.
    pub fn start_fetch(&mut self) -> bool {
        self.fetch.is_some() && !std::mem::replace(&mut self.in_flight, true)
    }

    /// Takes the one fetch that may be under way, as the call to make.
    pub(super) fn start_call(&mut self) -> Option<HttpRequest> {
        if !self.start_fetch() {
            return None;
        }
        let fetch = self.fetch.as_ref()?;
        Some(HttpRequest {
            cluster: fetch.cluster.clone(),
            headers: vec![
                (":method", "GET".to_owned()),
                (":path", fetch.path.clone()),
                (":authority", fetch.authority.clone()),
                (
                    "accept",
                    "application/json, application/jwk-set+json".to_owned(),
                ),
            ],
            body: Vec::new(),
        })
    }

    /// Takes the answer of a fetch. A failed one leaves the keys that are there.
    pub fn finish_fetch(&mut self, keys: Option<KeySet>, now: u64, jitter: f64) {
        self.in_flight = false;
        let Some(fetch) = &self.fetch else { return };
        let refresh = fetch.refresh.mul_f64(jitter.clamp(0.5, 1.0)).as_secs();
        if let Some(keys) = keys {
            self.keys = Some(keys);
            self.fetched = now;
            self.not_before = now.saturating_add(REFETCH_PAUSE);
            self.refresh_at = now.saturating_add(refresh.max(1));
            self.used = false;
        } else {
            self.not_before = now.saturating_add(RETRY_PAUSE);
            self.refresh_at = self.not_before;
        }
    }

    /// Whether these are the keys that are there.
    pub(super) fn holds(&self, keys: &KeySet) -> bool {
        self.keys
            .as_ref()
            .is_some_and(|own| own.digest() == keys.digest())
    }

    /// Whether the timer should fetch the keys again now.
    pub fn is_due(&self, now: u64) -> bool {
        self.fetch.is_some() && self.used && !self.in_flight && now >= self.refresh_at
    }

    /// The keys, if they are not older than the policy accepts.
    pub(super) fn current(&self, now: u64) -> Option<&KeySet> {
        let keep = self
            .fetch
            .as_ref()
            .map_or(u64::MAX, |fetch| fetch.keep.as_secs());
        self.keys
            .as_ref()
            .filter(|_| self.fetched.saturating_add(keep) >= now)
    }

    /// Whether there are keys that may be used, noting that a request wants them.
    pub(super) fn in_use(&mut self, now: u64) -> bool {
        self.used = true;
        self.current(now).is_some()
    }

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
