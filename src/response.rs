//! The answer of the server. Messages that may hold lists, data under rules or ids are inspected: JSON is
//! held until it is whole, event streams are cut into events. Everything else passes unread.

mod changes;
mod embedded;
pub(crate) mod error_texts;
mod events;
pub(crate) mod inspect;
pub(crate) mod instructions;
pub(crate) mod known_lists;
pub(crate) mod lists;
pub(crate) mod outside_lists;
pub mod pins;
pub(crate) mod request_ids;
pub(crate) mod result_size;
pub(crate) mod results;
pub(crate) mod schemas;
pub(crate) mod sealed_ids;
mod security_schemes;
pub(crate) mod sent_credential;
mod server_challenge;
mod server_message;
pub(crate) mod server_requests;
pub mod spellings;
mod unreadable_items;

use std::rc::Rc;

use self::inspect::{Inspect, ResultOf};
use self::known_lists::KnownLists;
use self::outside_lists::ListDecisions;
use self::pins::SeenTools;
use self::request_ids::RenamedId;
use self::sealed_ids::{Handles, SESSION};
use self::sent_credential::SentCredential;
use self::spellings::Spellings;
use crate::audit::Record;
use crate::caller::Caller;
use crate::cors;
use crate::decision_point::DecisionPoints;
use crate::notes::Notes;
use crate::refusal::{Refusal, ResultSize, error_body};
use crate::step::{Forward, Step};
use base::same_bytes::same_bytes;
use base::seal::Sealer;
use base::time::UnixTime;
use mcp::headers::{HeaderEdit, Headers, media_type};
use mcp::method::Era;
use mcp::sse::EventStream;
use policy::{Hold, Mode, Policy, ResultRule};

/// The answer to one request that went on.
#[derive(Debug)]
pub(crate) struct Answering {
    /// The policy of the request.
    pub(crate) policy: Rc<Policy>,
    /// The caller, if it is known.
    pub(crate) caller: Option<Caller>,
    /// The request.
    pub(crate) request: AnsweredRequest,
    /// The parts of the answer that are inspected.
    pub(crate) inspect: Inspect,
    /// The target whose rules apply.
    pub(crate) result_of: ResultOf,
    /// Hides the fields that a decision point names.
    pub(crate) obliged: Option<Box<ResultRule>>,
    /// The decision points that filter lists.
    pub(crate) points: Option<Rc<DecisionPoints>>,
    /// What they said about the items of the lists.
    pub(crate) decisions: ListDecisions,
    /// The server's ids that are known already.
    pub(crate) handles: Handles,
    /// The tools the server listed before.
    pub(crate) seen: SeenTools,
    /// How the server spells arguments.
    pub(crate) spellings: Spellings,
    /// The lists that were filtered before.
    pub(crate) known_lists: KnownLists,
    /// Writes to the proxy's memory.
    pub(crate) notes: Notes,
    /// The key of hashes.
    pub(crate) audit_key: Option<Rc<str>>,
    /// The key that binds ids to their callers.
    pub(crate) sealer: Option<Rc<Sealer>>,
    /// The caller's credential that the server received, which no answer may repeat.
    pub(crate) sent: Option<SentCredential>,
    /// How the body is treated.
    pub(crate) state: ResponseState,
    /// Changes of the headers, until these go on.
    pub(crate) header_edits: Vec<HeaderEdit>,
}

/// What an answer needs of its request.
#[derive(Debug)]
pub(crate) struct AnsweredRequest {
    /// The JSON-RPC id, as the client wrote it.
    pub(crate) id: Option<Vec<u8>>,
    /// The id that the server knows it by, if it differs.
    pub(crate) renamed: Option<RenamedId>,
    /// The era of its protocol version.
    pub(crate) era: Era,
    /// The HTTP method.
    pub(crate) http_method: String,
    /// The MCP method.
    pub(crate) method: Option<String>,
    /// The web page's origin.
    pub(crate) origin: Option<String>,
}

/// How the body of an answer is treated.
#[derive(Debug, Default)]
pub(crate) enum ResponseState {
    /// Passed unread.
    #[default]
    Pass,
    /// A JSON message, held until it is whole. `failed`: its status is an error.
    Message { failed: bool },
    /// An event stream, looked at event by event. `failed`: its status is an error.
    Events { stream: EventStream, failed: bool },
    /// Replaced: the bytes left to send.
    Replaced(Vec<u8>),
}

impl Answering {
    /// The answer's headers. `ended`: nothing follows them.
    pub(crate) fn response_headers(
        &mut self,
        headers: &Headers,
        ended: bool,
        record: &mut Record,
    ) -> Step {
        if self.policy.mode == Mode::Observe {
            return Step::Forward(Forward::default());
        }
        self.header_edits =
            cors::answer_headers(&self.policy, self.request.origin.as_deref(), headers);
        let step = self.treat(headers, ended, record);
        self.with_answer_headers(step)
    }

    /// A step, with the changes of every answer's headers if these go on with it.
    fn with_answer_headers(&mut self, mut step: Step) -> Step {
        if let Step::Forward(forward) | Step::ForwardLast(forward) = &mut step {
            forward.headers.append(&mut self.header_edits);
        }
        step
    }

    fn treat(&mut self, headers: &Headers, ended: bool, record: &mut Record) -> Step {
        match self.session_edit(headers) {
            Ok(edit) => self.header_edits.extend(edit),
            Err(refusal) => return self.replace_answer(headers, ended, &refusal, record),
        }
        match self.without_challenge(headers) {
            Ok(edits) => self.header_edits.extend(edits),
            Err(refusal) => return self.replace_answer(headers, ended, &refusal, record),
        }
        let repeating = self.headers_with_credential(headers, record);
        self.header_edits.extend(repeating);
        if ended {
            return forward([]);
        }
        let large = self.announces_large_result(headers);
        match self.body_of_answer(headers) {
            Body::Other => forward([]),
            // Clients read no body there.
            Body::Unreadable if self.is_acknowledgement() => {
                self.state = ResponseState::Replaced(Vec::new());
                forward([LENGTH, "content-type", "content-encoding"].map(remove))
            }
            Body::Unreadable => {
                let why = "neither plain JSON nor a plain event stream";
                record.add_evidence("response", why);
                self.replace_answer(headers, false, &Refusal::UpstreamAnswer, record)
            }
            Body::Events { failed } => {
                let stream = EventStream::new(self.policy.max_response);
                self.state = ResponseState::Events { stream, failed };
                forward([remove(LENGTH)])
            }
            Body::Message { .. } if large.is_some() => {
                let refusal = large.unwrap_or_else(|| self.too_large());
                self.replace_answer(headers, false, &refusal, record)
            }
            Body::Message { failed } if self.announces_too_much(headers) => {
                if self.must_be_read(failed) {
                    let refusal = self.too_large();
                    return self.replace_answer(headers, false, &refusal, record);
                }
                forward([])
            }
            Body::Message { failed } => {
                self.state = ResponseState::Message { failed };
                if self.holds_headers() {
                    return Step::Hold;
                }
                forward([remove(LENGTH)])
            }
        }
    }

    /// Whether the headers announce a message that is too large to be read.
    fn announces_too_much(&self, headers: &Headers) -> bool {
        let length = headers.one(LENGTH).ok().flatten();
        let length = length.and_then(|length| length.trim().parse::<u64>().ok());
        let most = u64::try_from(self.policy.max_response).unwrap_or(u64::MAX);
        length.is_some_and(|length| length > most)
    }

    /// The refusal of an answer that is too large to be read.
    fn too_large(&self) -> Refusal {
        Refusal::UpstreamAnswerTooLarge(self.policy.max_response)
    }

    /// Whether the answer is to a notification or to an answer of the client.
    fn is_acknowledgement(&self) -> bool {
        self.request.id.is_none() && self.request.http_method == "POST"
    }

    /// How the session of an answer reaches the client.
    fn session_edit(&mut self, headers: &Headers) -> Result<Option<HeaderEdit>, Refusal> {
        if self.request.era == Era::Modern {
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
        let inspected = !self.inspect.is_nothing();
        let errors_only = self.inspect.is_at_most_errors();
        let status = headers.one(":status").ok().flatten().unwrap_or_default();
        let failed = status.starts_with(['4', '5']);
        match media.as_deref() {
            Some("application/json") if plain && inspected => Body::Message { failed },
            // The ids of its events are handles in every earlier version.
            Some("text/event-stream")
                if plain && (inspected || self.request.era == Era::Legacy) =>
            {
                Body::Events { failed }
            }
            // An error in words has no handles.
            _ if self.must_inspect() => Body::Unreadable,
            _ if (self.inspect.errors || self.inspect.credential) && failed && plain => {
                Body::Message { failed }
            }
            _ if self.inspect.errors && failed => Body::Unreadable,
            _ if !(errors_only || plain && failed) => Body::Unreadable,
            _ => Body::Other,
        }
    }

    /// When the caller's token is no longer accepted, if the answer is a stream of events that belong to no
    /// call.
    pub(crate) fn token_end(&self) -> Option<UnixTime> {
        let request = &self.request;
        let is_open_stream = request.http_method == "GET"
            || request.method.as_deref() == Some("subscriptions/listen");
        let token = self.caller.as_ref()?.token()?;
        is_open_stream.then(|| token.usable_until())
    }

    /// Whether the answer's body has to be looked at.
    pub(crate) fn reads_response(&self) -> bool {
        !matches!(self.state, ResponseState::Pass)
    }

    /// Whether a message of the answer is held until it is whole.
    pub(crate) fn holds_response(&self) -> bool {
        matches!(self.state, ResponseState::Message { .. })
    }

    /// The bytes of an unfinished event.
    pub(crate) fn unfinished(&self) -> usize {
        match &self.state {
            ResponseState::Events { stream, .. } => stream.unfinished(),
            _ => 0,
        }
    }

    /// Refuses an answer because the worker holds too much. `chunk` is its current part.
    pub(crate) fn refuse_held(&mut self, chunk: &[u8], record: &mut Record) -> Step {
        let step = match std::mem::take(&mut self.state) {
            ResponseState::Message { failed } => {
                self.answer_error(failed, &Refusal::WorkerFull, record)
            }
            ResponseState::Events { .. } => {
                self.end_stream(Vec::new(), &Refusal::WorkerFull, record)
            }
            ResponseState::Replaced(rest) => self.pass_chunk(chunk, rest),
            ResponseState::Pass => Step::Forward(Forward::default()),
        };
        self.with_answer_headers(step)
    }

    /// A held message grew to so many bytes, and has not ended: its bytes are read once it has.
    pub(crate) fn response_grows(&mut self, size: usize, record: &mut Record) -> Step {
        let step = match (&self.state, self.body_too_large(ResultSize::AtLeast(size))) {
            (ResponseState::Message { failed }, Some(refusal)) => {
                self.answer_error(*failed, &refusal, record)
            }
            (ResponseState::Message { failed }, None) if size > self.policy.max_response => {
                self.message_too_large(*failed, record)
            }
            _ => Step::Hold,
        };
        self.with_answer_headers(step)
    }

    /// A message that is too large to be read passes unread, if it may.
    fn message_too_large(&mut self, failed: bool, record: &mut Record) -> Step {
        self.state = ResponseState::Pass;
        if self.must_be_read(failed) {
            return self.answer_error(failed, &self.too_large(), record);
        }
        Step::Forward(Forward::default())
    }

    /// The answer's body: all of a held message, else the next chunk.
    pub(crate) fn response_body(
        &mut self,
        body: &[u8],
        now: UnixTime,
        record: &mut Record,
    ) -> Step {
        let step = self.treat_body(body, now, record);
        self.with_answer_headers(step)
    }

    fn treat_body(&mut self, body: &[u8], now: UnixTime, record: &mut Record) -> Step {
        match std::mem::replace(&mut self.state, ResponseState::Pass) {
            ResponseState::Pass => Step::Forward(Forward::default()),
            ResponseState::Replaced(rest) => {
                self.state = ResponseState::Replaced(Vec::new());
                self.pass_chunk(body, rest)
            }
            ResponseState::Message { failed } if body.len() > self.policy.max_response => {
                match self.body_too_large(ResultSize::Bytes(body.len())) {
                    Some(refusal) => self.answer_error(failed, &refusal, record),
                    None => self.message_too_large(failed, record),
                }
            }
            ResponseState::Message { .. } if body.is_empty() && self.is_acknowledgement() => {
                self.answer(None, None)
            }
            ResponseState::Message { failed } => {
                match self.inspect_message(body, failed, now, record) {
                    Ok(changed) => self.answer(None, changed),
                    Err(refusal) => self.answer_error(failed, &refusal, record),
                }
            }
            ResponseState::Events { stream, failed } => {
                self.events(stream, failed, body, now, record)
            }
        }
    }

    /// Whether an answer that is too large to look at is not passed. A handle in one that is passed
    /// is of no use: it does not open. A name that is hidden elsewhere is not worth a long answer.
    fn must_inspect(&self) -> bool {
        // With an id of the filter, the client would wait for its own.
        let restores_id = self.request.renamed.is_some();
        self.inspect.lists
            || self.inspect.results
            || self.inspect.max_result.is_some()
            || restores_id
            || self.withholds_errors()
    }

    /// The same for a message. `failed`: its status is an error.
    fn must_be_read(&self, failed: bool) -> bool {
        self.must_inspect() || failed && self.inspect.errors
    }

    /// A chunk, replaced only if anything of it changed.
    fn pass_chunk(&self, chunk: &[u8], out: Vec<u8>) -> Step {
        let body = (!same_bytes(&out, chunk)).then_some(out);
        Step::Forward(Forward {
            headers: Vec::new(),
            body,
        })
    }

    /// Replaces an answer that cannot be passed because of its headers: an error keeps its
    /// status, and loses its text.
    fn replace_answer(
        &mut self,
        headers: &Headers,
        ended: bool,
        refusal: &Refusal,
        record: &mut Record,
    ) -> Step {
        let status = headers.one(":status").ok().flatten().unwrap_or_default();
        let error = self.upstream_error(refusal, record);
        let mut edits = vec![
            set("content-type", "application/json"),
            remove("content-encoding"),
            remove(SESSION),
        ];
        edits.push(match ended {
            true => remove(LENGTH),
            // The client need not wait for the end of the server's answer.
            false => set(LENGTH, &error.len().to_string()),
        });
        edits.extend(server_challenge::HEADERS.map(remove));
        let is_the_servers = matches!(
            refusal,
            Refusal::UpstreamChallenge | Refusal::UpstreamRedirect
        );
        if is_the_servers || !(status.starts_with(['4', '5']) || refusal.is_said_with_200()) {
            edits.push(set(":status", "502"));
        }
        if !ended {
            self.state = ResponseState::Replaced(error);
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
    fn answer_error(&mut self, failed: bool, refusal: &Refusal, record: &mut Record) -> Step {
        let error = self.upstream_error(refusal, record);
        self.state = ResponseState::Replaced(Vec::new());
        let failed = failed || refusal.is_said_with_200();
        let is_fault = matches!(refusal, Refusal::Outside(_)) && self.holds_headers();
        self.header_edits
            .extend(is_fault.then(|| set("retry-after", "5")));
        let status = if is_fault { "503" } else { "502" };
        self.answer((!failed).then_some(status), Some(error))
    }

    /// Notes that the answer is not passed.
    fn note_withheld_answer(&self, refusal: &Refusal, record: &mut Record) {
        let mut decision = refusal.decision();
        let before = std::mem::take(&mut record.decision.evidence);
        decision.evidence.splice(0..0, before);
        record.decide(self.policy.mode, decision);
    }

    /// Notes that the answer is not passed, and says so as JSON-RPC.
    fn upstream_error(&self, refusal: &Refusal, record: &mut Record) -> Vec<u8> {
        self.note_withheld_answer(refusal, record);
        if matches!(refusal, Refusal::ResultTooLarge(..)) {
            return self.large_result(refusal, self.request.id.as_deref());
        }
        let code = if *refusal == Refusal::NotOwned {
            403
        } else {
            -32603
        };
        error_body(self.request.id.as_deref(), code, &refusal.summary(), None)
    }
}

/// The body of an answer.
enum Body {
    /// A JSON message, held. `failed`: its status already says so.
    Message { failed: bool },
    /// An event stream, looked at event by event. `failed`: its status is an error.
    Events { failed: bool },
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
