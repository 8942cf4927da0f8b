//! What callers' tokens were exchanged for, in one worker.

use std::cell::RefCell;
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::rc::Rc;

use lru::LruCache;

use super::{ExchangeError, exchange, read_assertion, read_exchanged, read_redeemed, redeem};
use crate::accounts::Clients;
use crate::accounts::token_request::Tokens;
use crate::credential::Credential;
use base::http::{HttpRequest, HttpResponse};
use base::secret::Secret;
use oauth::TokenDigest;
use policy::TokenExchange;

/// How many outcomes a worker remembers.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);
/// How many tokens a worker has exchanged at the same time.
const AT_ONCE: usize = 256;

// In seconds.
/// How long a token counts whose end nobody tells.
const UNTOLD: u64 = 60;
/// How long before its end a token is exchanged anew: the server may still be busy with it.
const MARGIN: u64 = 30;
/// How long any outcome counts: who waits for it gets it.
const AT_LEAST: u64 = 2;
/// How long a refusal counts.
const REFUSED: u64 = 10;
/// How long nobody is asked who did not answer.
const UNAVAILABLE: u64 = 2;

/// Exchanges callers' tokens, one call for each whoever waits for it, and remembers what came of it.
pub struct TokenExchanger {
    exchange: TokenExchange,
    clients: Clients,
    state: RefCell<State>,
}

struct State {
    known: LruCache<TokenDigest, Known>,
    asked: HashMap<TokenDigest, Asked>,
}

/// What came of an exchange.
struct Known {
    outcome: Result<Rc<Credential>, ExchangeError>,
    /// When that no longer counts, in Unix seconds.
    until: u64,
}

/// A token to be exchanged.
struct Asked {
    /// When the token itself ends, in Unix seconds.
    ends: u64,
    stage: Stage,
}

/// How far its exchange is.
enum Stage {
    /// Nobody was called.
    New(Secret),
    /// It is being exchanged.
    Exchange,
    /// What it was exchanged for is being redeemed.
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
        let state = State {
            known: LruCache::new(REMEMBERED),
            asked: HashMap::new(),
        };
        Self {
            exchange,
            clients,
            state: RefCell::new(state),
        }
    }

    /// What the server gets in place of a token, if that is known. `now` is in Unix seconds.
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

    /// Takes a token to be exchanged, which ends at `ends`.
    ///
    /// # Errors
    ///
    /// There are too many already.
    pub fn ask(&self, token: TokenDigest, secret: &str, ends: u64) -> Result<(), ExchangeError> {
        let state = &mut *self.state.borrow_mut();
        if state.asked.contains_key(&token) {
            return Ok(());
        }
        if state.asked.len() >= AT_ONCE {
            return Err(ExchangeError::Busy);
        }
        let stage = Stage::New(Secret::new(secret.to_owned()));
        state.asked.insert(token, Asked { ends, stage });
        Ok(())
    }

    /// The call that exchanges a token. `None`: that is under way, or nobody asked for it.
    pub fn start(&self, token: &TokenDigest) -> Option<HttpRequest> {
        let state = &mut *self.state.borrow_mut();
        let asked = state.asked.get_mut(token)?;
        match std::mem::replace(&mut asked.stage, Stage::Exchange) {
            Stage::New(secret) => Some(exchange(&self.exchange, &self.clients, &secret)),
            under_way => {
                asked.stage = under_way;
                None
            }
        }
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
            (Stage::Assertion, _) => read_redeemed(answer, now),
            (_, None) => read_exchanged(answer, now),
            (_, Some(client)) => match read_assertion(answer) {
                Ok(assertion) => {
                    asked.stage = Stage::Assertion;
                    return Progress::Call(redeem(client, &self.clients, &assertion));
                }
                Err(error) => Err(error),
            },
        };
        let known = Known::of(outcome, asked.ends, now);
        let over = known.outcome.as_ref().map(|_| ()).map_err(|error| *error);
        state.asked.remove(token);
        state.known.put(*token, known);
        Progress::Over(over)
    }

    /// Takes something in place of what only the authorization server can give, until `until`, in Unix
    /// seconds.
    pub fn preload_for_dry_run(&self, token: TokenDigest, credential: Credential, until: u64) {
        let outcome = Ok(Rc::new(credential));
        let known = Known { outcome, until };
        self.state.borrow_mut().known.put(token, known);
    }

    /// Forgets what a token was exchanged for: the server does not take it.
    pub fn forget(&self, token: &TokenDigest) {
        self.state.borrow_mut().known.pop(token);
    }
}

impl Known {
    /// What is kept of an outcome: until shortly before its end, and no longer than the token that was
    /// exchanged.
    fn of(outcome: Result<Tokens, ExchangeError>, ends: u64, now: u64) -> Self {
        let credential = outcome.and_then(|tokens| {
            let credential = Credential::new("Bearer", tokens.access_token.reveal());
            let credential = credential.map_err(|_| ExchangeError::Format)?;
            let own = match tokens.expires {
                Some(expires) => expires.saturating_sub(MARGIN),
                None => now.saturating_add(UNTOLD),
            };
            Ok((Rc::new(credential), own.min(ends)))
        });
        let (outcome, until) = match credential {
            Ok((credential, until)) => (Ok(credential), until),
            Err(error) if error.is_unavailable() => (Err(error), now.saturating_add(UNAVAILABLE)),
            Err(error) => (Err(error), now.saturating_add(REFUSED)),
        };
        let until = until.max(now.saturating_add(AT_LEAST));
        Self { outcome, until }
    }
}

/// Says nothing: there are tokens in it.
impl std::fmt::Debug for TokenExchanger {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("TokenExchanger")
    }
}
