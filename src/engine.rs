//! One policy in one worker: what its requests share, and the work that is done once for all of them.

use std::cell::RefCell;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::rc::Rc;

use crate::accounts::refresh::Refreshed;
use crate::accounts::token_exchange::{self, ExchangeError, TokenExchanger};
use crate::accounts::{AccountContext, Clients, Random, refresh};
use crate::clock::WorkerClock;
use crate::credential::Credential;
use crate::effect::{Effects, Work, Worked};
use crate::held::HeldBytes;
use crate::response::pins::SeenTools;
use base::http::{HttpRequest, HttpResponse};
use base::seal::Sealer;
use base::store::{StoreError, StoreNames};
use oauth::{FetchStart, PendingFetch, TokenDigest, Verifier};
use policy::Policy;

/// For so many pauses of 100 ms a fetch waits for its turn.
const MAX_PAUSES: usize = 50;

/// What the environment of the VM brings.
#[derive(Clone, Default)]
pub struct Secrets {
    /// The key of the hash that names callers in the log.
    pub audit_key: Option<Rc<str>>,
    /// What binds the server's sessions, tasks and request states to their callers.
    pub sealer: Option<Rc<Sealer>>,
    /// How stores name records.
    pub store_names: StoreNames,
    /// The credential that the server gets from every caller.
    pub credential: Option<Rc<Credential>>,
    /// This filter's credentials at authorization servers.
    pub clients: Rc<Clients>,
    /// Where random bytes come from.
    pub random: Random,
    /// What exchanges callers' tokens for tokens for the server.
    pub exchanger: Option<Rc<TokenExchanger>>,
}

/// Without the secrets.
impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secrets")
    }
}

/// One policy, and what its requests share in one worker.
#[derive(Debug)]
pub struct Engine {
    /// The policy.
    pub policy: Rc<Policy>,
    /// What the environment brings.
    pub secrets: Secrets,
    /// The tokens and keys that the worker knows. Never borrowed across a wait.
    pub verifier: Rc<RefCell<Verifier>>,
    /// The tools that the server listed so far.
    pub seen: SeenTools,
    /// What the streams of the worker hold: of all its policies.
    pub held: HeldBytes,
    /// The worker's clock.
    pub(crate) clock: WorkerClock,
}

/// What came of work, and what the operator has to know of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Finished {
    /// For the requests that wait.
    pub worked: Worked,
    /// For the host's log.
    pub error: Option<String>,
}

impl Engine {
    /// Takes what was loaded.
    pub fn new(policy: Rc<Policy>, secrets: Secrets, verifier: Verifier) -> Self {
        Self {
            policy,
            secrets,
            verifier: Rc::new(RefCell::new(verifier)),
            seen: SeenTools::default(),
            held: HeldBytes::default(),
            clock: WorkerClock::default(),
        }
    }

    /// What work on linked accounts needs. `None` without a seal key.
    pub fn account_context(&self, effects: &Effects) -> Option<AccountContext> {
        Some(AccountContext {
            policy: Rc::clone(&self.policy),
            sealer: self.secrets.sealer.clone()?,
            clients: Rc::clone(&self.secrets.clients),
            effects: effects.clone(),
        })
    }

    /// The key sets that are to be fetched before a request asks for them. `now` is in Unix seconds.
    pub fn due(&self, now: u64) -> impl Iterator<Item = Work> {
        self.clock.note(now);
        let due = self.verifier.borrow().due(now);
        due.into_iter().map(PendingFetch::Keys).map(Work::Fetch)
    }

    /// Does work that is done once per worker.
    pub async fn work(self: Rc<Self>, effects: Effects, work: Work) -> Finished {
        match work {
            Work::ExchangeToken(token) => Finished {
                worked: Worked::Done,
                error: self.exchange(&effects, token).await,
            },
            Work::Fetch(fetch) => Finished {
                worked: Worked::Done,
                error: self.fetch(&effects, fetch).await,
            },
            Work::Refresh(pending) => Finished {
                worked: Worked::Refreshed(match self.account_context(&effects) {
                    Some(accounts) => refresh(accounts, *pending).await,
                    None => Refreshed::Store(StoreError::Unavailable),
                }),
                error: None,
            },
        }
    }

    /// Begins a fetch when it is its turn. `None`: nothing is to be fetched, or it took too long.
    async fn start_fetch(&self, effects: &Effects, fetch: PendingFetch) -> Option<HttpRequest> {
        for _ in 0..MAX_PAUSES {
            let start = self.verifier.borrow_mut().start(fetch);
            match start {
                FetchStart::Call(request) => return Some(request),
                FetchStart::Nothing => return None,
                FetchStart::Later => effects.pause().await,
            }
        }
        None
    }

    /// Fetches what tokens are verified with, and says why that failed.
    async fn fetch(&self, effects: &Effects, fetch: PendingFetch) -> Option<String> {
        let response = match self.start_fetch(effects, fetch).await {
            Some(request) => effects.call(request).await,
            None => None,
        };
        // The host answers a failed call with a 503 of its own, so only a 200 is an answer.
        let document = match &response {
            Some(HttpResponse { status: 200, body }) => Ok(body.as_slice()),
            Some(other) => Err(format!("answered with status {}", other.status)),
            None => Err("not available".to_owned()),
        };
        let now = effects.now();
        let mut verifier = self.verifier.borrow_mut();
        let taken = verifier.fetched(fetch, document.as_deref().ok(), now, jitter());
        let error = document
            .err()
            .or_else(|| taken.err().map(|error| error.to_string()))?;
        let issuer = self.policy.issuers.get(fetch.issuer().0);
        let issuer = issuer.map_or("", |issuer| issuer.issuer.as_str());
        let what = match fetch {
            PendingFetch::Keys(_) => "key set",
            PendingFetch::Token(..) => "introspection",
        };
        Some(format!("{what} of {issuer}: {error}"))
    }

    /// Exchanges a token. What is no caller's fault is an error for the operator.
    async fn exchange(&self, effects: &Effects, token: TokenDigest) -> Option<String> {
        let exchanger = self.secrets.exchanger.as_ref()?;
        let mut request = exchanger.start(&token)?;
        loop {
            let response = effects.call(request).await;
            match exchanger.answered(&token, response.as_ref(), effects.now()) {
                token_exchange::Progress::Call(next) => request = next,
                token_exchange::Progress::Over(outcome) => {
                    return match outcome {
                        Ok(()) | Err(ExchangeError::Denied | ExchangeError::Subject) => None,
                        Err(error) => Some(format!("token exchange: {error}")),
                    };
                }
            }
        }
    }
}

/// A random part of the time until the next fetch, so that workers and replicas do not fetch at once.
fn jitter() -> f64 {
    let random = RandomState::new().build_hasher().finish();
    0.75 + (random % 1000) as f64 / 4000.0
}
