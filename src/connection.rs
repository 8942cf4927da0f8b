//! The second layer: the user's own tokens for the resources behind the server, and the pages on
//! which users connect their accounts.
//!
//! For whoever judges a call: [`place`] says where a caller's connection belongs, [`vault`] finds and
//! opens it, [`ticket`] makes the link to send the user to if there is none, [`refresh`] brings the next
//! token, and [`ending`] ends connections. For whoever gets a request under [`PAGES`]: [`Flow`].
//! [`token_exchange`] is the way without pages: the caller's token becomes one for the server.

pub mod discovery;
pub mod ending;
pub mod oauth;
pub mod refresh;
pub mod token_exchange;
pub mod vault;

mod clients;
mod connecting;
mod discovering;
mod flow;
pub mod logout;
mod pages;
mod refusal;
mod registration;
mod sealed;
mod sign_in;
mod signed_out;
mod visit;

pub use clients::Clients;
pub use flow::{Around, Ended, Flow, Next};
pub use refusal::PageRefusal;

use self::sealed::{LASTS, Seals, Ticket};
use self::vault::{Conversation, Place};
use crate::identity::VerifiedToken;
use crate::policy::{self, Connection, PAGES, Policy};
use crate::seal::{Purpose, Sealer};

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
pub struct Means<'a> {
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
    let conversation = match (&policy.conversation, session) {
        (policy::Conversation::Claim(_), _) => {
            Conversation::Claim(caller.conversation()?.to_owned())
        }
        (policy::Conversation::Session, Some(id)) => Conversation::Session(id.to_owned()),
        (policy::Conversation::Session, None) => Conversation::User,
    };
    Some(Place {
        resource: policy.resource.clone(),
        issuer: issuer.issuer.clone(),
        user: caller.identity().user.clone()?,
        conversation,
        connection: connection.name.clone(),
    })
}

/// The link on which the user of a place connects the account: good for ten minutes, and for that
/// user only. `now` is in Unix seconds.
pub fn ticket(policy: &Policy, sealer: &Sealer, place: &Place, now: u64) -> String {
    let ticket = Ticket {
        issuer: place.issuer.clone(),
        user: place.user.clone(),
        conversation: place.conversation.clone(),
        connection: place.connection.clone(),
        expires: now.saturating_add(LASTS),
    };
    let resource = &policy.resource;
    let ticket = Seals { sealer, resource }.seal(Purpose::Ticket, &[], &ticket);
    format!("{}{PAGES}connect?ticket={ticket}", policy.origin())
}

#[cfg(test)]
mod tests;
