//! Waiting without I/O: a task is an `async` function that asks the host for effects.
//!
//! A task runs until it needs something from the host. [`Task::start`] and [`Task::resume`] then return
//! that [`Effect`]. The driver of the task (the host adapter, a test, the command line) carries it out and
//! resumes the task with its [`Outcome`]. There is no executor and no waker: a task runs only when it is
//! resumed.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::accounts::refresh::{PendingRefresh, Refreshed};
use crate::accounts::refused::{RefusedEnd, UsedAccount};
use crate::accounts::{ClientConversation, PendingRevocation};
use crate::decision_point::{Decided, DecisionFault, PendingDecision};
use base::http::{HttpRequest, HttpResponse};
use base::store::{Key, StoreError, StoreOperation, StoreRecord, Stored};
use base::time::UnixTime;
use mcp::headers::HeaderEdit;
use oauth::{ClientNetwork, PendingFetch, TokenDigest};

/// Something that only the host can do for a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Wait for the whole body of the request. With edits, for `hold: buffer_filter`, the headers are
    /// edited and passed on now. Without, the host holds them.
    Body(Option<Vec<HeaderEdit>>),
    /// Call a cluster of the policy.
    Call(HttpRequest),
    /// Make several calls at once.
    Calls(Vec<HttpRequest>),
    /// Get the network of the request's client.
    Client,
    /// Carry out an operation on the proxy's memory, also if the policy has a store. The outcome is known at
    /// once.
    Memory(StoreOperation),
    /// Wait 100 ms, because another request holds a record that this one needs.
    Pause,
    /// Carry out an operation on the store.
    Store(StoreOperation),
    /// Wait for work that is done once per worker.
    Work(Work),
}

/// Work that a worker does once for all requests that wait for it. It runs to its end even if they have
/// ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// Look at the record that says which secret names records. No request waits for it.
    CheckNames,
    /// Ask a decision point.
    Decide(Box<PendingDecision>),
    /// End an account that the server refused.
    EndRefused(Box<UsedAccount>),
    /// End the accounts of a conversation whose time is over. No request waits for it.
    EndAccounts(Box<ClientConversation>),
    /// Exchange a caller's token.
    ExchangeToken(TokenDigest),
    /// Fetch keys, or introspect a token.
    Fetch(PendingFetch),
    /// Write renewed tokens that the worker holds under this key to the store. No request waits for it.
    Keep(Key),
    /// Send a message to a webhook. No request waits for it.
    Notify(Box<HttpRequest>),
    /// Refresh the token of an account.
    Refresh(Box<PendingRefresh>),
    /// Revoke the token of an account that has ended. No request waits for it.
    Revoke(Box<PendingRevocation>),
}

/// The outcome of an effect. It has the variant of the effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The whole body of the request.
    Body(Vec<u8>),
    /// The answer to a call; `None` if there was none.
    Call(Option<HttpResponse>),
    /// The answers to several calls, in their order.
    Calls(Vec<Option<HttpResponse>>),
    /// The network of the client.
    Client(ClientNetwork),
    /// The pause is over.
    Paused,
    /// The result of the store operation.
    Store(Result<Stored, StoreError>),
    /// The work is done.
    Work(Worked),
}

/// The outcome of work that is done once per worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Worked {
    /// The answers of a decision point.
    Decided(Decided),
    /// The token exchanger or the verifier has the result.
    Done,
    /// The result of a refresh.
    Refreshed(Refreshed),
    /// The outcome for an account that the server refused.
    RefusedEnd(RefusedEnd),
}

/// The state of a task.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress<T> {
    /// It waits for this effect.
    Waits(Effect),
    /// It has ended.
    Done(T),
}

/// A task's access to the host. Clones belong to the same task.
#[derive(Clone, Default)]
pub struct Effects(Rc<Exchanged>);

/// The values that a task and its driver exchange.
#[derive(Default)]
struct Exchanged {
    effect: RefCell<Option<Effect>>,
    outcome: RefCell<Option<Outcome>>,
    now: Cell<UnixTime>,
}

/// Without the effect and its outcome.
impl fmt::Debug for Effects {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Effects")
    }
}

impl Effects {
    /// The time at which the task was started or resumed last.
    pub fn exact_now(&self) -> UnixTime {
        self.0.now.get()
    }

    /// The same in whole seconds, for tokens and records.
    pub fn now(&self) -> UnixTime {
        self.exact_now().whole_seconds()
    }

    /// Calls a cluster. `None`: there was no answer.
    pub async fn call(&self, request: HttpRequest) -> Option<HttpResponse> {
        match self.perform(Effect::Call(request)).await {
            Outcome::Call(response) => response,
            _ => None,
        }
    }

    /// Makes several calls at once, and waits for the last answer. `None`: there was no answer.
    pub async fn calls(&self, requests: Vec<HttpRequest>) -> Vec<Option<HttpResponse>> {
        let number = requests.len();
        match self.perform(Effect::Calls(requests)).await {
            Outcome::Calls(answers) => answers,
            _ => vec![None; number],
        }
    }

    /// The network of the request's client.
    pub async fn client(&self) -> ClientNetwork {
        match self.perform(Effect::Client).await {
            Outcome::Client(client) => client,
            _ => ClientNetwork::UNKNOWN,
        }
    }

    /// Carries out an operation on the store.
    ///
    /// # Errors
    ///
    /// The store is not available, or full.
    pub async fn store(&self, operation: StoreOperation) -> Result<Stored, StoreError> {
        match self.perform(Effect::Store(operation)).await {
            Outcome::Store(stored) => stored,
            _ => Err(StoreError::Unavailable),
        }
    }

    /// Reads a record of the proxy's memory.
    pub async fn remember(&self, key: Key) -> Option<String> {
        match self.perform(Effect::Memory(StoreOperation::Get(key))).await {
            Outcome::Store(Ok(Stored::Value(value))) => value,
            _ => None,
        }
    }

    /// Reads a record of the store.
    ///
    /// # Errors
    ///
    /// The store is not available.
    pub async fn get(&self, key: Key) -> Result<Option<String>, StoreError> {
        match self.store(StoreOperation::Get(key)).await? {
            Stored::Value(value) => Ok(value),
            Stored::Done | Stored::Created(_) => Err(StoreError::Unavailable),
        }
    }

    /// Writes a record unless it exists. Of all tasks that try, one gets `true`.
    ///
    /// # Errors
    ///
    /// The store is not available, or full.
    pub async fn create(&self, record: StoreRecord) -> Result<bool, StoreError> {
        Ok(self.store(StoreOperation::Create(record)).await? == Stored::Created(true))
    }

    /// Waits for the whole body of the request. With `release`, its headers are passed on first.
    pub async fn body(&self, release: Option<Vec<HeaderEdit>>) -> Vec<u8> {
        match self.perform(Effect::Body(release)).await {
            Outcome::Body(body) => body,
            _ => Vec::new(),
        }
    }

    /// Fetches keys, or introspects a token. The verifier then has the result.
    pub async fn fetch(&self, fetch: PendingFetch) {
        self.perform(Effect::Work(Work::Fetch(fetch))).await;
    }

    /// Exchanges the caller's token. The exchanger then has the result.
    pub async fn exchange_token(&self, token: TokenDigest) {
        self.perform(Effect::Work(Work::ExchangeToken(token))).await;
    }

    /// Asks a decision point.
    ///
    /// # Errors
    ///
    /// It does not decide.
    pub async fn decide(&self, pending: PendingDecision) -> Decided {
        let work = Work::Decide(Box::new(pending));
        match self.perform(Effect::Work(work)).await {
            Outcome::Work(Worked::Decided(decided)) => decided,
            _ => Err(DecisionFault::Unavailable),
        }
    }

    /// Refreshes the token of an account.
    pub async fn refresh(&self, refresh: PendingRefresh) -> Refreshed {
        let work = Work::Refresh(Box::new(refresh));
        match self.perform(Effect::Work(work)).await {
            Outcome::Work(Worked::Refreshed(refreshed)) => refreshed,
            _ => Refreshed::Store(StoreError::Unavailable),
        }
    }

    /// Ends an account that the server refused.
    pub async fn end_refused(&self, used: UsedAccount) -> RefusedEnd {
        let work = Work::EndRefused(Box::new(used));
        match self.perform(Effect::Work(work)).await {
            Outcome::Work(Worked::RefusedEnd(end)) => end,
            _ => RefusedEnd::Store(StoreError::Unavailable),
        }
    }

    /// Waits 100 ms.
    pub async fn pause(&self) {
        self.perform(Effect::Pause).await;
    }

    async fn perform(&self, effect: Effect) -> Outcome {
        self.0.effect.replace(Some(effect));
        poll_fn(|_| match self.0.outcome.take() {
            Some(outcome) => Poll::Ready(outcome),
            None => Poll::Pending,
        })
        .await
    }
}

/// A running `async` function.
pub struct Task<T> {
    future: Pin<Box<dyn Future<Output = T>>>,
    effects: Effects,
}

impl<T> Task<T> {
    /// Runs a task to its first effect, or to its end.
    pub fn start<F>(now: UnixTime, run: impl FnOnce(Effects) -> F) -> (Self, Progress<T>)
    where
        F: Future<Output = T> + 'static,
    {
        let effects = Effects::default();
        effects.0.now.set(now);
        let future: Pin<Box<dyn Future<Output = T>>> = Box::pin(run(effects.clone()));
        let mut task = Self { future, effects };
        let progress = task.poll();
        (task, progress)
    }

    /// Continues the task to its next effect or to its end. Must not be called after its end.
    pub fn resume(&mut self, outcome: Outcome, now: UnixTime) -> Progress<T> {
        self.effects.0.now.set(now);
        self.effects.0.outcome.replace(Some(outcome));
        self.poll()
    }

    fn poll(&mut self) -> Progress<T> {
        match self
            .future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(value) => Progress::Done(value),
            // A task waits for effects only. Without one it would wait for ever, so it pauses.
            Poll::Pending => Progress::Waits(self.effects.0.effect.take().unwrap_or(Effect::Pause)),
        }
    }
}

/// Without the future, which has no `Debug` form.
impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Task")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::store::{Key, RecordKind};

    fn get() -> StoreOperation {
        StoreOperation::Get(Key::of(RecordKind::Refresh, &["a"], &[]))
    }

    #[test]
    fn a_task_asks_for_one_effect_after_the_other() {
        let (mut task, first) = Task::start(UnixTime::from_millis(1_000), |effects| async move {
            let found = effects.store(get()).await;
            let asked = effects.exact_now();
            effects.pause().await;
            (found, asked, effects.now())
        });
        assert_eq!(first, Progress::Waits(Effect::Store(get())));
        let found = Ok(Stored::Value(None));
        let second = task.resume(Outcome::Store(found.clone()), UnixTime::from_millis(2_500));
        assert_eq!(second, Progress::Waits(Effect::Pause));
        let end = task.resume(Outcome::Paused, UnixTime::from_millis(4_200));
        assert_eq!(
            end,
            Progress::Done((found, UnixTime::from_millis(2_500), UnixTime::from_secs(4)))
        );
    }

    #[test]
    fn an_outcome_of_another_effect_is_a_failure() {
        let (mut task, _) = Task::start(UnixTime::default(), |effects| async move {
            effects.store(get()).await
        });
        let end = task.resume(Outcome::Paused, UnixTime::default());
        assert_eq!(end, Progress::Done(Err(StoreError::Unavailable)));
    }

    #[test]
    fn a_task_without_effects_ends_at_once() {
        let (_, progress) = Task::start(UnixTime::default(), |_| async { 7 });
        assert_eq!(progress, Progress::Done(7));
    }
}
