//! Exchanging callers' tokens for tokens that the server accepts (RFC 8693), at once or through an
//! assertion of the caller's identity (RFC 7523). Each worker remembers the results.

use std::cell::RefCell;
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::time::Duration;

use lru::LruCache;

use super::Clients;
use crate::credential::Credential;
use base::http::{HttpRequest, HttpResponse};
use base::secret::Secret;
use base::time::UnixTime;
use oauth::TokenDigest;
pub use oauth::client::ExchangeError;
use oauth::client::{
    TokenClient, TokenExchange, TokenGrant, Tokens, read_assertion, read_exchanged, read_redeemed,
    token_request,
};

/// The number of results that a worker remembers.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);
/// The number of tokens that a worker exchanges at a time.
const MAX_PENDING: usize = 256;
/// The number of tokens of one user among them: a user can have many tokens.
const MAX_PENDING_OF_USER: usize = 16;

/// How long a token without a known end is used.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(60);
/// A token is not used this long before its end: the server works with it for a while.
const EXPIRY_MARGIN: Duration = Duration::from_secs(30);
/// The minimum time for which a result is used, so that the waiting requests get it.
const MIN_LIFETIME: Duration = Duration::from_secs(2);
/// How long a refusal is used.
const REFUSAL_LIFETIME: Duration = Duration::from_secs(10);
/// An authorization server that did not answer is not called again for this time.
const RETRY_AFTER: Duration = Duration::from_secs(2);

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
    /// The end of its use.
    until: UnixTime,
}

/// A token that is being exchanged.
struct PendingExchange {
    /// The user of the token: the `iss` and the user id.
    user: (String, String),
    /// When the token itself ends.
    ends: UnixTime,
    stage: ExchangeStage,
}

/// The state of its exchange.
enum ExchangeStage {
    /// No request was sent.
    New(Secret),
    /// It is being exchanged.
    Exchange,
    /// Its assertion is being redeemed.
    Assertion,
}

/// The next step of an exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Send this request.
    Call(HttpRequest),
    /// The exchange has ended.
    Over(Result<(), ExchangeError>),
}

impl TokenExchanger {
    /// An exchanger for the policy's token exchange.
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

    /// The remembered result for a token.
    pub fn known(
        &self,
        token: &TokenDigest,
        now: UnixTime,
    ) -> Option<Result<Rc<Credential>, ExchangeError>> {
        let state = &mut *self.state.borrow_mut();
        let known = state.known.get(token)?;
        if known.until <= now {
            state.known.pop(token);
            return None;
        }
        Some(known.outcome.clone())
    }

    /// Takes a token to be exchanged, which ends at `ends`. `user` is its `iss` and user id.
    ///
    /// # Errors
    ///
    /// Too many tokens are being exchanged, of all users or of this one.
    pub fn ask(
        &self,
        token: TokenDigest,
        secret: &str,
        ends: UnixTime,
        user: (&str, &str),
    ) -> Result<(), ExchangeError> {
        let state = &mut *self.state.borrow_mut();
        if state.asked.contains_key(&token) {
            return Ok(());
        }
        let user = (user.0.to_owned(), user.1.to_owned());
        let of_user = state.asked.values().filter(|asked| asked.user == user);
        if state.asked.len() >= MAX_PENDING || of_user.count() >= MAX_PENDING_OF_USER {
            return Err(ExchangeError::Busy);
        }
        let stage = ExchangeStage::New(Secret::new(secret.to_owned()));
        state
            .asked
            .insert(token, PendingExchange { user, ends, stage });
        Ok(())
    }

    /// The request that exchanges a token. `None`: it was sent already, or the token was not taken.
    pub fn start(&self, token: &TokenDigest, now: UnixTime) -> Option<HttpRequest> {
        let state = &mut *self.state.borrow_mut();
        let asked = state.asked.get_mut(token)?;
        match std::mem::replace(&mut asked.stage, ExchangeStage::Exchange) {
            ExchangeStage::New(secret) => {
                let exchange = &self.exchange;
                let subject = &secret;
                let grant = TokenGrant::Exchange { exchange, subject };
                Some(self.request(&exchange.client, grant, now))
            }
            under_way => {
                asked.stage = under_way;
                None
            }
        }
    }

    fn request(&self, client: &TokenClient, grant: TokenGrant<'_>, now: UnixTime) -> HttpRequest {
        let credentials = self.clients.credentials(client, now);
        token_request(client, credentials.as_ref(), grant)
    }

    /// Takes the answer to a request. `None`: there was none. `now` is its arrival.
    pub fn answered(
        &self,
        token: &TokenDigest,
        answer: Option<&HttpResponse>,
        now: UnixTime,
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
                    let grant = TokenGrant::Assertion(&assertion);
                    return Progress::Call(self.request(client, grant, now));
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

    /// Presets the result for a token until `until`, for a dry run.
    pub fn preload_for_dry_run(&self, token: TokenDigest, credential: Credential, until: UnixTime) {
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
    /// The result to remember, until shortly before its end, and not longer than the exchanged token.
    fn of(outcome: Result<Tokens, ExchangeError>, ends: UnixTime, now: UnixTime) -> Self {
        let credential = outcome.and_then(|tokens| {
            let credential = Credential::new("Bearer", tokens.access_token.reveal());
            let credential = credential.map_err(|_| ExchangeError::Format)?;
            let own = match tokens.expires {
                Some(expires) => expires.saturating_sub(EXPIRY_MARGIN),
                None => now.saturating_add(DEFAULT_LIFETIME),
            };
            Ok((Rc::new(credential), own.min(ends)))
        });
        let (outcome, until) = match credential {
            Ok((credential, until)) => (Ok(credential), until),
            Err(error) if error.is_unavailable() => (Err(error), now.saturating_add(RETRY_AFTER)),
            Err(error) => (Err(error), now.saturating_add(REFUSAL_LIFETIME)),
        };
        let until = until.max(now.saturating_add(MIN_LIFETIME));
        Self { outcome, until }
    }
}

/// Without the content, which has tokens.
impl std::fmt::Debug for TokenExchanger {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("TokenExchanger")
    }
}

#[cfg(test)]
mod tests;
