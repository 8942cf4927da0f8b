//! The second layer: the user's own tokens for the resources behind the server, and the pages on
//! which users connect their accounts, and agree to calls.
//!
//! For whoever judges a call: [`place`] says where a caller's connection belongs, [`vault`] finds and
//! opens it, [`ticket`] makes the link to send the user to if there is none, [`refresh`] brings the next
//! token, and [`ending`] ends connections. [`question`] keeps what a user is asked about a call, and
//! [`question_link`] makes the link to its page. For whoever gets a request under [`PAGES`]: [`Flow`].
//! [`token_exchange`] is the way without pages: the caller's token becomes one for the server.

pub mod discovery;
pub mod ending;
pub mod question;
pub mod refresh;
pub mod token_exchange;
pub mod token_request;
pub mod vault;

mod agreeing;
mod clients;
mod connecting;
mod discovering;
mod flow;
pub mod logout;
mod page_request;
mod pages;
mod refusal;
mod registration;
mod sealed;
mod sign_in;
mod signed_in_user;
mod signed_out;

pub use clients::Clients;
pub use flow::{Ended, Flow, Next, PageContext};
pub use refusal::PageRefusal;

use self::question::Question;
use self::sealed::{LASTS, LinkPurpose, Seals, Ticket};
use self::vault::{Conversation, Place};
use base::seal::{Purpose, Sealer};
use oauth::VerifiedToken;
use policy::{self, Connection, PAGES, Policy};

/// Where 32 random bytes come from. `None`: there are none, and nothing can be begun.
#[derive(Clone, Copy)]
pub struct Random(pub fn() -> Option<[u8; 32]>);

/// No randomness at all.
impl Default for Random {
    fn default() -> Self {
        Self(|| None)
    }
}

/// What connections are refreshed and ended with.
#[derive(Debug, Clone, Copy)]
pub struct AccountContext<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// What opens connections.
    pub sealer: &'a Sealer,
    /// This filter's credentials at authorization servers.
    pub clients: &'a Clients,
    /// Unix seconds.
    pub now: u64,
}

/// Where a caller's connection belongs. `session` is the server's own session id. `None` if nothing
/// can be connected: the token does not say which user or which conversation it is.
pub fn place(
    policy: &Policy,
    caller: &VerifiedToken,
    session: Option<&str>,
    connection: &Connection,
) -> Option<Place> {
    let issuer = policy.issuers.get(caller.issuer().0)?;
    Some(Place {
        resource: policy.resource.clone(),
        issuer: issuer.issuer.clone(),
        user: caller.identity().user.clone()?,
        conversation: conversation(policy, caller, session)?,
        connection: connection.name.clone(),
    })
}

/// In which conversation a caller is. `None` if the token does not say so, and should.
pub fn conversation(
    policy: &Policy,
    caller: &VerifiedToken,
    session: Option<&str>,
) -> Option<Conversation> {
    Some(match (&policy.conversation, session) {
        (policy::Conversation::Claim(_), _) => {
            Conversation::Claim(caller.conversation()?.to_owned())
        }
        (policy::Conversation::Session, Some(id)) => Conversation::Session(id.to_owned()),
        (policy::Conversation::Session, None) => Conversation::User,
    })
}

/// The link on which the user of a place connects the account: good for ten minutes, and for that
/// user only. `now` is in Unix seconds.
pub fn ticket(policy: &Policy, sealer: &Sealer, place: &Place, now: u64) -> String {
    let ticket = Ticket {
        issuer: place.issuer.clone(),
        user: place.user.clone(),
        errand: LinkPurpose::Connect {
            conversation: place.conversation.clone(),
            connection: place.connection.clone(),
        },
        expires: now.saturating_add(LASTS),
    };
    link(policy, sealer, &ticket)
}

/// The link on which the user who is asked something answers it, as long as that can be answered.
/// Short, as models repeat it: what is asked is not in it.
pub fn question_link(
    policy: &Policy,
    sealer: &Sealer,
    place: &question::Place,
    question: &Question,
) -> String {
    let ticket = Ticket {
        issuer: place.issuer.clone(),
        user: place.user.clone(),
        errand: LinkPurpose::Answer {
            question: place.key.clone(),
        },
        expires: question.ends(),
    };
    link(policy, sealer, &ticket)
}

fn link(policy: &Policy, sealer: &Sealer, ticket: &Ticket) -> String {
    let resource = &policy.resource;
    let sealed = Seals { sealer, resource }.seal(Purpose::Ticket, &[], ticket);
    let (origin, page) = (policy.origin(), ticket.page());
    format!("{origin}{PAGES}{page}?ticket={sealed}")
}

#[cfg(test)]
mod tests;
