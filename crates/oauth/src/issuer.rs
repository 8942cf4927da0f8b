//! The issuers of a policy, and the cache of their key sets.

use std::time::Duration;

use super::algorithm::{Algorithm, TokenType};
use super::claims::{ClaimPath, ClaimPaths};
use super::delegation::Delegation;
use super::error::TokenError;
use super::introspection::Introspection;
use super::key_set::{KeySet, KeySetError};
use base::http::{Endpoint, HttpRequest};
use base::time::UnixTime;

/// Unknown `kid`s cause at most one fetch in this time (seconds), for any number of tokens, and this number of
/// fetches at once after a quiet time.
const REFETCH_PAUSE_SECS: u64 = 30;
const REFETCH_BURST: u64 = 3;
/// A key set of this age is current: a token whose key is missing in it has no key.
const CURRENT: Duration = Duration::from_secs(1);
/// After a failed fetch the next one waits this long. The wait doubles with each further failure, up to the
/// maximum.
const RETRY_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_RETRY_PAUSE: Duration = Duration::from_secs(60);

/// Stands for a tenant in the name of an issuer, as in the metadata of Microsoft Entra.
pub const TENANT_PLACEHOLDER: &str = "{tenantid}";

/// The position of an issuer in the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IssuerId(pub usize);

/// An issuer, and the policy for its tokens.
#[derive(Debug, Clone)]
pub struct TrustedIssuer {
    /// The exact `iss` claim. With `tenants` it has [`TENANT_PLACEHOLDER`] in place of a tenant.
    pub issuer: String,
    /// The tenants whose tokens are accepted.
    pub tenants: Vec<String>,
    /// The authorization server that the metadata of the resource names.
    pub authorization_server: String,
    /// The accepted audiences.
    pub audiences: Vec<String>,
    /// The clients whose tokens are accepted without `aud`.
    pub without_audience: Option<AcceptedClients>,
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

/// The clients whose tokens need no `aud`, because the issuer writes none (Amazon Cognito).
#[derive(Debug, Clone)]
pub struct AcceptedClients {
    /// The claim that names the client.
    pub claim: ClaimPath,
    /// Its accepted values.
    pub values: Vec<String>,
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
    /// When the keys were fetched.
    fetched: UnixTime,
    /// No fetch before this time.
    not_before: UnixTime,
    /// When the timer fetches the keys again.
    refresh_at: UnixTime,
    /// The number of failed fetches since the last successful one.
    failures: u32,
    /// The number of fetches for unknown `kid`s that are allowed, at the time `refilled`.
    refetches: u64,
    refilled: UnixTime,
    in_flight: bool,
    /// Whether a request has used the keys since the last fetch. A worker without requests, such as
    /// Envoy's main thread, does not fetch.
    used: bool,
}

impl TrustedIssuer {
    /// Whether a token with this `iss` is of this issuer, and of an accepted tenant.
    pub fn is_named(&self, iss: &str) -> bool {
        match self.named_tenant(iss) {
            Some(tenant) => self.tenants.iter().any(|accepted| accepted == tenant),
            None => self.tenants.is_empty() && self.issuer == iss,
        }
    }

    /// The tenant in an `iss`, accepted or not. `None`: it is of another issuer, or this one has no tenants.
    pub fn named_tenant<'i>(&self, iss: &'i str) -> Option<&'i str> {
        if self.tenants.is_empty() {
            return None;
        }
        let (before, after) = self.issuer.split_once(TENANT_PLACEHOLDER)?;
        iss.strip_prefix(before)?.strip_suffix(after)
    }
}

/// Whether a time was reached. A time that is further ahead than it can be also counts as reached: the
/// clock was set back.
fn is_reached(at: UnixTime, period: Duration, now: UnixTime) -> bool {
    now >= at || at > now.saturating_add(period)
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
            fetched: UnixTime::default(),
            not_before: UnixTime::default(),
            refresh_at: UnixTime::MAX,
            failures: 0,
            refetches: REFETCH_BURST,
            refilled: UnixTime::default(),
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
    pub fn finish_fetch(&mut self, keys: Option<KeySet>, now: UnixTime, jitter: f64) {
        self.in_flight = false;
        let Some(fetch) = &self.fetch else { return };
        let refresh = fetch.refresh.mul_f64(jitter.clamp(0.5, 1.0)).as_secs();
        // The timer does not fetch again until a request needs the keys.
        self.used = false;
        if let Some(keys) = keys {
            self.keys = Some(keys);
            self.fetched = now;
            self.failures = 0;
            self.not_before = now;
            self.refresh_at = now.saturating_add(Duration::from_secs(refresh.max(1)));
            self.refill(now);
            self.refetches = self.refetches.saturating_sub(1);
        } else {
            let pause = RETRY_PAUSE.saturating_mul(1 << self.failures.min(8));
            self.failures = self.failures.saturating_add(1);
            self.not_before = now.saturating_add(pause.min(LONGEST_RETRY_PAUSE));
            self.refresh_at = self.not_before;
        }
    }

    fn refill(&mut self, now: UnixTime) {
        if self.refilled > now {
            self.refilled = now;
        }
        let earned = now.since(self.refilled).as_secs() / REFETCH_PAUSE_SECS;
        if earned > 0 {
            self.refetches = self.refetches.saturating_add(earned).min(REFETCH_BURST);
            self.refilled = now;
        }
    }

    /// Whether the cache has these keys.
    pub(super) fn holds(&self, keys: &KeySet) -> bool {
        self.keys
            .as_ref()
            .is_some_and(|own| own.digest() == keys.digest())
    }

    /// Whether the timer should fetch the keys now.
    pub fn is_due(&self, now: UnixTime) -> bool {
        let Some(fetch) = &self.fetch else {
            return false;
        };
        let period = fetch.refresh.max(LONGEST_RETRY_PAUSE);
        self.used && !self.in_flight && is_reached(self.refresh_at, period, now)
    }

    /// The keys, unless they are older than the policy accepts.
    pub(super) fn current(&self, now: UnixTime) -> Option<&KeySet> {
        let keep = self
            .fetch
            .as_ref()
            .map_or(Duration::MAX, |fetch| fetch.keep);
        self.keys
            .as_ref()
            .filter(|_| self.fetched.saturating_add(keep) >= now)
    }

    /// Marks the keys as used. Returns whether there is a usable key set.
    pub(super) fn in_use(&mut self, now: UnixTime) -> bool {
        self.note_use(now);
        self.current(now).is_some()
    }

    fn note_use(&mut self, now: UnixTime) {
        self.used = true;
        // The keys are from the future: the clock was set back. They would be kept for too long.
        self.fetched = self.fetched.min(now);
    }

    /// Whether the cache has the key of a token. False: a fetch may bring it.
    ///
    /// # Errors
    ///
    /// The key is missing, and a fetch cannot change that, or not now.
    pub(super) fn state(
        &mut self,
        algorithm: Algorithm,
        kid: Option<&str>,
        now: UnixTime,
    ) -> Result<bool, TokenError> {
        let is_recent = self.fetched.abs_diff(now) <= CURRENT;
        self.note_use(now);
        self.refill(now);
        let keys = self.current(now);
        if let Some(keys) = keys
            && keys.knows(algorithm, kid)
        {
            return match kid.is_none() && keys.needs_key_id(algorithm) {
                true => Err(TokenError::KeyUnnamed),
                false => Ok(true),
            };
        }
        if self.fetch.is_none() {
            return Err(TokenError::Key);
        }
        let has_keys = keys.is_some();
        let may_fetch = is_reached(self.not_before, LONGEST_RETRY_PAUSE, now);
        match has_keys {
            _ if self.in_flight => Ok(false),
            true if is_recent && self.failures == 0 => Err(TokenError::Key),
            true if may_fetch && self.refetches > 0 => Ok(false),
            true => Err(TokenError::KeySetNotCurrent),
            false if may_fetch => Ok(false),
            false => Err(TokenError::KeysUnavailable),
        }
    }
}
