//! One request and its answer, without I/O: the order of the phases.
//!
//! A request is a [`Task`]. It asks its host for effects (its own body, calls, the store). It ends as a
//! request that is passed on with edits, or as a reply of the filter. Then the headers and the body of the
//! answer pass. Trailers are the same event as the end of the body, so every message is judged when it
//! ends.

use std::cell::RefCell;
use std::rc::Rc;

use crate::accounts::refused::RefusedEnd;
use crate::audit::Record;
use crate::cors;
use crate::decision::Verdict;
use crate::decision_point::Decided;
use crate::effect::{Effect, Effects, Outcome, Progress, Task, Work, Worked};
use crate::engine::Engine;
use crate::held::HeldShare;
use crate::reasons::{Approval, Reason};
use crate::refusal::{self, Refusal};
use crate::request::arrived::Arrived;
use crate::request::needs::SentAccount;
pub use crate::request::peer::Peer;
use crate::request::release::Passed;
use crate::request::{Journal, Request, forward};
use crate::response::outside_lists::ListQuestions;
use crate::step::{End, Forward, Step};
use base::http::Reply;
use base::store::StoreError;
use base::time::UnixTime;
use mcp::headers::{HeaderEdit, Headers};
use policy::{Mode, Streams};

/// The phases of a request. `Err`: the filter refuses or answers it.
async fn pass(request: Request, peer: Peer) -> Result<Passed, End> {
    let request = request.check_peer(peer)?.answer_document()?;
    let request = request.answer_page().await?;
    let arrived = Arrived::check(request)?;
    let authenticated = arrived.authenticate().await?;
    let received = authenticated.receive().await;
    let judged = received.judge().await?;
    let fulfilled = judged.fulfil().await?;
    Ok(fulfilled.release())
}

/// The end of a request's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The server or the filter ended it, or the client disconnected.
    Whole,
    /// The proxy answered instead of the server.
    ByProxy,
    /// The proxy answered, because the filter held more of the server's answer than the proxy buffers.
    OverBuffer,
    /// The server, or the connection to it, ended it too early.
    CutOff,
}

/// One request and its answer.
#[derive(Debug)]
pub struct Transaction {
    engine: Rc<Engine>,
    /// When the headers arrived.
    started: Option<UnixTime>,
    peer: Peer,
    journal: Rc<RefCell<Journal>>,
    held: HeldShare,
    phase: Phase,
    /// Asks a decision point about the lists of the answer.
    listing: Option<ListingTask>,
    /// The account that the server refused, until it has ended.
    refused: Option<Box<SentAccount>>,
}

/// The phase of a transaction.
#[derive(Debug)]
enum Phase {
    /// The headers have not arrived.
    Expected,
    /// The request is being judged.
    Judging(Judging),
    /// The request was passed on. Its answer is inspected.
    Passed(Box<Passed>),
    /// The filter refused or answered the request. In observe mode it was passed on.
    Over,
    /// The proxy answers in place of the server, for this reason. Its body is replaced once.
    ByProxy(Refusal, Option<Vec<u8>>),
}

/// The questions about the lists of an answer, and their answers.
type AskedLists = Vec<(ListQuestions, Decided)>;

#[derive(Debug)]
struct ListingTask {
    task: Task<AskedLists>,
    began: UnixTime,
}

#[derive(Debug)]
struct Judging {
    task: Task<Result<Passed, End>>,
    awaits_body: bool,
}

impl Transaction {
    /// A transaction before its headers arrive.
    pub fn new(engine: Rc<Engine>) -> Self {
        let journal = Journal::new(&engine.policy);
        Self {
            held: engine.held.share(),
            engine,
            started: None,
            peer: Peer::default(),
            journal: Rc::new(RefCell::new(journal)),
            phase: Phase::Expected,
            listing: None,
            refused: None,
        }
    }

    /// Sets the addresses of the request, before its headers. Only policies with `local` need them.
    pub fn set_peer(&mut self, peer: Peer) {
        self.peer = peer;
    }

    /// The request's headers. `is_ended`: nothing follows them.
    pub fn request_headers(
        &mut self,
        headers: Headers,
        is_ended: bool,
        now: UnixTime,
    ) -> Progress<End> {
        self.started = Some(now);
        let (engine, journal) = (Rc::clone(&self.engine), Rc::clone(&self.journal));
        let peer = self.peer;
        let (task, progress) = Task::start(now, |effects| {
            pass(
                Request::new(engine, effects, headers, journal, is_ended),
                peer,
            )
        });
        let awaits_body = false;
        self.phase = Phase::Judging(Judging { task, awaits_body });
        self.advance(progress)
    }

    /// More of the request's body has arrived: `size` bytes so far. `Some`: it is refused. `body` reads these
    /// bytes.
    pub fn request_grows(&mut self, size: usize, body: impl FnOnce() -> Vec<u8>) -> Option<End> {
        self.journal.borrow_mut().record.request_bytes = size;
        if self.is_over() {
            return None;
        }
        let refusal = if size > self.engine.policy.max_body {
            Refusal::TooLarge
        } else if self.held.hold(size) {
            return None;
        } else {
            Refusal::WorkerFull
        };
        // The answer has the id, if it has arrived.
        self.journal.borrow_mut().note_id(&body());
        Some(self.abort(&refusal))
    }

    /// Continues with the outcome of the effect that the request waits for. `None`: it waits for none.
    pub fn resume(&mut self, outcome: Outcome, now: UnixTime) -> Option<Progress<End>> {
        if let Outcome::Body(body) = &outcome
            && let Some(end) = self.request_grows(body.len(), || body.clone())
        {
            return Some(Progress::Done(end));
        }
        let Phase::Judging(judging) = &mut self.phase else {
            return None;
        };
        let progress = judging.task.resume(outcome, now);
        Some(self.advance(progress))
    }

    fn advance(&mut self, progress: Progress<Result<Passed, End>>) -> Progress<End> {
        let (phase, end) = match progress {
            Progress::Waits(effect) => {
                if let Phase::Judging(judging) = &mut self.phase {
                    judging.awaits_body = matches!(effect, Effect::Body(_));
                }
                return Progress::Waits(effect);
            }
            Progress::Done(Ok(mut passed)) => {
                let forward = std::mem::take(&mut passed.forward);
                (Phase::Passed(Box::new(passed)), End::Forward(forward))
            }
            Progress::Done(Err(end)) => (Phase::Over, end),
        };
        self.phase = phase;
        self.held.hold(0);
        Progress::Done(end)
    }

    /// Whether the host delivered the request's headers.
    pub fn has_arrived(&self) -> bool {
        !matches!(self.phase, Phase::Expected)
    }

    /// Whether the request is decided.
    pub fn is_over(&self) -> bool {
        matches!(
            self.phase,
            Phase::Passed(_) | Phase::Over | Phase::ByProxy(..)
        )
    }

    /// Whether the request waits for its body.
    pub fn awaits_body(&self) -> bool {
        matches!(&self.phase, Phase::Judging(judging) if judging.awaits_body)
    }

    /// Refuses a request because the host cannot hold it.
    pub fn host_does_not_hold(&mut self) -> End {
        self.abort(&Refusal::HostDoesNotHold)
    }

    /// Refuses a request that matches no policy of the plugin. The policy of this transaction only has the
    /// mode.
    pub fn refuse_unmatched(&mut self, headers: &Headers) -> End {
        {
            let record = &mut self.journal.borrow_mut().record;
            record.policy = None;
            let method = headers.one(":method").ok().flatten();
            record.http_method = crate::audit::name(method.unwrap_or_default());
        }
        self.abort(&Refusal::NotFound)
    }

    fn abort(&mut self, refusal: &Refusal) -> End {
        self.phase = Phase::Over;
        self.held.hold(0);
        let journal = &mut *self.journal.borrow_mut();
        journal.refuse(&self.engine.policy, refusal, None)
    }

    /// The changes of the trailers of a request that is passed on. A server may read them like headers.
    pub fn request_trailers(&self, trailers: &Headers) -> Vec<HeaderEdit> {
        match self.engine.policy.mode {
            Mode::Observe => Vec::new(),
            Mode::Enforce => {
                let era = self.journal.borrow().era;
                forward::removed_trailers(&self.engine, trailers, era)
            }
        }
    }

    /// The answer's headers. `is_ended`: nothing follows them.
    pub fn response_headers(&mut self, headers: &Headers, is_ended: bool) -> Step {
        let policy = &self.engine.policy;
        let journal = &mut *self.journal.borrow_mut();
        match (&mut self.phase, policy.mode) {
            (Phase::Passed(passed), _) => {
                passed.note_refused_token(&self.engine, headers);
                let answering = &mut passed.answering;
                answering.response_headers(headers, is_ended, &mut journal.record)
            }
            // The proxy answers.
            (_, Mode::Enforce) => Step::Forward(Forward {
                headers: cors::answer_headers(policy, journal.origin.as_deref(), headers),
                body: None,
            }),
            (_, Mode::Observe) => Step::Forward(Forward::default()),
        }
    }

    /// The effect to wait for in place of [`Self::response_headers`], if the server refuses the account of the call:
    /// it answers 401.
    pub fn account_refused(&mut self, headers: &Headers) -> Option<Effect> {
        let journal = &mut *self.journal.borrow_mut();
        let sent = journal.account.take()?;
        let is_refused = headers.one(":status") == Ok(Some("401"));
        if !is_refused || !matches!(self.phase, Phase::Passed(_)) {
            return None;
        }
        let work = Work::EndRefused(Box::new(sent.used.clone()));
        self.refused = Some(sent);
        Some(Effect::Work(work))
    }

    /// The account stays although the server refused it: the host cannot wait.
    pub fn keep_account(&mut self) {
        self.refused = None;
    }

    /// Whether the answer waits for the end of an account that the server refused. Nothing of it is passed on.
    pub fn waits_for_account(&self) -> bool {
        self.refused.is_some()
    }

    /// The reply in place of the server's answer, when the account that it refused has ended: the user is asked
    /// again. `None`: it does not wait for that.
    pub fn account_ended(&mut self, outcome: &Outcome, now: UnixTime) -> Option<Reply> {
        let sent = self.refused.take()?;
        let end = match outcome {
            Outcome::Work(Worked::RefusedEnd(end)) => *end,
            _ => RefusedEnd::Store(StoreError::Unavailable),
        };
        let Phase::Passed(passed) = std::mem::replace(&mut self.phase, Phase::Over) else {
            return None;
        };
        self.held.hold(0);
        let journal = &mut *self.journal.borrow_mut();
        let refusal = passed.answering.account_refusal(journal, (&sent, end), now);
        match journal.refuse_answer(&self.engine.policy, &refusal) {
            End::Reply(reply) => Some(reply),
            End::Forward(_) => None,
        }
    }

    /// The headers of an answer that the proxy makes in place of the server. Clients get a JSON-RPC error in
    /// place of its text. `details` is the proxy's reason.
    pub fn proxy_answers(&mut self, headers: &Headers, details: &[u8], is_ended: bool) -> Step {
        let status = headers.one(":status").ok().flatten().unwrap_or_default();
        let is_passed = matches!(self.phase, Phase::Passed(_));
        let refusal = proxy_refusal(status, details, is_passed);
        let policy = &self.engine.policy;
        let journal = &*self.journal.borrow();
        let mut forward = Forward::default();
        let mut body = None;
        if policy.mode == Mode::Enforce {
            forward.headers = cors::answer_headers(policy, journal.origin.as_deref(), headers);
            if !is_ended {
                let error = refusal::proxy_error(&refusal, journal.id.as_deref());
                let mut set = |name: &str, value: String| {
                    forward
                        .headers
                        .push(HeaderEdit::Set(name.to_owned(), value));
                };
                set("content-type", "application/json".to_owned());
                set("content-length", error.len().to_string());
                body = Some(error);
            }
        }
        self.held.hold(0);
        self.phase = Phase::ByProxy(refusal, body);
        Step::Forward(forward)
    }

    /// When the answer ends although the server has not ended it: with the caller's token, for streams that
    /// are not the answer to one call.
    pub fn ends_with_token(&self) -> Option<UnixTime> {
        let policy = &self.engine.policy;
        let ends = policy.mode == Mode::Enforce && policy.streams == Streams::EndWithToken;
        match &self.phase {
            Phase::Passed(passed) if ends => passed.answering.token_end(),
            _ => None,
        }
    }

    /// Notes that the filter ends the answer, because the caller's token expired.
    pub fn end_with_token(&mut self) {
        let record = &mut self.journal.borrow_mut().record;
        record.decision.reason = Approval::StreamEndedWithToken.row().code;
        self.phase = Phase::Over;
    }

    /// A held answer grew to `size` bytes, and has not ended.
    pub fn response_grows(&mut self, size: usize) -> Step {
        let record = &mut self.journal.borrow_mut().record;
        match &mut self.phase {
            Phase::Passed(passed) => match self.held.hold(size) {
                true => passed.answering.response_grows(size, record),
                false => passed.answering.refuse_held(&[], record),
            },
            _ => Step::Hold,
        }
    }

    /// The answer's body: all of it so far while a message is held, else the next chunk. `is_ended`: by its
    /// own end or by trailers.
    pub fn response_body(&mut self, body: &[u8], now: UnixTime) -> Step {
        let record = &mut self.journal.borrow_mut().record;
        match &mut self.phase {
            Phase::Passed(passed) => {
                let answering = &mut passed.answering;
                let held = answering.unfinished().saturating_add(body.len());
                if answering.reads_response() && !self.held.hold(held) {
                    return answering.refuse_held(body, record);
                }
                let step = answering.response_body(body, now, record);
                self.held.hold(answering.unfinished());
                step
            }
            Phase::ByProxy(_, replacement) => Step::Forward(Forward {
                headers: Vec::new(),
                // Later parts are empty.
                body: replacement.as_mut().map(std::mem::take),
            }),
            _ => Step::Forward(Forward::default()),
        }
    }

    /// Whether a decision point may be asked about the lists of the answer.
    pub fn may_ask(&self) -> bool {
        matches!(&self.phase, Phase::Passed(passed) if passed.answering.may_ask_about_lists())
    }

    /// The effect to wait for before [`Self::response_body`] gets this part of the answer. `None`: it need not
    /// wait.
    pub fn response_asks(&mut self, body: &[u8], now: UnixTime) -> Option<Effect> {
        let Phase::Passed(passed) = &mut self.phase else {
            return None;
        };
        let record = &mut self.journal.borrow_mut().record;
        let answering = &mut passed.answering;
        let asked = answering.questions_about_lists(body, now, record);
        if asked.is_empty() {
            return None;
        }
        let (task, progress) = Task::start(now, |effects| ask_about_lists(effects, asked));
        self.listing = Some(ListingTask { task, began: now });
        match progress {
            Progress::Waits(effect) => Some(effect),
            Progress::Done(_) => None,
        }
    }

    /// Continues with the outcome of an effect of the answer. `Some`: it waits for another one. `None`: the part of
    /// the answer can be given to [`Self::response_body`].
    pub fn resume_response(&mut self, outcome: Outcome, now: UnixTime) -> Option<Effect> {
        let listing = self.listing.as_mut()?;
        let asked = match listing.task.resume(outcome, now) {
            Progress::Waits(effect) => return Some(effect),
            Progress::Done(asked) => asked,
        };
        let took = now.as_millis().saturating_sub(listing.began.as_millis());
        self.listing = None;
        let record = &mut self.journal.borrow_mut().record;
        record.decision_ms = Some(record.decision_ms.unwrap_or(0).saturating_add(took));
        if let Phase::Passed(passed) = &mut self.phase {
            for (questions, decided) in asked {
                passed.answering.lists_decided(&questions, decided);
            }
        }
        None
    }

    /// Whether the answer waits: for a decision about its lists, or for the end of an account.
    pub fn response_waits(&self) -> bool {
        self.listing.is_some() || self.waits_for_account()
    }

    /// Whether the answer's body is inspected.
    pub fn reads_response(&self) -> bool {
        match &self.phase {
            Phase::Passed(passed) => passed.answering.reads_response(),
            Phase::ByProxy(_, replacement) => replacement.is_some(),
            _ => false,
        }
    }

    /// Whether a message of the answer is held until it is complete.
    pub fn holds_response(&self) -> bool {
        matches!(&self.phase, Phase::Passed(passed) if passed.answering.holds_response())
    }

    /// The record of the transaction at its end. `status` is the status that the client received, 0 for
    /// none. `None`: the request never arrived.
    pub fn finish(self, status: u16, ending: Ending, now: UnixTime) -> Option<Record> {
        let failure = match (self.phase, ending) {
            // The proxy may refuse a request before its headers are complete.
            (Phase::Expected, _) if status == 0 => return None,
            (Phase::Expected, _) => Some(proxy_refusal(&status.to_string(), b"", false)),
            (Phase::ByProxy(refusal, _), _) => Some(refusal),
            (_, Ending::Whole) | (Phase::Over, _) => None,
            (Phase::Judging(_), Ending::ByProxy) => Some(Refusal::AnsweredByProxy),
            (Phase::Judging(_), Ending::CutOff | Ending::OverBuffer) => None,
            (Phase::Passed(_), Ending::OverBuffer) => Some(Refusal::UpstreamAnswerOverBuffer),
            (Phase::Passed(_), Ending::ByProxy) => Some(Refusal::UpstreamUnavailable),
            (Phase::Passed(_), Ending::CutOff) => Some(Refusal::UpstreamReset),
        };
        let mut record = Rc::into_inner(self.journal)?.into_inner().record;
        // A refusal before the end stays. An answer of the proxy cannot be read.
        let is_refused = record.decision.verdict == Verdict::Blocked;
        if let Some(failure) = failure
            && !(ending == Ending::CutOff && is_refused)
        {
            if record.decision.reason == Reason::ClientGone.row().code {
                // It was the proxy that ended the request before a decision.
                record.decision.evidence.clear();
            }
            record.fail(self.engine.policy.mode, failure.decision());
        }
        record.status = status;
        let started = self.started.unwrap_or(now);
        record.duration_ms = now.as_millis().saturating_sub(started.as_millis());
        Some(record)
    }
}

/// Asks about the lists of an answer, until a decision point does not decide.
async fn ask_about_lists(effects: Effects, asked: Vec<ListQuestions>) -> AskedLists {
    let mut decided = Vec::with_capacity(asked.len());
    for questions in asked {
        let answers = effects.decide(questions.pending.clone()).await;
        let is_fault = answers.is_err();
        decided.push((questions, answers));
        if is_fault {
            break;
        }
    }
    decided
}

/// Why the proxy answers in place of the server. `is_passed`: the request was allowed.
fn proxy_refusal(status: &str, details: &[u8], is_passed: bool) -> Refusal {
    let is_timeout = details.ends_with(b"timeout");
    match status {
        "413" => Refusal::ProxyBodyTooLarge,
        "431" => Refusal::ProxyHeadersTooLarge,
        "408" | "504" if is_passed => Refusal::UpstreamTimedOut,
        "408" => Refusal::ProxyTimeout,
        _ if is_passed && is_timeout => Refusal::UpstreamTimedOut,
        _ if is_passed => Refusal::UpstreamUnavailable,
        _ => Refusal::AnsweredByProxy,
    }
}

#[cfg(test)]
mod tests;
