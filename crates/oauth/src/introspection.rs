//! Introspection: the issuer is asked about each opaque token (RFC 7662). Its response is cached.

mod response;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use lru::LruCache;
use url::form_urlencoded::Serializer;

use super::bearer::{BearerToken, TokenDigest};
use super::client_network::ClientNetwork;
use super::error::TokenError;
use super::refused::RefusedToken;
use base::http::{Endpoint, HttpRequest};
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
    /// The introspection endpoint.
    pub endpoint: Endpoint,
    /// The client id this filter has at the issuer.
    pub client_id: String,
    /// The environment variable that holds its secret.
    pub client_secret_env: String,
    /// How long a response is cached.
    pub cache: Duration,
}

/// The tokens that one worker asks an issuer about, and those it refused.
#[derive(Debug)]
pub(super) struct Introspector {
    introspection: Introspection,
    authorization: Secret,
    pending: HashMap<TokenDigest, PendingToken>,
    refused: LruCache<TokenDigest, (RefusedToken, UnixTime)>,
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
    pub(super) fn new(introspection: Introspection, client_secret: &str) -> Self {
        Self {
            authorization: Secret::basic(&introspection.client_id, client_secret),
            introspection,
            pending: HashMap::new(),
            refused: LruCache::new(MAX_REFUSED_TOKENS),
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
        let body = Serializer::new(String::new())
            .append_pair("token", pending.token.reveal())
            .append_pair("token_type_hint", "access_token")
            .finish();
        let endpoint = &self.introspection.endpoint;
        FetchStart::Call(endpoint.post(body, Some(&self.authorization)))
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
