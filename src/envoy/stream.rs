//! One HTTP stream: the host's callbacks go into the exchange, and its steps into host calls.

mod callbacks;

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use proxy_wasm::hostcalls;
use proxy_wasm::types::{Action, BufferType, LogLevel, MapType};

pub(super) use self::callbacks::StreamContext;
use super::fetch::Shared;
use super::host;
use super::job::{self, Asked, Job};
use crate::accounts::refresh::Refreshed;
use crate::transaction::{Step, Transaction};
use base::effect::Told;
use mcp::headers::Headers;
use policy::{Hold, Policies};

/// A stream, as the callbacks, the timer and the fetches see it.
pub(super) struct Stream {
    id: u32,
    own: Weak<RefCell<Self>>,
    policies: Rc<Policies<Rc<Shared>>>,
    /// Of the policy that judges it.
    shared: Rc<Shared>,
    /// Gone once its record is written.
    exchange: Option<Transaction>,
    /// The answer is ours: it comes back through the response callbacks and is not looked at.
    replied: bool,
    /// The size of the request's headers.
    head_size: usize,
    /// The size of the request's buffer; `None` until a body callback came.
    request_size: Option<usize>,
    /// The size of the answer's buffer.
    response_size: usize,
    /// It went on from its headers after a wait for keys.
    resumed: bool,
    /// What was asked outside.
    job: Option<Job>,
}

impl Stream {
    /// A stream that is nobody's until its headers are here. `None` without a policy.
    fn new(id: u32, policies: Rc<Policies<Rc<Shared>>>) -> Option<Rc<RefCell<Self>>> {
        let shared = Rc::clone(policies.for_nobody()?);
        let stream = |own: &Weak<RefCell<Self>>| Self {
            id,
            own: Weak::clone(own),
            policies,
            exchange: Some(shared.exchange()),
            shared,
            replied: false,
            head_size: 0,
            request_size: None,
            response_size: 0,
            resumed: false,
            job: None,
        };
        Some(Rc::new_cyclic(|own| RefCell::new(stream(own))))
    }

    /// Gives the stream to the policy it is for. False if it is for none.
    fn route(&mut self, headers: &Headers) -> bool {
        let one = |name| headers.one(name).ok().flatten().unwrap_or_default();
        let Some(shared) = self.policies.choose(one(":path"), one(":authority")) else {
            return false;
        };
        if !Rc::ptr_eq(shared, &self.shared) {
            self.exchange = Some(shared.exchange());
            self.shared = Rc::clone(shared);
        }
        true
    }

    /// Makes the host calls of a step of the request.
    fn request_step(&mut self, step: Step) -> Action {
        match step {
            Step::Hold => Action::Pause,
            Step::Fetch(need) => {
                if let Some(own) = self.own.upgrade() {
                    self.shared.wait_for(need, &own);
                }
                Action::Pause
            }
            Step::Exchange(token) => {
                self.shared.wait_for_exchange(token, &self.own);
                Action::Pause
            }
            Step::Refresh(refresh) => {
                self.shared.refresh(refresh, &self.own);
                Action::Pause
            }
            Step::Ask(ask) => {
                let store = self.shared.policy.store.as_ref();
                self.asked(job::ask(self.id, store, ask))
            }
            Step::Forward(forward) => {
                host::edit_headers(MapType::HttpRequestHeaders, &forward.headers);
                if let Some(body) = &forward.body {
                    let size = self.request_size.unwrap_or(0);
                    host::replace_buffer(BufferType::HttpRequestBody, size, body);
                }
                Action::Continue
            }
            Step::Reply(reply) => {
                if !std::mem::replace(&mut self.replied, true) {
                    host::reply(&reply);
                }
                Action::Pause
            }
        }
    }

    /// Tells the exchange what it asked for.
    fn told(&mut self, told: Told) -> Action {
        let Some(exchange) = &mut self.exchange else {
            return Action::Pause;
        };
        let step = {
            let verifier = &mut self.shared.verifier.borrow_mut();
            exchange.told(told, verifier, host::now())
        };
        self.request_step(step)
    }

    /// Goes on with something that was asked for.
    fn asked(&mut self, asked: Asked) -> Action {
        match asked {
            Asked::Told(told) => self.told(told),
            Asked::Pauses => {
                self.shared.pause(&self.own);
                Action::Pause
            }
            Asked::Waits(job) => {
                self.shared.called(job.token(), &self.own);
                self.job = Some(job);
                Action::Pause
            }
        }
    }

    /// The moment a stream asked for is over.
    pub(super) fn waited(stream: &Rc<RefCell<Self>>) {
        let mut stream = stream.borrow_mut();
        if hostcalls::set_effective_context(stream.id).is_ok()
            && stream.told(Told::Waited) == Action::Continue
        {
            let _ = hostcalls::resume_http_request();
        }
    }

    /// The answer to a call of a stream.
    pub(super) fn answered(stream: &Rc<RefCell<Self>>, token: u32, size: usize) {
        let mut stream = stream.borrow_mut();
        let job = stream.job.take_if(|job| job.token() == token);
        if let Some(job) = job
            && hostcalls::set_effective_context(stream.id).is_ok()
            && stream.asked(job.answered(host::call_answer(size))) == Action::Continue
        {
            let _ = hostcalls::resume_http_request();
        }
    }

    /// The same for a request that was paused, outside its own callbacks.
    fn request_step_later(&mut self, step: Step) {
        if self.request_step(step) == Action::Continue {
            self.resumed = true;
            let _ = hostcalls::resume_http_request();
        }
    }

    /// Goes on with a request whose token was exchanged, or could not be.
    pub(super) fn exchanged(stream: &Rc<RefCell<Self>>) {
        let mut stream = stream.borrow_mut();
        if hostcalls::set_effective_context(stream.id).is_err() {
            return;
        }
        if let Some(exchange) = &mut stream.exchange {
            let step = exchange.exchanged(host::now());
            stream.request_step_later(step);
        }
    }

    /// Goes on with a request whose connection was refreshed, or could not be.
    pub(super) fn refreshed(stream: &Rc<RefCell<Self>>, refreshed: Refreshed) {
        let mut stream = stream.borrow_mut();
        if hostcalls::set_effective_context(stream.id).is_err() {
            return;
        }
        if let Some(exchange) = &mut stream.exchange {
            let step = exchange.refreshed(refreshed, host::now());
            stream.request_step_later(step);
        }
    }

    /// Lets a request go on that was paused at its trailers.
    pub(super) fn resume(stream: &Rc<RefCell<Self>>) {
        if hostcalls::set_effective_context(stream.borrow().id).is_ok() {
            let _ = hostcalls::resume_http_request();
        }
    }

    /// The body grew to `size` bytes, or ended.
    fn request_body(&mut self, size: usize, ended: bool) -> Action {
        let shared = Rc::clone(&self.shared);
        let first = self.request_size.replace(size).is_none();
        let Some(exchange) = self.exchange.as_mut().filter(|_| !self.replied) else {
            return Action::Pause;
        };
        if exchange.is_over() {
            return Action::Continue;
        }
        let step = if first && shared.policy.hold == Hold::BufferFilter && headers_left() {
            report_host(&shared);
            exchange.host_does_not_hold()
        } else if ended {
            let body = host::buffer(BufferType::HttpRequestBody, size);
            exchange.request_body(&body, &mut shared.verifier.borrow_mut(), host::now())
        } else {
            exchange.request_grows(size)
        };
        shared.host_holds.set(true);
        self.request_step(step)
    }

    /// The answer grew to `size` bytes, or brought a chunk of that size, or ended.
    fn response_body(&mut self, size: usize, ended: bool) -> Action {
        self.response_size = size;
        let Some(exchange) = &mut self.exchange else {
            return Action::Continue;
        };
        if self.replied || !exchange.reads_response() {
            return Action::Continue;
        }
        let body = host::buffer(BufferType::HttpResponseBody, size);
        let step = exchange.response_body(&body, ended, host::now());
        self.response_step(&step)
    }

    /// Makes the host calls of a step of the answer. An answer is never replaced by a reply: what
    /// is wrong with it is said in its own place.
    fn response_step(&self, step: &Step) -> Action {
        let Step::Forward(forward) = step else {
            return Action::Pause;
        };
        host::edit_headers(MapType::HttpResponseHeaders, &forward.headers);
        if let Some(body) = &forward.body {
            host::replace_buffer(BufferType::HttpResponseBody, self.response_size, body);
        }
        Action::Continue
    }

    /// Goes on with a request for which was fetched what it needs, or could not be.
    pub(super) fn keys_ready(stream: &Rc<RefCell<Self>>) {
        if stream.borrow_mut().judge_with_keys() {
            let shared = Rc::clone(&stream.borrow().shared);
            shared.watch(stream);
        }
    }

    /// Judges the request once more. True if it is held for its body.
    fn judge_with_keys(&mut self) -> bool {
        if hostcalls::set_effective_context(self.id).is_err() {
            return false;
        }
        let shared = Rc::clone(&self.shared);
        let size = self.request_size.unwrap_or(0);
        let body = host::buffer(BufferType::HttpRequestBody, size);
        let Some(exchange) = &mut self.exchange else {
            return false;
        };
        let step = exchange.keys_ready(&body, &mut shared.verifier.borrow_mut(), host::now());
        let step = shared.unless_host_fails(step, exchange);
        let held = step == Step::Hold;
        self.request_step_later(step);
        held
    }

    /// Whether a held stream may still get its body. If the host has it and keeps it back, the
    /// request is refused, and the log says what to change.
    pub(super) fn still_waits_for_body(stream: &Rc<RefCell<Self>>) -> bool {
        let mut stream = stream.borrow_mut();
        let waits = stream
            .exchange
            .as_ref()
            .is_some_and(Transaction::awaits_body);
        if !waits || stream.request_size.is_some() || stream.replied {
            return false;
        }
        if hostcalls::set_effective_context(stream.id).is_err() {
            return false;
        }
        // What Envoy has received of the request. A `content-length` only announces.
        let received = host::number(&["request", "total_size"]).unwrap_or(0);
        if usize::try_from(received).is_ok_and(|received| received <= stream.head_size) {
            return true;
        }
        report_host(&stream.shared);
        if let Some(exchange) = &mut stream.exchange {
            let step = exchange.host_does_not_hold();
            stream.request_step_later(step);
        }
        false
    }
}

/// Whether Envoy's router already has the request: then nothing held the headers back.
fn headers_left() -> bool {
    host::number(&["upstream", "request_attempt_count"]).is_some_and(|attempts| attempts > 0)
}

fn report_host(shared: &Shared) {
    report(
        shared,
        match shared.policy.hold {
            Hold::StopIteration => {
                "the filter's PluginConfig lacks `allow_on_headers_stop_iteration: true` (Envoy \
                 1.35 or newer); where it cannot be set, put envoy.filters.http.buffer behind this \
                 filter and `hold: buffer_filter` into the policy"
            }
            Hold::BufferFilter => {
                "the policy says `hold: buffer_filter`, and envoy.filters.http.buffer does not \
                 stand behind this filter"
            }
        },
    );
}

/// From now on nothing is let through; the log says why, once.
fn report(shared: &Shared, missing: &str) {
    if !shared.host_fails.replace(true) {
        host::log(
            LogLevel::Critical,
            &format!("requests are refused: {missing}"),
        );
    }
}
