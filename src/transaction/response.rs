//! The answer's events. What may hold lists, results with rules or handles is held or cut into
//! events until it was looked at; everything else passes as it comes.

use super::handles::SESSION;
use super::{Forward, Inspect, MAX_DEPTH, Now, ResponseState, Step, Transaction};
use crate::challenge::error_body;
use crate::cors;
use crate::refusal::Refusal;
use crate::rewrite::results::{self, ResultError};
use crate::rewrite::{instructions, lists};
use mcp::headers::{HeaderEdit, Headers, media_type};
use mcp::method::Era;
use mcp::sse::{self, EventStream};
use policy::{Hold, Mode};

impl Transaction {
    /// The answer's headers. `ended`: nothing follows them.
    pub fn response_headers(&mut self, headers: &Headers, ended: bool) -> Step {
        self.response = ResponseState::Pass;
        self.refused_by_server(headers);
        if self.policy.mode == Mode::Observe {
            return Step::Forward(Forward::default());
        }
        self.answer_headers = cors::answer_headers(&self.policy, self.origin(), headers);
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
        match self.session_edit(headers) {
            Ok(edit) => self.answer_headers.extend(edit),
            Err(refusal) => return self.replace_answer(headers, ended, &refusal),
        }
        if ended {
            return forward([]);
        }
        match self.body_of_answer(headers) {
            Body::Other => forward([]),
            Body::Unreadable => self.replace_answer(headers, false, &Refusal::UpstreamAnswer),
            Body::Events => {
                self.response = ResponseState::Events(EventStream::new(self.policy.max_response));
                forward([remove(LENGTH)])
            }
            Body::Message { failed } => {
                self.response = ResponseState::Message { failed };
                if self.holds_headers() {
                    return Step::Hold;
                }
                forward([remove(LENGTH)])
            }
        }
    }

    /// How the session of an answer reaches the client.
    fn session_edit(&mut self, headers: &Headers) -> Result<Option<HeaderEdit>, Refusal> {
        if self.asked.era == Era::Modern {
            // It has no sessions.
            return Ok(headers.has(SESSION).then(|| remove(SESSION)));
        }
        let sealed = self.seal_session(headers)?;
        Ok(sealed.map(|sealed| HeaderEdit::Set(SESSION.to_owned(), sealed)))
    }

    /// What kind of body the answer has, and whether it is looked at.
    fn body_of_answer(&self, headers: &Headers) -> Body {
        let plain = match headers.one("content-encoding") {
            Ok(encoding) => {
                encoding.is_none_or(|encoding| encoding.eq_ignore_ascii_case("identity"))
            }
            Err(_) => false,
        };
        let media = headers.one("content-type").ok().flatten();
        let media = media.and_then(media_type);
        let inspected = self.inspect != Inspect::default();
        let errors_only = Inspect {
            errors: false,
            ..self.inspect
        } == Inspect::default();
        let status = headers.one(":status").ok().flatten().unwrap_or_default();
        let failed = status.starts_with(['4', '5']);
        match media.as_deref() {
            Some("application/json") if plain && inspected => Body::Message { failed },
            // The ids of its events are handles in every earlier version.
            Some("text/event-stream") if plain && (inspected || self.asked.era == Era::Legacy) => {
                Body::Events
            }
            // An error in words has no handles.
            _ if self.must_inspect() => Body::Unreadable,
            _ if !(errors_only || plain && failed) => Body::Unreadable,
            _ => Body::Other,
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
            ResponseState::Start | ResponseState::Pass => Step::Forward(Forward::default()),
            ResponseState::Replaced(rest) => {
                self.response = ResponseState::Replaced(Vec::new());
                self.pass_chunk(body, rest)
            }
            ResponseState::Message { failed } if body.len() > self.policy.max_response => {
                if self.must_inspect() {
                    return self.answer_error(failed, &Refusal::UpstreamAnswer);
                }
                Step::Forward(Forward::default())
            }
            ResponseState::Message { failed } if !ended => {
                self.response = ResponseState::Message { failed };
                Step::Hold
            }
            ResponseState::Message { failed } => match self.inspect_message(body, now) {
                Ok(changed) => self.answer(None, changed),
                Err(refusal) => self.answer_error(failed, &refusal),
            },
            ResponseState::Events(stream) => self.events(stream, body, now),
        }
    }

    fn events(&mut self, mut stream: EventStream, chunk: &[u8], now: Now) -> Step {
        let (events, too_large) = match stream.push(chunk) {
            Ok(events) => (events, None),
            Err(error) => (error.events, Some(error.rest)),
        };
        let mut out = Vec::with_capacity(chunk.len());
        for event in events {
            match self.event(&event, now) {
                Ok(None) => out.extend_from_slice(&event),
                Ok(Some(changed)) => out.extend(changed),
                Err(refusal) => return self.end_stream(chunk, out, &refusal),
            }
        }
        match too_large {
            None => self.response = ResponseState::Events(stream),
            Some(_) if self.must_inspect() => {
                return self.end_stream(chunk, out, &Refusal::UpstreamAnswer);
            }
            // From here on it passes as it comes.
            Some(rest) => out.extend(rest),
        }
        self.pass_chunk(chunk, out)
    }

    /// Whether an answer that is too large to look at is not passed. A handle in one that is passed
    /// is of no use: it does not open. A name that is hidden elsewhere is not worth a long answer.
    fn must_inspect(&self) -> bool {
        self.inspect.lists || self.inspect.results || self.withholds_errors()
    }

    /// An event as the client may have it, if anything of it changes.
    fn event(&mut self, event: &[u8], now: Now) -> Result<Option<Vec<u8>>, Refusal> {
        let named = if self.asked.era == Era::Legacy {
            self.seal_event(event)
        } else {
            None
        };
        if self.record.http_method == "GET" && sse::is_endpoint(event) {
            return Err(Refusal::HttpSse);
        }
        let data = sse::data(event);
        if data.is_empty() || self.inspect == Inspect::default() {
            return Ok(named);
        }
        match self.inspect_message(&data, now) {
            Ok(None) => Ok(named),
            Ok(Some(changed)) => {
                let event = named.as_deref().unwrap_or(event);
                Ok(Some(sse::with_data(event, &changed)))
            }
            // News of a task nobody on this stream has asked for: a client cannot rely on them.
            Err(Refusal::UnknownTask) => Ok(Some(Vec::new())),
            Err(refusal) => Err(refusal),
        }
    }

    /// A chunk, replaced only if anything of it changed.
    fn pass_chunk(&self, chunk: &[u8], out: Vec<u8>) -> Step {
        let body = (out != chunk).then_some(out);
        Step::Forward(Forward {
            headers: Vec::new(),
            body,
        })
    }

    /// Ends an event stream whose rest cannot be passed with an error in place of the answer.
    fn end_stream(&mut self, chunk: &[u8], mut out: Vec<u8>, refusal: &Refusal) -> Step {
        out.extend(sse::event(&self.upstream_error(refusal)));
        self.response = ResponseState::Replaced(Vec::new());
        self.pass_chunk(chunk, out)
    }

    /// A message of the server as the client may have it, if anything of it changes.
    fn inspect_message(&mut self, body: &[u8], now: Now) -> Result<Option<Vec<u8>>, Refusal> {
        let mut changed = None;
        if self.inspect.lists {
            changed = self.filter_lists(body, now)?;
        }
        if let (true, Some(text)) = (self.inspect.instructions, &self.policy.instructions) {
            let body = changed.as_deref().unwrap_or(body);
            let replaced = instructions::replace(text, body, MAX_DEPTH);
            changed = replaced.map_err(|_| Refusal::UpstreamAnswer)?.or(changed);
        }
        if self.inspect.results {
            let judged = self.judge_result(changed.as_deref().unwrap_or(body))?;
            changed = judged.or(changed);
        }
        if self.inspect.errors {
            let hidden = self.hide_in_errors(changed.as_deref().unwrap_or(body), now)?;
            changed = hidden.or(changed);
        }
        let own = self.id_for_client(changed.as_deref().unwrap_or(body))?;
        changed = own.or(changed);
        if self.inspect.handles {
            let sealed = self.seal_message(changed.as_deref().unwrap_or(body), now)?;
            changed = sealed.or(changed);
        }
        Ok(changed)
    }

    /// Takes out of a message what is not for the caller.
    fn judge_result(&mut self, body: &[u8]) -> Result<Option<Vec<u8>>, Refusal> {
        let Some(caller) = &self.caller else {
            return Ok(None);
        };
        let rules = self.result_rules(&self.policy, &self.result_of);
        let key = self.secrets.audit_key.as_deref();
        let judged = results::judge(&rules, caller.identity(), key, body, MAX_DEPTH);
        let judged = judged.map_err(|error| match error {
            ResultError::NotOwned(_) => Refusal::NotOwned,
            ResultError::Json(_) => Refusal::UpstreamAnswer,
        })?;
        let dropped = self.record.dropped_items.unwrap_or(0);
        if judged.dropped > 0 {
            self.record.dropped_items = Some(dropped.saturating_add(judged.dropped));
        }
        for field in judged.redacted {
            if !self.record.redacted.contains(&field) {
                self.record.redacted.push(field);
            }
        }
        Ok(judged.body)
    }

    fn filter_lists(&mut self, body: &[u8], now: Now) -> Result<Option<Vec<u8>>, Refusal> {
        let Some(caller) = self.caller.clone() else {
            return Ok(None);
        };
        let with_own = self.inspect.own_tools && self.lists_own_tools();
        let filtered = lists::filter(
            &self.policy,
            caller.caller(now),
            &self.seen,
            self.asked.era,
            with_own,
            body,
            MAX_DEPTH,
        )
        .map_err(|_| Refusal::UpstreamAnswer)?;
        let hidden = self.record.hidden_items.unwrap_or(0);
        self.record.hidden_items = Some(hidden.saturating_add(filtered.hidden));
        self.note_pins(&filtered);
        Ok(filtered.body)
    }

    /// Replaces an answer whose headers already tell that it cannot be passed: an error keeps its
    /// status, and loses its text.
    fn replace_answer(&mut self, headers: &Headers, ended: bool, refusal: &Refusal) -> Step {
        let status = headers.one(":status").ok().flatten().unwrap_or_default();
        let mut edits = vec![
            set("content-type", "application/json"),
            remove(LENGTH),
            remove("content-encoding"),
            remove(SESSION),
        ];
        if !status.starts_with(['4', '5']) {
            edits.push(set(":status", "502"));
        }
        let error = self.upstream_error(refusal);
        if !ended {
            self.response = ResponseState::Replaced(error);
        }
        forward(edits)
    }

    /// Whether an answer's headers wait for its body.
    fn holds_headers(&self) -> bool {
        self.policy.hold == Hold::StopIteration
    }

    /// A held answer, changed or not.
    fn answer(&mut self, status: Option<&str>, body: Option<Vec<u8>>) -> Step {
        let mut headers = Vec::new();
        if let (Some(body), true) = (&body, self.holds_headers()) {
            headers.push(set(LENGTH, &body.len().to_string()));
            headers.extend(status.map(|status| set(":status", status)));
        }
        Step::Forward(Forward { headers, body })
    }

    /// Replaces a held answer that cannot be passed.
    fn answer_error(&mut self, failed: bool, refusal: &Refusal) -> Step {
        let error = self.upstream_error(refusal);
        self.response = ResponseState::Replaced(Vec::new());
        // The server did nothing wrong where the result is another caller's.
        let failed = failed || *refusal == Refusal::NotOwned;
        self.answer((!failed).then_some("502"), Some(error))
    }

    /// Notes that the answer is not passed, and says so as JSON-RPC.
    fn upstream_error(&mut self, refusal: &Refusal) -> Vec<u8> {
        let mut decision = refusal.decision();
        let before = std::mem::take(&mut self.record.decision.evidence);
        decision.evidence.splice(0..0, before);
        self.decide(decision);
        let code = if *refusal == Refusal::NotOwned {
            403
        } else {
            -32603
        };
        error_body(self.asked.id.as_deref(), code, &refusal.summary(), None)
    }
}

/// The body of an answer.
enum Body {
    /// A JSON message, held. `failed`: its status already says so.
    Message { failed: bool },
    /// An event stream, looked at event by event.
    Events,
    /// It would have to be looked at, and cannot be.
    Unreadable,
    /// Nothing in it concerns this filter.
    Other,
}

const LENGTH: &str = "content-length";

fn set(name: &str, value: &str) -> HeaderEdit {
    HeaderEdit::Set(name.to_owned(), value.to_owned())
}

fn remove(name: &str) -> HeaderEdit {
    HeaderEdit::Remove(name.to_owned())
}

fn forward(edits: impl IntoIterator<Item = HeaderEdit>) -> Step {
    Step::Forward(Forward {
        headers: edits.into_iter().collect(),
        body: None,
    })
}
