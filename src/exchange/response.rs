//! The answer's events. Answers to lists are held or cut into events until they are filtered;
//! everything else passes as it comes.

use super::{Exchange, Forward, MAX_DEPTH, Now, ResponseState, Step};
use crate::challenge::error_body;
use crate::cors;
use crate::mcp::events::{self, EventStream};
use crate::mcp::headers::{HeaderEdit, Headers, media_type};
use crate::policy::{Hold, Mode};
use crate::refusal::Refusal;
use crate::rewrite::lists;

impl Exchange {
    /// The answer's headers. `ended`: nothing follows them.
    pub fn response_headers(&mut self, headers: &Headers, ended: bool) -> Step {
        if self.policy.mode == Mode::Enforce {
            self.answer_headers = cors::answer_headers(&self.policy, self.origin(), headers);
        }
        let step = self.treat(headers, ended);
        self.with_answer_headers(step)
    }

    /// A step, with the changes of every answer's headers if these go on with it.
    fn with_answer_headers(&mut self, mut step: Step) -> Step {
        if let Step::Forward(forward) = &mut step {
            forward.headers.append(&mut self.answer_headers);
        }
        step
    }

    fn treat(&mut self, headers: &Headers, ended: bool) -> Step {
        if !matches!(self.response, ResponseState::Filter) {
            return Step::Forward(Forward::default());
        }
        if ended {
            self.response = ResponseState::Pass;
            return Step::Forward(Forward::default());
        }
        let plain = match headers.one("content-encoding") {
            Ok(encoding) => {
                encoding.is_none_or(|encoding| encoding.eq_ignore_ascii_case("identity"))
            }
            Err(_) => false,
        };
        let media = headers
            .one("content-type")
            .ok()
            .flatten()
            .and_then(media_type);
        match media.as_deref() {
            Some("application/json") if plain => {
                let status = headers.one(":status").ok().flatten().unwrap_or_default();
                let failed = status.starts_with(['4', '5']);
                self.response = ResponseState::Message { failed };
                if self.holds_headers() {
                    return Step::Hold;
                }
                let headers = vec![HeaderEdit::Remove("content-length".to_owned())];
                Step::Forward(Forward {
                    headers,
                    body: None,
                })
            }
            Some("text/event-stream") if plain => {
                self.response = ResponseState::Events(EventStream::new(self.policy.max_response));
                let headers = vec![HeaderEdit::Remove("content-length".to_owned())];
                Step::Forward(Forward {
                    headers,
                    body: None,
                })
            }
            _ => {
                let headers = self.replace_answer(headers);
                Step::Forward(Forward {
                    headers,
                    body: None,
                })
            }
        }
    }

    /// Whether the answer's body has to be looked at.
    pub fn reads_response(&self) -> bool {
        !matches!(self.response, ResponseState::Pass)
    }

    /// Whether a message of the answer is held until it is whole.
    pub fn holds_response(&self) -> bool {
        matches!(self.response, ResponseState::Message { .. })
    }

    /// The answer's body: all of it so far while a message is held, else the next chunk.
    /// `ended`: by its own end or by trailers.
    pub fn response_body(&mut self, body: &[u8], ended: bool, now: Now) -> Step {
        let step = self.treat_body(body, ended, now);
        self.with_answer_headers(step)
    }

    fn treat_body(&mut self, body: &[u8], ended: bool, now: Now) -> Step {
        match std::mem::replace(&mut self.response, ResponseState::Pass) {
            ResponseState::Pass | ResponseState::Filter => Step::Forward(Forward::default()),
            ResponseState::Replaced(rest) => {
                self.response = ResponseState::Replaced(Vec::new());
                self.pass_chunk(body, rest)
            }
            ResponseState::Message { failed } if body.len() > self.policy.max_response => {
                self.answer_error(failed)
            }
            ResponseState::Message { failed } if !ended => {
                self.response = ResponseState::Message { failed };
                Step::Hold
            }
            ResponseState::Message { failed } => match self.filter(body, now) {
                Ok(None) => Step::Forward(Forward::default()),
                Ok(Some(filtered)) => self.answer(None, filtered),
                Err(_) => self.answer_error(failed),
            },
            ResponseState::Events(stream) => self.filter_chunk(stream, body, now),
        }
    }

    fn filter_chunk(&mut self, mut stream: EventStream, chunk: &[u8], now: Now) -> Step {
        let Ok(events) = stream.push(chunk) else {
            return self.end_stream(chunk, Vec::new());
        };
        let mut out = Vec::with_capacity(chunk.len());
        for event in events {
            let data = events::data(&event);
            if data.is_empty() {
                out.extend_from_slice(&event);
                continue;
            }
            match self.filter(&data, now) {
                Ok(None) => out.extend_from_slice(&event),
                Ok(Some(filtered)) => out.extend(events::with_data(&event, &filtered)),
                Err(_) => return self.end_stream(chunk, out),
            }
        }
        self.response = ResponseState::Events(stream);
        self.pass_chunk(chunk, out)
    }

    /// A chunk, replaced only if anything of it changed.
    fn pass_chunk(&self, chunk: &[u8], out: Vec<u8>) -> Step {
        let body = (out != chunk).then_some(out);
        Step::Forward(Forward {
            headers: Vec::new(),
            body,
        })
    }

    /// Ends an event stream whose rest cannot be judged with an error in place of the answer.
    fn end_stream(&mut self, chunk: &[u8], mut out: Vec<u8>) -> Step {
        out.extend(events::event(&self.upstream_error()));
        self.response = ResponseState::Replaced(Vec::new());
        self.pass_chunk(chunk, out)
    }

    fn filter(
        &mut self,
        body: &[u8],
        now: Now,
    ) -> Result<Option<Vec<u8>>, crate::mcp::message::MessageError> {
        let Some(token) = self.token.clone() else {
            return Ok(None);
        };
        let caller = Self::caller(&token, now);
        let filtered = lists::filter(&self.policy, caller, self.asked.era, body, MAX_DEPTH)?;
        let hidden = self.record.hidden_items.unwrap_or(0);
        self.record.hidden_items = Some(hidden.saturating_add(filtered.hidden));
        Ok(filtered.body)
    }

    /// Replaces an answer that is not JSON: an error keeps its status, and loses its text.
    fn replace_answer(&mut self, headers: &Headers) -> Vec<HeaderEdit> {
        let set = |name: &str, value: &str| HeaderEdit::Set(name.to_owned(), value.to_owned());
        let status = headers.one(":status").ok().flatten().unwrap_or_default();
        let mut edits = vec![
            set("content-type", "application/json"),
            HeaderEdit::Remove("content-length".to_owned()),
            HeaderEdit::Remove("content-encoding".to_owned()),
        ];
        if !status.starts_with(['4', '5']) {
            edits.push(set(":status", "502"));
        }
        self.response = ResponseState::Replaced(self.upstream_error());
        edits
    }

    /// Whether an answer's headers wait for its body.
    fn holds_headers(&self) -> bool {
        self.policy.hold == Hold::StopIteration
    }

    /// A held answer, changed.
    fn answer(&self, status: Option<&str>, body: Vec<u8>) -> Step {
        let set = |name: &str, value: &str| HeaderEdit::Set(name.to_owned(), value.to_owned());
        let mut headers = Vec::new();
        if self.holds_headers() {
            headers.push(set("content-length", &body.len().to_string()));
            headers.extend(status.map(|status| set(":status", status)));
        }
        Step::Forward(Forward {
            headers,
            body: Some(body),
        })
    }

    /// Replaces a held answer that cannot be judged.
    fn answer_error(&mut self, failed: bool) -> Step {
        let error = self.upstream_error();
        self.response = ResponseState::Replaced(Vec::new());
        self.answer((!failed).then_some("502"), error)
    }

    /// Notes that the answer is not passed, and says so as JSON-RPC.
    fn upstream_error(&mut self) -> Vec<u8> {
        self.decide(Refusal::UpstreamAnswer.decision());
        error_body(
            self.asked.id.as_deref(),
            -32603,
            &Refusal::UpstreamAnswer.summary(),
            None,
        )
    }
}
