//! Decisions of servers outside: questions, answers, and the answers that a worker remembers.

mod answer;
mod question;

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::time::Duration;

use lru::LruCache;
use thiserror::Error;

pub use self::answer::{Obligations, OutsideAnswer};
pub(crate) use self::question::{
    DecisionContext, DecisionQuestion, DecisionSubject, NoQuestion, batch,
};
use crate::credential::Credential;
use base::http::{Endpoint, HttpRequest, HttpResponse};
use base::time::UnixTime;
use policy::{DecisionPoint, Policy};

/// The number of answers that a worker remembers.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);
/// The number of questions that a worker asks at a time.
const MAX_UNDER_WAY: usize = 256;
/// The same for one caller.
const MAX_UNDER_WAY_OF_CALLER: usize = 64;
/// The maximum size of a question, in bytes.
const MAX_QUESTION: usize = 64 * 1024;
/// The maximum number of questions that are asked at once.
pub(crate) const MAX_BATCH: usize = 100;

/// The digest of a question and of the place that answers it.
pub(crate) type QuestionKey = [u8; 32];
/// The digest of a caller's issuer and user id.
pub(crate) type CallerDigest = [u8; 32];

/// What a decision point did not answer, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecisionFault {
    /// The worker asks too many questions at a time.
    #[error("too many questions wait for the decision point")]
    Busy,
    /// It does not accept the filter's credential.
    #[error("the decision point does not accept the filter's credential")]
    Credential,
    /// It did not answer in time.
    #[error("the decision point did not answer in time")]
    TimedOut,
    /// It did not answer.
    #[error("the decision point did not answer")]
    Unavailable,
    /// Its answer is not understood.
    #[error("the answer of the decision point {0}")]
    Unreadable(&'static str),
}

/// The credentials for the decision points of a policy, and their answers.
pub struct DecisionPoints {
    /// By the variable that holds the secret.
    credentials: HashMap<String, Credential>,
    known: RefCell<LruCache<QuestionKey, Remembered>>,
    under_way: RefCell<UnderWay>,
    /// The decision points that do not decide, by their names, with the reason.
    faults: RefCell<HashMap<String, DecisionFault>>,
}

/// The number of calls that are under way.
#[derive(Default)]
struct UnderWay {
    all: usize,
    of_callers: HashMap<CallerDigest, usize>,
}

struct Remembered {
    answer: Rc<OutsideAnswer>,
    until: UnixTime,
}

/// Questions that are sent in one call.
#[derive(Clone)]
pub struct PendingDecision {
    point: Rc<DecisionPoint>,
    keys: Vec<QuestionKey>,
    caller: CallerDigest,
    request: HttpRequest,
    is_batch: bool,
    cache: Duration,
}

/// The answers, in the order of the questions.
pub type Decided = Result<Vec<Rc<OutsideAnswer>>, DecisionFault>;

/// Two are the same work if they ask the same.
impl PartialEq for PendingDecision {
    fn eq(&self, other: &Self) -> bool {
        self.keys == other.keys && self.is_batch == other.is_batch
    }
}

impl Eq for PendingDecision {}

/// Without the questions.
impl fmt::Debug for PendingDecision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PendingDecision")
    }
}

/// Without the credentials and answers.
impl fmt::Debug for DecisionPoints {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("DecisionPoints")
    }
}

impl DecisionPoints {
    /// The decision points of a policy. `None`: it has none. `credential` makes the credential of a section.
    ///
    /// # Errors
    ///
    /// A credential is missing or is not valid in a header.
    pub fn of<E>(
        policy: &Policy,
        credential: impl Fn(&policy::StaticCredential) -> Result<Credential, E>,
    ) -> Result<Option<Self>, (String, E)> {
        let mut credentials = HashMap::new();
        let mut has_some = false;
        for decide in policy.decides() {
            has_some = true;
            if let Some(written) = &decide.point.credential {
                let made = credential(written).map_err(|error| (decide.rule.clone(), error))?;
                credentials.insert(written.env.clone(), made);
            }
        }
        Ok(has_some.then(|| Self {
            credentials,
            known: RefCell::new(LruCache::new(REMEMBERED)),
            under_way: RefCell::default(),
            faults: RefCell::default(),
        }))
    }

    /// The remembered answer to a question.
    pub(crate) fn known(&self, key: &QuestionKey, now: UnixTime) -> Option<Rc<OutsideAnswer>> {
        let known = &mut *self.known.borrow_mut();
        let found = known.get(key)?;
        if found.until <= now {
            known.pop(key);
            return None;
        }
        Some(Rc::clone(&found.answer))
    }

    /// The work that asks one question. It is sent in the language of the decision point.
    pub(crate) fn ask(
        &self,
        point: &Rc<DecisionPoint>,
        question: &DecisionQuestion,
        cache: Duration,
    ) -> Result<PendingDecision, NoQuestion> {
        let body = question.body(&point.protocol)?;
        if body.len() > MAX_QUESTION {
            return Err(NoQuestion::TooLarge);
        }
        Ok(PendingDecision {
            keys: vec![question.key(point)],
            caller: question.caller(),
            request: self.request(point, &point.endpoint, body),
            point: Rc::clone(point),
            is_batch: false,
            cache,
        })
    }

    /// The work that asks several questions of one caller at once.
    pub(crate) fn ask_all(
        &self,
        point: &Rc<DecisionPoint>,
        endpoint: &Endpoint,
        questions: &[DecisionQuestion],
        cache: Duration,
    ) -> PendingDecision {
        PendingDecision {
            keys: questions
                .iter()
                .map(|question| question.key(point))
                .collect(),
            caller: questions
                .first()
                .map(DecisionQuestion::caller)
                .unwrap_or_default(),
            request: self.request(point, endpoint, batch(questions)),
            point: Rc::clone(point),
            is_batch: true,
            cache,
        }
    }

    fn request(&self, point: &DecisionPoint, endpoint: &Endpoint, body: Vec<u8>) -> HttpRequest {
        let credential = point.credential.as_ref();
        let credential = credential.and_then(|written| self.credentials.get(&written.env));
        endpoint.post_text(
            body,
            credential.map(|credential| credential.header()),
            point.timeout,
        )
    }

    /// Begins a call. False: there are too many, of all callers or of this one.
    pub(crate) fn begin(&self, pending: &PendingDecision) -> bool {
        let under_way = &mut *self.under_way.borrow_mut();
        let own = under_way.of_callers.get(&pending.caller).copied();
        let own = own.unwrap_or_default();
        let has_room = under_way.all < MAX_UNDER_WAY && own < MAX_UNDER_WAY_OF_CALLER;
        if has_room {
            under_way.all = under_way.all.saturating_add(1);
            let own = own.saturating_add(1);
            under_way.of_callers.insert(pending.caller, own);
        }
        has_room
    }

    fn end(&self, pending: &PendingDecision) {
        let under_way = &mut *self.under_way.borrow_mut();
        under_way.all = under_way.all.saturating_sub(1);
        if let Some(own) = under_way.of_callers.get_mut(&pending.caller) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                under_way.of_callers.remove(&pending.caller);
            }
        }
    }

    /// The line for the host's log: for the first fault of a decision point, for each other one, and when it
    /// decides again.
    pub(crate) fn note(&self, pending: &PendingDecision, decided: &Decided) -> Option<String> {
        let name = pending.point.name();
        let faults = &mut *self.faults.borrow_mut();
        match decided {
            Ok(_) => {
                faults.remove(&name)?;
                Some(format!("the decision point {name} decides again"))
            }
            Err(fault) => {
                let before = faults.insert(name.clone(), *fault);
                (before != Some(*fault)).then(|| format!("{name}: {fault}; requests get a 503"))
            }
        }
    }

    /// Takes the answer to a call, and remembers it if the policy says so. `now` is its arrival.
    pub(crate) fn answered(
        &self,
        pending: &PendingDecision,
        response: Option<&HttpResponse>,
        now: UnixTime,
    ) -> Decided {
        self.end(pending);
        let body = body_of(response)?;
        let answers = match pending.is_batch {
            true => answer::read_all(body, pending.keys.len())?,
            false => vec![answer::read(&pending.point.protocol, body)?],
        };
        let answers: Vec<_> = answers.into_iter().map(Rc::new).collect();
        if !pending.cache.is_zero() {
            let until = now.saturating_add(pending.cache);
            let known = &mut *self.known.borrow_mut();
            for (key, answer) in pending.keys.iter().zip(&answers) {
                let answer = Rc::clone(answer);
                known.put(*key, Remembered { answer, until });
            }
        }
        Ok(answers)
    }
}

impl PendingDecision {
    /// The request.
    pub(crate) fn request(&self) -> HttpRequest {
        self.request.clone()
    }
}

/// The body of an answer. The host reports a server that it cannot reach as 503, and one that is too slow as 504.
fn body_of(response: Option<&HttpResponse>) -> Result<&[u8], DecisionFault> {
    match response {
        None => Err(DecisionFault::Unavailable),
        Some(HttpResponse {
            status: 200, body, ..
        }) => Ok(body),
        Some(response) => Err(match response.status {
            401 | 403 => DecisionFault::Credential,
            504 => DecisionFault::TimedOut,
            500..=599 => DecisionFault::Unavailable,
            300..=399 => DecisionFault::Unreadable("is a redirect"),
            _ => DecisionFault::Unreadable("has another status than 200"),
        }),
    }
}

#[cfg(test)]
mod tests;
