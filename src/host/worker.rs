//! The effects of requests, and of the work they share, carried out by a host: calls, the store,
//! pauses. What is over wakes the requests that wait for it.

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
use base::http::{HttpRequest, HttpResponse};
use base::store::{StoreError, Stored, etcd};

/// How long a pause is.
const PAUSE_MS: u64 = 100;
/// A call without an answer for so long never gets one. The host's own limit is shorter.
const LONGEST_CALL_MS: u64 = 10_000;
/// When the timer goes off if a request waits for it.
const SOON: Duration = Duration::from_millis(1);

/// One policy in one worker, with its requests (`R`) that wait.
pub struct Worker<R> {
    engine: Rc<Engine>,
    host: Rc<dyn Host>,
    /// The context in which shared work calls: calls of a stream's context end with the stream.
    root: u32,
    /// The leases of this worker's records in etcd.
    leases: RefCell<etcd::Leases>,
    rollbacks: Rollbacks,
    flights: RefCell<SingleFlight<R>>,
    calls: RefCell<HashMap<u32, Call<R>>>,
    /// Whether the last operation on the store found it available.
    store_fails: Cell<bool>,
    /// Until when, in Unix milliseconds.
    pauses: RefCell<Vec<(u64, CallOwner<R>)>>,
}

/// A call under way.
struct Call<R> {
    owner: CallOwner<R>,
    context: u32,
    /// In Unix milliseconds.
    began_ms: u64,
    /// The operation on the store that it is for, if it is for one.
    store: Option<Box<etcd::Job>>,
}

/// What a call, or a pause, is for.
enum CallOwner<R> {
    Request(R),
    Work(FlightId),
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

    /// Carries out an effect of a request, in its context. `None`: its outcome comes from
    /// [`Self::answered`] or [`Self::tick`], or it is the body, which the host brings.
    pub fn perform(&self, request: R, context: u32, effect: Effect) -> Option<Outcome> {
        match effect {
            Effect::Work(work) => {
                self.flights.borrow_mut().join(work, [request]);
                // Not now: in a callback of a stream, a call would be that stream's.
                self.host.wake(SOON);
                None
            }
            effect => {
                let performed = self.carry_out(CallOwner::Request(request), context, effect);
                performed.map(|(_, outcome)| outcome)
            }
        }
    }

    /// Takes the answer to a call; `None`: there was none. The requests that go on now, each with the
    /// outcome it waited for. `answer` is not asked if this is no call of the worker.
    pub fn answered(
        &self,
        token: u32,
        answer: impl FnOnce() -> Option<HttpResponse>,
    ) -> Vec<(R, Outcome)> {
        let Some(call) = self.calls.borrow_mut().remove(&token) else {
            return Vec::new();
        };
        let performed = match call.store {
            None => Some((call.owner, Outcome::Call(answer()))),
            Some(mut job) => match job.answered(&mut self.leases.borrow_mut(), answer().as_ref()) {
                etcd::EtcdProgress::Over(stored) => {
                    let (host, operation) = (&*self.host, job.operation());
                    let stored = self.rollbacks.correct(host, operation, stored);
                    self.note_store(&stored);
                    Some((call.owner, Outcome::Store(stored)))
                }
                etcd::EtcdProgress::Call(request) => {
                    self.call(call.owner, call.context, &request, Some(job))
                }
            },
        };
        self.deliver(performed)
    }

    /// Begins work that is due, and ends pauses. The requests that go on now, each with the outcome
    /// it waited for.
    pub fn tick(&self) -> Vec<(R, Outcome)> {
        let now = self.host.now();
        let begun = {
            let flights = &mut *self.flights.borrow_mut();
            for work in self.engine.due(now.as_secs()) {
                flights.join(work, []);
            }
            let engine = &self.engine;
            flights.begin(|work| {
                Task::start(now.as_millis(), |effects| {
                    Rc::clone(engine).work(effects, work)
                })
            })
        };
        let begun = begun.into_iter();
        let mut going_on: Vec<_> = begun
            .flat_map(|(id, progress)| self.carry_on(id, progress))
            .collect();
        for token in self.calls_given_up(now.as_millis()) {
            self.host.log(
                "the host did not report the end of a call; compare its \
                 capability_restriction_config with the shipped one",
            );
            going_on.extend(self.answered(token, || None));
        }
        for owner in self.pauses_over(now.as_millis()) {
            going_on.extend(self.deliver(Some((owner, Outcome::Paused))));
        }
        going_on
    }

    /// Forgets the calls of a context that is gone. They ended with it.
    pub fn forget(&self, context: u32) {
        self.calls
            .borrow_mut()
            .retain(|_, call| call.context != context);
    }

    /// Logs the begin and the end of an outage of the store.
    fn note_store(&self, stored: &Result<Stored, StoreError>) {
        let fails = stored == &Err(StoreError::Unavailable);
        if self.store_fails.replace(fails) != fails {
            self.host.log(match fails {
                true => "the store (etcd) is not available; requests that need it get a 503",
                false => "the store (etcd) is available again",
            });
        }
    }

    fn calls_given_up(&self, now_ms: u64) -> Vec<u32> {
        let calls = self.calls.borrow();
        let given_up = calls.iter().filter(|(_, call)| {
            // A call that began further ahead than a step of the clock is long goes on.
            now_ms.saturating_sub(call.began_ms) > LONGEST_CALL_MS
        });
        given_up.map(|(token, _)| *token).collect()
    }

    fn pauses_over(&self, now_ms: u64) -> Vec<CallOwner<R>> {
        let pauses = std::mem::take(&mut *self.pauses.borrow_mut());
        // One that is further ahead than a pause is long is over: the clock was set back.
        let is_over = |until: u64| until <= now_ms || until > now_ms.saturating_add(PAUSE_MS);
        let (over, waiting): (Vec<_>, Vec<_>) =
            pauses.into_iter().partition(|(until, _)| is_over(*until));
        if !waiting.is_empty() {
            self.host.wake(Duration::from_millis(PAUSE_MS));
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
            (Effect::Client, _) => Some((owner, Outcome::Client(self.host.client()))),
            (Effect::Store(operation), None) => {
                let operation = self.engine.secrets.store_names.name(operation);
                let stored = self.host.store(&operation);
                Some((owner, Outcome::Store(stored)))
            }
            (Effect::Store(operation), Some(etcd)) => {
                let operation = self.engine.secrets.store_names.name(operation);
                let now = self.host.now().as_secs();
                let (job, request) =
                    etcd::Job::start(etcd, &mut self.leases.borrow_mut(), operation, now);
                self.call(owner, context, &request, Some(Box::new(job)))
            }
            (Effect::Pause, _) => {
                let until = self.host.now().as_millis().saturating_add(PAUSE_MS);
                self.pauses.borrow_mut().push((until, owner));
                self.host.wake(Duration::from_millis(PAUSE_MS));
                None
            }
            // The host has the body, and no work waits for other work.
            (Effect::Body(_) | Effect::Work(_), _) => None,
        }
    }

    fn call(
        &self,
        owner: CallOwner<R>,
        context: u32,
        request: &HttpRequest,
        store: Option<Box<etcd::Job>>,
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
            began_ms: self.host.now().as_millis(),
            store,
        };
        self.calls.borrow_mut().insert(token, call);
        None
    }

    fn deliver(&self, performed: Option<(CallOwner<R>, Outcome)>) -> Vec<(R, Outcome)> {
        match performed {
            None => Vec::new(),
            Some((CallOwner::Request(request), outcome)) => vec![(request, outcome)],
            Some((CallOwner::Work(id), outcome)) => {
                let now = self.host.now();
                let progress = self.flights.borrow_mut().resume(id, outcome, now);
                progress.map_or_else(Vec::new, |progress| self.carry_on(id, progress))
            }
        }
    }

    /// Carries work on until it waits. The requests that go on if it is over.
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

/// Requests are not shown.
impl<R> fmt::Debug for Worker<R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Worker")
    }
}

#[cfg(test)]
mod tests;
