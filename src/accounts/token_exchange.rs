//! Exchanging callers' tokens for tokens that the server accepts (RFC 8693), at once or through an
//! assertion of the caller's identity (RFC 7523). Each worker remembers the results.

use std::cell::RefCell;
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::rc::Rc;

use lru::LruCache;

use super::Clients;
use crate::credential::Credential;
use base::http::{HttpRequest, HttpResponse};
use base::secret::Secret;
use oauth::TokenDigest;
pub use oauth::client::ExchangeError;
use oauth::client::{
    TokenClient, TokenExchange, TokenGrant, Tokens, read_assertion, read_exchanged, read_redeemed,
    token_request,
};

/// How many results a worker remembers.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);
/// How many tokens a worker exchanges at the same time.
const MAX_PENDING: usize = 256;

/// How long a token is used whose end is not known, in seconds.
const DEFAULT_LIFETIME_S: u64 = 60;
/// How long before its end a token is not used any more, in seconds: the server still works with it.
const EXPIRY_MARGIN_S: u64 = 30;
/// How long a result is used at least, in seconds: the requests that wait get it.
const MIN_LIFETIME_S: u64 = 2;
/// How long a refusal is used, in seconds.
const REFUSAL_LIFETIME_S: u64 = 10;
/// How long an authorization server that did not answer is not called, in seconds.
const RETRY_AFTER_S: u64 = 2;

/// Exchanges callers' tokens, each once for all requests that wait for it, and remembers the results.
pub struct TokenExchanger {
    exchange: TokenExchange,
    clients: Clients,
    state: RefCell<ExchangerState>,
}

struct ExchangerState {
    known: LruCache<TokenDigest, ExchangeResult>,
    asked: HashMap<TokenDigest, PendingExchange>,
}

/// The result of an exchange.
struct ExchangeResult {
    outcome: Result<Rc<Credential>, ExchangeError>,
    /// Until when it is used, in Unix seconds.
    until: u64,
}

/// A token that is being exchanged.
struct PendingExchange {
    /// When the token itself ends, in Unix seconds.
    ends: u64,
    stage: ExchangeStage,
}

/// How far its exchange is.
enum ExchangeStage {
    /// No request was sent.
    New(Secret),
    /// It is being exchanged.
    Exchange,
    /// Its assertion is being redeemed.
    Assertion,
}

/// How an exchange goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// With this call.
    Call(HttpRequest),
    /// It is over.
    Over(Result<(), ExchangeError>),
}

impl TokenExchanger {
    /// Exchanges tokens as the policy says.
    pub fn new(exchange: TokenExchange, clients: Clients) -> Self {
        let state = ExchangerState {
            known: LruCache::new(REMEMBERED),
            asked: HashMap::new(),
        };
        Self {
            exchange,
            clients,
            state: RefCell::new(state),
        }
    }

    /// The remembered result for a token. `now` is in Unix seconds.
    pub fn known(
        &self,
        token: &TokenDigest,
        now: u64,
    ) -> Option<Result<Rc<Credential>, ExchangeError>> {
        let state = &mut *self.state.borrow_mut();
        let known = state.known.get(token)?;
        if known.until <= now {
            state.known.pop(token);
            return None;
        }
        Some(known.outcome.clone())
    }

    /// Takes a token to be exchanged, which ends at `ends`, in Unix seconds.
    ///
    /// # Errors
    ///
    /// There are too many already.
    pub fn ask(&self, token: TokenDigest, secret: &str, ends: u64) -> Result<(), ExchangeError> {
        let state = &mut *self.state.borrow_mut();
        if state.asked.contains_key(&token) {
            return Ok(());
        }
        if state.asked.len() >= MAX_PENDING {
            return Err(ExchangeError::Busy);
        }
        let stage = ExchangeStage::New(Secret::new(secret.to_owned()));
        state.asked.insert(token, PendingExchange { ends, stage });
        Ok(())
    }

    /// The request that exchanges a token. `None`: it was sent already, or the token was not taken.
    pub fn start(&self, token: &TokenDigest) -> Option<HttpRequest> {
        let state = &mut *self.state.borrow_mut();
        let asked = state.asked.get_mut(token)?;
        match std::mem::replace(&mut asked.stage, ExchangeStage::Exchange) {
            ExchangeStage::New(secret) => {
                let exchange = &self.exchange;
                let subject = &secret;
                Some(self.request(&exchange.client, TokenGrant::Exchange { exchange, subject }))
            }
            under_way => {
                asked.stage = under_way;
                None
            }
        }
    }

    fn request(&self, client: &TokenClient, grant: TokenGrant<'_>) -> HttpRequest {
        let credentials = self.clients.credentials(client);
        token_request(client, credentials.as_ref(), grant)
    }

    /// Takes the answer to a call; `None`: there was none. `now` is when it came, in Unix seconds.
    pub fn answered(
        &self,
        token: &TokenDigest,
        answer: Option<&HttpResponse>,
        now: u64,
    ) -> Progress {
        let state = &mut *self.state.borrow_mut();
        let Some(asked) = state.asked.get_mut(token) else {
            return Progress::Over(Err(ExchangeError::Unavailable));
        };
        let outcome = match (&asked.stage, &self.exchange.id_jag) {
            (ExchangeStage::Assertion, _) => read_redeemed(answer, now),
            (_, None) => read_exchanged(answer, now),
            (_, Some(client)) => match read_assertion(answer) {
                Ok(assertion) => {
                    asked.stage = ExchangeStage::Assertion;
                    return Progress::Call(self.request(client, TokenGrant::Assertion(&assertion)));
                }
                Err(error) => Err(error),
            },
        };
        let known = ExchangeResult::of(outcome, asked.ends, now);
        let over = known.outcome.as_ref().map(|_| ()).map_err(|error| *error);
        state.asked.remove(token);
        state.known.put(*token, known);
        Progress::Over(over)
    }

    /// Presets the result for a token until `until`, in Unix seconds: for a dry run.
    pub fn preload_for_dry_run(&self, token: TokenDigest, credential: Credential, until: u64) {
        let outcome = Ok(Rc::new(credential));
        let known = ExchangeResult { outcome, until };
        self.state.borrow_mut().known.put(token, known);
    }

    /// Forgets the result for a token: the server refused it.
    pub fn forget(&self, token: &TokenDigest) {
        self.state.borrow_mut().known.pop(token);
    }
}

impl ExchangeResult {
    /// The result to remember: until shortly before its end, and no longer than the token that was
    /// exchanged.
    fn of(outcome: Result<Tokens, ExchangeError>, ends: u64, now: u64) -> Self {
        let credential = outcome.and_then(|tokens| {
            let credential = Credential::new("Bearer", tokens.access_token.reveal());
            let credential = credential.map_err(|_| ExchangeError::Format)?;
            let own = match tokens.expires {
                Some(expires) => expires.saturating_sub(EXPIRY_MARGIN_S),
                None => now.saturating_add(DEFAULT_LIFETIME_S),
            };
            Ok((Rc::new(credential), own.min(ends)))
        });
        let (outcome, until) = match credential {
            Ok((credential, until)) => (Ok(credential), until),
            Err(error) if error.is_unavailable() => (Err(error), now.saturating_add(RETRY_AFTER_S)),
            Err(error) => (Err(error), now.saturating_add(REFUSAL_LIFETIME_S)),
        };
        let until = until.max(now.saturating_add(MIN_LIFETIME_S));
        Self { outcome, until }
    }
}

/// Without the content: tokens are in it.
impl std::fmt::Debug for TokenExchanger {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("TokenExchanger")
    }
}

#[cfg(test)]
mod tests;
