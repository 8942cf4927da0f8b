//! One HTTP stream: the host's callbacks go into the transaction, and its effects into host calls.

mod answer;
mod callbacks;

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use proxy_wasm::hostcalls;
use proxy_wasm::types::{Action, BufferType, LogLevel, MapType};

use self::answer::AnswerHeaders;
pub(super) use self::answer::EndCause;
pub(super) use self::callbacks::StreamContext;
use super::host_calls;
use super::shared::Shared;
use crate::effect::{Effect, Outcome, Progress};
use crate::step::End;
use crate::transaction::Transaction;
use mcp::headers::{HeaderEdit, Headers};
use policy::{Hold, Policies};

/// The path of held request headers, until the host is known to hold headers.
const UNJUDGED_PATH: &str = "/.mcp-auth/unjudged";

/// A stream, as the callbacks, the timer and the calls see it.
pub(super) struct Stream {
    id: u32,
    own: Weak<RefCell<Self>>,
    policies: Rc<Policies<Rc<Shared>>>,
    /// Of the policy that judges it.
    shared: Rc<Shared>,
    /// Gone once its record is written.
    transaction: Option<Transaction>,
    /// The answer is ours: it comes back through the response callbacks and is not looked at.
    replied: bool,
    /// The size of the request's headers.
    head_size: usize,
    /// The size of the request's buffer; `None` until a body callback came.
    request_size: Option<usize>,
    /// The whole request is in the buffer.
    request_ended: bool,
    /// The request's own path, until the host is known to hold headers.
    path: Option<String>,
    /// Whether its headers are held with another path.
    has_other_path: bool,
    /// Whether the answer's headers arrived.
    has_answer_headers: bool,
    /// Whether the answer's end arrived.
    has_answer_end: bool,
    /// Whether Envoy answers instead of the server.
    is_by_proxy: bool,
    /// The headers of an answer that must not be passed on with them yet.
    answer_headers: Option<AnswerHeaders>,
    /// The size of the answer's buffer.
    response_size: usize,
    /// It waits for an outcome.
    waits: bool,
    /// It went on outside its own callbacks, after a wait.
    resumed: bool,
}

impl Stream {
    /// A stream whose policy is chosen once its headers are here. `None` without a policy.
    fn new(id: u32, policies: Rc<Policies<Rc<Shared>>>) -> Option<Rc<RefCell<Self>>> {
        let shared = Rc::clone(policies.for_no_policy()?);
        let stream = |own: &Weak<RefCell<Self>>| Self {
            id,
            own: Weak::clone(own),
            policies,
            transaction: Some(shared.transaction()),
            shared,
            replied: false,
            head_size: 0,
            request_size: None,
            request_ended: false,
            path: None,
            has_other_path: false,
            has_answer_headers: false,
            has_answer_end: false,
            is_by_proxy: false,
            answer_headers: None,
            response_size: 0,
            waits: false,
            resumed: false,
        };
        Some(Rc::new_cyclic(|own| RefCell::new(stream(own))))
    }

    /// Gives the stream to the policy it matches. False if it matches none.
    fn route(&mut self, headers: &Headers) -> bool {
        let one = |name| headers.one(name).ok().flatten().unwrap_or_default();
        let Some(shared) = self.policies.choose(one(":path"), one(":authority")) else {
            return false;
        };
        if !Rc::ptr_eq(shared, &self.shared) {
            self.transaction = Some(shared.transaction());
            self.shared = Rc::clone(shared);
        }
        true
    }

    /// The request's headers.
    fn request_headers(&mut self, headers: Headers, ended: bool) -> Action {
        let is_matched = self.route(&headers);
        self.head_size = headers.size();
        self.request_ended = ended;
        let Some(transaction) = &mut self.transaction else {
            return Action::Pause;
        };
        if !is_matched {
            let end = transaction.refuse_unmatched(&headers);
            return self.end(end);
        }
        if self.shared.host_fails.get() {
            let end = transaction.host_does_not_hold();
            return self.end(end);
        }
        if !self.shared.host_holds.get() {
            self.path = headers.one(":path").ok().flatten().map(str::to_owned);
        }
        if self.shared.engine.policy.local.is_some() {
            transaction.set_peer(host_calls::peer());
        }
        self.shared.supply_ids();
        let progress = transaction.request_headers(headers, ended, host_calls::now());
        self.advance(progress)
    }

    /// Carries out what the request asks for, until it waits or is over.
    fn advance(&mut self, mut progress: Progress<End>) -> Action {
        loop {
            let outcome = match progress {
                Progress::Done(end) => return self.end(end),
                Progress::Waits(Effect::Body(release)) => {
                    if !self.request_ended {
                        return self.await_body(release);
                    }
                    host_calls::edit_headers(
                        MapType::HttpRequestHeaders,
                        &release.unwrap_or_default(),
                    );
                    let size = self.request_size.unwrap_or(0);
                    Some(Outcome::Body(host_calls::buffer(
                        BufferType::HttpRequestBody,
                        size,
                    )))
                }
                Progress::Waits(effect @ Effect::Memory(_)) => {
                    self.shared.perform(&self.own, self.id, effect)
                }
                Progress::Waits(effect) => {
                    if !self.shared.seen.has_timer(host_calls::now().as_millis()) {
                        return self.refuse_undelivered();
                    }
                    self.shared.perform(&self.own, self.id, effect)
                }
            };
            self.waits = outcome.is_none();
            let (Some(transaction), Some(outcome)) = (&mut self.transaction, outcome) else {
                return Action::Pause;
            };
            match transaction.resume(outcome, host_calls::now()) {
                Some(next) => progress = next,
                None => return Action::Pause,
            }
        }
    }

    /// Waits for the body, with the headers held, or with the headers going on changed.
    fn await_body(&mut self, release: Option<Vec<HeaderEdit>>) -> Action {
        if let Some(edits) = release {
            host_calls::edit_headers(MapType::HttpRequestHeaders, &edits);
            return Action::Continue;
        }
        if self.shared.host_fails.get()
            && let Some(transaction) = &mut self.transaction
        {
            let end = transaction.host_does_not_hold();
            return self.end(end);
        }
        if self.path.is_some() && self.request_size.is_none() {
            // If the host did not deliver the body, the headers would pass with it, unjudged.
            let path = HeaderEdit::Set(":path".to_owned(), UNJUDGED_PATH.to_owned());
            host_calls::edit_headers(MapType::HttpRequestHeaders, &[path]);
            self.has_other_path = true;
            // Envoy counts these as received.
            self.head_size = self.head_size.saturating_add(UNJUDGED_PATH.len());
        }
        self.shared.watch(&self.own);
        Action::Pause
    }

    /// Restores the path of a request, when the host delivers its body or the request is over.
    fn restore_path(&mut self) {
        if std::mem::take(&mut self.has_other_path)
            && let Some(path) = self.path.take()
        {
            let path = HeaderEdit::Set(":path".to_owned(), path);
            host_calls::edit_headers(MapType::HttpRequestHeaders, &[path]);
        }
    }

    /// Makes the host calls for a request that is over.
    fn end(&mut self, end: End) -> Action {
        self.shared.write_notes();
        self.restore_path();
        match end {
            End::Forward(forward) => {
                host_calls::edit_headers(MapType::HttpRequestHeaders, &forward.headers);
                if let Some(body) = &forward.body {
                    let size = self.request_size.unwrap_or(0);
                    host_calls::replace_buffer(BufferType::HttpRequestBody, size, body);
                }
                Action::Continue
            }
            End::Reply(reply) => {
                if !std::mem::replace(&mut self.replied, true) {
                    host_calls::reply(&reply);
                }
                Action::Pause
            }
        }
    }

    /// Goes on with a request that waited, outside its own callbacks.
    pub(super) fn wake(stream: &Rc<RefCell<Self>>, outcome: Outcome) {
        let stream = &mut *stream.borrow_mut();
        if hostcalls::set_effective_context(stream.id).is_err() {
            return;
        }
        stream.waits = false;
        let transaction = stream.transaction.as_ref();
        if transaction.is_some_and(Transaction::response_waits) {
            return stream.wake_answer(outcome);
        }
        let Some(transaction) = &mut stream.transaction else {
            return;
        };
        if let Some(progress) = transaction.resume(outcome, host_calls::now()) {
            let action = stream.advance(progress);
            stream.act_later(action);
        }
    }

    /// Lets a paused request go on, outside its own callbacks.
    fn act_later(&mut self, action: Action) {
        if action == Action::Continue {
            self.resumed = true;
            let _ = hostcalls::resume_http_request();
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
        let is_first = self.request_size.replace(size).is_none();
        self.restore_path();
        self.request_ended = ended;
        let Some(transaction) = self.transaction.as_mut().filter(|_| !self.replied) else {
            return Action::Pause;
        };
        if transaction.is_over() {
            return Action::Continue;
        }
        if !transaction.has_arrived() {
            return self.refuse_undelivered();
        }
        let hold = shared.engine.policy.hold;
        if is_first && hold == Hold::BufferFilter && headers_left() {
            report_host(&shared);
            let end = transaction.host_does_not_hold();
            return self.end(end);
        }
        shared.host_holds.set(true);
        if ended && transaction.awaits_body() {
            let body = host_calls::buffer(BufferType::HttpRequestBody, size);
            return match transaction.resume(Outcome::Body(body), host_calls::now()) {
                Some(progress) => self.advance(progress),
                None => Action::Pause,
            };
        }
        let body = || host_calls::buffer(BufferType::HttpRequestBody, size);
        match transaction.request_grows(size, body) {
            Some(end) => self.end(end),
            None => Action::Pause,
        }
    }

    /// Refuses a request of which the host did not deliver a part.
    fn refuse_undelivered(&mut self) -> Action {
        report_undelivered(&self.shared);
        let Some(transaction) = &mut self.transaction else {
            return Action::Pause;
        };
        let end = transaction.host_does_not_hold();
        self.end(end)
    }

    /// Whether a held stream may still get its body. If the host has it and keeps it back, the
    /// request is refused, and the log says what to change.
    pub(super) fn still_waits_for_body(stream: &Rc<RefCell<Self>>) -> bool {
        let mut stream = stream.borrow_mut();
        let waits = stream
            .transaction
            .as_ref()
            .is_some_and(Transaction::awaits_body);
        if !waits || stream.request_size.is_some() || stream.replied {
            return false;
        }
        if hostcalls::set_effective_context(stream.id).is_err() {
            return false;
        }
        // What Envoy has received of the request. A `content-length` only announces.
        let received = host_calls::number(&["request", "total_size"]).unwrap_or(0);
        if usize::try_from(received).is_ok_and(|received| received <= stream.head_size) {
            return true;
        }
        report_host(&stream.shared);
        if let Some(transaction) = &mut stream.transaction {
            let end = transaction.host_does_not_hold();
            let action = stream.end(end);
            stream.act_later(action);
        }
        false
    }
}

/// Whether Envoy's router already has the request: then nothing held the headers back.
fn headers_left() -> bool {
    host_calls::number(&["upstream", "request_attempt_count"]).is_some_and(|attempts| attempts > 0)
}

fn report_host(shared: &Shared) {
    report(
        shared,
        match shared.engine.policy.hold {
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

fn report_undelivered(shared: &Shared) {
    report(
        shared,
        "Envoy did not deliver a part of a request or of an answer to the filter; compare its \
         capability_restriction_config with the shipped one",
    );
}

/// From now on nothing is let through; the log says why, once.
fn report(shared: &Shared, missing: &str) {
    if !shared.host_fails.replace(true) {
        host_calls::log(
            LogLevel::Critical,
            &format!("requests are refused: {missing}"),
        );
    }
}
