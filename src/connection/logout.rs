//! An issuer says that a user signed out (OpenID Connect Back-Channel Logout 1.0): what the user
//! connected before is not used any more.

use std::collections::VecDeque;

use super::flow::{Around, Ended, Step, Waiting};
use super::refusal::PageRefusal;
use super::vault::{Connected, Conversation, Place};
use super::visit::Visit;
use crate::ask::{Ask, Told};
use crate::challenge::Reply;
use crate::identity::{ClaimPath, IssuerId, LogoutVerification, VerifiedLogout, Verifier};
use crate::policy::{self, Policy};
use crate::secret::Secret;
use crate::store::{Key, Operation, Outcome, Record};

/// The records to look at before a connection is used: whether its user signed out.
pub fn marks(policy: &Policy, place: &Place) -> VecDeque<Key> {
    let issuers = policy.issuers.iter().zip(&policy.sign_ins);
    let offers = |sign_in: &policy::SignIn| sign_in.back_channel_logout;
    let mut offers = issuers.filter(|(_, sign_in)| sign_in.as_ref().is_some_and(offers));
    if !offers.any(|(issuer, _)| issuer.issuer == place.issuer) {
        return VecDeque::new();
    }
    let mut marks = VecDeque::from([mark(policy, &place.issuer, "sub", &place.user)]);
    if let (true, Conversation::Claim(session)) = (is_by_session(policy), &place.conversation) {
        marks.push_back(mark(policy, &place.issuer, "sid", session));
    }
    marks
}

/// Whether a mark says that this connection is over: it was made before.
pub fn ends(mark: Option<&str>, connected: &Connected) -> bool {
    // A mark that cannot be read is one nonetheless.
    mark.is_some_and(|mark| {
        mark.parse()
            .map_or(true, |then: u64| connected.connected <= then)
    })
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
    /// The token is used up.
    Once(IssuerId, VerifiedLogout),
    /// It is written down who signed out.
    Mark(Option<(String, String)>),
}

/// Begins with the issuer's request.
pub(super) fn begin(around: Around<'_>, visit: &Visit, verifier: &mut Verifier) -> Step {
    let token = visit.parameter("logout_token");
    let token = token.and_then(|token| token.ok_or(PageRefusal::Request));
    answered(token.and_then(|token| verify(Secret::new(token.to_owned()), around, verifier)))
}

impl LoggingOut {
    /// Goes on with what was asked for.
    pub(super) fn told(self, around: Around<'_>, told: Told) -> Step {
        answered(match (self, told) {
            (_, Told::Store(Err(error))) => Err(PageRefusal::Store(error)),
            (Self::Once(issuer, logout), Told::Store(Ok(Outcome::Created(true)))) => {
                write(around, issuer, logout)
            }
            (Self::Once(..), Told::Store(Ok(_))) => Err(PageRefusal::LogoutUsed),
            (Self::Mark(user), Told::Store(Ok(_))) => Ok(over(200, Ok("logout"), user)),
            _ => Err(PageRefusal::Request),
        })
    }

    /// Goes on with the issuer's keys, or without.
    pub(super) fn keys_ready(self, around: Around<'_>, verifier: &mut Verifier) -> Step {
        let Self::Keys(token) = self else {
            return answered(Err(PageRefusal::Request));
        };
        answered(match verify(token, around, verifier) {
            Ok(Step::Fetch(_, need)) => Err(PageRefusal::LogoutToken(need.unavailable())),
            step => step,
        })
    }
}

fn verify(token: Secret, around: Around<'_>, verifier: &mut Verifier) -> Result<Step, PageRefusal> {
    let client_id = |issuer: IssuerId| {
        let sign_in = around.policy.sign_ins.get(issuer.0)?.as_ref()?;
        let client_id = sign_in.client.client_id.clone();
        sign_in.back_channel_logout.then_some(client_id)
    };
    let verified = verifier.verify_logout(&token, client_id, around.now);
    let (issuer, logout) = match verified.map_err(PageRefusal::LogoutToken)? {
        (_, LogoutVerification::Need(need)) => {
            return Ok(Step::Fetch(Waiting::Logout(LoggingOut::Keys(token)), need));
        }
        (issuer, LogoutVerification::Verified(logout)) => (issuer, logout),
    };
    let named = [&around.policy.resource, name(around, issuer), &logout.id];
    let once = Operation::Create(Record {
        key: Key::of("logout-token", &named),
        value: String::new(),
        expires: logout.until,
    });
    let waiting = Waiting::Logout(LoggingOut::Once(issuer, logout));
    Ok(Step::Ask(waiting, Ask::Store(once)))
}

/// Writes down who signed out, for as long as something from before could be used.
fn write(
    around: Around<'_>,
    issuer: IssuerId,
    logout: VerifiedLogout,
) -> Result<Step, PageRefusal> {
    let VerifiedLogout { user, session, .. } = logout;
    let session = session.filter(|_| is_by_session(around.policy));
    let (claim, value) = match (&session, &user) {
        (Some(session), _) => ("sid", session),
        (None, Some(user)) => ("sub", user),
        // Which connections are of this session cannot be told.
        (None, None) => return Err(PageRefusal::Request),
    };
    let issuer = name(around, issuer);
    let lifetimes = around.policy.connections.iter().map(|each| each.lifetime);
    let longest = lifetimes.max().unwrap_or_default().as_secs();
    let put = Operation::Put(Record {
        key: mark(around.policy, issuer, claim, value),
        value: around.now.to_string(),
        expires: around.now.saturating_add(longest).saturating_add(1),
    });
    let user = user.map(|user| (issuer.to_owned(), user));
    let waiting = Waiting::Logout(LoggingOut::Mark(user));
    Ok(Step::Ask(waiting, Ask::Store(put)))
}

fn name(around: Around<'_>, issuer: IssuerId) -> &str {
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
