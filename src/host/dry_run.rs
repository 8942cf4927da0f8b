//! A host without a proxy: for tests, benchmarks and the command line.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::{Host, Worker};
use crate::effect::{Effect, Outcome, Progress};
use crate::engine::Engine;
use crate::step::{End, Forward};
use crate::transaction::Transaction;
use base::http::{HttpRequest, HttpResponse, Reply};
use base::store::{StoreError, StoreOperation, Stored, memory};
use base::time::UnixTime;
use mcp::headers::Headers;
use oauth::ClientNetwork;

/// The servers and the store of a dry run.
pub trait Outside {
    /// Answers a call. `None`: there is no answer.
    fn answer(&self, request: &HttpRequest) -> Option<HttpResponse>;

    /// Carries out an operation on the store.
    ///
    /// # Errors
    ///
    /// The store is full, or not available.
    fn store(&self, operation: &StoreOperation, now: UnixTime) -> Result<Stored, StoreError>;
}

/// Servers do not answer, and the store is empty.
#[derive(Debug, Default)]
pub struct Nothing(RefCell<Vec<u8>>);

/// One worker with a fixed clock.
pub struct DryRun {
    host: Rc<DryHost>,
    worker: Worker<()>,
    now: UnixTime,
}

struct DryHost {
    outside: Rc<dyn Outside>,
    now: UnixTime,
    /// The answers that arrived, each with the number of its call.
    answers: RefCell<Vec<(u32, Option<HttpResponse>)>>,
}

impl DryRun {
    /// A worker at this time.
    pub fn new(engine: Rc<Engine>, outside: Rc<dyn Outside>, now: UnixTime) -> Self {
        let host = Rc::new(DryHost {
            outside,
            now,
            answers: RefCell::default(),
        });
        let worker = Worker::new(engine, Rc::<DryHost>::clone(&host), 0);
        Self { host, worker, now }
    }

    /// Runs a whole request. With `hold: buffer_filter`, its end includes the changes of the headers that
    /// are passed on first. `None`: a bug, the request did not end.
    pub fn request(
        &self,
        transaction: &mut Transaction,
        headers: Headers,
        body: &[u8],
    ) -> Option<End> {
        let progress = transaction.request_headers(headers, body.is_empty(), self.now);
        let mut progress = self.carry_on(transaction, progress);
        let mut released = Vec::new();
        if let Progress::Waits(Effect::Body(release)) = progress {
            released = release.unwrap_or_default();
            let body = Outcome::Body(body.to_vec());
            let next = transaction.resume(body, self.now)?;
            progress = self.carry_on(transaction, next);
        }
        match progress {
            Progress::Done(End::Forward(forward)) => {
                released.extend(forward.headers);
                Some(End::Forward(Forward {
                    headers: released,
                    ..forward
                }))
            }
            Progress::Done(end) => Some(end),
            Progress::Waits(_) => None,
        }
    }

    /// Carries out the effects of a request, until it needs its body or ends.
    pub fn carry_on(
        &self,
        transaction: &mut Transaction,
        mut progress: Progress<End>,
    ) -> Progress<End> {
        self.worker.supply_ids();
        loop {
            let effect = match progress {
                Progress::Waits(Effect::Body(_)) => return progress,
                Progress::Done(_) => {
                    self.worker.write_notes();
                    return progress;
                }
                Progress::Waits(effect) => effect,
            };
            let outcome = match effect {
                // The clock is fixed.
                Effect::Pause => Outcome::Paused,
                effect => self.outcome(effect),
            };
            match transaction.resume(outcome, self.now) {
                Some(next) => progress = next,
                // The request has ended.
                None => return Progress::Waits(Effect::Body(None)),
            }
        }
    }

    /// Asks about the lists in a part of the answer, before the transaction gets this part.
    pub fn decide_lists(&self, transaction: &mut Transaction, body: &[u8]) {
        // As in the proxy, a part of the answer that waited is looked at again.
        while let Some(effect) = transaction.response_asks(body, self.now) {
            let mut waits = Some(effect);
            while let Some(effect) = waits {
                let outcome = self.outcome(effect);
                waits = transaction.resume_response(outcome, self.now);
            }
        }
    }

    /// The reply in place of an answer with these headers, if the server refuses the account of the call with it.
    pub fn account_refused(
        &self,
        transaction: &mut Transaction,
        headers: &Headers,
    ) -> Option<Reply> {
        let effect = transaction.account_refused(headers)?;
        let outcome = self.outcome(effect);
        transaction.account_ended(&outcome, self.now)
    }

    /// Makes the writes that no request waits for.
    pub fn write_notes(&self) {
        self.worker.write_notes();
    }

    fn outcome(&self, effect: Effect) -> Outcome {
        if let Some(outcome) = self.worker.perform((), 0, effect) {
            return outcome;
        }
        let mut woken = self.worker.tick();
        while woken.is_empty() {
            let answer = self.host.answers.borrow_mut().pop();
            // All calls are answered at once. The last answer has resumed a waiting request.
            let Some((token, answer)) = answer else {
                return Outcome::Paused;
            };
            woken = self.worker.answered(token, |_| answer);
        }
        woken.pop().map_or(Outcome::Paused, |((), outcome)| outcome)
    }
}

impl Host for DryHost {
    fn now(&self) -> UnixTime {
        self.now
    }

    fn client(&self) -> ClientNetwork {
        ClientNetwork::UNKNOWN
    }

    fn log(&self, _: &str) {}

    fn call(&self, _: u32, request: &HttpRequest) -> Option<u32> {
        let answer = self.outside.answer(request);
        let answers = &mut *self.answers.borrow_mut();
        let token = u32::try_from(answers.len()).ok()?;
        answers.push((token, answer));
        Some(token)
    }

    fn store(&self, operation: &StoreOperation) -> Result<Stored, StoreError> {
        self.outside.store(operation, self.now)
    }

    fn wake(&self, _: Duration) {}
}

impl Outside for Nothing {
    fn answer(&self, _: &HttpRequest) -> Option<HttpResponse> {
        None
    }

    fn store(&self, operation: &StoreOperation, now: UnixTime) -> Result<Stored, StoreError> {
        let (stored, held) = memory::apply(&self.0.borrow(), operation, now)?;
        if let Some(held) = held {
            self.0.replace(held);
        }
        Ok(stored)
    }
}

/// Without the worker.
impl fmt::Debug for DryRun {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("DryRun")
    }
}
