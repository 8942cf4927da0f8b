//! Fetching key sets: one fetch per issuer and worker, whoever waits for it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::rc::{Rc, Weak};
use std::time::Duration;

use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, LogLevel, MapType};

use super::host;
use super::metrics::Metrics;
use super::stream::Stream;
use crate::exchange::{Exchange, Now, Secrets, Step};
use crate::identity::{IssuerId, Verifier};
use crate::policy::Policy;

const TIMEOUT: Duration = Duration::from_secs(5);
/// How often the timer looks whether keys are due.
const IDLE_TICK: Duration = Duration::from_secs(1);
/// The timer's next tick when a request waits.
const SOON: Duration = Duration::from_millis(1);

/// What one plugin configuration shares among its streams, in one worker.
pub(super) struct Shared {
    pub(super) policy: Rc<Policy>,
    pub(super) secrets: Secrets,
    pub(super) verifier: RefCell<Verifier>,
    pub(super) metrics: Metrics,
    /// Whether a body was ever seen while its headers were held: then the host is configured right.
    pub(super) host_holds: Cell<bool>,
    /// Whether it was noticed that the host cannot hold: then nothing is let through any more.
    pub(super) host_fails: Cell<bool>,
    /// Streams whose headers are held, until the host is known to hold.
    held: RefCell<Vec<Weak<RefCell<Stream>>>>,
    waiting: RefCell<HashMap<IssuerId, Vec<Weak<RefCell<Stream>>>>>,
    /// Streams that go on at the next tick.
    paused: RefCell<Vec<Weak<RefCell<Stream>>>>,
    fetches: RefCell<HashMap<u32, IssuerId>>,
}

impl Shared {
    /// Takes what was loaded.
    pub(super) fn new(policy: Policy, verifier: Verifier, secrets: Secrets) -> Self {
        Self {
            policy: Rc::new(policy),
            secrets,
            verifier: RefCell::new(verifier),
            metrics: Metrics::default(),
            host_holds: Cell::new(false),
            host_fails: Cell::new(false),
            held: RefCell::default(),
            waiting: RefCell::default(),
            paused: RefCell::default(),
            fetches: RefCell::default(),
        }
    }

    /// An exchange that this policy judges.
    pub(super) fn exchange(&self) -> Exchange {
        let policy = Rc::clone(&self.policy);
        Exchange::new(policy, &self.secrets, host::now())
    }

    /// Starts the timer.
    pub(super) fn start() {
        set_tick(IDLE_TICK);
    }

    /// Lets a stream wait for an issuer's keys. The fetch itself is made by the timer, in the root
    /// context: a stream's own call would end with the stream, and everybody else's wait with it.
    pub(super) fn wait_for_keys(&self, issuer: IssuerId, stream: &Rc<RefCell<Stream>>) {
        let mut waiting = self.waiting.borrow_mut();
        waiting
            .entry(issuer)
            .or_default()
            .push(Rc::downgrade(stream));
        set_tick(SOON);
    }

    /// Lets a stream go on from the next tick.
    pub(super) fn resume_soon(&self, stream: &Rc<RefCell<Stream>>) {
        self.paused.borrow_mut().push(Rc::downgrade(stream));
        set_tick(SOON);
    }

    /// A step, or the refusal if it holds a request that the host would not hold.
    pub(super) fn unless_host_fails(&self, step: Step, exchange: &mut Exchange) -> Step {
        match step {
            Step::Hold if self.host_fails.get() => exchange.host_does_not_hold(),
            step => step,
        }
    }

    /// Watches whether the body of a held stream ever arrives.
    pub(super) fn watch(&self, stream: &Rc<RefCell<Stream>>) {
        if !self.host_holds.get() {
            self.held.borrow_mut().push(Rc::downgrade(stream));
        }
    }

    /// What the timer does for this policy: fetches what is waited for or due, and looks after held streams.
    pub(super) fn tick(&self) {
        let now = host::now();
        let mut wanted: Vec<IssuerId> = self.waiting.borrow().keys().copied().collect();
        wanted.extend(self.verifier.borrow().due(now.seconds()));
        wanted.sort_unstable();
        wanted.dedup();
        for issuer in wanted {
            self.fetch(issuer, now);
        }
        let paused = std::mem::take(&mut *self.paused.borrow_mut());
        paused
            .iter()
            .filter_map(Weak::upgrade)
            .for_each(|stream| Stream::resume(&stream));
        self.look_after_held();
    }

    /// The answer to a fetch, if it is one of this configuration's.
    pub(super) fn fetched(&self, token: u32, size: usize) {
        let Some(issuer) = self.fetches.borrow_mut().remove(&token) else {
            return;
        };
        // The host answers a failed call with a 503 of its own, so only a 200 is an answer.
        let status = host::headers(MapType::HttpCallResponseHeaders);
        let is_ok = status.one(":status") == Ok(Some("200"));
        let document = is_ok.then(|| host::buffer(BufferType::HttpCallResponseBody, size));
        self.finish(issuer, document.as_deref(), host::now());
    }

    fn fetch(&self, issuer: IssuerId, now: Now) {
        let call = {
            let mut verifier = self.verifier.borrow_mut();
            let Some(keys) = verifier.keys_mut(issuer) else {
                return;
            };
            if !keys.start_fetch() {
                return;
            }
            let Some(fetch) = keys.fetch() else { return };
            let headers = vec![
                (":method", "GET"),
                (":path", fetch.path.as_str()),
                (":authority", fetch.authority.as_str()),
                ("accept", "application/json, application/jwk-set+json"),
            ];
            hostcalls::dispatch_http_call(&fetch.cluster, headers, None, Vec::new(), TIMEOUT)
        };
        match call {
            Ok(token) => drop(self.fetches.borrow_mut().insert(token, issuer)),
            Err(_) => {
                host::log(
                    LogLevel::Error,
                    "the cluster of a key set is not known to the proxy",
                );
                self.finish(issuer, None, now);
            }
        }
    }

    fn finish(&self, issuer: IssuerId, document: Option<&[u8]>, now: Now) {
        let outcome =
            self.verifier
                .borrow_mut()
                .keys_fetched(issuer, document, now.seconds(), jitter());
        let name = self
            .policy
            .issuers
            .get(issuer.0)
            .map_or("", |issuer| issuer.issuer.as_str());
        match (document, outcome) {
            (None, _) => host::log(
                LogLevel::Error,
                &format!("key set of {name}: not available"),
            ),
            (_, Err(error)) => host::log(LogLevel::Error, &format!("key set of {name}: {error}")),
            (Some(_), Ok(())) => {}
        }
        let waiting = self
            .waiting
            .borrow_mut()
            .remove(&issuer)
            .unwrap_or_default();
        for stream in waiting.iter().filter_map(Weak::upgrade) {
            Stream::keys_ready(&stream);
        }
    }

    /// Without `allow_on_headers_stop_iteration`, Envoy keeps the body of a held stream to itself,
    /// and the request would hang: it has received bytes of a body that never arrive here.
    fn look_after_held(&self) {
        let mut held = std::mem::take(&mut *self.held.borrow_mut());
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

fn set_tick(period: Duration) {
    let _ = hostcalls::set_tick_period(period);
}

/// A random part of the refresh time, so that workers and replicas do not fetch at once.
fn jitter() -> f64 {
    let random = RandomState::new().build_hasher().finish();
    0.75 + (random % 1000) as f64 / 4000.0
}
