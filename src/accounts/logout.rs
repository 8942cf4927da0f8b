//! An issuer says that a user signed out (OpenID Connect Back-Channel Logout 1.0): what the user
//! connected before is not used any more.

use std::collections::VecDeque;

use super::AccountContext;
use super::ending::{Ending, Next};
use super::flow::{Ended, PageContext, Step, Waiting};
use super::page_request::PageRequest;
use super::refusal::PageRefusal;
use super::sealed::LASTS;
use super::vault::{Conversation, Place};
use base::effect::{Ask, Told};
use base::http::Reply;
use base::secret::Secret;
use base::store::{Key, Operation, Record, Stored};
use oauth::{ClaimPath, IssuerId, LogoutVerification, VerifiedLogout, Verifier};
use policy::{self, Policy};

/// The records to look at before a connection is used: whether its user signed out.
pub fn marks(
    policy: &Policy,
    issuer: &str,
    user: &str,
    conversation: &Conversation,
) -> VecDeque<Key> {
    let issuers = policy.issuers.iter().zip(&policy.sign_ins);
    let offers = |sign_in: &policy::SignIn| sign_in.back_channel_logout;
    let mut offers = issuers.filter(|(_, sign_in)| sign_in.as_ref().is_some_and(offers));
    if !offers.any(|(offering, _)| offering.issuer == issuer) {
        return VecDeque::new();
    }
    let mut marks = VecDeque::from([mark(policy, issuer, "sub", user)]);
    if let (true, Conversation::Claim(session)) = (is_by_session(policy), conversation) {
        marks.push_back(mark(policy, issuer, "sid", session));
    }
    marks
}

/// Whether a mark says that what is from `since`, in Unix seconds, is over: it was made later.
pub fn ends(mark: Option<&str>, since: u64) -> bool {
    // A mark that cannot be read is one nonetheless.
    mark.is_some_and(|mark| mark.parse().map_or(true, |then: u64| since <= then))
}

fn mark(policy: &Policy, issuer: &str, claim: &str, value: &str) -> Key {
    Key::of("logout", &[&policy.resource, issuer, claim, value])
}

/// Whether a conversation is what the issuer calls a session.
fn is_by_session(policy: &Policy) -> bool {
    let sid = ClaimPath::claim("sid");
    matches!(&policy.conversation, policy::Conversation::Claim(claim) if *claim == sid)
}

/// A logout under way.
#[derive(Debug)]
pub(super) enum LoggingOut {
    /// The issuer's keys are being fetched.
    Keys(Secret),
    /// Whether the token came before is looked up.
    Before(IssuerId, VerifiedLogout),
    /// What it says is being done.
    Works(Works),
}

/// What is left to do. The token is used up last: one about which something failed may come again.
#[derive(Debug)]
pub(super) struct Works {
    left: VecDeque<Work>,
    /// Whether a connection was ended.
    has_ended: bool,
    /// The `iss` and the user, if it is known.
    user: Option<(String, String)>,
}

#[derive(Debug)]
enum Work {
    /// Writing down who signed out.
    Mark(Key),
    /// Ending a connection of the session.
    End(Box<Ending>),
    /// Writing down that the user signed out, if no connection of the session was found: many issuers
    /// name a session in logout tokens as they do in access tokens, others do not.
    MarkUnlessEnded(Key),
    /// Using the token up.
    UseUp(Record),
}

/// Begins with the issuer's request.
pub(super) fn begin(around: PageContext<'_>, visit: &PageRequest, verifier: &mut Verifier) -> Step {
    let token = visit.parameter("logout_token");
    let token = token.and_then(|token| token.ok_or(PageRefusal::Request));
    answered(token.and_then(|token| verify(Secret::new(token.to_owned()), around, verifier)))
}

impl LoggingOut {
    /// Goes on with what was asked for.
    pub(super) fn told(self, around: PageContext<'_>, told: Told) -> Step {
        answered(match (self, told) {
            (Self::Before(issuer, logout), Told::Store(Ok(Stored::Value(None)))) => {
                Works::of(around, issuer, logout).map(|works| works.next(around))
            }
            (Self::Before(..), Told::Store(Ok(_))) => Err(PageRefusal::LogoutUsed),
            (Self::Before(..), Told::Store(Err(error))) => Err(PageRefusal::Store(error)),
            (Self::Works(works), told) => works.told(around, told),
            _ => Err(PageRefusal::Request),
        })
    }

    /// Goes on with the issuer's keys, or without.
    pub(super) fn keys_ready(self, around: PageContext<'_>, verifier: &mut Verifier) -> Step {
        let Self::Keys(token) = self else {
            return answered(Err(PageRefusal::Request));
        };
        answered(match verify(token, around, verifier) {
            Ok(Step::Fetch(_, need)) => Err(PageRefusal::LogoutToken(need.unavailable())),
            step => step,
        })
    }
}

impl Works {
    /// What a logout asks for.
    fn of(
        around: PageContext<'_>,
        issuer: IssuerId,
        logout: VerifiedLogout,
    ) -> Result<Self, PageRefusal> {
        let used = used(around, issuer, &logout);
        let VerifiedLogout { user, session, .. } = logout;
        let session = session.filter(|_| is_by_session(around.policy));
        let issuer = name(around, issuer);
        let mark = |claim, value: &str| mark(around.policy, issuer, claim, value);
        let mut left = VecDeque::new();
        match (&session, &user) {
            (Some(session), None) => left.push_back(Work::Mark(mark("sid", session))),
            (Some(session), Some(user)) => {
                left.push_back(Work::Mark(mark("sid", session)));
                left.extend(endings(around.policy, issuer, user, session));
                left.push_back(Work::MarkUnlessEnded(mark("sub", user)));
            }
            (None, Some(user)) => left.push_back(Work::Mark(mark("sub", user))),
            // Which connections are of this session cannot be told.
            (None, None) => return Err(PageRefusal::Request),
        }
        left.push_back(Work::UseUp(used));
        Ok(Self {
            left,
            has_ended: false,
            user: user.map(|user| (issuer.to_owned(), user)),
        })
    }

    /// Asks for what is to be done next.
    fn next(mut self, around: PageContext<'_>) -> Step {
        if self.has_ended {
            let left = &mut self.left;
            left.retain(|work| !matches!(work, Work::MarkUnlessEnded(_)));
        }
        let ask = match self.left.front() {
            Some(Work::Mark(key) | Work::MarkUnlessEnded(key)) => Ask::Store(put(around, key)),
            Some(Work::End(ending)) => ending.ask(),
            Some(Work::UseUp(record)) => Ask::Store(Operation::Create(record.clone())),
            None => return over(200, Ok("logout"), self.user),
        };
        Step::Ask(Waiting::Logout(LoggingOut::Works(self)), ask)
    }

    /// Goes on with what came of the first of them.
    fn told(mut self, around: PageContext<'_>, told: Told) -> Result<Step, PageRefusal> {
        match (self.left.pop_front(), told) {
            (Some(Work::End(ending)), told) => {
                let means = AccountContext {
                    policy: around.policy,
                    sealer: around.sealer,
                    clients: around.clients,
                    now: around.now,
                };
                match ending.told(means, told) {
                    Ok(Next::Ask(ending)) => self.left.push_front(Work::End(ending)),
                    Ok(Next::Over(ended)) => self.has_ended |= ended.is_some(),
                    // Marks say that it is over.
                    Err(_) => {}
                }
            }
            (Some(_), Told::Store(Ok(_))) => {}
            (Some(_), Told::Store(Err(error))) => return Err(PageRefusal::Store(error)),
            _ => return Err(PageRefusal::Request),
        }
        Ok(self.next(around))
    }
}

/// Ends what is connected in the session, where that is what the issuer calls it.
fn endings(policy: &Policy, issuer: &str, user: &str, session: &str) -> Vec<Work> {
    let place = |connection: &policy::Connection| Place {
        resource: policy.resource.clone(),
        issuer: issuer.to_owned(),
        user: user.to_owned(),
        conversation: Conversation::Claim(session.to_owned()),
        connection: connection.name.clone(),
    };
    let places = policy.connections.iter().map(place);
    places
        .map(|place| Work::End(Box::new(Ending::new(place))))
        .collect()
}

fn verify(
    token: Secret,
    around: PageContext<'_>,
    verifier: &mut Verifier,
) -> Result<Step, PageRefusal> {
    let client_id = |issuer: IssuerId| {
        let sign_in = around.policy.sign_ins.get(issuer.0)?.as_ref()?;
        let client_id = sign_in.client.client_id.clone();
        sign_in.back_channel_logout.then_some(client_id)
    };
    let verified = verifier.verify_logout(&token, client_id, around.now);
    let (issuer, logout) = match verified.map_err(PageRefusal::LogoutToken)? {
        (_, LogoutVerification::PendingFetch(need)) => {
            return Ok(Step::Fetch(Waiting::Logout(LoggingOut::Keys(token)), need));
        }
        (issuer, LogoutVerification::Verified(logout)) => (issuer, logout),
    };
    let before = Ask::Store(Operation::Get(used(around, issuer, &logout).key));
    let waiting = Waiting::Logout(LoggingOut::Before(issuer, logout));
    Ok(Step::Ask(waiting, before))
}

/// The record of a token that was used up.
fn used(around: PageContext<'_>, issuer: IssuerId, logout: &VerifiedLogout) -> Record {
    let named = [&around.policy.resource, name(around, issuer), &logout.id];
    Record {
        key: Key::of("logout-token", &named),
        value: String::new(),
        expires: logout.until,
    }
}

/// Writes a mark, for as long as something from before could be used.
fn put(around: PageContext<'_>, mark: &Key) -> Operation {
    let lifetimes = around.policy.connections.iter().map(|each| each.lifetime);
    let longest = lifetimes.max().unwrap_or_default().as_secs();
    // What is being connected meanwhile ends, too.
    let longest = longest.max(LASTS);
    Operation::Put(Record {
        key: mark.clone(),
        value: around.now.to_string(),
        expires: around.now.saturating_add(longest).saturating_add(1),
    })
}

fn name(around: PageContext<'_>, issuer: IssuerId) -> &str {
    let issuer = around.policy.issuers.get(issuer.0);
    issuer.map_or("", |issuer| issuer.issuer.as_str())
}

/// The issuer is told what is wrong (section 2.8).
fn answered(step: Result<Step, PageRefusal>) -> Step {
    step.unwrap_or_else(|refusal| over(refusal.status(), Err(refusal), None))
}

fn over(
    status: u16,
    outcome: Result<&'static str, PageRefusal>,
    user: Option<(String, String)>,
) -> Step {
    let body = match outcome {
        Ok(_) => Vec::new(),
        Err(_) => b"{\"error\":\"invalid_request\"}".to_vec(),
    };
    Step::Done(Ended {
        reply: Reply {
            status,
            headers: vec![
                ("content-type", "application/json".to_owned()),
                ("cache-control", "no-store".to_owned()),
            ],
            body,
        },
        outcome,
        user,
        connection: None,
        tool: None,
    })
}
