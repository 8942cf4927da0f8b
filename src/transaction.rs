//! One request and its answer, without I/O: the order of things.
//!
//! A request is a [`Task`]: it asks its host for effects (its own body, calls, the store), and ends as
//! a request that goes on with edits, or as a reply in the server's place. Then the answer passes
//! through, headers and body. Trailers are the same event as the end of the body, so no message ends
//! without being judged.

use std::cell::RefCell;
use std::rc::Rc;

use crate::audit::Record;
use crate::cors;
use crate::decision::Verdict;
use crate::effect::{Effect, Outcome, Progress, Task};
use crate::engine::Engine;
use crate::held::HeldShare;
use crate::refusal::Refusal;
use crate::request::arrived::Arrived;
pub use crate::request::peer::Peer;
use crate::request::release::Passed;
use crate::request::{Journal, Request, forward};
use crate::step::{End, Forward, Step};
use base::time::UnixTime;
use mcp::headers::{HeaderEdit, Headers};
use policy::Mode;

/// The phases of a request. `Err`: it is refused, or answered here.
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

/// How the answer of a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// As the server or this filter ended it, or because the client left.
    Whole,
    /// The proxy answered in the server's place.
    ByProxy,
    /// The server, or the connection to it, ended it too early.
    CutOff,
}

/// One request and its answer.
#[derive(Debug)]
pub struct Transaction {
    engine: Rc<Engine>,
    started: UnixTime,
    peer: Peer,
    journal: Rc<RefCell<Journal>>,
    held: HeldShare,
    phase: Phase,
}

/// How far a transaction is.
#[derive(Debug)]
enum Phase {
    /// Nothing arrived yet.
    Expected,
    /// The request is judged.
    Judging(Judging),
    /// The request went on, and its answer is looked at.
    Passed(Box<Passed>),
    /// The request was refused or answered here; in observe mode it went on.
    Over,
}

#[derive(Debug)]
struct Judging {
    task: Task<Result<Passed, End>>,
    awaits_body: bool,
}

impl Transaction {
    /// A request about to arrive.
    pub fn new(engine: Rc<Engine>, now: UnixTime) -> Self {
        let journal = Journal::new(&engine.policy);
        Self {
            held: engine.held.share(),
            engine,
            started: now,
            peer: Peer::default(),
            journal: Rc::new(RefCell::new(journal)),
            phase: Phase::Expected,
        }
    }

    /// Says between which addresses the request came; before its headers. Only a policy with `local`
    /// asks for it.
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
        let (engine, journal) = (Rc::clone(&self.engine), Rc::clone(&self.journal));
        let peer = self.peer;
        let (task, progress) = Task::start(now.as_millis(), |effects| {
            pass(
                Request::new(engine, effects, headers, journal, is_ended),
                peer,
            )
        });
        let awaits_body = false;
        self.phase = Phase::Judging(Judging { task, awaits_body });
        self.advance(progress)
    }

    /// More of the request's body arrived: `size` bytes so far. `Some`: that is too much.
    pub fn request_grows(&mut self, size: usize) -> Option<End> {
        self.journal.borrow_mut().record.request_bytes = size;
        if self.is_over() {
            return None;
        }
        if size > self.engine.policy.max_body {
            return Some(self.abort(&Refusal::TooLarge));
        }
        (!self.held.hold(size)).then(|| self.abort(&Refusal::WorkerFull))
    }

    /// Goes on with the outcome of the effect for which the request waits. `None`: it waits for none.
    pub fn resume(&mut self, outcome: Outcome, now: UnixTime) -> Option<Progress<End>> {
        if let Outcome::Body(body) = &outcome
            && let Some(end) = self.request_grows(body.len())
        {
            return Some(Progress::Done(end));
        }
        let Phase::Judging(judging) = &mut self.phase else {
            return None;
        };
        let progress = judging.task.resume(outcome, now.as_millis());
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

    /// Whether nothing more is to be decided about the request.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Passed(_) | Phase::Over)
    }

    /// Whether the request waits for its body.
    pub fn awaits_body(&self) -> bool {
        matches!(&self.phase, Phase::Judging(judging) if judging.awaits_body)
    }

    /// Refuses a request because the host cannot hold it back.
    pub fn host_does_not_hold(&mut self) -> End {
        self.abort(&Refusal::HostDoesNotHold)
    }

    /// Refuses a request that matches none of the plugin's policies. The policy at hand only says
    /// whether refusals take effect.
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

    /// The changes of the trailers of a request that goes on: a server may read them like headers.
    pub fn request_trailers(&self, trailers: &Headers) -> Vec<HeaderEdit> {
        match self.engine.policy.mode {
            Mode::Observe => Vec::new(),
            Mode::Enforce => {
                let era = self.journal.borrow().era;
                forward::removed_trailers(&self.engine.policy, trailers, era)
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
            // The proxy itself answers.
            (_, Mode::Enforce) => Step::Forward(Forward {
                headers: cors::answer_headers(policy, journal.origin.as_deref(), headers),
                body: None,
            }),
            (_, Mode::Observe) => Step::Forward(Forward::default()),
        }
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

    /// The answer's body: all of it once a held message has ended, else the next chunk.
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
            _ => Step::Forward(Forward::default()),
        }
    }

    /// Whether the answer's body has to be looked at.
    pub fn reads_response(&self) -> bool {
        matches!(&self.phase, Phase::Passed(passed) if passed.answering.reads_response())
    }

    /// Whether a message of the answer is held until it is whole.
    pub fn holds_response(&self) -> bool {
        matches!(&self.phase, Phase::Passed(passed) if passed.answering.holds_response())
    }

    /// The record of this transaction, once it is over. `status` is what the client got, 0 if it got
    /// nothing. `None` if the request never arrived here.
    pub fn finish(self, status: u16, ending: Ending, now: UnixTime) -> Option<Record> {
        let failure = match (&self.phase, ending) {
            (Phase::Expected, _) => return None,
            (_, Ending::Whole) | (Phase::Over, _) => None,
            (Phase::Judging(_), Ending::ByProxy) => Some(Refusal::AnsweredByProxy),
            (Phase::Judging(_), Ending::CutOff) => None,
            (Phase::Passed(_), Ending::ByProxy) => Some(Refusal::UpstreamUnavailable),
            (Phase::Passed(_), Ending::CutOff) => Some(Refusal::UpstreamReset),
        };
        drop(self.phase);
        let mut record = Rc::into_inner(self.journal)?.into_inner().record;
        // What was refused before the end stays refused. An answer of the proxy itself cannot be read.
        let is_refused = record.decision.verdict == Verdict::Blocked;
        if let Some(failure) = failure
            && !(ending == Ending::CutOff && is_refused)
        {
            record.fail(self.engine.policy.mode, failure.decision());
        }
        record.status = status;
        record.duration_ms = now.as_millis().saturating_sub(self.started.as_millis());
        Some(record)
    }
}

#[cfg(test)]
mod tests;
