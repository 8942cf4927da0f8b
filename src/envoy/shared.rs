//! What one policy shares among its streams, in one worker.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::callbacks_seen::CallbacksSeen;
use super::host_calls::{self, EnvoyHost};
use super::metrics::Metrics;
use super::stream::Stream;
use crate::effect::{Effect, Outcome};
use crate::engine::Engine;
use crate::host::{Host, Worker};
use crate::transaction::Transaction;

/// How often the timer looks whether keys are due.
const IDLE_TICK: Duration = Duration::from_secs(1);
/// The timer's next tick if a stream waits for it.
const SOON: Duration = Duration::from_millis(1);

/// A stream that waits; gone if its client left.
type WaitingStream = Weak<RefCell<Stream>>;

pub(super) struct Shared {
    pub(super) engine: Rc<Engine>,
    pub(super) metrics: Metrics,
    worker: Worker<WaitingStream>,
    /// Whether a body was ever seen while its headers were held: then the host is configured right.
    pub(super) host_holds: Cell<bool>,
    /// Whether it was noticed that the host cannot hold: then nothing is let through any more.
    pub(super) host_fails: Cell<bool>,
    /// The callbacks that arrived.
    pub(super) seen: CallbacksSeen,
    /// Streams whose headers are held, until the host is known to hold.
    held: RefCell<Vec<WaitingStream>>,
    /// Streams that go on at the next tick.
    paused: RefCell<Vec<WaitingStream>>,
}

impl Shared {
    /// Takes what was loaded, in this root context.
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
        }
    }

    /// A transaction that this policy judges.
    pub(super) fn transaction(&self) -> Transaction {
        Transaction::new(Rc::clone(&self.engine), host_calls::now())
    }

    /// Starts the timer.
    pub(super) fn start() {
        EnvoyHost.wake(IDLE_TICK);
    }

    /// Carries out an effect of a stream. `None`: the stream is woken with the outcome.
    pub(super) fn perform(
        &self,
        stream: &WaitingStream,
        context: u32,
        effect: Effect,
    ) -> Option<Outcome> {
        self.worker.perform(Weak::clone(stream), context, effect)
    }

    /// Takes the answer to a call, if it is one of this policy's.
    pub(super) fn answered(&self, token: u32, size: usize) {
        wake(
            self.worker
                .answered(token, || host_calls::call_answer(size)),
        );
    }

    /// Forgets the calls of a stream that is gone.
    pub(super) fn forget(&self, context: u32) {
        self.worker.forget(context);
    }

    /// The timer went off. Shared work begins before anything is done for a stream: its calls would
    /// be that stream's, and end with it.
    pub(super) fn tick(&self) {
        self.seen.note_tick();
        wake(self.worker.tick());
        let paused = self.paused.take();
        let paused = paused.iter().filter_map(Weak::upgrade);
        paused.for_each(|stream| Stream::resume(&stream));
        self.look_after_held();
    }

    /// Lets a stream go on from the next tick.
    pub(super) fn resume_soon(&self, stream: &Rc<RefCell<Stream>>) {
        self.paused.borrow_mut().push(Rc::downgrade(stream));
        EnvoyHost.wake(SOON);
    }

    /// Watches whether the body of a held stream ever arrives.
    pub(super) fn watch(&self, stream: &WaitingStream) {
        if !self.host_holds.get() {
            self.held.borrow_mut().push(Weak::clone(stream));
        }
    }

    /// Without `allow_on_headers_stop_iteration`, Envoy keeps the body of a held stream to itself,
    /// and the request would hang: it has received bytes of a body that never arrive here.
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
