//! One policy in one worker: the state that its requests share, and the work that is done once for all of
//! them.

use std::cell::RefCell;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::rc::Rc;

use crate::accounts::assigned::AssignedCredentials;
use crate::accounts::refresh::{Refreshed, keep_again};
use crate::accounts::refused::{RefusedEnd, end_refused};
use crate::accounts::token_exchange::{self, ExchangeError, TokenExchanger};
use crate::accounts::unkept::UnkeptAccounts;
use crate::accounts::{AccountContext, Clients, Ends, Random, refresh};
use crate::clock::WorkerClock;
use crate::consent::webhook::{self, Messages, WebhookKeys};
use crate::credential::Credential;
use crate::decision_point::{DecisionFault, DecisionPoints, PendingDecision};
use crate::effect::{Effects, Work, Worked};
use crate::held::HeldBytes;
use crate::integer_ids::IntegerIds;
use crate::lookups::Lookups;
use crate::memo::Memo;
use crate::names_check::NamesCheck;
use crate::notes::Notes;
use crate::response::known_lists::KnownLists;
use crate::response::pins::SeenTools;
use crate::response::spellings::Spellings;
use crate::running::RunningRequests;
use base::http::{HttpRequest, HttpResponse};
use base::seal::Sealer;
use base::store::{StoreError, StoreNames};
use base::time::UnixTime;
use oauth::{FetchStart, PendingFetch, TokenDigest, Verifier};
use policy::Policy;

/// The maximum number of pauses of 100 ms for which a fetch waits for its turn.
const MAX_PAUSES: usize = 50;

/// Secrets from the environment of the VM.
#[derive(Clone, Default)]
pub struct Secrets {
    /// The key of the hash that stands for callers in the log.
    pub audit_key: Option<Rc<str>>,
    /// Seals the server's sessions, tasks and request states for their callers.
    pub sealer: Option<Rc<Sealer>>,
    /// How stores name records.
    pub store_names: StoreNames,
    /// The credential that the server gets for all callers.
    pub credential: Option<Rc<Credential>>,
    /// The filter's credentials at authorization servers.
    pub clients: Rc<Clients>,
    /// The credentials at resources that an administrator set.
    pub assigned: AssignedCredentials,
    /// The source of random bytes.
    pub random: Random,
    /// Exchanges callers' tokens for tokens for the server.
    pub exchanger: Option<Rc<TokenExchanger>>,
    /// The secrets of webhooks.
    pub webhook_keys: WebhookKeys,
    /// The decision points of the policy.
    pub decision_points: Option<Rc<DecisionPoints>>,
}

/// Without the secrets.
impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secrets")
    }
}

/// One policy, and the state that its requests share in one worker.
#[derive(Debug)]
pub struct Engine {
    /// The policy.
    pub policy: Rc<Policy>,
    /// Secrets from the environment.
    pub secrets: Secrets,
    /// The tokens and keys that the worker knows. Never borrowed across a wait.
    pub verifier: Rc<RefCell<Verifier>>,
    /// The tools that the server listed so far.
    pub seen: SeenTools,
    /// How the server spells arguments that the filter adds.
    pub spellings: Spellings,
    /// The bytes that the streams of the worker hold, for all its policies.
    pub held: HeldBytes,
    /// The worker's clock.
    pub(crate) clock: WorkerClock,
    /// The integer ids that requests to the server get.
    pub(crate) integer_ids: IntegerIds,
    /// Look-ups that run, and records that are known to be a caller's.
    pub(crate) lookups: Lookups,
    /// Writes to the proxy's memory that no request waits for.
    pub(crate) notes: Notes,
    /// The lists that were filtered before.
    pub(crate) known_lists: KnownLists,
    /// Running requests that the proxy's memory does not have yet.
    pub(crate) running: RunningRequests,
    /// The names of callers in the log.
    pub(crate) persons: Memo<Option<String>>,
    /// Messages to webhooks that no request waits for.
    pub(crate) messages: Messages,
    /// Ends of accounts that no request waits for.
    pub(crate) ends: Ends,
    /// Renewed tokens that are not in the store yet.
    pub(crate) unkept: Rc<UnkeptAccounts>,
    /// The check of the secret that names records in the store.
    pub(crate) names_check: NamesCheck,
    /// Which headers of clients are removed.
    pub(crate) removed_headers: Memo<Rc<RemovedHeaders>>,
}

/// The names of the headers of a client that are removed, by era.
#[derive(Debug)]
pub(crate) struct RemovedHeaders {
    pub(crate) legacy: Vec<String>,
    pub(crate) modern: Vec<String>,
}

/// The outcome of work.
#[derive(Debug, PartialEq, Eq)]
pub struct Finished {
    /// For the requests that wait.
    pub worked: Worked,
    /// For the host's log.
    pub error: Option<String>,
}

impl Engine {
    /// An engine for a policy.
    pub fn new(policy: Rc<Policy>, secrets: Secrets, verifier: Verifier) -> Self {
        Self {
            known_lists: KnownLists::of(&policy),
            policy,
            secrets,
            verifier: Rc::new(RefCell::new(verifier)),
            seen: SeenTools::default(),
            spellings: Spellings::default(),
            held: HeldBytes::default(),
            clock: WorkerClock::default(),
            integer_ids: IntegerIds::default(),
            lookups: Lookups::default(),
            notes: Notes::default(),
            running: RunningRequests::default(),
            persons: Memo::default(),
            messages: Messages::default(),
            ends: Ends::default(),
            unkept: Rc::default(),
            names_check: NamesCheck::default(),
            removed_headers: Memo::default(),
        }
    }

    /// The context for work on linked accounts. `None` without a seal key.
    pub fn account_context(&self, effects: &Effects) -> Option<AccountContext> {
        Some(AccountContext {
            policy: Rc::clone(&self.policy),
            sealer: self.secrets.sealer.clone()?,
            clients: Rc::clone(&self.secrets.clients),
            unkept: Rc::clone(&self.unkept),
            effects: effects.clone(),
            ends: self.ends.clone(),
        })
    }

    /// The work that no request waits for: key sets to fetch before a request needs them, messages to webhooks,
    /// ends of accounts, and tokens that the store does not have yet.
    pub fn due(&self, now: UnixTime) -> impl Iterator<Item = Work> {
        self.clock.note(now);
        let due = self.verifier.borrow().due(now);
        let fetches = due.into_iter().map(PendingFetch::Keys).map(Work::Fetch);
        let messages = self.messages.take().into_iter().map(Box::new);
        let unkept = self.unkept.due(now).into_iter().map(Work::Keep);
        let check = self.policy.store.is_some() && self.names_check.is_due(now);
        let ends = self.ends.due(now).into_iter().map(Box::new);
        let revocations = self.ends.revocations().into_iter().map(Box::new);
        fetches
            .chain(messages.map(Work::Notify))
            .chain(ends.map(Work::EndAccounts))
            .chain(revocations.map(Work::Revoke))
            .chain(unkept)
            .chain(check.then_some(Work::CheckNames))
    }

    /// Does work that is done once per worker.
    pub async fn work(self: Rc<Self>, effects: Effects, work: Work) -> Finished {
        match work {
            Work::CheckNames => Finished {
                worked: Worked::Done,
                error: match &self.secrets.sealer {
                    Some(sealer) => {
                        let resource = &self.policy.resource;
                        self.names_check.run(&effects, resource, sealer).await
                    }
                    None => None,
                },
            },
            Work::Decide(pending) => self.decide(&effects, &pending).await,
            Work::ExchangeToken(token) => Finished {
                worked: Worked::Done,
                error: self.exchange(&effects, token).await,
            },
            Work::Fetch(fetch) => Finished {
                worked: Worked::Done,
                error: self.fetch(&effects, fetch).await,
            },
            Work::Keep(account) => Finished {
                worked: Worked::Done,
                error: match self.account_context(&effects) {
                    Some(accounts) => keep_again(accounts, account).await,
                    None => None,
                },
            },
            Work::Notify(message) => Finished {
                worked: Worked::Done,
                error: webhook::send(&effects, *message).await,
            },
            Work::EndRefused(used) => Finished {
                worked: Worked::RefusedEnd(match self.account_context(&effects) {
                    Some(accounts) => end_refused(&accounts, &used).await,
                    None => RefusedEnd::Store(StoreError::Unavailable),
                }),
                error: None,
            },
            Work::EndAccounts(conversation) => {
                if let Some(accounts) = self.account_context(&effects)
                    // If the store fails, it is tried again.
                    && let Ok(again) = conversation.end_what_is_over(&accounts).await
                {
                    self.ends.looked_at(&conversation, again);
                }
                Finished {
                    worked: Worked::Done,
                    error: None,
                }
            }
            Work::Revoke(pending) => {
                if let Some(accounts) = self.account_context(&effects) {
                    pending.run(&accounts).await;
                }
                Finished {
                    worked: Worked::Done,
                    error: None,
                }
            }
            Work::Refresh(pending) => Finished {
                worked: Worked::Refreshed(match self.account_context(&effects) {
                    Some(accounts) => refresh(accounts, *pending).await,
                    None => Refreshed::Store(StoreError::Unavailable),
                }),
                error: None,
            },
        }
    }

    /// Asks a decision point.
    async fn decide(&self, effects: &Effects, pending: &PendingDecision) -> Finished {
        let Some(points) = &self.secrets.decision_points else {
            return Finished {
                worked: Worked::Decided(Err(DecisionFault::Unavailable)),
                error: None,
            };
        };
        let decided = match points.begin(pending) {
            true => {
                let response = effects.call(pending.request()).await;
                points.answered(pending, response.as_ref(), effects.exact_now())
            }
            false => Err(DecisionFault::Busy),
        };
        Finished {
            error: points.note(pending, &decided),
            worked: Worked::Decided(decided),
        }
    }

    /// Starts a fetch when it is its turn. `None`: it is not needed, or it waited too long.
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

    /// Fetches keys or introspects a token. Returns the error for the operator.
    async fn fetch(&self, effects: &Effects, fetch: PendingFetch) -> Option<String> {
        let response = match self.start_fetch(effects, fetch).await {
            Some(request) => effects.call(request).await,
            None => None,
        };
        // The host answers a failed call with its own 503, so only status 200 is an answer.
        let document = match &response {
            Some(HttpResponse {
                status: 200, body, ..
            }) => Ok(body.as_slice()),
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

    /// Exchanges a token. Returns the error for the operator, unless the caller caused it.
    async fn exchange(&self, effects: &Effects, token: TokenDigest) -> Option<String> {
        let exchanger = self.secrets.exchanger.as_ref()?;
        let mut request = exchanger.start(&token, effects.now())?;
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
