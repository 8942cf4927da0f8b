//! Introspection: the issuer is asked about each opaque token (RFC 7662). Its response is cached.

mod response;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use lru::LruCache;

use super::bearer::{BearerToken, TokenDigest};
use super::client::{
    ClientAuth, ClientCredentials, ClientKey, ClientKeyError, SecretMethod, TokenClient,
    authenticated,
};
use super::client_network::ClientNetwork;
use super::error::TokenError;
use super::refused::RefusedToken;
use base::http::HttpRequest;
use base::secret::Secret;
use base::time::UnixTime;

pub use response::IntrospectionError;
pub(super) use response::{IntrospectionResponse, check_response, read};

/// The number of tokens that a worker introspects at a time. A client can invent any number of tokens,
/// and each would cause a request.
const MAX_INTROSPECTIONS: usize = 32;
/// The maximum number of tokens that wait for introspection: of all networks, and of one network of
/// clients.
const MAX_PENDING_TOKENS: usize = 256;
const MAX_PENDING_TOKENS_OF_NETWORK: usize = 192;
/// Pending tokens are dropped after this time: no request takes so long.
const PENDING_TIMEOUT: Duration = Duration::from_secs(30);
/// The number of refused tokens that a worker remembers.
const MAX_REFUSED_TOKENS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);
/// How long a refused token is remembered.
const REFUSED_CACHE: Duration = Duration::from_secs(30);
/// After a failed request the token is introspected again after this time.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// How an issuer introspects tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introspection {
    /// The introspection endpoint, and this filter as a client there. It is no public client.
    pub client: TokenClient,
    /// How long a response is cached.
    pub cache: Duration,
}

/// The tokens that one worker asks an issuer about, and those it refused.
#[derive(Debug)]
pub(super) struct Introspector {
    introspection: Introspection,
    credentials: IntrospectionCredentials,
    pending: HashMap<TokenDigest, PendingToken>,
    refused: LruCache<TokenDigest, (RefusedToken, UnixTime)>,
}

/// How the filter authenticates at the issuer.
#[derive(Debug)]
enum IntrospectionCredentials {
    /// The same for each request.
    Secret(ClientCredentials),
    /// A new assertion for each request. `None`: there is no source of random bytes.
    Key(Box<ClientKey>, Option<fn() -> Option<[u8; 32]>>),
}

#[derive(Debug)]
struct PendingToken {
    token: Secret,
    client: ClientNetwork,
    asked: UnixTime,
    requested: bool,
}

/// The next step of a fetch.
#[derive(Debug, PartialEq, Eq)]
pub enum FetchStart {
    /// Send this request.
    Call(HttpRequest),
    /// Other requests come first: try again in a moment.
    Later,
    /// Nothing: the fetch was started, or is not needed.
    Nothing,
}

impl Introspector {
    /// `secret` is the client's secret or private key.
    pub(super) fn new(introspection: Introspection, secret: &str) -> Result<Self, ClientKeyError> {
        let client = &introspection.client;
        let credentials = match &client.auth {
            ClientAuth::Key { .. } => {
                IntrospectionCredentials::Key(Box::new(ClientKey::read(secret)?), None)
            }
            ClientAuth::Secret { method, .. } => {
                let credentials = ClientCredentials::of_secret(&client.client_id, secret, *method);
                IntrospectionCredentials::Secret(credentials)
            }
            ClientAuth::Public => {
                let (id, basic) = (&client.client_id, SecretMethod::Basic);
                IntrospectionCredentials::Secret(ClientCredentials::of_secret(id, secret, basic))
            }
        };
        Ok(Self {
            credentials,
            introspection,
            pending: HashMap::new(),
            refused: LruCache::new(MAX_REFUSED_TOKENS),
        })
    }

    /// Sets the source of the ids of assertions.
    pub(super) fn set_random(&mut self, random: fn() -> Option<[u8; 32]>) {
        if let IntrospectionCredentials::Key(_, source) = &mut self.credentials {
            *source = Some(random);
        }
    }

    /// The credentials for a request. `None`: the request is refused by the issuer.
    fn credentials(&self, now: UnixTime) -> Option<ClientCredentials> {
        let client = &self.introspection.client;
        match (&self.credentials, &client.auth) {
            (IntrospectionCredentials::Secret(credentials), _) => Some(credentials.clone()),
            (IntrospectionCredentials::Key(key, random), ClientAuth::Key { audience, .. }) => {
                let id = (*random)?()?;
                let assertion = key.assertion(&client.client_id, audience, &id, now);
                assertion.ok().map(ClientCredentials::Assertion)
            }
            _ => None,
        }
    }

    /// How long a response is cached.
    pub(super) fn cache(&self) -> Duration {
        self.introspection.cache
    }

    /// Adds a token to ask about, unless the issuer refused it a moment ago. `client` is the network that
    /// sends it.
    pub(super) fn ask(
        &mut self,
        token: &BearerToken<'_>,
        client: ClientNetwork,
        now: UnixTime,
    ) -> Result<(), RefusedToken> {
        let digest = token.digest();
        match self.refused.peek(&digest) {
            Some((refused, until))
                if now <= *until && *until <= now.saturating_add(REFUSED_CACHE) =>
            {
                return Err(refused.clone());
            }
            _ => {}
        }
        if self.pending.contains_key(&digest) {
            return Ok(());
        }
        if !self.has_room(client) {
            self.pending
                .retain(|_, pending| now.abs_diff(pending.asked) <= PENDING_TIMEOUT);
        }
        if !self.has_room(client) {
            return Err(TokenError::IntrospectionBusy.into());
        }
        let pending = PendingToken {
            token: Secret::new(token.secret().to_owned()),
            client,
            asked: now,
            requested: false,
        };
        self.pending.insert(digest, pending);
        Ok(())
    }

    fn has_room(&self, client: ClientNetwork) -> bool {
        let of_network = |pending: &&PendingToken| pending.client == client;
        let own = self.pending.values().filter(of_network).count();
        self.pending.len() < MAX_PENDING_TOKENS && own < MAX_PENDING_TOKENS_OF_NETWORK
    }

    /// Whether it is a network's turn: no waiting network has fewer calls.
    fn is_turn(&self, client: ClientNetwork) -> bool {
        let mut calls: HashMap<ClientNetwork, usize> = HashMap::new();
        for pending in self.pending.values().filter(|pending| pending.requested) {
            let calls = calls.entry(pending.client).or_default();
            *calls = calls.saturating_add(1);
        }
        if calls.values().sum::<usize>() >= MAX_INTROSPECTIONS {
            return false;
        }
        let calls = |client| calls.get(&client).copied().unwrap_or(0);
        let own = calls(client);
        let mut waiting = self.pending.values().filter(|pending| !pending.requested);
        waiting.all(|pending| own <= calls(pending.client))
    }

    /// The introspection request for a token (RFC 7662 section 2.1), once for all waiting requests.
    pub(super) fn start(&mut self, digest: &TokenDigest) -> FetchStart {
        let client = match self.pending.get(digest) {
            Some(pending) if !pending.requested => pending.client,
            _ => return FetchStart::Nothing,
        };
        if !self.is_turn(client) {
            return FetchStart::Later;
        }
        let Some(pending) = self.pending.get_mut(digest) else {
            return FetchStart::Nothing;
        };
        pending.requested = true;
        let (token, asked) = (pending.token.clone(), pending.asked);
        let credentials = self.credentials(asked);
        let client = &self.introspection.client;
        let form = [
            ("token", Some(token.reveal())),
            ("token_type_hint", Some("access_token")),
        ];
        let client_id = client.client_id.as_str();
        let request = authenticated(&client.endpoint, (client_id, credentials.as_ref()), &form);
        FetchStart::Call(request)
    }

    /// Ends the introspection of a token. `refused` is remembered for a moment.
    pub(super) fn finish(
        &mut self,
        digest: TokenDigest,
        refused: Option<RefusedToken>,
        now: UnixTime,
    ) {
        self.pending.remove(&digest);
        let Some(refused) = refused else {
            return;
        };
        let pause = match refused.error {
            TokenError::IntrospectionUnavailable => RETRY_PAUSE,
            _ => REFUSED_CACHE,
        };
        self.refused
            .put(digest, (refused, now.saturating_add(pause)));
    }
}

#[cfg(test)]
mod tests;
