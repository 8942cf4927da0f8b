//! The server's answer, as the caller receives it.

use base::time::UnixTime;
use mcp::headers::{HeaderEdit, Headers};
use mcp_auth_filter::host::dry_run::DryRun;
use mcp_auth_filter::step::{Forward, Step};
use mcp_auth_filter::transaction::Transaction;

/// An answer, before and after.
#[derive(Debug)]
pub struct Answer {
    /// As the server sent it.
    pub sent: Vec<u8>,
    /// As the caller receives it.
    pub received: Vec<u8>,
    /// Changes of its headers.
    pub headers: Vec<HeaderEdit>,
}

/// Runs an answer through a transaction, like a host.
pub(crate) fn pass(
    worker: &DryRun,
    transaction: &mut Transaction,
    sent: Vec<u8>,
    now: UnixTime,
) -> Answer {
    let is_json = sent.trim_ascii_start().starts_with(b"{");
    let content_type = if is_json {
        "application/json"
    } else {
        "text/event-stream"
    };
    let header = |name: &str, value: &str| (name.to_owned(), value.into());
    let headers = Headers::new(vec![
        header(":status", "200"),
        header("content-type", content_type),
    ]);
    let mut answer = Answer {
        received: sent.clone(),
        sent,
        headers: Vec::new(),
    };
    answer.take(transaction.response_headers(&headers, false));
    if transaction.reads_response() {
        worker.decide_lists(transaction, &answer.sent);
        let step = transaction.response_body(&answer.sent, now);
        answer.take(step);
    }
    answer
}

impl Answer {
    fn take(&mut self, step: Step) {
        if let Step::Forward(Forward { headers, body }) = step {
            self.headers.extend(headers);
            self.received = body.unwrap_or_else(|| std::mem::take(&mut self.received));
        }
    }
}
