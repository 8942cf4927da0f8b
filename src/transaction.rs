//! One request and its answer, as a state machine without I/O.
//!
//! The host's events go in (headers, body, end, keys), steps come out. Trailers are the same event
//! as the end of the body, so no message can end without being judged.

mod agree;
pub(crate) mod auth_tools;
mod call;
pub(crate) mod caller;
mod completion;
mod confirm;
mod connect;
mod credentials;
mod forward;
mod handles;
mod local;
mod pages;
mod request;
mod task;
mod token_exchange;
mod waiting;

use std::rc::Rc;

use self::caller::Known;
pub use self::local::Connection;
use self::task::{GoOn, PageVerifier};
use self::waiting::Waiting;
use crate::accounts::refresh::PendingRefresh;
use crate::accounts::token_exchange::TokenExchanger;
use crate::accounts::{AccountContext, Clients, Random};
use crate::audit::Record;
use crate::authorize::Target;
use crate::cors;
use crate::credential::Credential;
use crate::decision::{Decision, Evidence, Verdict};
use crate::effect::{Effects, Task};
use crate::reasons::Approval;
use crate::refusal::{Asked, Refusal, refuse};
use crate::response::inspect::{Inspect, ResultOf};
use crate::response::pins::SeenTools;
use crate::response::sealed_ids::Handles;
use crate::response::{AnsweredRequest, Answering, ResponseState, results};
use base::effect::Ask;
use base::http::Reply;
use base::seal::Sealer;
use mcp::capabilities::ElicitationCapability;
use mcp::headers::{HeaderEdit, Headers};
use mcp::method::Era;
use oauth::{PendingFetch, TokenDigest};
use policy::{Mode, Policy, ServerErrors};

/// How deep JSON may be nested, in requests and lists.
pub(crate) const MAX_DEPTH: usize = 64;

/// What the host is to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Keep what has arrived of the message, and wait for more of it.
    Hold,
    /// Keep the request until this was fetched, once for everybody who waits for it.
    Fetch(PendingFetch),
    /// Keep the request, which has ended, until the exchange was told this.
    Ask(Ask),
    /// Keep the request, which has ended, until its token was exchanged, once for everybody who waits for
    /// that.
    Exchange(TokenDigest),
    /// Keep the request, which has ended, until this is over. It goes to its end even if the request is
    /// gone.
    Refresh(Box<PendingRefresh>),
    /// Let the message go on, with these changes.
    Forward(Forward),
    /// Answer the request in the server's place.
    Reply(Reply),
}

/// Changes of a message that goes on. Whoever makes them also keeps `content-length` right: it is
/// among the header edits whenever the body changes while the headers are held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forward {
    /// Changes of the headers. Empty once the headers are gone.
    pub headers: Vec<HeaderEdit>,
    /// What replaces the body, or the chunk of it that was handed in.
    pub body: Option<Vec<u8>>,
}

/// The time, from the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since 1970.
    pub unix_ms: u64,
}

impl Now {
    /// Seconds since 1970.
    pub fn seconds(self) -> u64 {
        self.unix_ms / 1000
    }
}

/// What the environment of the VM brings.
#[derive(Clone, Default)]
pub struct Secrets {
    /// The key of the hash that names callers in the log.
    pub audit_key: Option<Rc<str>>,
    /// What binds the server's handles to their callers.
    pub sealer: Option<Rc<Sealer>>,
    /// What the server gets from every caller.
    pub credential: Option<Rc<Credential>>,
    /// What authorization servers get from this filter.
    pub clients: Rc<Clients>,
    /// Where random bytes come from.
    pub random: Random,
    /// What the server gets in place of callers' tokens.
    pub exchanger: Option<Rc<TokenExchanger>>,
}

impl Secrets {
    /// What work on linked accounts needs, if there is a key to seal with.
    pub fn accounts(&self, policy: &Rc<Policy>, effects: Effects) -> Option<AccountContext> {
        Some(AccountContext {
            policy: Rc::clone(policy),
            sealer: Rc::clone(self.sealer.as_ref()?),
            clients: Rc::clone(&self.clients),
            effects,
        })
    }
}

/// Says nothing: they are secrets.
impl std::fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secrets")
    }
}

/// One request and its answer.
#[derive(Debug)]
pub struct Transaction {
    policy: Rc<Policy>,
    secrets: Secrets,
    seen: SeenTools,
    started: Now,
    connection: Connection,
    request: RequestState,
    /// The answer, once its headers arrived.
    answering: Option<Answering>,
    headers: Headers,
    caller: Option<Known>,
    asked: Question,
    handles: Handles,
    inspect: Inspect,
    result_of: ResultOf,
    waiting: Option<Waiting>,
    /// Whether it is for a page of the filter.
    is_page: bool,
    task: Option<Task<GoOn>>,
    page_verifier: Option<PageVerifier>,
    /// What the server gets in place of the caller's token.
    token_for_server: Option<Rc<Credential>>,
    record: Record,
}

/// Where the request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RequestState {
    /// Nothing arrived yet.
    Start,
    /// Its issuer's keys, or word about the token, are being fetched. `ended`: nothing more of it will arrive.
    AwaitsKeys { ended: bool },
    /// Its body is being collected.
    Body,
    /// It is whole, and waits for what was asked.
    Asks,
    /// It went on, or was answered.
    Over,
}

/// What was asked, kept for the answer.
#[derive(Debug)]
struct Question {
    id: Option<Vec<u8>>,
    /// What the client can ask its user.
    elicits: ElicitationCapability,
    /// As the headers state it; a body of the other era is refused.
    era: Era,
}

impl Transaction {
    /// A request about to arrive. `seen` is what other exchanges of the policy saw.
    pub fn new(policy: Rc<Policy>, secrets: &Secrets, seen: &SeenTools, now: Now) -> Self {
        let mut record = Record::new(policy.mode, Refusal::ClientGone.decision());
        record.policy.clone_from(&policy.label);
        Self {
            policy,
            secrets: secrets.clone(),
            seen: seen.clone(),
            started: now,
            connection: Connection::default(),
            request: RequestState::Start,
            answering: None,
            headers: Headers::default(),
            caller: None,
            asked: Question {
                id: None,
                elicits: ElicitationCapability::default(),
                era: Era::Legacy,
            },
            handles: Handles::default(),
            inspect: Inspect::default(),
            result_of: ResultOf::default(),
            waiting: None,
            is_page: false,
            task: None,
            page_verifier: None,
            token_for_server: None,
            record,
        }
    }

    /// Says on which connection the request came in. Before its headers; only for a policy with `local`
    /// does it matter.
    pub fn came_in_on(&mut self, connection: Connection) {
        self.connection = connection;
    }

    /// The record of this exchange, once it is over. `status` is what the client got, 0 if it got
    /// nothing. `None` if the request never arrived here.
    pub fn finish(mut self, status: u16, now: Now) -> Option<Record> {
        if self.request == RequestState::Start {
            return None;
        }
        if self.request == RequestState::Asks {
            self.decide(Refusal::ClientGone.decision());
        }
        self.record.status = status;
        self.record.duration_ms = now.unix_ms.saturating_sub(self.started.unix_ms);
        Some(self.record)
    }

    /// Whether nothing more is to be decided about the request.
    pub fn is_over(&self) -> bool {
        self.request == RequestState::Over
    }

    /// Whether the request waits for its body.
    pub fn awaits_body(&self) -> bool {
        self.request == RequestState::Body
    }

    /// Refuses a request because the host cannot keep it back.
    pub fn host_does_not_hold(&mut self) -> Step {
        self.refuse(&Refusal::HostDoesNotHold, None)
    }

    /// Refuses a request that is for none of the plugin's policies; the one at hand only says
    /// whether refusals take effect.
    pub fn is_for_nobody(&mut self, headers: &Headers) -> Step {
        self.record.policy = None;
        let method = headers.one(":method").ok().flatten();
        self.record.http_method = crate::audit::name(method.unwrap_or_default());
        self.refuse(&Refusal::NotFound, None)
    }

    /// Ends the request with a refusal; in observe mode only says so in the record.
    fn refuse(&mut self, refusal: &Refusal, target: Option<Target<'_>>) -> Step {
        self.request = RequestState::Over;
        let mut decision = refusal.decision();
        decision.evidence.splice(0..0, self.caller_evidence());
        if self.policy.mode == Mode::Observe {
            self.decide(decision);
            self.note_credential();
            return Step::Forward(Forward::default());
        }
        self.decide(decision);
        let asked = Asked {
            id: self.asked.id.as_deref(),
            era: self.asked.era,
            target,
            is_call: self.record.method.as_deref() == Some("tools/call"),
        };
        let mut reply = refuse(&self.policy, refusal, asked);
        let for_page = cors::reply_headers(&self.policy, self.origin());
        reply.headers.extend(for_page);
        Step::Reply(reply)
    }

    /// Answers in the server's place what needs no token.
    fn answer_openly(&mut self, reason: Approval, reply: Reply) -> Step {
        self.request = RequestState::Over;
        self.approve(reason, Vec::new());
        match self.policy.mode {
            Mode::Enforce => Step::Reply(reply),
            Mode::Observe => Step::Forward(Forward::default()),
        }
    }

    /// The web page's origin, if the request states one.
    fn origin(&self) -> Option<&str> {
        self.headers.one("origin").ok().flatten()
    }

    /// Notes whose result the answer will be, and what of it is looked at.
    fn prepare_answer(&mut self, inspect: Inspect, result_of: ResultOf) {
        let results =
            !results::rules_for(&self.policy, self.caller.as_ref(), &result_of).is_empty();
        // What one caller may read must not be cached for others.
        let is_read = self.record.method.as_deref() == Some("resources/read");
        let presents = matches!(
            self.record.method.as_deref(),
            Some("initialize" | "server/discover")
        );
        // A stream that is resumed may still bring that answer.
        let presents = presents || self.record.http_method == "GET";
        let errors = self.looks_at_errors();
        // So must the names be that one caller may read in what the server says of itself.
        let of_caller = is_read || presents && errors && self.policy.instructions.is_none();
        self.inspect = Inspect {
            lists: inspect.lists || of_caller && self.asked.era == Era::Modern,
            results,
            instructions: presents && self.policy.instructions.is_some(),
            errors,
            ..inspect
        };
        self.result_of = result_of;
    }

    /// Notes an approval and the evidence for it, the caller's first.
    fn approve(&mut self, reason: Approval, evidence: Vec<Evidence>) {
        let of_caller = self.caller_evidence().into_iter();
        let evidence = of_caller.chain(evidence).collect();
        self.decide(Decision {
            verdict: Verdict::Approved,
            reason: reason.row().code,
            evidence,
            next_action: None,
        });
    }

    fn decide(&mut self, decision: Decision) {
        self.record.decide(self.policy.mode, decision);
    }

    /// Whether error texts of the answer are looked at: only requests have one, and a stream of its
    /// own may bring the answers to others.
    fn looks_at_errors(&self) -> bool {
        let is_answered = self.asked.id.is_some() || self.record.http_method == "GET";
        let has_names = !self.policy.known_tools.is_empty();
        is_answered
            && match self.policy.errors {
                ServerErrors::HideNames => has_names,
                ServerErrors::Keep => false,
                ServerErrors::Withhold => true,
            }
    }

    /// The answer's headers. `ended`: nothing follows them.
    pub fn response_headers(&mut self, headers: &Headers, ended: bool) -> Step {
        self.refused_by_server(headers);
        let answering = self.answering();
        let answering = self.answering.insert(answering);
        answering.response_headers(headers, ended, &mut self.record)
    }

    /// The answer's body: all of it so far while a message is held, else the next chunk.
    /// `ended`: by its own end or by trailers.
    pub fn response_body(&mut self, body: &[u8], ended: bool, now: Now) -> Step {
        match &mut self.answering {
            Some(answering) => answering.response_body(body, ended, now, &mut self.record),
            None => Step::Forward(Forward::default()),
        }
    }

    /// Whether the answer's body has to be looked at.
    pub fn reads_response(&self) -> bool {
        let answering = self.answering.as_ref();
        answering.is_none_or(Answering::reads_response)
    }

    /// Whether a message of the answer is held until it is whole.
    pub fn holds_response(&self) -> bool {
        let answering = self.answering.as_ref();
        answering.is_some_and(Answering::holds_response)
    }

    /// The answer to this request. The request needs none of what moves into it any more.
    fn answering(&mut self) -> Answering {
        Answering {
            policy: Rc::clone(&self.policy),
            caller: self.caller.clone(),
            request: AnsweredRequest {
                id: self.asked.id.take(),
                era: self.asked.era,
                http_method: self.record.http_method.clone(),
                method: self.record.method.clone(),
                origin: self.origin().map(str::to_owned),
            },
            inspect: self.inspect,
            result_of: std::mem::take(&mut self.result_of),
            handles: std::mem::take(&mut self.handles),
            seen: self.seen.clone(),
            audit_key: self.secrets.audit_key.clone(),
            sealer: self.secrets.sealer.clone(),
            state: ResponseState::default(),
            header_edits: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
