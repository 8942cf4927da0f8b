//! One request and its answer, as a state machine without I/O.
//!
//! The host's events go in (headers, body, end, keys), steps come out. Trailers are the same event
//! as the end of the body, so no message can end without being judged.

mod call;
mod credentials;
mod error_texts;
mod forward;
mod handles;
mod ids;
mod request;
mod response;

use std::rc::Rc;

use self::handles::Handles;
use crate::audit::Record;
use crate::authorize::{Caller, Target, known_roles};
use crate::challenge::{Asked, Reply, refuse};
use crate::cors;
use crate::decision::{Decision, Evidence, Verdict};
use crate::identity::{Identity, Need, VerifiedToken, Vouched};
use crate::mcp::events::EventStream;
use crate::mcp::headers::{HeaderEdit, Headers};
use crate::mcp::method::Era;
use crate::policy::{Mode, Policy};
use crate::refusal::Refusal;
use crate::seal::Sealer;

/// How deep JSON may be nested, in requests and lists.
const MAX_DEPTH: usize = 64;

/// What the host is to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Keep what has arrived of the message, and wait for more of it.
    Hold,
    /// Keep the request until this was fetched.
    Fetch(Need),
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
}

/// Says nothing: they are secrets.
impl std::fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secrets")
    }
}

/// One request and its answer.
#[derive(Debug)]
pub struct Exchange {
    policy: Rc<Policy>,
    secrets: Secrets,
    started: Now,
    request: RequestState,
    response: ResponseState,
    headers: Headers,
    caller: Option<Known>,
    asked: Question,
    handles: Handles,
    inspect: Inspect,
    result_of: ResultOf,
    record: Record,
    decided: bool,
    /// Changes of the answer's headers, until these go on.
    answer_headers: Vec<HeaderEdit>,
}

/// Who is calling, once that is known.
#[derive(Debug, Clone)]
enum Known {
    /// Whom a token names.
    Token(Rc<VerifiedToken>),
    /// Nobody signed in, and the policy has something for nobody.
    Anonymous,
}

impl Known {
    fn identity(&self) -> &Identity {
        match self {
            Self::Token(token) => token.identity(),
            Self::Anonymous => Identity::anonymous(),
        }
    }

    fn caller(&self, now: Now) -> Caller<'_> {
        let token_age = match self {
            Self::Token(token) => token.age(now.seconds()),
            Self::Anonymous => None,
        };
        Caller {
            identity: self.identity(),
            token_age,
        }
    }
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
    /// It went on, or was answered.
    Over,
}

/// How the answer is treated.
#[derive(Debug)]
enum ResponseState {
    /// Its headers have not arrived.
    Start,
    /// Passed as it comes.
    Pass,
    /// A JSON message, held until it is whole. `failed`: its status already says so.
    Message { failed: bool },
    /// An event stream, looked at event by event.
    Events(EventStream),
    /// Replaced: this is what is left to send.
    Replaced(Vec<u8>),
}

/// What of an answer is looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Inspect {
    /// The lists in it.
    lists: bool,
    /// The handles in it.
    handles: bool,
    /// The data in it.
    results: bool,
    /// What the server says of itself.
    instructions: bool,
    /// The texts of its errors.
    errors: bool,
}

/// Whose result an answer is.
#[derive(Debug, Default)]
enum ResultOf {
    /// None that the policy has rules for.
    #[default]
    Nothing,
    /// That cannot be told: every rule counts.
    Anything,
    Tool(String),
    Prompt(String),
    Resource(String),
}

impl ResultOf {
    fn of(target: Target<'_>) -> Self {
        match target {
            Target::Server => Self::Nothing,
            Target::Tool(name) => Self::Tool(name.to_owned()),
            Target::Prompt(name) => Self::Prompt(name.to_owned()),
            Target::Resource(uri) | Target::ResourceTemplate(uri) => Self::Resource(uri.to_owned()),
        }
    }

    fn target(&self) -> Option<Target<'_>> {
        match self {
            Self::Nothing => Some(Target::Server),
            Self::Anything => None,
            Self::Tool(name) => Some(Target::Tool(name)),
            Self::Prompt(name) => Some(Target::Prompt(name)),
            Self::Resource(uri) => Some(Target::Resource(uri)),
        }
    }
}

/// What was asked, kept for the answer.
#[derive(Debug)]
struct Question {
    id: Option<Vec<u8>>,
    /// As the headers state it; a body of the other era is refused.
    era: Era,
}

impl Exchange {
    /// A request about to arrive.
    pub fn new(policy: Rc<Policy>, secrets: &Secrets, now: Now) -> Self {
        let mut record = Record::new(policy.mode, Refusal::ClientGone.decision());
        record.policy.clone_from(&policy.label);
        Self {
            policy,
            secrets: secrets.clone(),
            started: now,
            request: RequestState::Start,
            response: ResponseState::Start,
            headers: Headers::default(),
            caller: None,
            asked: Question {
                id: None,
                era: Era::Legacy,
            },
            handles: Handles::default(),
            inspect: Inspect::default(),
            result_of: ResultOf::default(),
            record,
            decided: false,
            answer_headers: Vec::new(),
        }
    }

    /// The record of this exchange, once it is over. `status` is what the client got, 0 if it got
    /// nothing. `None` if the request never arrived here.
    pub fn finish(mut self, status: u16, now: Now) -> Option<Record> {
        if self.request == RequestState::Start {
            return None;
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
        decision.evidence.splice(0..0, self.token_evidence());
        if self.policy.mode == Mode::Observe {
            self.decide(decision);
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
    fn answer_openly(&mut self, reason: &'static str, reply: Reply) -> Step {
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
        let identity = self.caller.as_ref().map(Known::identity);
        let identity = identity.unwrap_or(Identity::anonymous());
        let rules = crate::rewrite::results::rules(&self.policy, identity, result_of.target());
        let results = !rules.is_empty();
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

    /// Notes an approval and the evidence for it, the token's first.
    fn approve(&mut self, reason: &'static str, evidence: Vec<Evidence>) {
        let of_token = self.token_evidence().into_iter();
        let evidence = of_token.chain(evidence).collect();
        self.decide(Decision {
            verdict: Verdict::Approved,
            reason,
            evidence,
            next_action: None,
        });
    }

    fn token_evidence(&self) -> Option<Evidence> {
        let token = match self.caller.as_ref()? {
            Known::Token(token) => token,
            Known::Anonymous => return Some(Evidence::new("token", "none; nobody signed in")),
        };
        let issuer = self.policy.issuers.get(token.issuer().0);
        let issuer = issuer.map_or("", |issuer| issuer.issuer.as_str());
        let mut summary = match token.vouched() {
            Vouched::Introspection => format!("introspected, issuer {issuer}"),
            Vouched::Signature(None) => format!("verified, issuer {issuer}"),
            Vouched::Signature(Some(kid)) => {
                let kid = crate::audit::name(kid);
                format!("verified, issuer {issuer}, key `{kid}`")
            }
        };
        if token.is_bound() {
            summary.push_str(", with a DPoP proof");
        }
        Some(Evidence::new("token", summary))
    }

    fn decide(&mut self, mut decision: Decision) {
        if self.policy.mode == Mode::Observe {
            self.record.would_be = Some(decision.verdict.name());
            decision.verdict = Verdict::Draft;
        }
        self.record.decision = decision;
        self.decided = true;
    }

    fn know_caller(&mut self, caller: Known) {
        let identity = caller.identity();
        self.record.subject =
            crate::audit::subject(&self.policy, identity, self.secrets.audit_key.as_deref());
        self.record.roles = known_roles(&self.policy, identity)
            .into_iter()
            .map(|(name, _)| name.to_owned())
            .filter(|name| name != "*")
            .collect();
        self.caller = Some(caller);
    }
}

#[cfg(test)]
mod tests;
