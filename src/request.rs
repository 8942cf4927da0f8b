//! The phases of a request, in the order of `transaction.rs`: [`arrived`], [`judge`], [`needs`],
//! [`release`].

pub(crate) mod arguments;
pub(crate) mod arrived;
pub(crate) mod forward;
mod identity_headers;
pub(crate) mod peer;
pub(crate) mod release;

mod approval;
mod client_answer;
mod completion;
mod confirmation;
mod credentials;
mod edit;
mod identify;
mod judge;
mod lookup;
mod mirrored_headers;
pub(crate) mod needs;
mod opened_ids;
mod outside_decision;
pub(crate) mod own_tool_call;
mod page;
mod question;
pub(crate) mod refused_account;
mod running;
mod understand;

use std::cell::{RefCell, RefMut};
use std::rc::Rc;

use self::needs::SentAccount;
use crate::audit::Record;
use crate::authorize::{Denial, Target};
use crate::cors;
use crate::decision::{Decision, Evidence, Verdict};
use crate::effect::Effects;
use crate::engine::Engine;
use crate::reasons::Approval;
use crate::refusal::Refusal;
use crate::refusal::{self, RefusedRequest};
use crate::step::{End, Forward};
use base::http::Reply;
use base::time::UnixTime;
use mcp::headers::{HeaderEdit, Headers, VERSIONS, stated_era};
use mcp::message::ReadableId;
use mcp::method::Era;
use policy::{Mode, Policy};

/// The data that all phases of a request have.
pub(crate) struct Request {
    pub(crate) engine: Rc<Engine>,
    pub(crate) effects: Effects,
    pub(crate) headers: Headers,
    pub(crate) journal: Rc<RefCell<Journal>>,
    /// Nothing follows the headers.
    pub(crate) is_ended: bool,
}

/// The record of a request, and the data that a refusal needs. It exists from the start.
#[derive(Debug)]
pub(crate) struct Journal {
    pub(crate) record: Record,
    /// The evidence for the caller, when it is identified.
    pub(crate) caller: Vec<Evidence>,
    /// The account that the call is sent with.
    pub(crate) account: Option<Box<SentAccount>>,
    /// The JSON-RPC id, when the message is read.
    pub(crate) id: Option<Vec<u8>>,
    /// Whether the message asks for a task in place of a result.
    pub(crate) asks_task: bool,
    /// The era that the headers state, and later the one that the message states.
    pub(crate) era: Era,
    /// The web page that sent the request.
    pub(crate) origin: Option<String>,
    /// The client's credential, as in the log.
    pub(crate) client_credential: &'static str,
    /// In observe mode: the changes of the headers, until these are passed on.
    pub(crate) observed_headers: Vec<HeaderEdit>,
}

impl Journal {
    /// A request that has not arrived.
    pub(crate) fn new(policy: &Policy) -> Self {
        let mut record = Record::new(policy.mode, Refusal::ClientGone.decision());
        record.policy.clone_from(&policy.label);
        Self {
            record,
            caller: Vec::new(),
            account: None,
            id: None,
            asks_task: false,
            era: Era::Legacy,
            origin: None,
            client_credential: "none",
            observed_headers: Vec::new(),
        }
    }

    /// Notes the id of a request whose body is refused before it is read, for the answer.
    pub(crate) fn note_id(&mut self, body: &[u8]) {
        if let Some(ReadableId::Request(id)) = ReadableId::of(body) {
            self.id = Some(id);
        }
    }

    /// Ends the request with a refusal. In observe mode the request passes, and only the record has the
    /// refusal.
    pub(crate) fn refuse(
        &mut self,
        policy: &Policy,
        refusal: &Refusal,
        target: Option<Target<'_>>,
    ) -> End {
        let asks_for_token = matches!(refusal, Refusal::Denied(Denial::SignIn { .. }));
        let mode = match policy.enforces_sign_in() && asks_for_token {
            true => Mode::Enforce,
            false => policy.mode,
        };
        self.refuse_in(mode, policy, refusal, target)
    }

    /// Ends the request with a refusal that takes effect in the mode `enforce` only.
    pub(crate) fn refuse_in(
        &mut self,
        mode: Mode,
        policy: &Policy,
        refusal: &Refusal,
        target: Option<Target<'_>>,
    ) -> End {
        self.note_refusal(mode, refusal);
        if mode == Mode::Observe {
            self.record.upstream_credential = Some(self.client_credential);
            return End::Forward(self.observed());
        }
        let asked = RefusedRequest {
            id: self.id.as_deref(),
            era: self.era,
            target,
            is_call: self.record.method.as_deref() == Some("tools/call") && !self.asks_task,
        };
        self.reply(policy, refusal::refuse(policy, refusal, asked))
    }

    /// Ends a request that was passed on, with a refusal in place of the server's answer.
    pub(crate) fn refuse_answer(&mut self, policy: &Policy, refusal: &Refusal) -> End {
        let before = std::mem::take(&mut self.record.decision.evidence);
        let caller = std::mem::replace(&mut self.caller, before);
        let end = self.refuse_in(policy.mode, policy, refusal, None);
        self.caller = caller;
        end
    }

    /// Notes a refusal. Its evidence follows the evidence for the caller.
    pub(crate) fn note_refusal(&mut self, mode: Mode, refusal: &Refusal) {
        let mut decision = refusal.decision();
        decision.evidence.splice(0..0, self.caller.iter().cloned());
        self.record.decide(mode, decision);
    }

    /// The changes of a request that is only observed.
    pub(crate) fn observed(&mut self) -> Forward {
        Forward {
            headers: std::mem::take(&mut self.observed_headers),
            body: None,
        }
    }

    /// Ends the request with a reply that a web page can read.
    pub(crate) fn reply(&self, policy: &Policy, mut reply: Reply) -> End {
        let for_page = cors::reply_headers(policy, self.origin.as_deref());
        reply.headers.extend(for_page);
        End::Reply(reply)
    }

    /// Notes an approval. Its evidence follows the evidence for the caller.
    pub(crate) fn approve(&mut self, mode: Mode, reason: Approval, evidence: Vec<Evidence>) {
        let of_caller = self.caller.iter().cloned();
        let decision = Decision {
            verdict: Verdict::Approved,
            reason: reason.row().code,
            evidence: of_caller.chain(evidence).collect(),
            next_action: None,
        };
        self.record.decide(mode, decision);
    }
}

impl Request {
    /// A request whose headers have arrived. `is_ended`: nothing follows them.
    pub(crate) fn new(
        engine: Rc<Engine>,
        effects: Effects,
        headers: Headers,
        journal: Rc<RefCell<Journal>>,
        is_ended: bool,
    ) -> Self {
        let request = Self {
            engine,
            effects,
            headers,
            journal,
            is_ended,
        };
        request.note_headers();
        request
    }

    fn note_headers(&self) {
        let one = |name| self.headers.one(name).ok().flatten();
        let journal = &mut *self.journal();
        journal.era = stated_era(&self.headers);
        journal.origin = one("origin").map(str::to_owned);
        if self.headers.has("authorization") {
            journal.client_credential = "passed";
        }
        journal.record.http_method = crate::audit::name(self.method());
        journal.record.request_id = one("x-request-id").map(crate::audit::name);
        let version = one("mcp-protocol-version").filter(|stated| VERSIONS.contains(stated));
        journal.record.version = version.map(str::to_owned);
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.engine.policy
    }

    /// The time at which the task was started or resumed.
    pub(crate) fn now(&self) -> UnixTime {
        self.effects.exact_now()
    }

    /// A header that must not be repeated.
    pub(crate) fn one(&self, name: &'static str) -> Result<Option<&str>, Refusal> {
        self.headers.one(name).map_err(Refusal::Header)
    }

    /// The journal. The borrow must end before the next effect.
    pub(crate) fn journal(&self) -> RefMut<'_, Journal> {
        self.journal.borrow_mut()
    }

    /// The HTTP method.
    pub(crate) fn method(&self) -> &str {
        self.headers
            .one(":method")
            .ok()
            .flatten()
            .unwrap_or_default()
    }

    /// Ends the request with a refusal.
    pub(crate) fn refuse(&self, refusal: &Refusal, target: Option<Target<'_>>) -> End {
        self.journal().refuse(self.policy(), refusal, target)
    }

    /// Ends a request without a valid token.
    pub(crate) fn refuse_sign_in(&self, refusal: &Refusal) -> End {
        let policy = self.policy();
        let mode = match policy.enforces_sign_in() {
            true => Mode::Enforce,
            false => policy.mode,
        };
        self.journal().refuse_in(mode, policy, refusal, None)
    }

    /// Notes an approval and its evidence.
    pub(crate) fn approve(&self, reason: Approval, evidence: Vec<Evidence>) {
        self.journal().approve(self.policy().mode, reason, evidence);
    }
}
