//! Event streams: each event is judged, and the stream goes on without an event that is no message.

use super::{Answering, ResponseState};
use crate::audit::Record;
use crate::refusal::{Refusal, ResultSize};
use crate::step::{Forward, Step};
use base::json::outline;
use base::time::UnixTime;
use mcp::method::Era;
use mcp::sse::{self, EventStream};

impl Answering {
    /// The next chunk of an event stream.
    pub(super) fn events(
        &mut self,
        mut stream: EventStream,
        failed: bool,
        chunk: &[u8],
        now: UnixTime,
        record: &mut Record,
    ) -> Step {
        let (events, too_large) = match stream.push(chunk) {
            Ok(events) => (events, None),
            Err(error) => (error.events, Some(error.rest)),
        };
        let mut out = Vec::with_capacity(chunk.len());
        for event in events {
            match self.event(&event, failed, now, record) {
                Ok(None) => out.extend_from_slice(&event),
                Ok(Some(changed)) => out.extend(changed),
                Err(refusal) if self.may_omit(&event) => {
                    note_omitted(&refusal, record);
                    let named = self.named(&event);
                    out.extend(sse::without_data(named.as_deref().unwrap_or(&event)));
                }
                Err(refusal) => return self.end_stream(out, &refusal, record),
            }
        }
        match too_large {
            None => self.state = ResponseState::Events { stream, failed },
            Some(rest) if self.must_be_read(failed) => {
                let refusal = self.body_too_large(ResultSize::AtLeast(rest.len()));
                let refusal = refusal.unwrap_or_else(|| self.too_large());
                return self.end_stream(out, &refusal, record);
            }
            // From here on it passes as it comes.
            Some(rest) => out.extend(rest),
        }
        self.pass_chunk(chunk, out)
    }

    /// An event as the client may have it, if anything of it changes.
    fn event(
        &mut self,
        event: &[u8],
        failed: bool,
        now: UnixTime,
        record: &mut Record,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        let named = self.named(event);
        if self.request.http_method == "GET" && sse::is_endpoint(event) {
            return Err(Refusal::HttpSse);
        }
        let data = sse::data(event);
        if data.is_empty() || self.inspect.is_nothing() {
            return Ok(named);
        }
        let changed = match sse::may_be_message(&data) {
            true => self.inspect_message(&data, failed, now, record),
            // Clients read no message here, but the connection stays open because of it.
            false if self.must_inspect() || self.inspect.instructions => {
                return Ok(Some(sse::without_data(named.as_deref().unwrap_or(event))));
            }
            false => {
                let changed = self.hide_in_words(&data, now, record);
                changed.map(|changed| self.without_credential((&data, changed), record))
            }
        };
        match changed {
            Ok(None) => Ok(named),
            Ok(Some(changed)) => {
                let event = named.as_deref().unwrap_or(event);
                Ok(Some(sse::with_data(event, &changed)))
            }
            // A task that no request of this stream asked for: clients do not rely on such events.
            Err(Refusal::UnknownTask) => Ok(Some(Vec::new())),
            Err(refusal) => Err(refusal),
        }
    }

    /// The event with a sealed id, if its id changes.
    fn named(&self, event: &[u8]) -> Option<Vec<u8>> {
        match self.request.era {
            Era::Legacy => self.seal_event(event),
            Era::Modern => None,
        }
    }

    /// Whether an event that is refused is left out, and the stream goes on: on a stream of its own, unless it
    /// may be the response to a request.
    fn may_omit(&self, event: &[u8]) -> bool {
        self.request.http_method == "GET"
            && !sse::is_endpoint(event)
            && !may_be_response(&sse::data(event))
    }

    /// Ends an event stream with an error, because the rest of it cannot be passed.
    pub(super) fn end_stream(
        &mut self,
        mut out: Vec<u8>,
        refusal: &Refusal,
        record: &mut Record,
    ) -> Step {
        out.extend(sse::event(&self.upstream_error(refusal, record)));
        self.state = ResponseState::Replaced(Vec::new());
        Step::ForwardLast(Forward {
            headers: Vec::new(),
            body: Some(out),
        })
    }
}

/// Whether a message may be the response to a request: a client may wait for it.
fn may_be_response(data: &[u8]) -> bool {
    let members = outline::members(data, 0);
    members.is_none_or(|members| {
        let mut keys = members.iter().map(|member| &member.key);
        keys.any(|key| matches!(key.as_slice(), b"result" | b"error"))
    })
}

/// Notes that an event was left out.
fn note_omitted(refusal: &Refusal, record: &mut Record) {
    record.withhold(refusal.reason().row().code, 1);
}
