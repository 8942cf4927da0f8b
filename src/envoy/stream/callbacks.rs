//! The host's callbacks of one HTTP stream.

use std::cell::RefCell;
use std::rc::Rc;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, LogLevel, MapType};

use super::super::host_calls;
use super::super::shared::Shared;
use super::{Stream, report_undelivered};
use crate::transaction::Transaction;
use policy::Policies;

/// The property in which Envoy's access log finds the record.
const RECORD: &str = "mcp_auth";
/// What a record's line in the host's log starts with.
const RECORD_PREFIX: &str = "mcp_auth_access ";

/// A stream as the host's callbacks see it.
pub(in super::super) struct StreamContext {
    stream: Rc<RefCell<Stream>>,
}

impl StreamContext {
    /// A stream whose policy is chosen once its headers are here. `None` without a policy.
    pub(in super::super) fn new(id: u32, policies: Rc<Policies<Rc<Shared>>>) -> Option<Self> {
        let stream = Stream::new(id, policies)?;
        Some(Self { stream })
    }
}

/// The host deleted the stream.
impl Drop for StreamContext {
    fn drop(&mut self) {
        if let Ok(stream) = self.stream.try_borrow()
            && !stream.shared.seen.note_deleted()
        {
            report_undelivered(&stream.shared);
        }
    }
}

impl Context for StreamContext {
    fn on_http_call_response(&mut self, token: u32, _: usize, size: usize, _: usize) {
        let shared = Rc::clone(&self.stream.borrow().shared);
        shared.answered(token, size);
    }
}

impl HttpContext for StreamContext {
    fn on_http_request_headers(&mut self, _: usize, ended: bool) -> Action {
        let headers = host_calls::headers(MapType::HttpRequestHeaders);
        self.stream.borrow_mut().request_headers(headers, ended)
    }

    fn on_http_request_body(&mut self, size: usize, ended: bool) -> Action {
        self.stream.borrow_mut().request_body(size, ended)
    }

    /// Trailers end a body: it is never delivered as ended itself.
    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        let stream = &mut *self.stream.borrow_mut();
        if let Some(transaction) = &stream.transaction {
            let trailers = host_calls::headers(MapType::HttpRequestTrailers);
            let edits = transaction.request_trailers(&trailers);
            host_calls::edit_headers(MapType::HttpRequestTrailers, &edits);
        }
        let action = stream.request_body(stream.request_size.unwrap_or(0), true);
        if action == Action::Continue && std::mem::take(&mut stream.resumed) {
            // Envoy delivers body and trailers from within the resumption, and would lose the body
            // if they went on from there.
            stream.shared.resume_soon(&self.stream);
            return Action::Pause;
        }
        action
    }

    fn on_http_response_headers(&mut self, _: usize, ended: bool) -> Action {
        self.stream.borrow_mut().response_headers(ended)
    }

    fn on_http_response_body(&mut self, size: usize, ended: bool) -> Action {
        let stream = &mut *self.stream.borrow_mut();
        stream.shared.seen.note_answer_body();
        stream.response_body(size, ended)
    }

    fn on_http_response_trailers(&mut self, _: usize) -> Action {
        let stream = &mut *self.stream.borrow_mut();
        let holds = stream
            .transaction
            .as_ref()
            .is_some_and(Transaction::holds_response);
        stream.has_answer_end = true;
        let waits = stream.transaction.as_ref();
        if waits.is_some_and(Transaction::response_waits) {
            Action::Pause
        } else if holds {
            stream.response_body(stream.response_size, true)
        } else {
            Action::Continue
        }
    }

    fn on_log(&mut self) {
        let stream = &mut *self.stream.borrow_mut();
        if stream.waits {
            stream.shared.forget(stream.id);
        }
        stream.check_delivery();
        if !stream.shared.seen.note_logged() {
            report_undelivered(&stream.shared);
        }
        let status =
            host_calls::number(&["response", "code"]).and_then(|code| u16::try_from(code).ok());
        let ending = stream.ending();
        let transaction = stream.transaction.take();
        let record = transaction.and_then(|transaction| {
            transaction.finish(status.unwrap_or(0), ending, host_calls::now())
        });
        stream.shared.write_notes();
        if let Some(mut record) = record {
            record.address = host_calls::written_client_address();
            let line = record.to_json();
            let log = stream.shared.engine.policy.audit.log;
            if log.has_envoy_log() {
                host_calls::log(LogLevel::Info, &format!("{RECORD_PREFIX}{line}"));
            }
            if log.has_access_log() {
                let _ = hostcalls::set_property(vec![RECORD], Some(line.as_bytes()));
            }
            stream.shared.metrics.count(&record);
        }
    }
}
