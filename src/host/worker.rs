//! Carries out the effects of requests and of their shared work with a host: calls, the store, pauses. An
//! outcome resumes the requests that wait for it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::Host;
use super::rollbacks::Rollbacks;
use super::single_flight::{FlightId, SingleFlight};
use crate::effect::{Effect, Outcome, Progress, Task};
use crate::engine::{Engine, Finished};
use crate::integer_ids::IntegerIds;
use base::http::{HttpRequest, HttpResponse, MAX_ANSWER};
use base::store::{Key, RecordKind, StoreError, StoreOperation, StoreRecord, Stored, etcd};
use base::time::UnixTime;

/// How long the counter of integer ids is kept after its last use.
const COUNTER_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);
/// The length of a pause.
const PAUSE: Duration = Duration::from_millis(100);
/// A call without an answer for this time never gets one. The host's own limit is shorter.
const LONGEST_CALL: Duration = Duration::from_secs(10);
/// The timer's next tick if a request waits for it.
const SOON: Duration = Duration::from_millis(1);

/// One policy in one worker, with its waiting requests (`R`).
pub struct Worker<R> {
    engine: Rc<Engine>,
    host: Rc<dyn Host>,
    /// The context for the calls of shared work: calls in a stream's context end with the stream.
    root: u32,
    /// The leases of this worker's records in etcd.
    leases: RefCell<etcd::Leases>,
    rollbacks: Rollbacks,
    flights: RefCell<SingleFlight<R>>,
    calls: RefCell<HashMap<u32, Call<R>>>,
    /// Whether the last operation on the store failed.
    store_fails: Cell<bool>,
    /// The ends of pauses.
    pauses: RefCell<Vec<(UnixTime, CallOwner<R>)>>,
}

/// A call that was sent.
struct Call<R> {
    owner: CallOwner<R>,
    context: u32,
    /// The start of the call.
    began: UnixTime,
    /// The maximum size of the answer.
    max_answer: usize,
    /// The operation on the store that the call belongs to.
    store: Option<Box<StoreCall>>,
}

/// An operation on etcd that is under way.
struct StoreCall {
    job: etcd::Job,
    /// Whether the proxy had seen the mark that it creates.
    saw_mark: bool,
}

/// The owner of a call or a pause.
enum CallOwner<R> {
    Request(R),
    Work(FlightId),
    /// One of several calls that are made at once.
    OneOf(Rc<RefCell<CallsAtOnce<R>>>, usize),
}

/// Calls that are made at once, and their answers so far.
struct CallsAtOnce<R> {
    /// Gone once all calls have ended.
    owner: Option<CallOwner<R>>,
    answers: Vec<Option<HttpResponse>>,
    /// The number of calls that have not ended.
    left: usize,
}

impl<R> CallsAtOnce<R> {
    /// Takes the answer to one call. `Some`: all calls have ended.
    fn take(
        &mut self,
        place: usize,
        answer: Option<HttpResponse>,
    ) -> Option<(CallOwner<R>, Outcome)> {
        if let Some(slot) = self.answers.get_mut(place) {
            *slot = answer;
        }
        self.left = self.left.saturating_sub(1);
        self.finish()
    }

    fn finish(&mut self) -> Option<(CallOwner<R>, Outcome)> {
        if self.left > 0 {
            return None;
        }
        let owner = self.owner.take()?;
        Some((owner, Outcome::Calls(std::mem::take(&mut self.answers))))
    }
}

impl<R> Worker<R> {
    /// A worker in which no request waits. Shared work calls in the context `root`.
    pub fn new(engine: Rc<Engine>, host: Rc<dyn Host>, root: u32) -> Self {
        Self {
            engine,
            host,
            root,
            leases: RefCell::default(),
            rollbacks: Rollbacks::new(),
            flights: RefCell::default(),
            calls: RefCell::default(),
            store_fails: Cell::new(false),
            pauses: RefCell::default(),
        }
    }

    /// Carries out an effect of a request, in its context. `None`: [`Self::answered`] or [`Self::tick`] has
    /// its outcome later, or it is the body, which the host delivers.
    pub fn perform(&self, request: R, context: u32, effect: Effect) -> Option<Outcome> {
        match effect {
            Effect::Work(work) => {
                self.flights.borrow_mut().join(work, [request]);
                // Not now: a call in a callback of a stream belongs to that stream.
                self.host.wake(SOON);
                None
            }
            effect => {
                let performed = self.carry_out(CallOwner::Request(request), context, effect);
                performed.map(|(_, outcome)| outcome)
            }
        }
    }

    /// Carries out an operation on the proxy's memory.
    fn in_memory(&self, operation: StoreOperation) -> Result<Stored, StoreError> {
        let operation = self.engine.secrets.store_names.name(operation);
        self.host.store(&operation)
    }

    /// Makes the writes that no request waits for. A write that fails is lost.
    pub fn write_notes(&self) {
        for operation in self.engine.notes.take() {
            let _ = self.in_memory(operation);
        }
    }

    /// Writes the ids of requests that still run.
    pub(super) fn write_running(&self) {
        self.engine.running.write(&self.engine.policy.resource);
        self.write_notes();
    }

    /// Gives the worker integer ids for requests, if it has none left.
    pub fn supply_ids(&self) {
        const TRIES: usize = 16;
        let ids = &self.engine.integer_ids;
        if !ids.is_used_up() {
            return;
        }
        let counter = |block: u32| StoreRecord {
            key: Key::of(RecordKind::RequestIds, &[], &[]),
            value: block.to_string(),
            expires: self.host.now().whole_seconds().saturating_add(COUNTER_LIFE),
        };
        for _ in 0..TRIES {
            let known = self.in_memory(StoreOperation::Get(counter(0).key));
            let Ok(Stored::Value(known)) = known else {
                return;
            };
            let known: Option<u32> = known.and_then(|known| known.parse().ok());
            let block =
                known.unwrap_or_else(|| IntegerIds::any_block((self.engine.secrets.random.0)()));
            let next = counter(IntegerIds::after(block));
            let taken = self.in_memory(match known {
                Some(_) => StoreOperation::Replace(counter(block), next),
                None => StoreOperation::Create(next),
            });
            if taken == Ok(Stored::Created(true)) {
                return ids.give(block);
            }
        }
    }

    /// Takes the answer to a call. `None`: there was none. Returns the requests that continue now, each
    /// with its outcome. `answer` is not called if the worker does not have this call. It gets the maximum
    /// size of the answer's body.
    pub fn answered(
        &self,
        token: u32,
        answer: impl FnOnce(usize) -> Option<HttpResponse>,
    ) -> Vec<(R, Outcome)> {
        let Some(call) = self.calls.borrow_mut().remove(&token) else {
            return Vec::new();
        };
        let performed = match call.store {
            None => Some((call.owner, Outcome::Call(answer(call.max_answer)))),
            Some(mut store) => {
                let answer = answer(call.max_answer);
                let job = &mut store.job;
                match job.answered(&mut self.leases.borrow_mut(), answer.as_ref()) {
                    etcd::EtcdProgress::Over(stored) => {
                        let operation = (store.job.operation(), store.saw_mark);
                        let stored = self.rollbacks.correct(&*self.host, operation, stored);
                        self.note_store(&stored);
                        Some((call.owner, Outcome::Store(stored)))
                    }
                    etcd::EtcdProgress::Call(request) => {
                        self.call(call.owner, call.context, &request, Some(store))
                    }
                }
            }
        };
        self.deliver(performed)
    }

    /// Begins due work and ends pauses. Returns the requests that continue now, each with its outcome.
    pub fn tick(&self) -> Vec<(R, Outcome)> {
        let now = self.host.now();
        self.write_running();
        let begun = {
            let flights = &mut *self.flights.borrow_mut();
            for work in self.engine.due(now.whole_seconds()) {
                flights.join(work, []);
            }
            let engine = &self.engine;
            flights.begin(|work| Task::start(now, |effects| Rc::clone(engine).work(effects, work)))
        };
        let begun = begun.into_iter();
        let mut going_on: Vec<_> = begun
            .flat_map(|(id, progress)| self.carry_on(id, progress))
            .collect();
        for token in self.calls_given_up(now) {
            self.host.log(
                "the host did not report the end of a call; compare its \
                 capability_restriction_config with the shipped one",
            );
            going_on.extend(self.answered(token, |_| None));
        }
        for owner in self.pauses_over(now) {
            going_on.extend(self.deliver(Some((owner, Outcome::Paused))));
        }
        going_on
    }

    /// Forgets the calls of a context that has ended. They ended with it.
    pub fn forget(&self, context: u32) {
        self.calls
            .borrow_mut()
            .retain(|_, call| call.context != context);
    }

    /// Logs the start and the end of an outage of the store.
    fn note_store(&self, stored: &Result<Stored, StoreError>) {
        let fails = stored == &Err(StoreError::Unavailable);
        if self.store_fails.replace(fails) != fails {
            self.host.log(match fails {
                true => "the store (etcd) is not available; requests that need it get a 503",
                false => "the store (etcd) is available again",
            });
        }
    }

    fn calls_given_up(&self, now: UnixTime) -> Vec<u32> {
        let calls = self.calls.borrow();
        let given_up = calls.iter().filter(|(_, call)| {
            // A call that began in the future continues: the clock was set back.
            now.since(call.began) > LONGEST_CALL
        });
        given_up.map(|(token, _)| *token).collect()
    }

    fn pauses_over(&self, now: UnixTime) -> Vec<CallOwner<R>> {
        let pauses = std::mem::take(&mut *self.pauses.borrow_mut());
        // A pause with a longer rest than its length is over: the clock was set back.
        let is_over = |until: UnixTime| until <= now || until > now.saturating_add(PAUSE);
        let (over, waiting): (Vec<_>, Vec<_>) =
            pauses.into_iter().partition(|(until, _)| is_over(*until));
        if !waiting.is_empty() {
            self.host.wake(PAUSE);
        }
        self.pauses.borrow_mut().extend(waiting);
        over.into_iter().map(|(_, owner)| owner).collect()
    }

    /// Carries out an effect. `Some`: its outcome is known at once.
    fn carry_out(
        &self,
        owner: CallOwner<R>,
        context: u32,
        effect: Effect,
    ) -> Option<(CallOwner<R>, Outcome)> {
        match (effect, &self.engine.policy.store) {
            (Effect::Call(request), _) => self.call(owner, context, &request, None),
            (Effect::Calls(requests), _) => self.calls_at_once(owner, context, &requests),
            (Effect::Client, _) => Some((owner, Outcome::Client(self.host.client()))),
            (Effect::Memory(operation), _) | (Effect::Store(operation), None) => {
                Some((owner, Outcome::Store(self.in_memory(operation))))
            }
            (Effect::Store(operation), Some(etcd)) => {
                let operation = self.engine.secrets.store_names.name(operation);
                let saw_mark = Rollbacks::saw_mark(&*self.host, &operation);
                let now = self.host.now().whole_seconds();
                let (job, request) =
                    etcd::Job::start(etcd, &mut self.leases.borrow_mut(), operation, now);
                let store = StoreCall { job, saw_mark };
                self.call(owner, context, &request, Some(Box::new(store)))
            }
            (Effect::Pause, _) => {
                let until = self.host.now().saturating_add(PAUSE);
                self.pauses.borrow_mut().push((until, owner));
                self.host.wake(PAUSE);
                None
            }
            // The host delivers the body, and work does not wait for other work.
            (Effect::Body(_) | Effect::Work(_), _) => None,
        }
    }

    /// Makes several calls at once.
    fn calls_at_once(
        &self,
        owner: CallOwner<R>,
        context: u32,
        requests: &[HttpRequest],
    ) -> Option<(CallOwner<R>, Outcome)> {
        let all = Rc::new(RefCell::new(CallsAtOnce {
            owner: Some(owner),
            answers: vec![None; requests.len()],
            left: requests.len(),
        }));
        for (place, request) in requests.iter().enumerate() {
            let one = CallOwner::OneOf(Rc::clone(&all), place);
            if let Some((_, Outcome::Call(answer))) = self.call(one, context, request, None)
                && let Some(finished) = all.borrow_mut().take(place, answer)
            {
                return Some(finished);
            }
        }
        all.borrow_mut().finish()
    }

    fn call(
        &self,
        owner: CallOwner<R>,
        context: u32,
        request: &HttpRequest,
        store: Option<Box<StoreCall>>,
    ) -> Option<(CallOwner<R>, Outcome)> {
        let Some(token) = self.host.call(context, request) else {
            let cluster = &request.cluster;
            self.host
                .log(&format!("the proxy cannot call its cluster `{cluster}`"));
            return Some((
                owner,
                match store {
                    None => Outcome::Call(None),
                    Some(_) => Outcome::Store(Err(StoreError::Unavailable)),
                },
            ));
        };
        let call = Call {
            owner,
            context,
            began: self.host.now(),
            max_answer: request.max_answer.unwrap_or(MAX_ANSWER),
            store,
        };
        self.calls.borrow_mut().insert(token, call);
        None
    }

    fn deliver(&self, performed: Option<(CallOwner<R>, Outcome)>) -> Vec<(R, Outcome)> {
        match performed {
            None => Vec::new(),
            Some((CallOwner::Request(request), outcome)) => vec![(request, outcome)],
            Some((CallOwner::OneOf(all, place), outcome)) => {
                let Outcome::Call(answer) = outcome else {
                    return Vec::new();
                };
                let finished = all.borrow_mut().take(place, answer);
                self.deliver(finished)
            }
            Some((CallOwner::Work(id), outcome)) => {
                let now = self.host.now();
                let progress = self.flights.borrow_mut().resume(id, outcome, now);
                progress.map_or_else(Vec::new, |progress| self.carry_on(id, progress))
            }
        }
    }

    /// Continues work until it waits. Returns the requests that continue if it has ended.
    fn carry_on(&self, id: FlightId, progress: Progress<Finished>) -> Vec<(R, Outcome)> {
        match progress {
            Progress::Waits(effect) => {
                self.deliver(self.carry_out(CallOwner::Work(id), self.root, effect))
            }
            Progress::Done(finished) => {
                let landed = self.flights.borrow_mut().land(id, finished);
                if let Some(error) = &landed.error {
                    self.host.log(error);
                }
                let outcome = || Outcome::Work(landed.worked.clone());
                let waiting = landed.waiting.into_iter();
                waiting.map(|request| (request, outcome())).collect()
            }
        }
    }
}

/// Without the requests.
impl<R> fmt::Debug for Worker<R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Worker")
    }
}

#[cfg(test)]
mod tests;
