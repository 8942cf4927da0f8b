//! The state that the streams of one policy share in one worker.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::callbacks_seen::CallbacksSeen;
use super::host_calls::{self, EnvoyHost};
use super::key_uses;
use super::metrics::Metrics;
use super::stream::{EndCause, Stream};
use crate::effect::{Effect, Outcome};
use crate::engine::Engine;
use crate::host::{Host, Worker};
use crate::transaction::Transaction;
use base::time::UnixTime;

/// The interval at which the timer checks whether keys are due.
const IDLE_TICK: Duration = Duration::from_secs(1);
/// The timer's next tick if a stream waits for it.
const SOON: Duration = Duration::from_millis(1);

/// The time in which the server may end an answer whose rest is not passed on.
const GRACE: Duration = Duration::from_secs(1);

/// A waiting stream. The reference is empty if its client has disconnected.
type WaitingStream = Weak<RefCell<Stream>>;

pub(super) struct Shared {
    pub(super) engine: Rc<Engine>,
    pub(super) metrics: Metrics,
    worker: Worker<WaitingStream>,
    /// Whether a body has arrived while its headers were held: then the host is configured correctly.
    pub(super) host_holds: Cell<bool>,
    /// Whether the host cannot hold headers: then all requests are refused.
    pub(super) host_fails: Cell<bool>,
    /// The callbacks that have arrived.
    pub(super) seen: CallbacksSeen,
    /// Streams whose headers are held, until the host is known to hold headers.
    held: RefCell<Vec<WaitingStream>>,
    /// Streams that continue at the next tick.
    paused: RefCell<Vec<WaitingStream>>,
    /// Answers to end, each at a tick after its time.
    ending: RefCell<Vec<(UnixTime, EndCause, WaitingStream)>>,
    /// The uses of older keys that were logged, each with its purpose.
    logged_keys: RefCell<HashSet<(Option<String>, &'static str)>>,
}

impl Shared {
    /// The state for a loaded policy in this root context.
    pub(super) fn new(engine: Engine, root: u32) -> Self {
        let engine = Rc::new(engine);
        Self {
            worker: Worker::new(Rc::clone(&engine), Rc::new(EnvoyHost), root),
            engine,
            metrics: Metrics::default(),
            host_holds: Cell::new(false),
            host_fails: Cell::new(false),
            seen: CallbacksSeen::default(),
            held: RefCell::default(),
            paused: RefCell::default(),
            ending: RefCell::default(),
            logged_keys: RefCell::default(),
        }
    }

    /// A transaction that this policy judges.
    pub(super) fn transaction(&self) -> Transaction {
        Transaction::new(Rc::clone(&self.engine))
    }

    /// Starts the timer.
    pub(super) fn start() {
        EnvoyHost.wake(IDLE_TICK);
    }

    /// Carries out an effect of a stream. `None`: the stream is resumed later with the outcome.
    pub(super) fn perform(
        &self,
        stream: &WaitingStream,
        context: u32,
        effect: Effect,
    ) -> Option<Outcome> {
        self.worker.perform(Weak::clone(stream), context, effect)
    }

    /// Makes the writes that no request waits for.
    pub(super) fn write_notes(&self) {
        self.worker.write_notes();
    }

    /// Gives the worker integer ids for requests, if it has none left.
    pub(super) fn supply_ids(&self) {
        self.worker.supply_ids();
    }

    /// Takes the answer to a call, if the call belongs to this policy.
    pub(super) fn answered(&self, token: u32, size: usize) {
        let answer = |limit: usize| host_calls::call_answer(size.min(limit.saturating_add(1)));
        wake(self.worker.answered(token, answer));
    }

    /// Forgets the calls of a stream that has ended.
    pub(super) fn forget(&self, context: u32) {
        self.worker.forget(context);
    }

    /// A tick of the timer. Shared work begins before work for a stream: a call made for a stream ends with
    /// the stream.
    pub(super) fn tick(&self) {
        self.seen.note_tick();
        wake(self.worker.tick());
        let paused = self.paused.take();
        let paused = paused.iter().filter_map(Weak::upgrade);
        paused.for_each(|stream| Stream::resume(&stream));
        self.end_answers();
        self.look_after_held();
        if let Some(sealer) = &self.engine.secrets.sealer {
            key_uses::report(sealer, &self.metrics, &mut self.logged_keys.borrow_mut());
        }
    }

    /// Ends the answer of a stream at this time, if it has not ended before.
    pub(super) fn end_at(&self, stream: &WaitingStream, time: UnixTime, cause: EndCause) {
        let entry = (time, cause, Weak::clone(stream));
        self.ending.borrow_mut().push(entry);
    }

    /// Ends the answer of a stream, if the server does not do it soon. At once, Envoy would discard its last part.
    pub(super) fn end_soon(&self, stream: &WaitingStream) {
        let time = host_calls::now().saturating_add(GRACE);
        self.end_at(stream, time, EndCause::GivenUp);
    }

    fn end_answers(&self) {
        if self.ending.borrow().is_empty() {
            return;
        }
        let now = host_calls::now();
        let mut all = self.ending.take();
        all.retain(|(_, _, stream)| stream.strong_count() > 0);
        let (due, later): (Vec<_>, Vec<_>) = all.into_iter().partition(|(time, ..)| now >= *time);
        self.ending.borrow_mut().extend(later);
        for (_, cause, stream) in due {
            if let Some(stream) = stream.upgrade() {
                Stream::end_answer(&stream, cause);
            }
        }
    }

    /// Continues a stream at the next tick.
    pub(super) fn resume_soon(&self, stream: &Rc<RefCell<Stream>>) {
        self.paused.borrow_mut().push(Rc::downgrade(stream));
        EnvoyHost.wake(SOON);
    }

    /// Watches whether the body of a held stream arrives.
    pub(super) fn watch(&self, stream: &WaitingStream) {
        if !self.host_holds.get() {
            self.held.borrow_mut().push(Weak::clone(stream));
        }
    }

    /// Without `allow_on_headers_stop_iteration`, Envoy does not deliver the body of a held stream, and the
    /// request would never end. Such a stream has received bytes of a body, and the filter has not.
    fn look_after_held(&self) {
        let mut held = self.held.take();
        if self.host_holds.get() {
            return;
        }
        held.retain(|stream| {
            stream
                .upgrade()
                .is_some_and(|stream| Stream::still_waits_for_body(&stream))
        });
        self.held.borrow_mut().append(&mut held);
    }
}

fn wake(woken: Vec<(WaitingStream, Outcome)>) {
    for (stream, outcome) in woken {
        // The stream may have ended meanwhile.
        if let Some(stream) = stream.upgrade() {
            Stream::wake(&stream, outcome);
        }
    }
}
