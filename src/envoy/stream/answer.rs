//! The callbacks of the answer.

use std::cell::RefCell;
use std::rc::Rc;

use proxy_wasm::hostcalls;
use proxy_wasm::types::{Action, BufferType, MapType};

use super::{Stream, report_undelivered};
use crate::effect::{Effect, Outcome};
use crate::envoy::host_calls;
use crate::step::Step;
use crate::transaction::{Ending, Transaction};
use mcp::headers::{HeaderEdit, Headers};
use policy::Hold;

/// The status of held answer headers, until the host is known to deliver bodies.
const UNJUDGED_STATUS: &str = "502";

/// Why the filter ends an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::envoy) enum EndCause {
    /// Its last part was passed on.
    GivenUp,
    /// The token of the caller expired.
    TokenExpired,
}

/// Held headers of an answer.
pub(super) struct AnswerHeaders {
    status: String,
    content_type: Option<String>,
}

impl Stream {
    /// The answer's headers.
    pub(super) fn response_headers(&mut self, ended: bool) -> Action {
        self.has_answer_headers = true;
        let Some(transaction) = &mut self.transaction else {
            return Action::Continue;
        };
        if self.replied {
            return Action::Continue;
        }
        let headers = host_calls::headers(MapType::HttpResponseHeaders);
        self.has_answer_end = ended;
        if !transaction.is_over() || is_error(&headers) {
            let is_from_upstream = host_calls::is_from_upstream();
            if is_from_upstream && !transaction.is_over() {
                // The server answers a request that was never judged.
                return self.refuse_undelivered();
            }
            self.is_by_proxy = !is_from_upstream;
        }
        if self.is_by_proxy {
            let details = host_calls::code_details();
            let step = transaction.proxy_answers(&headers, &details, ended);
            return self.response_step(&step);
        }
        if let Some(effect) = transaction.account_refused(&headers) {
            // Without a timer the account cannot end, and the answer passes as it is.
            let has_timer = self.shared.seen.has_timer(host_calls::now().as_millis());
            if has_timer {
                self.wait_for_answer(effect);
                return Action::Pause;
            }
            transaction.keep_account();
        }
        let step = transaction.response_headers(&headers, ended);
        if let Some(end) = transaction.ends_with_token().filter(|_| !ended) {
            self.shared.end_at(&self.own, end, EndCause::TokenExpired);
        }
        // With a buffer filter, headers cannot wait for their body.
        let can_wait = self.shared.engine.policy.hold == Hold::StopIteration;
        let is_unsure = can_wait && transaction.reads_response() && !ended;
        let action = self.response_step(&step);
        if is_unsure && !self.shared.seen.delivers_answers() {
            self.hold_answer_headers();
            return Action::Pause;
        }
        action
    }

    /// Makes the headers of an answer those of an error. If the host did not deliver its body, they would
    /// pass with it, unjudged.
    fn hold_answer_headers(&mut self) {
        let headers = host_calls::headers(MapType::HttpResponseHeaders);
        let one = |name| headers.one(name).ok().flatten().map(str::to_owned);
        self.answer_headers = one(":status").map(|status| AnswerHeaders {
            status,
            content_type: one("content-type"),
        });
        host_calls::edit_headers(
            MapType::HttpResponseHeaders,
            &[
                HeaderEdit::Set(":status".to_owned(), UNJUDGED_STATUS.to_owned()),
                HeaderEdit::Remove("content-type".to_owned()),
            ],
        );
    }

    pub(super) fn restore_answer_headers(&mut self) {
        if let Some(AnswerHeaders {
            status,
            content_type,
        }) = self.answer_headers.take()
        {
            let mut edits = vec![HeaderEdit::Set(":status".to_owned(), status)];
            edits.extend(content_type.map(|text| HeaderEdit::Set("content-type".to_owned(), text)));
            host_calls::edit_headers(MapType::HttpResponseHeaders, &edits);
        }
    }

    /// The answer grew to `size` bytes, or brought a chunk of that size, or ended.
    pub(super) fn response_body(&mut self, size: usize, ended: bool) -> Action {
        self.response_size = size;
        self.has_answer_end |= ended;
        let waits = self.transaction.as_ref();
        if waits.is_some_and(Transaction::waits_for_account) {
            // Nothing of the answer is passed on, so Envoy need not keep it.
            host_calls::replace_buffer(BufferType::HttpResponseBody, size, b"");
            return Action::Pause;
        }
        if waits.is_some_and(Transaction::response_waits) {
            return Action::Pause;
        }
        self.restore_answer_headers();
        let Some(transaction) = &mut self.transaction else {
            return Action::Continue;
        };
        if !self.has_answer_headers && !self.replied && transaction.is_over() {
            // Its headers were passed on, and may have its length.
            report_undelivered(&self.shared);
            host_calls::replace_buffer(BufferType::HttpResponseBody, size, &vec![b' '; size]);
            return Action::Continue;
        }
        if self.replied || !transaction.reads_response() {
            return Action::Continue;
        }
        if transaction.holds_response() && !ended {
            // Each copy of the buffer would be as long as all chunks before it.
            let step = transaction.response_grows(size);
            return self.response_step(&step);
        }
        let body = host_calls::buffer(BufferType::HttpResponseBody, size);
        let now = host_calls::now();
        // Without a timer no question is sent.
        if transaction.may_ask()
            && self.shared.seen.has_timer(now.as_millis())
            && let Some(effect) = transaction.response_asks(&body, now)
        {
            self.wait_for_answer(effect);
            return Action::Pause;
        }
        let step = transaction.response_body(&body, now);
        self.response_step(&step)
    }

    /// Waits for shared work about the answer.
    fn wait_for_answer(&mut self, effect: Effect) {
        self.waits = true;
        // Only shared work is asked for, whose outcome comes later.
        let _ = self.shared.perform(&self.own, self.id, effect);
    }

    /// Continues an answer that waited for a decision, outside its own callbacks.
    pub(super) fn wake_answer(&mut self, outcome: Outcome) {
        let Some(transaction) = &mut self.transaction else {
            return;
        };
        let now = host_calls::now();
        if transaction.waits_for_account() {
            if let Some(reply) = transaction.account_ended(&outcome, now) {
                self.replied = true;
                self.shared.write_notes();
                host_calls::reply(&reply);
            }
            return;
        }
        if let Some(effect) = transaction.resume_response(outcome, now) {
            return self.wait_for_answer(effect);
        }
        let action = self.response_body(self.response_size, self.has_answer_end);
        if action == Action::Continue {
            let _ = hostcalls::resume_http_response();
        }
    }

    /// The end of the answer, when the stream has ended.
    pub(super) fn ending(&self) -> Ending {
        // The most common end needs no host call.
        let is_whole = self.has_answer_headers && self.has_answer_end && !self.is_by_proxy;
        if self.replied || is_whole && !self.holds_answer() {
            return Ending::Whole;
        }
        if host_calls::has_refused_to_buffer() {
            return Ending::OverBuffer;
        }
        if self.is_by_proxy {
            return Ending::ByProxy;
        }
        match self.has_answer_headers && !self.has_answer_end && host_calls::server_failed() {
            true => Ending::CutOff,
            false => Ending::Whole,
        }
    }

    /// Whether a part of the answer was not passed on.
    fn holds_answer(&self) -> bool {
        let transaction = self.transaction.as_ref();
        transaction.is_some_and(Transaction::holds_response)
    }

    /// The stream has ended: now it shows whether the host kept a part back.
    pub(super) fn check_delivery(&self) {
        let asks = |ask: fn(&Transaction) -> bool| self.transaction.as_ref().is_some_and(ask);
        let is_headless = !self.has_answer_headers && !self.replied;
        let is_unread = !self.replied
            && !self.shared.seen.delivers_answers()
            && asks(Transaction::reads_response);
        let is_held = self.answer_headers.is_some() || asks(Transaction::holds_response);
        if !is_held && !is_headless && !is_unread {
            return;
        }
        // The whole answer of the server was passed on, and a part of it was not delivered here.
        let is_sent = host_calls::number(&["response", "size"]) > Some(0);
        if host_calls::is_from_upstream() && !host_calls::server_failed() && is_sent {
            report_undelivered(&self.shared);
        }
    }

    /// Makes the host calls of a step of the answer. An answer is never replaced by a reply: what
    /// is wrong with it is said in its own place.
    fn response_step(&self, step: &Step) -> Action {
        self.shared.write_notes();
        let forward = match step {
            Step::Hold => return Action::Pause,
            Step::Forward(forward) | Step::ForwardLast(forward) => forward,
        };
        host_calls::edit_headers(MapType::HttpResponseHeaders, &forward.headers);
        if let Some(body) = &forward.body {
            host_calls::replace_buffer(BufferType::HttpResponseBody, self.response_size, body);
        }
        if matches!(step, Step::ForwardLast(_)) && !self.has_answer_end {
            self.shared.end_soon(&self.own);
        }
        Action::Continue
    }

    /// Ends an answer whose headers were passed on. The server may not end it for hours.
    pub(in crate::envoy) fn end_answer(stream: &Rc<RefCell<Self>>, cause: EndCause) {
        let stream = &mut *stream.borrow_mut();
        let Some(transaction) = &mut stream.transaction else {
            return;
        };
        if stream.has_answer_end || hostcalls::set_effective_context(stream.id).is_err() {
            return;
        }
        if cause == EndCause::TokenExpired {
            transaction.end_with_token();
            stream.replied = true;
        }
        host_calls::end_answer();
    }
}

/// Whether an answer has the status of an error.
fn is_error(headers: &Headers) -> bool {
    let status = headers.one(":status").ok().flatten();
    status.is_some_and(|status| status.starts_with(['4', '5']))
}
