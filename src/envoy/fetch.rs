//! Fetching what tokens are judged by: key sets, and issuers' word about a token. One call per
//! worker for each, whoever waits for it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::rc::{Rc, Weak};
use std::time::Duration;

use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, LogLevel, MapType};

use super::host;
use super::metrics::Metrics;
use super::refreshes::Refreshes;
use super::stream::Stream;
use super::token_exchanges::TokenExchanges;
use crate::accounts::refresh::PendingRefresh;
use crate::response::pins::SeenTools;
use crate::transaction::{Now, Secrets, Step, Transaction};
use oauth::{PendingFetch, TokenDigest, Verifier};
use policy::Policy;

const TIMEOUT: Duration = Duration::from_secs(5);
/// How often the timer looks whether keys are due.
const IDLE_TICK: Duration = Duration::from_secs(1);
/// How long a moment is.
const PAUSE_MS: u64 = 100;
/// The timer's next tick when a request waits.
const SOON: Duration = Duration::from_millis(1);

/// What one plugin configuration shares among its streams, in one worker.
pub(super) struct Shared {
    /// The root context.
    root: u32,
    pub(super) policy: Rc<Policy>,
    pub(super) secrets: Secrets,
    seen: SeenTools,
    pub(super) verifier: RefCell<Verifier>,
    pub(super) metrics: Metrics,
    /// Whether a body was ever seen while its headers were held: then the host is configured right.
    pub(super) host_holds: Cell<bool>,
    /// Whether it was noticed that the host cannot hold: then nothing is let through any more.
    pub(super) host_fails: Cell<bool>,
    /// Streams whose headers are held, until the host is known to hold.
    held: RefCell<Vec<Weak<RefCell<Stream>>>>,
    waiting: RefCell<HashMap<PendingFetch, Vec<Weak<RefCell<Stream>>>>>,
    /// Streams that wait for a moment, and until when, in Unix milliseconds.
    pauses: RefCell<Vec<(u64, Weak<RefCell<Stream>>)>>,
    /// Streams that go on at the next tick.
    paused: RefCell<Vec<Weak<RefCell<Stream>>>>,
    fetches: RefCell<HashMap<u32, PendingFetch>>,
    /// Calls of streams.
    calls: RefCell<HashMap<u32, Weak<RefCell<Stream>>>>,
    exchanges: Option<TokenExchanges>,
    refreshes: Option<Refreshes>,
}

impl Shared {
    /// Takes what was loaded, in this root context.
    pub(super) fn new(policy: Policy, verifier: Verifier, secrets: Secrets, root: u32) -> Self {
        let policy = Rc::new(policy);
        let exchanger = secrets.exchanger.clone();
        Self {
            root,
            refreshes: Refreshes::new(root, &policy, &secrets),
            policy,
            secrets,
            seen: SeenTools::default(),
            verifier: RefCell::new(verifier),
            metrics: Metrics::default(),
            host_holds: Cell::new(false),
            host_fails: Cell::new(false),
            held: RefCell::default(),
            waiting: RefCell::default(),
            pauses: RefCell::default(),
            paused: RefCell::default(),
            fetches: RefCell::default(),
            calls: RefCell::default(),
            exchanges: exchanger.map(|exchanger| TokenExchanges::new(exchanger, root)),
        }
    }

    /// An exchange that this policy judges.
    pub(super) fn exchange(&self) -> Transaction {
        let policy = Rc::clone(&self.policy);
        Transaction::new(policy, &self.secrets, &self.seen, host::now())
    }

    /// Starts the timer.
    pub(super) fn start() {
        set_tick(IDLE_TICK);
    }

    /// Lets a stream wait for what its token needs. The fetch itself is made by the timer, in the
    /// root context: a stream's own call would end with the stream, and everybody else's wait with
    /// it.
    pub(super) fn wait_for(&self, need: PendingFetch, stream: &Rc<RefCell<Stream>>) {
        let mut waiting = self.waiting.borrow_mut();
        waiting.entry(need).or_default().push(Rc::downgrade(stream));
        set_tick(SOON);
    }

    /// Lets a stream wait for what its token is exchanged for.
    pub(super) fn wait_for_exchange(&self, token: TokenDigest, stream: &Weak<RefCell<Stream>>) {
        if let Some(exchanges) = &self.exchanges {
            exchanges.wait_for(token, stream);
            set_tick(SOON);
        }
    }

    /// Lets a stream wait for the refresh of a connection, which goes to its end without the stream.
    pub(super) fn refresh(&self, refresh: Box<PendingRefresh>, stream: &Weak<RefCell<Stream>>) {
        if let Some(refreshes) = &self.refreshes {
            refreshes.begin(refresh, stream);
            set_tick(SOON);
        }
    }

    /// Lets a stream go on from the next tick.
    pub(super) fn resume_soon(&self, stream: &Rc<RefCell<Stream>>) {
        self.paused.borrow_mut().push(Rc::downgrade(stream));
        set_tick(SOON);
    }

    /// A step, or the refusal if it holds a request that the host would not hold.
    pub(super) fn unless_host_fails(&self, step: Step, exchange: &mut Transaction) -> Step {
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

    /// Lets a stream wait for a moment.
    pub(super) fn pause(&self, stream: &Weak<RefCell<Stream>>) {
        let until = host::now().unix_ms.saturating_add(PAUSE_MS);
        self.pauses.borrow_mut().push((until, Weak::clone(stream)));
        set_tick(Duration::from_millis(PAUSE_MS));
    }

    /// Lets streams go on whose moment is over.
    fn end_pauses(&self, now: Now) {
        let pauses = std::mem::take(&mut *self.pauses.borrow_mut());
        let (over, waiting): (Vec<_>, Vec<_>) = pauses
            .into_iter()
            .partition(|(until, _)| *until <= now.unix_ms);
        if !waiting.is_empty() {
            set_tick(Duration::from_millis(PAUSE_MS));
        }
        self.pauses.borrow_mut().extend(waiting);
        for stream in over.iter().filter_map(|(_, stream)| stream.upgrade()) {
            Stream::waited(&stream);
        }
    }

    /// Notes whose a call is.
    pub(super) fn called(&self, token: u32, stream: &Weak<RefCell<Stream>>) {
        self.calls.borrow_mut().insert(token, Weak::clone(stream));
    }

    /// Forgets a call that ended with its stream.
    pub(super) fn forget(&self, token: u32) {
        self.calls.borrow_mut().remove(&token);
    }

    /// The answer to a call of a stream, if it is one of this configuration's.
    pub(super) fn answered(&self, token: u32, size: usize) {
        let stream = self.calls.borrow_mut().remove(&token);
        if let Some(stream) = stream.and_then(|stream| stream.upgrade()) {
            Stream::answered(&stream, token, size);
        }
    }

    /// Fetches what is waited for or due. Before anything is done for a stream: the call would be that
    /// stream's, and end with it.
    pub(super) fn fetch_due(&self) {
        let now = host::now();
        self.exchanges.iter().for_each(TokenExchanges::tick);
        self.refreshes.iter().for_each(Refreshes::tick);
        let mut wanted: Vec<PendingFetch> = self.waiting.borrow().keys().copied().collect();
        let due = self.verifier.borrow().due(now.seconds());
        wanted.extend(due.into_iter().map(PendingFetch::Keys));
        wanted.sort_unstable();
        wanted.dedup();
        for need in wanted {
            self.fetch(need, now);
        }
    }

    /// Lets streams go on that waited for the timer, and looks after held ones.
    pub(super) fn wake(&self) {
        self.end_pauses(host::now());
        let paused = std::mem::take(&mut *self.paused.borrow_mut());
        paused
            .iter()
            .filter_map(Weak::upgrade)
            .for_each(|stream| Stream::resume(&stream));
        self.look_after_held();
    }

    /// The answer to the exchange of a token, if it is one of this configuration's.
    pub(super) fn exchanged(&self, token: u32, size: usize) {
        let exchanges = self.exchanges.iter();
        exchanges.for_each(|exchanges| exchanges.answered(token, size));
    }

    /// The answer to a call of a refresh, if it is one of this configuration's.
    pub(super) fn refreshed(&self, token: u32, size: usize) {
        let refreshes = self.refreshes.iter();
        refreshes.for_each(|refreshes| refreshes.answered(token, size));
    }

    /// The answer to a fetch, if it is one of this configuration's.
    pub(super) fn fetched(&self, token: u32, size: usize) {
        let Some(need) = self.fetches.borrow_mut().remove(&token) else {
            return;
        };
        // The host answers a failed call with a 503 of its own, so only a 200 is an answer.
        let headers = host::headers(MapType::HttpCallResponseHeaders);
        match headers.one(":status").ok().flatten() {
            Some("200") => {
                let document = host::buffer(BufferType::HttpCallResponseBody, size);
                self.finish(need, Ok(&document), host::now());
            }
            Some(status) => {
                let answered = format!("answered with status {}", crate::audit::name(status));
                self.finish(need, Err(&answered), host::now());
            }
            None => self.finish(need, Err("not available"), host::now()),
        }
    }

    fn fetch(&self, need: PendingFetch, now: Now) {
        if self.fetches.borrow().values().any(|other| *other == need) {
            return;
        }
        let call = self.verifier.borrow_mut().start(need);
        let Some(call) = call else {
            return self.finish(need, Err("not available"), now);
        };
        match host::call(self.root, &call, TIMEOUT) {
            Some(token) => drop(self.fetches.borrow_mut().insert(token, need)),
            None => self.finish(need, Err("its cluster is not known to the proxy"), now),
        }
    }

    /// Takes the body of an answer, or why there is none, and wakes who waits for it.
    fn finish(&self, need: PendingFetch, answer: Result<&[u8], &str>, now: Now) {
        let taken = self
            .verifier
            .borrow_mut()
            .fetched(need, answer.ok(), now.seconds(), jitter());
        let error = match (answer, taken) {
            (Err(error), _) => Some(error.to_owned()),
            (_, Err(error)) => Some(error.to_string()),
            (Ok(_), Ok(())) => None,
        };
        if let Some(error) = error {
            let issuer = self.policy.issuers.get(need.issuer().0);
            let name = issuer.map_or("", |issuer| issuer.issuer.as_str());
            let what = match need {
                PendingFetch::Keys(_) => "key set",
                PendingFetch::Token(..) => "introspection",
            };
            host::log(LogLevel::Error, &format!("{what} of {name}: {error}"));
        }
        let waiting = self.waiting.borrow_mut().remove(&need).unwrap_or_default();
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
